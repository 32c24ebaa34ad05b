"""Reading image manifests and indexes so that they have one reading only (design, rule 7).

The image specification lets `mediaType` be absent and lets unknown members stand; Go programs match member names whatever
their case. A document that one program reads as an image and another as an index is how the checked image and the running
image come apart (CVE-2021-41190), so everything that leaves a choice is refused here.
"""

from collections.abc import Mapping
from typing import Any, Final

from controller import documents
from controller.errors import Code, Invalid, Refused
from controller.reference import Digest
from controller.registry import mediatypes
from controller.registry.source import Descriptor, Manifest
from controller.settings import Limits

_SCHEMA_VERSION: Final = 2
_LONGEST_NAME: Final = 256
_MAX_SIZE: Final = 2**63 - 1

# Members that say what a document is. One that belongs to the other kind, or to a kind we do not read, is a second reading.
_IMAGE_ONLY: Final = frozenset({"config", "layers"})
_INDEX_ONLY: Final = frozenset({"manifests"})
_OTHER_KINDS: Final = frozenset({"fsLayers", "history", "signatures", "blobs"})
_DOCUMENT_NAMES: Final = (
    _IMAGE_ONLY | _INDEX_ONLY | _OTHER_KINDS | {"schemaVersion", "mediaType", "artifactType", "subject", "annotations"}
)
_DESCRIPTOR_NAMES: Final = frozenset(
    {"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"}
)
_PLATFORM_NAMES: Final = frozenset({"architecture", "os", "os.version", "os.features", "variant", "features"})
_FOLDED: Final = {
    names: {name.casefold(): name for name in names} for names in (_DOCUMENT_NAMES, _DESCRIPTOR_NAMES, _PLATFORM_NAMES)
}


def read_manifest(raw: bytes, limits: Limits, *, content_type: str = "", expected: Digest | None = None) -> Manifest:
    """Read an image manifest or an image index.

    The digest is computed from `raw`: as `expected`'s algorithm where given, else sha256.

    Args:
        raw: The bytes as the registry sent them.
        limits: `manifest_bytes`, `manifest_values` and `manifest_layers` bound the document.
        content_type: The answer's Content-Type, a hint used only where the body carries no `mediaType`.
        expected: The digest that was asked for.

    Raises:
        Refused: `DigestMismatch`; `LimitExceeded`, naming the limit; `Malformed`; `Ambiguous` where the document has a
            second reading; `WrongFormat` for kinds that are no image (Docker schema 1, unknown media types).
    """
    if expected is not None:
        expected.check(raw, "manifest")
    digest = expected or Digest.of(raw)
    document = _document(raw, limits, "manifest")
    is_index = _is_index(document, _media_type_of(content_type))
    return (
        _index(document, digest, raw, limits, content_type)
        if is_index
        else _image(document, digest, raw, limits, content_type)
    )


def read_listing(raw: bytes, limits: Limits, what: str = "referrers listing") -> tuple[Descriptor, ...]:
    """Read an image index as a list: of referrers (distribution specification, "Listing Referrers"), or of a layout.

    Unlike an image's index it may list indexes, which can be tagged and have a subject too; `referrer_entries` bound it.

    Raises:
        Refused: As `read_manifest`; `Malformed` where it is an image manifest.
    """
    document = _document(raw, limits, what)
    if not _is_index(document, mediatypes.OCI_INDEX):
        raise Refused(Code.MALFORMED, f"{what} is not an image index", found=str(document.get("mediaType"))[:80])
    if "manifests" not in document:
        raise Refused(Code.MALFORMED, f"{what} has no manifests")
    return _descriptors(document, "manifests", what, ("limits.referrerEntries", limits.referrer_entries))


def _document(raw: bytes, limits: Limits, what: str) -> dict[str, Any]:
    if len(raw) > limits.manifest_bytes:
        raise over_limit(what, "limits.manifestBytes", limits.manifest_bytes, len(raw))
    # A document of tiny values takes forty times its length in memory, so they are counted before any is made.
    values = raw.count(b",") + raw.count(b"[") + raw.count(b"{")
    if values > limits.manifest_values:
        raise over_limit(what, "limits.manifestValues", limits.manifest_values, values)
    document = documents.read_object(raw, what, limit=limits.manifest_bytes)
    _check_names(document, _DOCUMENT_NAMES, what)
    version = document.get("schemaVersion")
    if version == 1 and not isinstance(version, bool):
        raise Refused(Code.WRONG_FORMAT, f"{what} is of Docker's schema 1", expected="an OCI or Docker schema 2 document")
    if version != _SCHEMA_VERSION or not isinstance(version, int):
        raise Refused(Code.MALFORMED, f"{what}.schemaVersion must be 2", found=str(version)[:40])
    return document


def over_limit(what: str, name: str, limit: int, found: int | str) -> Refused:
    """The refusal for something from outside that is too much: names the limit as it is written in the settings file."""
    return Refused(Code.LIMIT_EXCEEDED, f"{what} is over {name}", expected=f"at most {limit}", found=str(found))


