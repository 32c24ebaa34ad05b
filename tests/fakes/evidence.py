"""Pieces of evidence as the registry would hand them over, without a registry: what formats and judges are tested with."""

from collections.abc import Mapping
from typing import Any, Final

from controller import keys
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, COSIGN_SIGNATURE, DSSE, SIGSTORE_BUNDLE, SIMPLE_SIGNING, STATEMENT_V1
from controller.demo.signingkeys import SigningKey
from controller.evidence import Evidence, Origin
from controller.formats import read
from controller.reference import Digest, Repository
from controller.registry.discovery import Attachment
from controller.settings import Limits
from controller.verify.keyed import KeyedAuthority

MANIFEST: Final = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}'
IMAGE: Final = Digest.of(MANIFEST)
OTHER: Final = Digest.of(b"another image")
LIMITS: Final = Limits()
ORIGIN: Final = Origin(
    Repository("registry.example.com", "shop/web"), Digest.of(b"evidence manifest"), "tag sha256-….sig, layer 1"
)


def attachment(
    media_type: str, payload: bytes, annotations: Mapping[str, str] | None = None, *, artifact_type: str = ""
) -> Attachment:
    return Attachment(ORIGIN, media_type, artifact_type, annotations or {}, payload)


def one(stored: Attachment) -> Evidence:
    (evidence,) = read(stored, LIMITS)
    return evidence


def signature(
    key: SigningKey, digest: Digest | str = IMAGE, *, payload: bytes | None = None, hints: Mapping[str, str] | None = None
) -> Evidence:
    """A `.sig` layer as cosign 2 stores it; `payload` replaces the claim about `digest`, `hints` are further annotations."""
    content = payloads.claim(digest, "registry.example.com/shop/web") if payload is None else payload
    return one(attachment(SIMPLE_SIGNING, content, {COSIGN_SIGNATURE: payloads.signature(content, key), **(hints or {})}))


def statement(predicate_type: str, predicate: object = None, *digests: Digest, kind: str = STATEMENT_V1) -> bytes:
    about = [payloads.subject(digest) for digest in digests or (IMAGE,)]
    content = (bill(predicate_type) or {}) if predicate is None else predicate
    return payloads.statement(about, predicate_type, content, kind=kind)


def bill(predicate_type: str, **changes: Any) -> dict[str, Any]:
    """The smallest SBOM of a type, with one package (`changes` are more members of it); empty for other types."""
    if predicate_type.startswith("https://cyclonedx.org"):
        package = {"type": "library", "name": "express", "version": "4.21.2", "purl": "pkg:npm/express@4.21.2", **changes}
        return {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [package]}
    if predicate_type.startswith("https://spdx.dev"):
        ref = {"referenceType": "purl", "referenceLocator": "pkg:npm/express@4.21.2"}
        package = {"SPDXID": "SPDXRef-1", "name": "express", "versionInfo": "4.21.2", "externalRefs": [ref], **changes}
        return {"spdxVersion": "SPDX-2.3", "packages": [package]}
    return {}


def attestation(content: bytes, *signers: SigningKey, **envelope: Any) -> Evidence:
    """An `.att` layer; `envelope` goes to `payloads.envelope`."""
    return one(attachment(DSSE, payloads.encode(payloads.envelope(content, *signers, **envelope))))


def bundle(content: bytes, key: SigningKey, *, hint: str | None = None, **material: Any) -> Evidence:
    """A Sigstore bundle of a statement, as cosign 3 stores it."""
    document = payloads.bundle(
        payloads.bundle_envelope(payloads.envelope(content, key)), key.hint if hint is None else hint, **material
    )
    return one(attachment(SIGSTORE_BUNDLE, document, artifact_type=SIGSTORE_BUNDLE))


def image_bundle(key: SigningKey, digest: Digest = IMAGE, **material: Any) -> Evidence:
    """An image signature by cosign 3."""
    return bundle(statement(COSIGN_SIGN, {}, digest), key, **material)


def named(key: SigningKey, name: str = "") -> keys.NamedKey:
    return keys.NamedKey(name, keys.parse(key.public_pem.encode()))


def authority(*trusted: SigningKey, log_required: bool = False) -> KeyedAuthority:
    return KeyedAuthority("release", [named(key) for key in trusted], log_required=log_required)
