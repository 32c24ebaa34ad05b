"""Whether a signature stands in a transparency log we trust.

Two questions, both of which every entry must answer: is this entry about exactly this signature (digest, signature and
key: CVE-2022-36056 and its kin transplanted valid entries), and did the log take it in (signed entry timestamp, inclusion
proof, checkpoint).
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Final

from controller.certificates import Certificate
from controller.errors import Code, Invalid, Refused
from controller.evidence import Content, Envelope
from controller.formats import checkpoint as notes
from controller.formats.log import InclusionProof, LogEntry
from controller.formats.recorded import Hash, Recorded, Verifier
from controller.keys import Message, PublicKey, parse
from controller.roots import Log, TrustedRoot, keydetails
from controller.settings import Limits
from controller.verify import checkpoint, merkle

_REKOR_2: Final = frozenset({("hashedrekord", "0.0.2"), ("dsse", "0.0.2")})


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature that held: over which message, in which content, by whose key, and the certificate that brought it."""

    content: Content
    message: Message
    signature: bytes
    key: PublicKey
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """A log's word that it holds the entry; `time` (POSIX seconds) is set where the log signed when it took it in."""

    log: Log
    time: float | None


def bind(entry: LogEntry, recorded: Recorded, signed: Signed) -> None:
    """Check that an entry records exactly this signature.

    Raises:
        Refused: `LogEntryMismatch`, saying which part differs.
    """
    if entry.stated is not None and entry.stated != (recorded.kind, recorded.version):
        raise _mismatch("kind", " ".join(entry.stated)[:60], f"{recorded.kind} {recorded.version}")
    if len(recorded.signatures) != 1:
        raise _mismatch("number of signatures", "1", str(len(recorded.signatures)))
    one = recorded.signatures[0]
    if one.signature != signed.signature:
        raise _mismatch("signature", _short(signed.signature), _short(one.signature))
    _bind_verifier(one.verifier, signed)
    if recorded.artifact is not None:
        _bind_hash("digest of the signed bytes", recorded.artifact, signed.message)
    else:
        _bind_envelope(recorded, signed.content)


def _bind_verifier(verifier: Verifier, signed: Signed) -> None:
    if signed.certificate is not None:
        if not verifier.is_certificate or verifier.der != signed.certificate.der:
            raise _mismatch("certificate", signed.certificate.sha256[:16], _short(verifier.der))
    elif verifier.is_certificate or _spki(verifier.der) != signed.key.spki:
        raise _mismatch("public key", signed.key.fingerprint, _short(verifier.der))
    if verifier.details and not keydetails.describes(verifier.details, signed.key):
        raise _mismatch("kind of key", signed.key.algorithm, verifier.details[:60])


def _spki(der: bytes) -> bytes:
    try:
        return parse(der).spki
    except Invalid:
        return b""


def _bind_envelope(recorded: Recorded, content: Content) -> None:
    if not isinstance(content, Envelope) or recorded.payload is None:
        raise _mismatch("kind", "an entry about the signed bytes", f"{recorded.kind} {recorded.version}")
    _bind_hash("digest of the payload", recorded.payload, Message(content.payload))
    if recorded.payload_type is not None and recorded.payload_type != content.payload_type:
        raise _mismatch("payload type", content.payload_type[:80], recorded.payload_type[:80])
    if recorded.content is not None and recorded.content != content.payload:
        raise _mismatch("payload", _short(content.payload), _short(recorded.content))
    if recorded.envelope is not None and content.stored_sha256:
        _bind_hash("digest of the envelope", recorded.envelope, Message(None, {"sha256": content.stored_sha256}))
    # In a bundle the envelope is not stored in the bytes that the signer sent to the log, so that its hash there is of bytes
    # nobody has. Payload, type, signature and key are bound above; those are all the envelope holds that counts.


def _bind_hash(what: str, recorded: Hash, message: Message) -> None:
    found = message.digest(recorded.algorithm)
    if found != recorded.value:
        raise _mismatch(what, found.hex() if found else "a hash that can be compared", recorded.value.hex())


