"""Row 10: one key as OpenPGP and as PEM is one signer, and what is revoked as one is revoked as the other."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pysequoia import packet

from controller.decision.quorum import one_signer
from controller.decision.report import Verdict
from controller.errors import Code
from controller.evidence import Signer, Verified
from controller.keys import openpgp as packets
from controller.keys import parse
from tests.fakes import openpgp
from tests.fakes.evidence import IMAGE
from tests.fakes.policies import IMAGE_NAME, policy, reason_codes, spec, verdict

KEY = openpgp.key("twice")
SIGNED = openpgp.signature(KEY, name=f"{IMAGE_NAME}:latest")


def signing_fact() -> Verified:
    (fact,) = openpgp.authority(KEY).judge(openpgp.signature(KEY), IMAGE, 2_000_000_000.0)
    return fact


def raw_keys() -> dict[str, bytes]:
    """Every key of the certificate, its Ed25519 octets read the long way."""
    found = {}
    for one in packet.PacketPile.from_bytes(bytes(KEY.extract_certificate())):
        if str(one.tag) in {"Tag.PublicKey", "Tag.PublicSubkey"} and one.body[5] == 22:
            found[one.fingerprint] = bytes(one.body[-32:])
    return found


def test_the_key_of_the_signer_is_the_public_key_whatever_wraps_it() -> None:
    fact = signing_fact()
    public = [ed25519.Ed25519PublicKey.from_public_bytes(raw) for raw in raw_keys().values()]
    spki = [key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in public]
    assert fact.signer.key in {parse(der).spki_sha256 for der in spki}
    assert fact.rests_on == {f"key:sha256:{fact.signer.key}"}


def test_revoked_as_a_plain_key_it_is_not_believed_as_openpgp() -> None:
    trusting = {"name": "vendor", "openpgp": {"keyring": {"armored": openpgp.armored(KEY)}}}
    assert verdict(policy(spec(trusting)), SIGNED).verdict is Verdict.ALLOW
    report = verdict(policy(spec(trusting, revoked={"keys": [signing_fact().signer.key]})), SIGNED)
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.REVOKED})


def test_both_of_one_key_are_one_signer() -> None:
    pgp = signing_fact().signer
    plain, other = Signer(f"key:sha256:{pgp.key}", "PEM", pgp.key), Signer("key:sha256:ab", "PEM", "ab")
    same = one_signer([pgp, plain, other])
    assert same[pgp.id] == same[plain.id]
    assert same[other.id] != same[plain.id]


@pytest.mark.parametrize(
    "body",
    [b"", b"\x04", b"\x04\x00\x00\x00\x00\x01", b"\x04\x00\x00\x00\x00\x16\x09", b"\x06" + b"\xff" * 40, b"\x03" * 60],
)
def test_packets_of_another_shape_are_no_key(body: bytes) -> None:
    assert packets.spki_sha256(body) == ""
