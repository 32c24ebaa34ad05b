"""Checkpoints of a log: signed notes that say how large its tree is and what its root hash is.

Clauses: C2SP signed-note (c2sp.org/signed-note) and tlog-checkpoint (c2sp.org/tlog-checkpoint), both version 1.
"""

import re
from dataclasses import dataclass
from typing import Final

from controller.errors import Code, Refused
from controller.formats.encoding import decode64
from controller.settings import Limits

_HASH_BYTES: Final = 32
_HINT_BYTES: Final = 4
_BODY_LINES: Final = 3
_SIGNATURE: Final = re.compile("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+=*)")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROLS: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key's name, four bytes that hint at the key, the signature."""

    name: str
    hint: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint, not yet believed. `signed` is what the signatures are over, its last newline included.

    Lines after the root hash (`Timestamp: …` of Rekor v1) are signed and mean nothing here.
    """

    origin: str
    size: int
    root_hash: bytes
    signed: bytes
    signatures: tuple[NoteSignature, ...]


def parse(note: str, limits: Limits) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        Refused: `CheckpointInvalid`, or `LimitExceeded` for too many signature lines.
    """
    body, blank, block = note.rpartition("\n\n")
    if not blank or not body or not block.endswith("\n"):
        raise _bad("has no signature block", "a body, an empty line, signature lines")
    if _CONTROLS.search(note):
        raise _bad("holds control characters", "none but newlines (signed-note)")
    lines = body.split("\n")
    if len(lines) < _BODY_LINES or not all(lines):
        raise _bad("is too short, or holds an empty line", "an origin, a size, a root hash", f"{len(lines)} lines")
    origin, size, root_hash = lines[:_BODY_LINES]
    if not _SIZE.fullmatch(size):
        raise _bad("states no size in its second line", "a decimal number", repr(size[:40]))
    return Checkpoint(
        origin=origin,
        size=int(size),
        root_hash=_root_hash(root_hash),
        signed=f"{body}\n".encode(),
        signatures=_signatures(block[:-1].split("\n"), limits),
    )


def _root_hash(line: str) -> bytes:
    try:
        value = decode64(line, "root hash")
    except Refused as error:
        raise _bad("states no root hash in its third line", "base64", error.reason.found) from None
    if len(value) != _HASH_BYTES:
        raise _bad("states a root hash that is no SHA-256", f"{_HASH_BYTES} bytes", str(len(value)))
    return value


def _signatures(lines: list[str], limits: Limits) -> tuple[NoteSignature, ...]:
    if len(lines) > limits.checkpoint_signatures:
        raise Refused(
            Code.LIMIT_EXCEEDED,
            "checkpoint holds too many signatures",
            expected=f"at most {limits.checkpoint_signatures}",
            found=str(len(lines)),
        )
    return tuple(_signature(line) for line in lines)


def _signature(line: str) -> NoteSignature:
    match = _SIGNATURE.fullmatch(line)
    if not match:
        raise _bad("has a signature line that is none", "\u2014, a name, base64", repr(line[:60]))
    try:
        value = decode64(match[2], "signature")
    except Refused as error:
        raise _bad("has a signature line that is not base64", found=error.reason.found) from None
    if len(value) <= _HINT_BYTES:
        raise _bad("has a signature line that is too short", found=repr(line[:60]))
    return NoteSignature(match[1], value[:_HINT_BYTES], value[_HINT_BYTES:])


def _bad(why: str, expected: str = "", found: str = "") -> Refused:
    return Refused(Code.CHECKPOINT_INVALID, f"checkpoint {why}", expected=expected, found=found)
