"""Sigstore bundles 0.1 to 0.3 (protobuf-specs, sigstore_bundle.proto), as JSON.

protobuf's JSON mapping lets one message be written in several ways. Read here: the canonical lowerCamelCase names only (the
original snake_case ones would be a second spelling of the same member), base64 in either alphabet, enums by name or number,
null as absent. Members the specification does not know are refused, as sigstore-go does: what is not understood may
restrict what is.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from controller.documents import items, members, optional_text, read_object, text
from controller.errors import Code, Refused
from controller.evidence import Envelope, Evidence, Format, Material, MessageSignature
from controller.formats import dsse
from controller.formats.encoding import decode64
from controller.registry.discovery import Attachment
from controller.settings import Limits

MEDIA_TYPE_PREFIX: Final = "application/vnd.dev.sigstore.bundle"
_WITHOUT_PROOF: Final = "application/vnd.dev.sigstore.bundle+json;version=0.1"
_VERSIONS: Final = frozenset(
    {
        _WITHOUT_PROOF,
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    }
)
_WHAT: Final = "Sigstore bundle"
_MATERIAL: Final = f"{_WHAT}.verificationMaterial"
_KEYS_AND_CERTIFICATES: Final = ("publicKey", "certificate", "x509CertificateChain")
_HASHES: Final = ("HASH_ALGORITHM_UNSPECIFIED", "SHA2_256", "SHA2_384", "SHA2_512", "SHA3_256", "SHA3_384")


def parse(attachment: Attachment, limits: Limits) -> Evidence:
    """Read a bundle. The version is what the body says; media types around it are hints (design, rule 7).

    Raises:
        Refused: `Malformed`, `Ambiguous` or `LimitExceeded`.
    """
    document = read_object(attachment.payload, _WHAT, limit=limits.attestation_bytes)
    _only(document, ("mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope"), _WHAT)
    version = text(document, "mediaType", _WHAT)
    if version not in _VERSIONS:
        raise Refused(Code.MALFORMED, f"{_WHAT} is of an unknown version", expected="0.1 to 0.3", found=repr(version[:80]))
    kind = _one_of(document, ("messageSignature", "dsseEnvelope"), _WHAT)
    inner = members(document, kind, _WHAT)
    content = _envelope(inner, limits) if kind == "dsseEnvelope" else _message_signature(inner)
    material = _material(members(document, "verificationMaterial", _WHAT), limits, proofs_required=version != _WITHOUT_PROOF)
    return Evidence.of(Format.BUNDLE, attachment.origin, content, material, attachment.annotations)


def _envelope(document: dict[str, Any], limits: Limits) -> Envelope:
    _only(document, ("payload", "payloadType", "signatures"), f"{_WHAT}.dsseEnvelope")
    envelope = dsse.from_document(document, limits)
    if len(envelope.signatures) != 1:  # sigstore_bundle.proto, dsse_envelope: "MUST contain only one signature"
        raise Refused(
            Code.MALFORMED,
            f"{_WHAT}.dsseEnvelope carries several signatures",
            expected="one",
            found=str(len(envelope.signatures)),
        )
    return envelope


def _message_signature(document: dict[str, Any]) -> MessageSignature:
    what = f"{_WHAT}.messageSignature"
    _only(document, ("messageDigest", "signature"), what)
    named = members(document, "messageDigest", what)
    _only(named, ("algorithm", "digest"), f"{what}.messageDigest")
    return MessageSignature(
        _hash_name(named.get("algorithm"), f"{what}.messageDigest.algorithm"),
        decode64(optional_text(named, "digest", f"{what}.messageDigest"), f"{what}.messageDigest.digest"),
        decode64(text(document, "signature", what), f"{what}.signature"),
    )


def _hash_name(value: Any, what: str) -> str:
    """Protobuf JSON writes enums by name, readers must take numbers too."""
    if value is None:
        return _HASHES[0]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_HASHES):
        return _HASHES[value]
    if isinstance(value, str) and value in _HASHES:
        return value
    raise Refused(
        Code.MALFORMED, f"{what} is unknown", expected="SHA2_256 or another of HashAlgorithm", found=repr(value)[:80]
    )


def _material(document: dict[str, Any], limits: Limits, *, proofs_required: bool) -> Material:
    _only(document, (*_KEYS_AND_CERTIFICATES, "tlogEntries", "timestampVerificationData"), _MATERIAL)
    kind = _one_of(document, _KEYS_AND_CERTIFICATES, _MATERIAL)
    inner, what = members(document, kind, _MATERIAL), f"{_MATERIAL}.{kind}"
    chain: tuple[bytes, ...] = ()
    hint = ""
    match kind:
        case "publicKey":
            _only(inner, ("hint",), what)
            hint = optional_text(inner, "hint", what)
        case "certificate":
            chain = (_raw(inner, "rawBytes", what),)
        case _:
            chain = _chain(inner, what, limits)
    entries = items(document, "tlogEntries", _MATERIAL, limit=limits.log_entries_per_bundle)
    return Material(
        hint,
        chain[0] if chain else b"",
        chain[1:],
        tuple(map(_entry, entries)),
        _timestamps(document, limits),
        proofs_required=proofs_required,
    )


def _chain(document: dict[str, Any], what: str, limits: Limits) -> tuple[bytes, ...]:
    _only(document, ("certificates",), what)
    entries = items(document, "certificates", what, limit=limits.certificates_per_chain)
    if not entries:
        raise Refused(Code.MALFORMED, f"{what} is empty")
    return tuple(_raw(entry, "rawBytes", f"{what}.certificates[{index}]") for index, entry in enumerate(entries))


def _timestamps(document: dict[str, Any], limits: Limits) -> tuple[bytes, ...]:
    what = f"{_MATERIAL}.timestampVerificationData"
    data = members(document, "timestampVerificationData", _MATERIAL)
    _only(data, ("rfc3161Timestamps",), what)
    entries = items(data, "rfc3161Timestamps", what, limit=limits.log_entries_per_bundle)
    return tuple(_stamp(entry, f"{what}[{index}]") for index, entry in enumerate(entries))


def _stamp(value: Any, what: str) -> bytes:
    """A timestamp. Line breaks are left out: scripts wrap what authorities answer, and Go's decoder skips them."""
    if isinstance(value, dict) and isinstance(value.get("signedTimestamp"), str):
        value = {**value, "signedTimestamp": value["signedTimestamp"].replace("\r", "").replace("\n", "")}
    return _raw(value, "signedTimestamp", what)


