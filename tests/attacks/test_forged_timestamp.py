"""Attack 12: a certificate forged into the timestamp's set, or a timestamp tampered with (CVE-2026-33753, CVE-2025-52556,
CVE-2026-39984).
"""

import hashlib

import pytest
from cryptography import x509

from controller import der
from controller.errors import Code, Reason, Refused
from tests.fakes.authorities import CODE_SIGNING, T0, TIME_STAMPING, Holder, Wanted, b64, certify
from tests.fakes.evidence import IMAGE
from tests.fakes.keys import signing_key
from tests.fakes.sigstore import NOW, PrivateSigstore, evidence
from tests.fakes.timestamps import Odd, TimestampAuthority, oid

SIGSTORE = PrivateSigstore()


def forger() -> TimestampAuthority:
    """An authority that nobody trusts, and that calls itself what the trusted one is called."""
    return TimestampAuthority("forged tsa", called="sigstore tsa")


def twin() -> Holder:
    """A certificate with the trusted signer's very name and number, issued by nobody, with the attacker's key."""
    trusted = SIGSTORE.tsa.signer.certificate
    key = signing_key("forged twin")
    holder = certify(Wanted("sigstore tsa", authority=False), key, SIGSTORE.tsa.root)
    raw = holder.der.replace(_number(holder), _number(SIGSTORE.tsa.signer))
    assert len(raw) == len(holder.der)
    forged = x509.load_der_x509_certificate(raw)
    assert (forged.serial_number, forged.issuer) == (trusted.serial_number, trusted.issuer)
    return Holder(forged, key)


def _number(holder: Holder) -> bytes:
    number = holder.certificate.serial_number
    return number.to_bytes(16, "big")


def bundle_with(odd: Odd | None = None, *, stamp: bytes | None = None) -> dict[str, object]:
    document = SIGSTORE.sign_statement(["hashedrekord 2"], stamps=1, odd=odd)
    if stamp is not None:
        document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0] = {
            "signedTimestamp": b64(stamp)
        }
    return document


def refusal(document: dict[str, object]) -> Reason:
    with pytest.raises(Refused) as caught:
        SIGSTORE.authority().judge(evidence(document), IMAGE, NOW)
    return caught.value.reason


@pytest.mark.parametrize("embedded", ["nothing", "the forger's chain", "the trusted certificate too", "unsorted"])
def test_a_foreign_authority_is_not_believed_whatever_comes_along(embedded: str) -> None:
    tsa = forger()
    along = {
        "nothing": (),
        "the forger's chain": (tsa.signer.der, tsa.root.der),
        "the trusted certificate too": (SIGSTORE.tsa.signer.der, tsa.signer.der, tsa.root.der),
        "unsorted": (tsa.signer.der, SIGSTORE.tsa.root.der, tsa.root.der, SIGSTORE.tsa.signer.der),
    }[embedded]
    reason = refusal(bundle_with(Odd(signer=tsa.signer, embedded=along)))
    assert reason.code is Code.TIMESTAMP_UNTRUSTED


def test_a_twin_of_the_trusted_certificate_in_the_set() -> None:
    """Same issuer name, same serial number, other key: the one in the trusted root is asked, not the one that came along."""
    forged = twin()
    reason = refusal(bundle_with(Odd(signer=forged, named=forged, embedded=(forged.der,))))
    assert reason.code is Code.TIMESTAMP_INVALID
    assert "names another signing certificate" in reason.message
    hashed = hashlib.sha256(SIGSTORE.tsa.signer.der).digest()
    reason = refusal(bundle_with(Odd(signer=forged, named=forged, hashed=hashed, embedded=(forged.der,))))
    assert reason.code is Code.TIMESTAMP_INVALID
    assert "not signed by the authority" in reason.message


@pytest.mark.parametrize("embedded", [(), (SIGSTORE.tsa.signer.der,), (SIGSTORE.tsa.root.der, SIGSTORE.tsa.signer.der)])
def test_the_trusted_authority_is_believed_with_and_without_certificates_in_any_order(embedded: tuple[bytes, ...]) -> None:
    for order in (embedded, embedded[::-1]):
        (fact,) = SIGSTORE.authority().judge(evidence(bundle_with(Odd(embedded=order))), IMAGE, NOW)
        assert fact.digest == IMAGE


def test_certificates_that_come_along_lead_only_to_listed_authorities() -> None:
    """A root that lists the authority alone: its signer comes in the set, the forger's does not lead there."""
    document = SIGSTORE.document()
    document["timestampAuthorities"][0]["certChain"]["certificates"].pop(0)
    judge = SIGSTORE.authority(document=document)
    good = Odd(embedded=(SIGSTORE.tsa.root.der, SIGSTORE.tsa.signer.der))
    assert judge.judge(evidence(bundle_with(good)), IMAGE, NOW)
    tsa = forger()
    for odd in (Odd(), Odd(signer=tsa.signer, embedded=(tsa.signer.der, tsa.root.der)), Odd(embedded=(tsa.signer.der,))):
        with pytest.raises(Refused) as caught:
            judge.judge(evidence(bundle_with(odd)), IMAGE, NOW)
        assert caught.value.reason.code is Code.TIMESTAMP_UNTRUSTED