def _is_index(document: Mapping[str, Any], hint: str) -> bool:
    """What the document is: its own `mediaType` decides, else its shape, which the Content-Type must not contradict."""
    stated = documents.optional_text(document, "mediaType", "manifest")
    if stated in mediatypes.SCHEMA1 or (stated and stated not in mediatypes.IMAGES | mediatypes.INDEXES):
        raise Refused(Code.WRONG_FORMAT, "manifest is of a kind that is no image", found=repr(stated[:120]))
    as_image, as_index = _IMAGE_ONLY & document.keys(), _INDEX_ONLY & document.keys()
    other = sorted(_OTHER_KINDS & document.keys())
    if other or (as_image and as_index):
        found = ", ".join(other or sorted(as_image | as_index))
        raise Refused(Code.AMBIGUOUS, "manifest has members of two kinds of document", found=found)
    if not as_image and not as_index:
        raise Refused(Code.MALFORMED, "manifest has neither layers nor manifests")
    for name, source in ((stated, "mediaType"), ("" if stated else hint, "Content-Type")):
        if (name in mediatypes.INDEXES and as_image) or (name in mediatypes.IMAGES and as_index):
            raise Refused(Code.AMBIGUOUS, f"manifest is not of the kind that its {source} says", found=repr(name))
    return bool(as_index)


def _image(document: Mapping[str, Any], digest: Digest, raw: bytes, limits: Limits, content_type: str) -> Manifest:
    if not isinstance(document.get("config"), dict):
        raise Refused(Code.MALFORMED, "manifest.config must be an object", found=type(document.get("config")).__name__)
    return Manifest(
        digest=digest,
        media_type=_media_type(document, content_type, mediatypes.OCI_MANIFEST, mediatypes.IMAGES),
        raw=raw,
        is_index=False,
        config=_descriptor(document["config"], "manifest.config"),
        layers=_descriptors(document, "layers", "manifest", ("limits.manifestLayers", limits.manifest_layers)),
        subject=_subject(document),
        artifact_type=documents.optional_text(document, "artifactType", "manifest"),
        annotations=documents.texts(document, "annotations", "manifest"),
    )


def _index(document: Mapping[str, Any], digest: Digest, raw: bytes, limits: Limits, content_type: str) -> Manifest:
    children = _descriptors(document, "manifests", "index", ("limits.manifestLayers", limits.manifest_layers))
    for child in children:
        # An index inside an index: which images it stands for depends on how deep a program looks.
        if child.media_type in mediatypes.INDEXES:
            raise Refused(Code.AMBIGUOUS, "index holds another index", found=str(child.digest))
    return Manifest(
        digest=digest,
        media_type=_media_type(document, content_type, mediatypes.OCI_INDEX, mediatypes.INDEXES),
        raw=raw,
        is_index=True,
        manifests=children,
        subject=_subject(document),
        artifact_type=documents.optional_text(document, "artifactType", "index"),
        annotations=documents.texts(document, "annotations", "index"),
    )


def _subject(document: Mapping[str, Any]) -> Descriptor | None:
    value = document.get("subject")
    return None if value is None else _descriptor(value, "manifest.subject")


def _descriptors(document: Mapping[str, Any], name: str, what: str, bound: tuple[str, int]) -> tuple[Descriptor, ...]:
    limit_name, limit = bound
    value = document.get(name)
    if isinstance(value, list) and len(value) > limit:
        raise over_limit(f"{what}.{name}", limit_name, limit, len(value))
    entries = documents.items(document, name, what, limit=limit)
    return tuple(_descriptor(entry, f"{what}.{name}[{number}]") for number, entry in enumerate(entries))


def _descriptor(value: Any, what: str) -> Descriptor:
    if not isinstance(value, dict):
        raise Refused(Code.MALFORMED, f"{what} must be an object", found=type(value).__name__)
    _check_names(value, _DESCRIPTOR_NAMES, what)
    size = value.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        raise Refused(Code.MALFORMED, f"{what}.size must be a number of bytes", found=str(size)[:40])
    return Descriptor(
        media_type=_name(value, "mediaType", what),
        digest=_digest(documents.text(value, "digest", what), what),
        size=size,
        artifact_type=documents.optional_text(value, "artifactType", what),
        annotations=documents.texts(value, "annotations", what),
        platform=_platform(value, what),
    )


def _name(value: Mapping[str, Any], name: str, what: str) -> str:
    found = documents.text(value, name, what)
    if not 0 < len(found) <= _LONGEST_NAME:
        raise Refused(Code.MALFORMED, f"{what}.{name} has 1 to {_LONGEST_NAME} characters", found=f"{len(found)}")
    return found


def _digest(value: str, what: str) -> Digest:
    try:
        return Digest.parse(value)
    except Invalid as error:
        raise Refused(Code.MALFORMED, f"{what}.digest: {error.reason.message}", found=error.reason.found) from None


def _platform(value: Mapping[str, Any], what: str) -> str:
    """`os/architecture[/variant]`, empty where the descriptor names no platform."""
    platform = documents.members(value, "platform", what)
    _check_names(platform, _PLATFORM_NAMES, f"{what}.platform")
    parts = (documents.optional_text(platform, name, f"{what}.platform") for name in ("os", "architecture", "variant"))
    return "/".join(part for part in parts if part)


def _check_names(document: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    """Refuse `Manifests` and its like, which Go reads as the member and we would not."""
    folded = _FOLDED[known]
    for name in document:
        meant = folded.get(name.casefold())
        if meant is not None and meant != name:
            raise Refused(
                Code.AMBIGUOUS, f"{what} has a member named like another", expected=repr(meant), found=repr(name[:64])
            )


def _media_type(document: Mapping[str, Any], content_type: str, default: str, kinds: frozenset[str]) -> str:
    """What the document calls itself, else what the registry called it, as descriptors made by signers do."""
    hint = _media_type_of(content_type)
    return documents.optional_text(document, "mediaType", "manifest") or (hint if hint in kinds else default)


def _media_type_of(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