def _entry(value: Any) -> bytes:
    """A log entry for whoever judges it, as canonical JSON: it was read once, and has one reading from here on."""
    if not isinstance(value, dict):
        raise Refused(Code.MALFORMED, f"{_MATERIAL}.tlogEntries must hold objects", found=type(value).__name__)
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _raw(value: Any, name: str, what: str) -> bytes:
    if not isinstance(value, dict):
        raise Refused(Code.MALFORMED, f"{what} must be an object", found=type(value).__name__)
    _only(value, (name,), what)
    return decode64(text(value, name, what), f"{what}.{name}")


def _one_of(document: Mapping[str, Any], names: Collection[str], what: str) -> str:
    """The one member of a oneof that is set."""
    found = [name for name in names if document.get(name) is not None]
    if not found:
        raise Refused(Code.MALFORMED, f"{what} has none of its content", expected=" or ".join(names))
    if len(found) > 1:
        raise Refused(Code.AMBIGUOUS, f"{what} has several contents", expected="one", found=" and ".join(found))
    return found[0]


def _only(document: Mapping[str, Any], names: Collection[str], what: str) -> None:
    unknown = next((name for name in document if name not in names), None)
    if unknown is not None:
        raise Refused(Code.MALFORMED, f"{what} has an unknown member", expected=", ".join(names), found=repr(unknown[:64]))