def test_a_stamp_of_another_signature() -> None:
    reason = refusal(bundle_with(stamp=SIGSTORE.tsa.stamp(b"another signature")))
    assert reason.code is Code.TIMESTAMP_INVALID
    assert "something else" in reason.message


def test_content_swapped_under_the_signature() -> None:
    """The time rewritten: the signed attributes still hash the old content."""
    document = SIGSTORE.sign_statement(["hashedrekord 2"], stamps=1)
    raw = evidence(document).material.timestamps[0]
    swapped = raw.replace(b"20251009085321Z", b"20251009085322Z")
    assert swapped != raw
    reason = refusal(bundle_with(stamp=swapped) | {"dsseEnvelope": document["dsseEnvelope"]})
    assert reason.code in {Code.TIMESTAMP_INVALID, Code.LOG_ENTRY_MISMATCH}
    document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0] = {"signedTimestamp": b64(swapped)}
    reason = refusal(document)
    assert reason.code is Code.TIMESTAMP_INVALID
    assert "its signature does not cover" in reason.message


@pytest.mark.parametrize(
    ("odd", "code", "words"),
    [
        (Odd(kind="1.2.840.113549.1.7.1"), Code.TIMESTAMP_INVALID, "another kind of content"),
        (Odd(accuracy=86400), Code.TIMESTAMP_INVALID, "too coarse"),
        (Odd(accuracy=-1), Code.TIMESTAMP_INVALID, "accuracy that is none"),
        (Odd(hashed=b"\0" * 32), Code.TIMESTAMP_INVALID, "another signing certificate"),
        (Odd(signer=SIGSTORE.tsa.root), Code.TIMESTAMP_UNTRUSTED, "no authority"),
        (
            Odd(extensions=der.encode(der.explicit(1), der.encode(der.SEQUENCE, oid("1.2.3"), b"\1\1\xff", b"\4\0"))),
            Code.TIMESTAMP_INVALID,
            "critical extension",
        ),
    ],
)
def test_tokens_that_are_not_proper(odd: Odd, code: Code, words: str) -> None:
    reason = refusal(bundle_with(odd))
    assert reason.code is code
    assert words in reason.message


@pytest.mark.parametrize(
    "odd", [Odd(accuracy=None), Odd(fraction=".5"), Odd(unsigned_order=True), Odd(by_key_identifier=True)]
)
def test_tokens_that_are_unusual_and_proper(odd: Odd) -> None:
    (fact,) = SIGSTORE.authority().judge(evidence(bundle_with(odd)), IMAGE, NOW)
    assert fact.digest == IMAGE


def test_a_certificate_that_is_for_more_than_timestamps() -> None:
    """RFC 3161 section 2.3: the one extended key usage, and critical."""
    for changes in ({"usages_critical": False}, {"usages": (TIME_STAMPING, CODE_SIGNING)}):
        sigstore = PrivateSigstore()
        sigstore.tsa = TimestampAuthority("loose tsa", **changes)
        with pytest.raises(Refused) as caught:
            sigstore.authority().judge(evidence(sigstore.sign_statement(["hashedrekord 2"], stamps=1)), IMAGE, NOW)
        assert caught.value.reason.code is Code.CERTIFICATE_INVALID
        assert "timestamps alone" in caught.value.reason.message


def test_an_authority_whose_certificate_had_expired() -> None:
    sigstore = PrivateSigstore()
    sigstore.tsa = TimestampAuthority("old tsa", end=T0)
    with pytest.raises(Refused) as caught:
        sigstore.authority().judge(evidence(sigstore.sign_statement(["hashedrekord 2"], stamps=1)), IMAGE, NOW)
    assert caught.value.reason.code is Code.OUTSIDE_VALIDITY


def test_every_byte_of_a_stamp_matters_or_is_not_signed() -> None:
    """Flip each byte: refused, or the byte is among the few that nothing signs."""
    document = SIGSTORE.sign_statement(["hashedrekord 2"], stamps=1)
    raw = evidence(document).material.timestamps[0]
    judge, accepted = SIGSTORE.authority(), []
    for position in range(len(raw)):
        flipped = raw[:position] + bytes((raw[position] ^ 0x01,)) + raw[position + 1 :]
        document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0] = {
            "signedTimestamp": b64(flipped)
        }
        try:
            judge.judge(evidence(document), IMAGE, NOW)
        except Refused as error:
            assert error.reason.code is not Code.INTERNAL  # noqa: PT017 - the rest of the loop goes on
        else:
            accepted.append(position)
    hint = raw.index(bytes.fromhex("310d300b0609608648016503040201"))
    assert set(accepted) <= {8, *range(hint + 2, hint + 15)}, "status granted with modifications, and a hint at the digests"
