"""What a log entry says was signed, by whom: the bodies that Rekor writes, taken apart into one value.

Rekor v1 (rekor, pkg/types): `hashedrekord` 0.0.1, `dsse` 0.0.1, `intoto` 0.0.2. Rekor v2 (rekor-tiles, rekor_v2.proto):
`hashedrekord` 0.0.2, `dsse` 0.0.2. Every other kind is refused: what is not understood binds nothing.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.documents import items, members, optional_text, read_object, text
from controller.errors import Code, Refused
from controller.formats.encoding import decode64
from controller.settings import Limits

_WHAT: Final = "log entry body"
_PEM: Final = re.compile(rb"-----BEGIN (CERTIFICATE|PUBLIC KEY)-----([A-Za-z0-9+/=\s]+)-----END \1-----", re.ASCII)
_HASHES: Final = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}
_HASH_BYTES: Final = {"sha256": 32, "sha384": 48, "sha512": 64}


@dataclass(frozen=True, slots=True)
class Hash:
    """A digest: `sha256`, `sha384` or `sha512`, and its bytes."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Verifier:
    """Who signed: a certificate or a SubjectPublicKeyInfo, DER. `details` names the kind of key, empty in Rekor v1."""

    der: bytes
    is_certificate: bool
    details: str = ""


