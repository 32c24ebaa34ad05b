"""A detached signature over a file, judged by the same keys as images are."""

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Final

from controller.errors import Code, Invalid, Refused
from controller.keys import Message, PublicKey

_SIGNATURE_BYTES: Final = 64 * 1024
"""ML-DSA-87 signs with 4,627 bytes, RSA 16384 with 2,048; base64 adds a third."""
_WHOLE_FILE_BYTES: Final = 1024 * 1024 * 1024
"""Most that is held in memory for keys that sign the message and not its hash."""
_HASHES: Final = ("sha256", "sha384", "sha512")
_CHUNK: Final = 1024 * 1024


def verify(path: Path, signature: Path, key: PublicKey) -> None:
    """Verify that `key` signed the content of `path`.

    Blocking; for a thread. The signature is raw, as `openssl dgst -sign` writes it, or base64, as `cosign sign-blob` does.
    It is tried as both: the one reading that holds is a signature by the key, whatever the other would have been.

    Raises:
        Invalid: `InvalidFile` where a file cannot be read.
        Refused: `SignatureInvalid`; `LimitExceeded`; `WrongFormat` for a bundle.
    """
    candidates = _candidates(_read(signature, _SIGNATURE_BYTES, "the signature"), signature)
    message = _message(path, key)
    if any(key.verifies(candidate, message) for candidate in candidates):
        return
    raise Refused(
        Code.SIGNATURE_INVALID,
        f"{signature.name} is no signature over {path.name} by this key",
        expected=f"a signature by key {key.fingerprint} ({key.algorithm})",
        found="a signature by another key, or over other content",
    )


def _candidates(content: bytes, path: Path) -> tuple[bytes, ...]:
    if content.lstrip()[:1] == b"{":
        raise Refused(
            Code.WRONG_FORMAT,
            f"{path.name} is no detached signature",
            expected="raw bytes (openssl dgst -sign) or base64 (cosign sign-blob --output-signature)",
            found="a JSON document, perhaps a bundle",
        )
    try:
        return content, base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        return (content,)


def _message(path: Path, key: PublicKey) -> Message:
    if any(not scheme.hash_name for scheme in key.schemes):
        return Message(_read(path, _WHOLE_FILE_BYTES, "the file"))
    states = [hashlib.new(name) for name in _HASHES]
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                for state in states:
                    state.update(chunk)
    except OSError as error:
        raise _unreadable("the file", path, error) from None
    return Message(None, {name: state.digest() for name, state in zip(_HASHES, states, strict=True)})


def _read(path: Path, limit: int, what: str) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(limit + 1)
    except OSError as error:
        raise _unreadable(what, path, error) from None
    if len(content) > limit:
        raise Refused(Code.LIMIT_EXCEEDED, f"{what} {path.name} is too long", expected=f"at most {limit} bytes")
    return content


def _unreadable(what: str, path: Path, error: OSError) -> Invalid:
    return Invalid(Code.INVALID_FILE, f"{what} {path} cannot be read", found=error.strerror or str(error))
