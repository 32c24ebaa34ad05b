"""Whom a signature is by that nobody trusted, for the person who has to fix it. Nothing here makes anything verified."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final

from controller import keys
from controller.documents import read_object
from controller.errors import SigwardError
from controller.evidence import Envelope, Evidence, NotationEnvelope, OpenPgpMessage
from controller.formats.encoding import decode64
from controller.keys import Message, PublicKey
from controller.settings import KIB

_ENTRY_BYTES: Final = 256 * KIB
_SPKI_DIGEST_BYTES: Final = 32
_SHOWN: Final = 60


def signatures(evidence: Evidence) -> tuple[tuple[bytes, str], ...]:
    """Each signature of a piece with the hint to its key, empty where there is none."""
    content = evidence.content
    if isinstance(content, Envelope):
        return tuple((entry.signature, entry.keyid or evidence.material.key_hint) for entry in content.signatures)
    if isinstance(content, OpenPgpMessage | NotationEnvelope):
        return ()
    return ((content.signature, evidence.material.key_hint),)


def signer(evidence: Evidence, message: Message) -> str:
    """Say who signed, as far as can be told: a key that travelled along and fits, else what the hints say."""
    for key in _keys_along(evidence):
        if any(key.verifies(signature, message) for signature, _ in signatures(evidence)):
            return f"key {key.fingerprint}"
    hint = next((hint for _, hint in signatures(evidence) if hint), "")
    if hint:
        return f"key hint {_readable(hint)}"
    if evidence.material.certificate:
        return "a signature with a certificate"
    return "a signature by another key, or over other content"


def _readable(hint: str) -> str:
    """Hints that are the SHA-256 of a key (sigstore-go) look like our fingerprints, others stay as they are."""
    try:
        digest = base64.b64decode(hint, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    return keys.fingerprint(digest.hex()) if len(digest) == _SPKI_DIGEST_BYTES else repr(hint[:_SHOWN])


def _keys_along(evidence: Evidence) -> Iterator[PublicKey]:
    """Public keys in the log entries beside a signature: what cosign 2 uploads by default names the key that signed."""
    for entry in evidence.material.log_entries[:1]:
        try:
            body = read_object(entry, "log entry", limit=_ENTRY_BYTES, fold_names=False)
            encoded = body["canonicalizedBody"] if "canonicalizedBody" in body else body["Payload"]["body"]
            record = read_object(decode64(encoded, "log entry"), "log entry", limit=_ENTRY_BYTES, fold_names=False)
            yield keys.parse(decode64(_verifier(record), "public key"))
        except (SigwardError, LookupError, TypeError, ValueError, AttributeError):
            continue


def _verifier(record: Any) -> str:
    """Where Rekor's entry kinds keep the key: hashedrekord 0.0.1, dsse 0.0.1, intoto 0.0.2."""
    spec = record["spec"]
    match record["kind"]:
        case "hashedrekord":
            return str(spec["signature"]["publicKey"]["content"])
        case "dsse":
            return str(spec["signatures"][0]["verifier"])
        case _:
            return str(spec["content"]["envelope"]["signatures"][0]["publicKey"])
