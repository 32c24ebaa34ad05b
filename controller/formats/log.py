"""Entries of a transparency log, in the two shapes in which they travel.

In a bundle: `TransparencyLogEntry` (sigstore_rekor.proto) as protobuf JSON. Beside a cosign signature: the annotation
`dev.sigstore.cosign/bundle` (cosign, specs/SIGNATURE_SPEC.md), which has a signed entry timestamp and no inclusion proof.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.documents import items, members, optional_text, read_object, text
from controller.errors import Code, Refused
from controller.formats.encoding import decode64
from controller.settings import Limits

_WHAT: Final = "log entry"
_HASH_BYTES: Final = 32
_PROOF_HASHES: Final = 64  # a tree of 2^63 leaves has no longer path
_INT64: Final = 2**63


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """A path from one leaf to the root of a tree (RFC 6962 section 2.1.1); `checkpoint` is a signed note, or empty."""

    index: int
    size: int
    root_hash: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry as found. `body` is what the log hashed; `promise` the signed entry timestamp, or empty.

    `integrated_time` (POSIX seconds) is nobody's word unless `promise` holds. `stated` is the kind and version that stand
    beside the body, None where the shape has no place for them; the body names itself again.
    """

    stated: tuple[str, str] | None
    log_id: bytes
    index: int
    integrated_time: int | None
    body: bytes
    promise: bytes
    proof: InclusionProof | None


def read(raw: bytes, limits: Limits) -> LogEntry:
    """Read one entry of either shape.

    Raises:
        Refused: `Malformed`, `Ambiguous` or `LimitExceeded`.
    """
    document = read_object(raw, _WHAT, limit=limits.attestation_bytes)
    if "Payload" in document:
        return _annotation(document)
    return _entry(document, limits)


def _annotation(document: Mapping[str, Any]) -> LogEntry:
    payload = members(document, "Payload", _WHAT)
    return LogEntry(
        stated=None,
        log_id=_hex(text(payload, "logID", _WHAT)),
        index=_number(payload, "logIndex", _WHAT),
        integrated_time=_number(payload, "integratedTime", _WHAT),
        body=_bytes(payload, "body", _WHAT),
        promise=_bytes(document, "SignedEntryTimestamp", _WHAT),
        proof=None,
    )


def _entry(document: Mapping[str, Any], limits: Limits) -> LogEntry:
    kind = members(document, "kindVersion", _WHAT)
    promise = members(document, "inclusionPromise", _WHAT)
    proof = members(document, "inclusionProof", _WHAT)
    return LogEntry(
        stated=(text(kind, "kind", f"{_WHAT}.kindVersion"), text(kind, "version", f"{_WHAT}.kindVersion")),
        log_id=_bytes(members(document, "logId", _WHAT), "keyId", f"{_WHAT}.logId"),
        index=_number(document, "logIndex", _WHAT),
        # protobuf's JSON leaves out a zero, and no entry was made in 1970: zero says that there is no time
        integrated_time=_number(document, "integratedTime", _WHAT) or None,
        body=_bytes(document, "canonicalizedBody", _WHAT),
        promise=_bytes(promise, "signedEntryTimestamp", f"{_WHAT}.inclusionPromise") if promise else b"",
        proof=_proof(proof, limits) if proof else None,
    )


def _proof(document: Mapping[str, Any], limits: Limits) -> InclusionProof:
    what = f"{_WHAT}.inclusionProof"
    checkpoint = optional_text(members(document, "checkpoint", what), "envelope", f"{what}.checkpoint")
    if len(checkpoint) > limits.checkpoint_bytes:
        raise Refused(Code.LIMIT_EXCEEDED, "checkpoint is too long", expected=f"at most {limits.checkpoint_bytes} bytes")
    hashes = items(document, "hashes", what, limit=_PROOF_HASHES)
    return InclusionProof(
        index=_number(document, "logIndex", what),
        size=_number(document, "treeSize", what),
        root_hash=_hash(text(document, "rootHash", what), f"{what}.rootHash"),
        hashes=tuple(_hash(value, f"{what}.hashes[{index}]") for index, value in enumerate(hashes)),
        checkpoint=checkpoint,
    )


def _hash(value: object, what: str) -> bytes:
    if not isinstance(value, str):
        raise Refused(Code.MALFORMED, f"{what} must be a string", found=type(value).__name__)
    decoded = decode64(value, what)
    if len(decoded) != _HASH_BYTES:
        raise Refused(Code.MALFORMED, f"{what} is no SHA-256", expected=f"{_HASH_BYTES} bytes", found=str(len(decoded)))
    return decoded


def _bytes(document: Mapping[str, Any], name: str, what: str) -> bytes:
    value = decode64(text(document, name, what), f"{what}.{name}")
    if not value:
        raise Refused(Code.MALFORMED, f"{what}.{name} is empty")
    return value


def _hex(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except ValueError:
        raise Refused(Code.MALFORMED, f"{_WHAT}.Payload.logID is not hexadecimal", found=repr(value[:80])) from None


def _number(document: Mapping[str, Any], name: str, what: str) -> int:
    """A non-negative int64, which protobuf's JSON writes as a string, others as a number; absent is zero."""
    value = document.get(name)
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004 - of 2^63
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _INT64:
        raise Refused(Code.MALFORMED, f"{what}.{name} is no non-negative integer", found=repr(value)[:40])
    return value