def check(entry: LogEntry, root: TrustedRoot, limits: Limits, *, proof_required: bool) -> Logged:
    """Check that a log of `root` took the entry in.

    Args:
        entry: What was found.
        root: Whose logs to believe.
        limits: Bounds for its checkpoint.
        proof_required: Whether it must bring an inclusion proof with a checkpoint (sigstore_bundle.proto, `tlog_entries`,
            from 0.2 on). Else the log's promise suffices, and a proof without a checkpoint, which leads to a root hash
            that nobody signed, is checked and counts for nothing.

    Raises:
        Refused: `LogUntrusted` for a log the root does not vouch for; `LogProofMissing`, `LogProofInvalid`,
            `CheckpointInvalid`, `SignedEntryTimestampInvalid`.
    """
    logs = [(log, log.key) for log in root.find_log(entry.log_id) if log.key is not None]
    if not logs:
        raise Refused(
            Code.LOG_UNTRUSTED,
            f"the log is none of {root.title}",
            expected=", ".join(log.url for log in root.logs[:3]) or "no log at all",
            found=f"log {entry.log_id.hex()[:64]}",
        )
    log, key = logs[0]  # logs under one identifier share one key; which window counts is asked of each in turn, by time
    proved = entry.proof is not None and _check_proof(entry, entry.proof, log, key, limits)
    if entry.promise:
        _check_promise(entry, key)
    if not proved and (proof_required or not entry.promise):
        raise Refused(
            Code.LOG_PROOF_MISSING,
            "nothing proves that the log took the entry in",
            expected="an inclusion proof with a checkpoint" + ("" if proof_required else ", or a signed entry timestamp"),
        )
    return Logged(_in_time(entry, [log for log, _ in logs]), entry.integrated_time if entry.promise else None)


def _in_time(entry: LogEntry, logs: list[Log]) -> Log:
    """The log whose window holds the integrated time, where one key stands in the root for several spans."""
    time = entry.integrated_time
    fitting = (log for log in logs if time is not None and log.window.contains(time, time))
    return next(fitting, logs[0])


def _check_promise(entry: LogEntry, key: PublicKey) -> None:
    """The signed entry timestamp is over the entry in RFC 8785 form (rekor, openapi.yaml, `SignedEntryTimestamp`).

    Its members are ASCII strings without escapes and integers, for which sorted compact JSON is that form.
    """
    if entry.integrated_time is None:
        raise Refused(Code.SET_INVALID, "signed entry timestamp without a time")
    payload = {
        "body": _base64(entry.body),
        "integratedTime": entry.integrated_time,
        "logID": entry.log_id.hex(),
        "logIndex": entry.index,
    }
    message = Message(json.dumps(payload, separators=(",", ":"), sort_keys=True).encode())
    if not key.verifies(entry.promise, message):
        raise Refused(
            Code.SET_INVALID,
            "signed entry timestamp is not the log's over this entry",
            expected=f"a signature by key {key.fingerprint}",
        )


def _check_proof(entry: LogEntry, proof: InclusionProof, log: Log, key: PublicKey, limits: Limits) -> bool:
    """Check that the proof leads to its root hash, and say whether a checkpoint signs that."""
    if entry.stated in _REKOR_2 and entry.index != proof.index:  # Rekor 1 counts across a log's shards
        raise Refused(
            Code.LOG_PROOF_INVALID,
            "the inclusion proof is for another entry",
            expected=str(entry.index),
            found=str(proof.index),
        )
    merkle.check_inclusion(entry.body, proof.index, proof.size, proof.hashes, proof.root_hash)
    if not proof.checkpoint:
        return False
    note = notes.parse(proof.checkpoint, limits)
    checkpoint.check(note, log, key)
    if (note.size, note.root_hash) != (proof.size, proof.root_hash):
        raise Refused(
            Code.CHECKPOINT_INVALID,
            "checkpoint is of another tree than the inclusion proof",
            expected=f"{proof.size} leaves, root hash {proof.root_hash.hex()}",
            found=f"{note.size} leaves, root hash {note.root_hash.hex()}",
        )
    return True


def _mismatch(what: str, expected: str, found: str) -> Refused:
    return Refused(Code.LOG_ENTRY_MISMATCH, f"the log entry records another {what}", expected=expected, found=found)


def _short(value: bytes) -> str:
    return f"SHA256:{hashlib.sha256(value).hexdigest()[:16]}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
