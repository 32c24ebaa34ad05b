"""DSSE envelopes (secure-systems-lab/dsse, envelope.md and protocol.md v1.0)."""

import hashlib
from dataclasses import replace
from typing import Any, Final

from controller.documents import items, optional_text, read_object, text
from controller.errors import Code, Refused
from controller.evidence import Envelope, EnvelopeSignature
from controller.formats.encoding import decode64
from controller.settings import Limits

MEDIA_TYPE: Final = "application/vnd.dsse.envelope.v1+json"
_WHAT: Final = "DSSE envelope"


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes a DSSE signature is over (protocol.md, "Signature Definition")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse(raw: bytes, limits: Limits) -> Envelope:
    """Read an envelope stored as JSON; it keeps the hash of its own bytes.

    Raises:
        Refused: `LimitExceeded`, `Malformed` or `Ambiguous`.
    """
    envelope = from_document(read_object(raw, _WHAT, limit=limits.attestation_bytes), limits)
    return replace(envelope, stored_sha256=hashlib.sha256(raw).digest())


def from_document(document: dict[str, Any], limits: Limits) -> Envelope:
    """Read an envelope from decoded JSON (a bundle carries it inline).

    Unknown members are ignored, as envelope.md demands. The payload type is kept whatever it is: judging it needs a valid
    signature first.

    Raises:
        Refused: `Malformed`; `LimitExceeded` for too many signatures.
    """
    entries = items(document, "signatures", _WHAT, limit=limits.envelope_signatures)
    if not entries:
        raise Refused(Code.MALFORMED, f"{_WHAT} carries no signature")
    return Envelope(
        text(document, "payloadType", _WHAT),
        decode64(text(document, "payload", _WHAT), f"{_WHAT}.payload"),
        tuple(_signature(entry, f"{_WHAT}.signatures[{index}]") for index, entry in enumerate(entries)),
    )


def _signature(entry: Any, what: str) -> EnvelopeSignature:
    if not isinstance(entry, dict):
        raise Refused(Code.MALFORMED, f"{what} must be an object", found=type(entry).__name__)
    return EnvelopeSignature(optional_text(entry, "keyid", what), decode64(text(entry, "sig", what), f"{what}.sig"))