@dataclass(frozen=True, slots=True)
class RecordedSignature:
    """One signature with who made it."""

    signature: bytes
    verifier: Verifier


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one entry records.

    `artifact` is the digest of the signed bytes (for a DSSE envelope: of its pre-authentication encoding); `payload` of an
    envelope's payload; `envelope` of an envelope's stored bytes. Those an entry of this kind does not carry are None.
    `payload_type` and `content` are the envelope's own, where the entry repeats them.
    """

    kind: str
    version: str
    signatures: tuple[RecordedSignature, ...]
    artifact: Hash | None = None
    payload: Hash | None = None
    envelope: Hash | None = None
    payload_type: str | None = None
    content: bytes | None = None


def read(body: bytes, limits: Limits) -> Recorded:
    """Take a body apart.

    Raises:
        Refused: `Malformed`, `Ambiguous` or `LimitExceeded`; `LogEntryMismatch` for a kind of entry that is not understood.
    """
    document = read_object(body, _WHAT, limit=limits.attestation_bytes)
    kind, version = text(document, "kind", _WHAT), text(document, "apiVersion", _WHAT)
    reader = _READERS.get((kind, version))
    if reader is None:
        known = ", ".join(" ".join(key) for key in _READERS)
        raise Refused(
            Code.LOG_ENTRY_MISMATCH,
            "the log entry is of a kind that binds no signature here",
            expected=known,
            found=f"{kind[:40]} {version[:20]}",
        )
    return reader(members(document, "spec", _WHAT), kind, version)


def _hashedrekord_1(spec: Mapping[str, Any], kind: str, version: str) -> Recorded:
    signature = members(spec, "signature", f"{_WHAT}.spec")
    public = members(signature, "publicKey", f"{_WHAT}.spec.signature")
    return Recorded(
        kind,
        version,
        (RecordedSignature(_bytes(signature, "content"), _pem(_bytes(public, "content"))),),
        artifact=_hex_hash(members(members(spec, "data", _WHAT), "hash", _WHAT)),
    )


def _dsse_1(spec: Mapping[str, Any], kind: str, version: str) -> Recorded:
    signatures = items(spec, "signatures", f"{_WHAT}.spec", limit=1)
    return Recorded(
        kind,
        version,
        tuple(
            RecordedSignature(_bytes(entry, "signature"), _pem(_bytes(entry, "verifier")))
            for entry in map(_object, signatures)
        ),
        payload=_hex_hash(members(spec, "payloadHash", _WHAT)),
        envelope=_hex_hash(members(spec, "envelopeHash", _WHAT)),
    )


def _intoto_2(spec: Mapping[str, Any], kind: str, version: str) -> Recorded:
    """Base64 stands twice around signatures and payload: Rekor's own, around the envelope's (types/intoto/v0.0.2)."""
    content = members(spec, "content", f"{_WHAT}.spec")
    envelope = members(content, "envelope", f"{_WHAT}.spec.content")
    signatures = items(envelope, "signatures", f"{_WHAT}.spec.content.envelope", limit=1)
    payload = optional_text(envelope, "payload", f"{_WHAT}.spec.content.envelope")
    return Recorded(
        kind,
        version,
        tuple(
            RecordedSignature(_twice(text(entry, "sig", _WHAT)), _pem(_bytes(entry, "publicKey")))
            for entry in map(_object, signatures)
        ),
        payload=_hex_hash(members(content, "payloadHash", _WHAT)),
        # `content.hash` is of the envelope as Rekor marshalled it on arrival; nobody else has it: not compared on purpose
        payload_type=text(envelope, "payloadType", f"{_WHAT}.spec.content.envelope"),
        content=_twice(payload) if payload else None,
    )


def _hashedrekord_2(spec: Mapping[str, Any], kind: str, version: str) -> Recorded:
    inner = members(spec, "hashedRekordV002", f"{_WHAT}.spec")
    return Recorded(
        kind,
        version,
        (_signature_2(members(inner, "signature", f"{_WHAT}.spec.hashedRekordV002")),),
        artifact=_named_hash(members(inner, "data", f"{_WHAT}.spec.hashedRekordV002")),
    )


def _dsse_2(spec: Mapping[str, Any], kind: str, version: str) -> Recorded:
    inner = members(spec, "dsseV002", f"{_WHAT}.spec")
    signatures = items(inner, "signatures", f"{_WHAT}.spec.dsseV002", limit=1)
    return Recorded(
        kind,
        version,
        tuple(_signature_2(_object(entry)) for entry in signatures),
        payload=_named_hash(members(inner, "payloadHash", f"{_WHAT}.spec.dsseV002")),
    )


_READERS: Final[Mapping[tuple[str, str], Callable[[Mapping[str, Any], str, str], Recorded]]] = {
    ("hashedrekord", "0.0.1"): _hashedrekord_1,
    ("hashedrekord", "0.0.2"): _hashedrekord_2,
    ("dsse", "0.0.1"): _dsse_1,
    ("dsse", "0.0.2"): _dsse_2,
    ("intoto", "0.0.2"): _intoto_2,
}


def _signature_2(signature: Mapping[str, Any]) -> RecordedSignature:
    verifier = members(signature, "verifier", f"{_WHAT} signature")
    holders = [name for name in ("publicKey", "x509Certificate") if verifier.get(name) is not None]
    if len(holders) != 1:
        raise Refused(Code.MALFORMED, f"{_WHAT} names its verifier in {len(holders)} ways", expected="one")
    holder = members(verifier, holders[0], f"{_WHAT} verifier")
    details = text(verifier, "keyDetails", f"{_WHAT} verifier")
    return RecordedSignature(
        _bytes(signature, "content"), Verifier(_bytes(holder, "rawBytes"), holders[0] == "x509Certificate", details)
    )


def _pem(raw: bytes) -> Verifier:
    match = _PEM.fullmatch(raw.strip())
    if not match:
        raise Refused(Code.MALFORMED, f"{_WHAT} names its verifier by other than one certificate or public key in PEM")
    try:
        der = base64.b64decode(b"".join(match[2].split()), validate=True)
    except binascii.Error as error:
        raise Refused(Code.MALFORMED, f"{_WHAT} holds PEM that is not base64", found=str(error)[:80]) from None
    return Verifier(der, match[1] == b"CERTIFICATE")


def _hex_hash(document: Mapping[str, Any]) -> Hash:
    algorithm = text(document, "algorithm", f"{_WHAT} hash")
    try:
        value = bytes.fromhex(text(document, "value", f"{_WHAT} hash"))
    except ValueError:
        raise Refused(Code.MALFORMED, f"{_WHAT} holds a hash that is not hexadecimal") from None
    return _hash(algorithm, value)


def _named_hash(document: Mapping[str, Any]) -> Hash:
    algorithm = text(document, "algorithm", f"{_WHAT} hash")
    return _hash(_HASHES.get(algorithm, algorithm), _bytes(document, "digest"))


def _hash(algorithm: str, value: bytes) -> Hash:
    if _HASH_BYTES.get(algorithm) != len(value):
        raise Refused(
            Code.MALFORMED,
            f"{_WHAT} holds a hash that is none",
            expected=", ".join(_HASH_BYTES),
            found=f"{algorithm[:20]} of {len(value)} bytes",
        )
    return Hash(algorithm, value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(Code.MALFORMED, f"{_WHAT} holds a signature that is no object", found=type(value).__name__)
    return value


def _bytes(document: Mapping[str, Any], name: str) -> bytes:
    value = decode64(text(document, name, _WHAT), f"{_WHAT}.{name}")
    if not value:
        raise Refused(Code.MALFORMED, f"{_WHAT}.{name} is empty")
    return value


def _twice(value: str) -> bytes:
    inner = decode64(value, f"{_WHAT}.envelope")
    try:
        return decode64(inner.decode("ascii"), f"{_WHAT}.envelope")
    except (UnicodeDecodeError, Refused):
        raise Refused(
            Code.LOG_ENTRY_MISMATCH, "the log entry records what no envelope holds: no base64 within its base64"
        ) from None
