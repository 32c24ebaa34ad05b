"""Attack 25: rollback, expired and revoked signatures under levels that look away (CVE-2024-23332, CVE-2024-56138).

Strict refuses. What another level lets pass it says in the fact; integrity is enforced at every level; and a policy that
keeps things out cannot name the level that believes anybody.
"""

import pytest

from controller import certificates
from controller.compile import compile_one
from controller.errors import Code, Invalid, Refused
from controller.evidence import Evidence, Needs, Verified
from controller.formats import notation
from controller.verify import subject
from controller.verify.pki import Level, Revocation, Stores
from controller.verify.x509 import X509Authority
from tests.fakes.evidence import IMAGE, OTHER
from tests.fakes.notation import FORMATS, Wanted, evidence
from tests.fakes.pki import DAY, NOW, Says, ocsp_answer, root, signer
from tests.fakes.policies import LIMITS, policy, spec
from tests.fakes.timestamps import Odd, TimestampAuthority

OCSP = "http://ocsp.acme.example/"
CLOCK = TimestampAuthority("clock")
LOUD = [Level.PERMISSIVE, Level.AUDIT]


def judge(level: Level = Level.STRICT, revocation: Revocation | None = None) -> X509Authority:
    clock = certificates.parse(CLOCK.root.der, "clock", limit=LIMITS.certificate_bytes)
    identities = subject.parse_all(["C=DE, ST=Berlin, O=Acme"])
    return X509Authority("pki", Stores(ca=(root().read,), tsa=(clock,)), identities, level=level, revocation=revocation)


def judged(found: Evidence, by: X509Authority, answer: bytes = b"") -> Verified:
    try:
        (fact,) = by.judge(found, IMAGE, NOW)
    except Needs as needs:
        (fact,) = needs.resume(dict.fromkeys(needs.questions, answer))
    return fact


def code(found: Evidence, by: X509Authority, answer: bytes = b"") -> Code:
    with pytest.raises(Refused) as caught:
        judged(found, by, answer)
    return caught.value.reason.code


def warned(found: Evidence, by: X509Authority, answer: bytes = b"") -> list[Code]:
    return [reason.code for reason in judged(found, by, answer).warnings]


@pytest.mark.parametrize("form", FORMATS)
def test_expired_signature(form: str) -> None:
    found = evidence(form, signer(), Wanted(expiry=NOW - 1))
    assert code(found, judge()) is Code.SIGNATURE_EXPIRED
    assert [warned(found, judge(level)) for level in LOUD] == [[Code.SIGNATURE_EXPIRED]] * 2


@pytest.mark.parametrize("form", FORMATS)
def test_revoked_certificate(form: str) -> None:
    found = evidence(form, signer(ocsp=(OCSP,)))
    answer = ocsp_answer(signer(ocsp=(OCSP,)), Says("revoked"))
    assert code(found, judge(), answer) is Code.CERTIFICATE_REVOKED
    assert [warned(found, judge(level), answer) for level in LOUD] == [[Code.CERTIFICATE_REVOKED]] * 2
    assert [code(found, judge(level, Revocation.SOFT), answer) for level in LOUD] == [Code.CERTIFICATE_REVOKED] * 2


@pytest.mark.parametrize("form", FORMATS)
class TestTimestamps:
    """CVE-2024-56138: the timestamp authority's own standing counts, too."""

    def stamped(self, form: str, time: float = NOW - 45 * DAY, odd: Odd | None = None) -> Evidence:
        def stamp(signature: bytes) -> bytes:
            return CLOCK.token(signature, time, odd or Odd(embedded=(CLOCK.signer.der,)))

        expired = signer(start=NOW - 50 * DAY, end=NOW - 40 * DAY)
        return evidence(form, expired, Wanted(time=NOW - 45 * DAY, stamp=stamp))

    def test_inside_the_validity(self, form: str) -> None:
        assert judged(self.stamped(form), judge()).warnings == ()

    @pytest.mark.parametrize("days", [51, 39])
    def test_outside_the_validity(self, form: str, days: int) -> None:
        found = self.stamped(form, NOW - days * DAY)
        assert code(found, judge()) is Code.OUTSIDE_VALIDITY
        assert [warned(found, judge(level)) for level in LOUD] == [[Code.OUTSIDE_VALIDITY]] * 2

    def test_both_ends_of_the_accuracy_count(self, form: str) -> None:
        embedded = (CLOCK.signer.der,)
        edge = NOW - 40 * DAY - 5
        assert judged(self.stamped(form, edge, Odd(accuracy=5, embedded=embedded)), judge()).warnings == ()
        assert code(self.stamped(form, edge, Odd(accuracy=6, embedded=embedded)), judge()) is Code.OUTSIDE_VALIDITY

    def test_of_another_signature(self, form: str) -> None:
        other = CLOCK.token(b"another signature", NOW - 45 * DAY, Odd(embedded=(CLOCK.signer.der,)))
        expired = signer(start=NOW - 50 * DAY, end=NOW - 40 * DAY)
        found = evidence(form, expired, Wanted(time=NOW - 45 * DAY, stamp=lambda _: other))
        assert code(found, judge()) is Code.TIMESTAMP_INVALID

    def test_by_somebody_elses_clock(self, form: str) -> None:
        foreign = TimestampAuthority("foreign clock")

        def stamp(signature: bytes) -> bytes:
            return foreign.token(signature, NOW - 45 * DAY, Odd(embedded=(foreign.signer.der, foreign.root.der)))

        found = evidence(form, signer(), Wanted(stamp=stamp))
        assert code(found, judge()) is Code.TIMESTAMP_UNTRUSTED


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("level", Level)
def test_another_image_at_every_level(form: str, level: Level) -> None:
    """CVE-2024-23332: what an old signature is about is never a matter of level."""
    found = evidence(form, signer(), Wanted(artifact={"digest": str(OTHER)}))
    assert code(found, judge(level, Revocation.SKIP)) is Code.WRONG_DIGEST


def test_a_policy_that_enforces_cannot_believe_anybody() -> None:
    x509 = {
        "level": "Audit",
        "stores": {"ca": {"pem": root().pem.decode()}},
        "identities": ["C=DE, ST=Berlin, O=Acme"],
    }
    with pytest.raises(Invalid) as caught:
        compile_one(policy(spec({"name": "pki", "x509": x509})), LIMITS)
    assert caught.value.field == "spec.authorities[0].x509.level"
    compiled = compile_one(policy(spec({"name": "pki", "x509": x509}, mode="Audit")), LIMITS)
    foreign = evidence(notation.JWS, signer(issuer=root("Evil")))
    (fact,) = compiled.authorities[0].judge.judge(foreign, IMAGE, NOW)
    assert [reason.code for reason in fact.warnings] == [Code.CERTIFICATE_UNTRUSTED]
