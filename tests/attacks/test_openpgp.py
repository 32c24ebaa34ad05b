"""Attacks on OpenPGP simple signing; numbers are rows of the threat model's table."""

import os
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from controller.errors import Code, Refused
from controller.evidence import Evidence, Verified
from controller.settings import KIB, MIB, Limits
from controller.verify.keyring import KeyRing
from controller.verify.openpgp import OpenPgpAuthority
from tests.fakes.evidence import IMAGE, LIMITS, OTHER
from tests.fakes.openpgp import authority, claim, compressed, evidence, gnupg, key, signature, signed


def refusal(judge: OpenPgpAuthority, piece: Evidence) -> Code:
    with pytest.raises(Refused) as caught:
        judge.judge(piece, IMAGE, time.time())
    return caught.value.reason.code


def test_row_02_signed_by_a_stranger() -> None:
    assert refusal(authority(key()), signature(key("stranger"))) is Code.WRONG_KEY


def test_row_02_signed_by_a_stranger_in_a_trusted_keys_name() -> None:
    trusted, stranger = (_signing_key(name) for name in ("release", "stranger"))
    message = signed(claim(), key("stranger"))
    forged = message.replace(bytes.fromhex(stranger), bytes.fromhex(trusted))
    forged = forged.replace(bytes.fromhex(stranger[-16:]), bytes.fromhex(trusted[-16:]))
    assert forged != message
    assert refusal(authority(key()), evidence(forged)) is Code.SIGNATURE_INVALID
    # The same with the stranger's key in the ring, too: each signature is judged by the key it names.
    assert refusal(authority(key(), key("stranger")), evidence(forged)) is Code.SIGNATURE_INVALID


def _signing_key(name: str) -> str:
    certificate = KeyRing.parse(bytes(key(name).extract_certificate()), "", LIMITS).certificates[0]
    message = signed(claim(), key(name))
    return next(life for life in certificate.lives if bytes.fromhex(life) in message)


def test_row_06_valid_signature_over_something_else() -> None:
    assert refusal(authority(key()), evidence(signed(b"hello", key()))) is Code.MALFORMED
    assert refusal(authority(key()), signature(key(), type="cosign container image signature")) is Code.WRONG_PAYLOAD_TYPE
    assert refusal(authority(key()), signature(key(), OTHER)) is Code.WRONG_DIGEST


@pytest.mark.parametrize("algorithm", [1, 2, 3])
def test_row_08_compression_bomb(algorithm: int) -> None:
    bomb = compressed(bytes(16 * MIB), algorithm)
    assert len(bomb) < LIMITS.signature_bytes
    tracemalloc.start()
    try:
        with pytest.raises(Refused) as caught:
            evidence(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED
    assert "signatureBytes" in caught.value.reason.message


def test_row_08_long_message_is_not_looked_at() -> None:
    with pytest.raises(Refused) as caught:
        evidence(bytes(Limits().signature_bytes + 1))
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("count", [9, 20_000])
def test_row_08_packets_without_end(count: int) -> None:
    with pytest.raises(Refused) as caught:
        evidence(b"\xca\x00" * count)
    assert caught.value.reason.code is Code.MALFORMED


class _Panic(BaseException):
    """How a panic of native code arrives: not as an Exception."""


@pytest.mark.parametrize("error", [_Panic("index out of bounds"), MemoryError(), ValueError("?")])
def test_row_28_a_broken_verifier_is_a_no(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(KeyRing, "open", broken)
    assert refusal(authority(key()), signature(key())) is Code.INTERNAL


def _mutations(message: bytes) -> Iterator[bytes]:
    """Every byte changed in two ways, every cut, and every byte left out."""
    for index in range(len(message)):
        head, byte, tail = message[:index], message[index], message[index + 1 :]
        yield head + bytes([byte ^ 1]) + tail
        yield head + bytes([byte ^ 0x80]) + tail
        yield head + tail
        yield head


@pytest.mark.parametrize("name", ["bare.sig", "zip.sig"])
def test_no_mutation_says_anything_else(name: str) -> None:
    """A mutation is refused, or it touched what nobody signed (hints to the key) and the fact is the same."""
    judge, message = authority(gnupg("release.ring")), gnupg(name)
    now = time.time()
    (original,) = judge.judge(evidence(message), IMAGE, now)
    accepted = 0
    for mutated in _mutations(message):
        try:
            (fact,) = judge.judge(evidence(mutated), IMAGE, now)
        except Refused as error:
            assert error.reason.code is not Code.INTERNAL, mutated.hex()  # noqa: PT017 - both ways out are checked
        else:
            accepted += 1
            assert _said(fact) == _said(original)
    assert accepted < len(message) // 4


def _said(fact: Verified) -> tuple[object, ...]:
    return fact.digest, fact.signer, fact.identity, fact.claim, dict(fact.annotations), fact.valid_until


@pytest.mark.parametrize("size", [0, 1, 2, 16, 300, 4 * KIB])
def test_noise_is_refused(size: int) -> None:
    for prefix in (b"", b"\xa3\x01", b"\xa3\x03BZh9", b"\x90\x0d", b"\xc4\xff\xff\xff\xff\xff", b"\xcb\xe0"):
        with pytest.raises(Refused) as caught:
            authority(key()).judge(evidence(prefix + os.urandom(size)), IMAGE, time.time())
        assert caught.value.reason.code in {Code.MALFORMED, Code.LIMIT_EXCEEDED}
