"""Whether a checkpoint is the word of a log we trust (C2SP signed-note and tlog-checkpoint)."""

import hashlib
from collections.abc import Iterator

from controller.errors import Code, Refused
from controller.formats.checkpoint import Checkpoint, NoteSignature
from controller.keys import Message, PublicKey
from controller.roots import Log

_ALGORITHMS = {"Ed25519": 0x01}  # signed-note, "Signature types"; ECDSA keys are identified by the hash of their SPKI alone


def check(checkpoint: Checkpoint, log: Log, key: PublicKey) -> None:
    """Check that `log` signed `checkpoint` with `key`.

    Lines by unknown keys are skipped, as signed-note asks: witnesses cosign, and no trusted root names witnesses yet. A line
    that carries the log's own name and key hint must hold.

    Raises:
        Refused: `CheckpointInvalid`.
    """
    ours = list(_lines(checkpoint, log, key))
    if not ours:
        names = ", ".join(line.name for line in checkpoint.signatures[:3])
        raise _invalid(
            "carries no signature of the log", f"one by {checkpoint.origin[:80]}, a key of {log.url}", names[:120]
        )
    message = Message(checkpoint.signed)
    if not all(key.verifies(line.signature, message) for line in ours):
        raise _invalid("has a signature that is not the log's over these bytes", f"a signature by key {key.fingerprint}")


def _lines(checkpoint: Checkpoint, log: Log, key: PublicKey) -> Iterator[NoteSignature]:
    for line in checkpoint.signatures:
        # Rekor v1 appends its tree's number to the name: `rekor.sigstore.dev - 2605736670972794746`.
        named = checkpoint.origin == line.name or checkpoint.origin.startswith(f"{line.name} - ")
        if named and line.hint in _hints(line.name, log, key):
            yield line


def _hints(name: str, log: Log, key: PublicKey) -> set[bytes]:
    """The key hints under which `key` may sign as `name` (signed-note, "Signatures").

    For Ed25519 the hint binds the name. Rekor v1 logs are hinted by their log identifier, the SHA-256 of the key; so are
    ECDSA keys in signed-note. An identifier that the trusted root states for an Ed25519 log is one of these two or no hint.
    """
    algorithm = _ALGORITHMS.get(key.algorithm)
    by_key = bytes.fromhex(key.spki_sha256)
    if algorithm is None:
        return {value[:4] for value in (by_key, *log.ids)}
    raw = key.spki[-32:]  # RFC 8410 section 4: the key is the last 32 bytes of its SubjectPublicKeyInfo
    return {hashlib.sha256(name.encode() + b"\n" + bytes((algorithm,)) + raw).digest()[:4], by_key[:4]}


def _invalid(why: str, expected: str, found: str = "") -> Refused:
    return Refused(Code.CHECKPOINT_INVALID, f"checkpoint {why}", expected=expected, found=found)
