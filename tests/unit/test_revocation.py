"""Whether a chain was revoked: what each answer means, and which answers mean nothing."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from controller.errors import Code, Refused, Undecided
from controller.evidence import Answers, Needs, Question, Verified
from controller.formats import notation
from controller.formats.notation import SIGNING_AUTHORITY
from controller.verify import subject
from controller.verify.pki import Level, Revocation, Stores
from controller.verify.x509 import X509Authority
from tests.fakes.evidence import IMAGE
from tests.fakes.notation import Wanted, evidence
from tests.fakes.pki import (
    DAY,
    NOW,
    Issued,
    Says,
    authority,
    intermediate,
    issue,
    ocsp_answer,
    revocation_list,
    root,
    signer,
)

OCSP = "http://ocsp.acme.example/"
LIST = "http://crl.acme.example/list.crl"
DELTA = "http://crl.acme.example/delta.crl"
HOLD = x509.ReasonFlags.certificate_hold
REMOVED = x509.ReasonFlags.remove_from_crl
STOLEN = x509.ReasonFlags.key_compromise
UNREACHABLE = Undecided(Code.UNREACHABLE, "no answer within 2 s", source="ocsp.acme.example")
Responses = Mapping[str, bytes | Undecided]


def judge(revocation: Revocation | None = Revocation.STRICT, level: Level = Level.STRICT) -> X509Authority:
    identities = subject.parse_all(["C=DE, ST=Berlin, O=Acme"])
    anchors = (root().read,)
    stores = Stores(ca=anchors, signing_authority=anchors)
    return X509Authority("pki", stores, identities, level=level, revocation=revocation)


def asked(certificate: Issued, by: X509Authority, wanted: Wanted | None = None) -> Needs:
    with pytest.raises(Needs) as caught:
        by.judge(evidence(notation.JWS, certificate, wanted), IMAGE, NOW)
    return caught.value


def resumed(needs: Needs, responses: Responses) -> tuple[Verified, ...]:
    """Answer by URL, round after round; what has no answer is unreachable."""
    for _ in range(4):
        try:
            return needs.resume({question: responses.get(question.url, UNREACHABLE) for question in needs.questions})
        except Needs as more:
            needs = more
    raise AssertionError("it never ends")


def judged(
    certificate: Issued, responses: Responses, by: X509Authority | None = None, wanted: Wanted | None = None
) -> Verified:
    (fact,) = resumed(asked(certificate, by or judge(), wanted), responses)
    return fact


def refusal(certificate: Issued, responses: Responses, by: X509Authority | None = None, **wanted: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        judged(certificate, responses, by, Wanted(**wanted))
    return caught.value


def unknown(certificate: Issued, responses: Responses, by: X509Authority | None = None) -> Undecided:
    with pytest.raises(Undecided) as caught:
        judged(certificate, responses, by)
    return caught.value


def by_ocsp() -> Issued:
    return signer("ocsp", ocsp=(OCSP,))


def by_list() -> Issued:
    return signer("list", lists=(LIST,))


def by_both() -> Issued:
    return signer("both", ocsp=(OCSP,), lists=(LIST,))


def scope(**changes: Any) -> x509.IssuingDistributionPoint:
    usual = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**usual, **changes})


class TestOcsp:
    def test_good_holds_until_the_next_update(self) -> None:
        fact = judged(by_ocsp(), {OCSP: ocsp_answer(by_ocsp())})
        assert (fact.valid_until, fact.warnings) == (NOW + 3600, ())

    def test_what_is_asked(self) -> None:
        (question,) = asked(by_ocsp(), judge()).questions
        request = ocsp.load_der_ocsp_request(question.request)
        assert (question.url, request.serial_number) == (OCSP, by_ocsp().parsed.serial_number)

    def test_revoked(self) -> None:
        error = refusal(by_ocsp(), {OCSP: ocsp_answer(by_ocsp(), Says("revoked", STOLEN))})
        assert (error.reason.code, error.until) == (Code.CERTIFICATE_REVOKED, math.inf)
        assert "CN=ocsp" in error.reason.message

    def test_on_hold_is_asked_again(self) -> None:
        error = refusal(by_ocsp(), {OCSP: ocsp_answer(by_ocsp(), Says("revoked", HOLD))})
        assert (error.reason.code, error.until) == (Code.CERTIFICATE_REVOKED, NOW + 3600)

    @pytest.mark.parametrize(
        "says",
        [
            Says("unknown"),
            Says(next=NOW - 1),
            Says(next=None),
            Says(this=NOW + 7200, next=NOW + 9000),
            Says(by=root()),
            Says(by=signer("thief")),
            Says(about=signer("other")),
            Says(extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b""), True),)),
        ],
    )
    def test_what_settles_nothing(self, says: Says) -> None:
        error = unknown(by_ocsp(), {OCSP: ocsp_answer(by_ocsp(), says)})
        assert error.reason.code is Code.REVOCATION_UNKNOWN
        assert error.source == "ocsp.acme.example"

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"x",
            ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER).public_bytes(Encoding.DER),
        ],
    )
    def test_garbage_and_errors(self, raw: bytes) -> None:
        assert unknown(by_ocsp(), {OCSP: raw}).reason.code is Code.REVOCATION_UNKNOWN

    def test_one_octet_changed(self) -> None:
        good = ocsp_answer(by_ocsp())
        spoilt = good[:-1] + bytes([good[-1] ^ 1])
        assert unknown(by_ocsp(), {OCSP: spoilt}).reason.code is Code.REVOCATION_UNKNOWN

    def test_nobody_answers(self) -> None:
        assert unknown(by_ocsp(), {}) is UNREACHABLE

    def test_delegated_responder(self) -> None:
        exempt = ((x509.OCSPNoCheck(), False),)
        purposes = (ExtendedKeyUsageOID.OCSP_SIGNING,)
        proper = signer("responder", purposes=purposes, extensions=exempt)
        assert judged(by_ocsp(), {OCSP: ocsp_answer(by_ocsp(), Says(by=proper, embedded=(proper,)))}).warnings == ()
        wrong = (
            signer("responder", purposes=purposes),  # may itself be revoked
            signer("responder", extensions=exempt),  # for signing code
            signer("responder", purposes=purposes, extensions=exempt, end=NOW - 1),
            signer("responder", purposes=purposes, extensions=exempt, issuer=root()),
            signer("responder", purposes=purposes, extensions=exempt, issuer=intermediate("Evil")),
        )
        for one in wrong:
            answer = ocsp_answer(by_ocsp(), Says(by=one, embedded=(one,)))
            assert unknown(by_ocsp(), {OCSP: answer}).reason.code is Code.REVOCATION_UNKNOWN

    def test_first_of_two_that_can_be_believed(self) -> None:
        two = signer("two", ocsp=("http://one.example/", "http://two.example/"))
        assert judged(two, {"http://two.example/": ocsp_answer(two)}).warnings == ()
        error = refusal(two, {"http://one.example/": b"x", "http://two.example/": ocsp_answer(two, Says("revoked"))})
        assert error.reason.code is Code.CERTIFICATE_REVOKED


class TestLists:
    def test_good_holds_until_the_next_update(self) -> None:
        assert judged(by_list(), {LIST: revocation_list(by_list())}).valid_until == NOW + 3600

    def test_revoked(self) -> None:
        error = refusal(by_list(), {LIST: revocation_list(by_list(), Says("revoked", STOLEN))})
        assert (error.reason.code, error.until) == (Code.CERTIFICATE_REVOKED, math.inf)

    def test_revoked_without_a_reason(self) -> None:
        error = refusal(by_list(), {LIST: revocation_list(by_list(), Says("revoked"))})
        assert error.reason.code is Code.CERTIFICATE_REVOKED

    def test_others_stand_there(self) -> None:
        assert judged(by_list(), {LIST: revocation_list(by_list(), Says("revoked", about=by_ocsp()))}).warnings == ()

    def test_on_hold(self) -> None:
        error = refusal(by_list(), {LIST: revocation_list(by_list(), Says("revoked", HOLD))})
        assert (error.reason.code, error.until) == (Code.CERTIFICATE_REVOKED, NOW + 3600)

    def test_lifted(self) -> None:
        assert judged(by_list(), {LIST: revocation_list(by_list(), Says("revoked", REMOVED))}).warnings == ()

    def test_out_of_date_clears_nobody_and_still_revokes(self) -> None:
        late: dict[str, Any] = {"this": NOW - 2 * DAY, "next": NOW - DAY}
        assert unknown(by_list(), {LIST: revocation_list(by_list(), Says(**late))}).reason.code is Code.REVOCATION_UNKNOWN
        on_hold = revocation_list(by_list(), Says("revoked", HOLD, **late))
        assert unknown(by_list(), {LIST: on_hold}).reason.code is Code.REVOCATION_UNKNOWN
        error = refusal(by_list(), {LIST: revocation_list(by_list(), Says("revoked", STOLEN, **late))})
        assert error.reason.code is Code.CERTIFICATE_REVOKED

    @pytest.mark.parametrize(
        "says",
        [
            Says(this=NOW + 7200, next=NOW + 9000),
            Says(by=root()),
            Says(by=signer("thief")),
            Says(base=3),
            Says(extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b""), True),)),
            Says(scope=scope(only_contains_ca_certs=True)),
            Says(scope=scope(indirect_crl=True)),
            Says(scope=scope(only_contains_attribute_certs=True)),
            Says(scope=scope(only_some_reasons=frozenset({STOLEN}))),
            Says(scope=scope(full_name=[x509.UniformResourceIdentifier("http://elsewhere.example/")])),
        ],
    )
    def test_what_settles_nothing(self, says: Says) -> None:
        error = unknown(by_list(), {LIST: revocation_list(by_list(), says)})
        assert (error.reason.code, error.source) == (Code.REVOCATION_UNKNOWN, "crl.acme.example")

    def test_scope_that_fits(self) -> None:
        here = [x509.UniformResourceIdentifier(LIST)]
        fits = scope(full_name=here, only_contains_user_certs=True)
        assert judged(by_list(), {LIST: revocation_list(by_list(), Says(scope=fits))}).warnings == ()

    def test_issuer_that_may_not_sign_lists(self) -> None:
        middle = issue(authority("C=DE, ST=Berlin, O=Acme, CN=No lists", usage=("key_cert_sign",)), root())
        one = signer("list", lists=(LIST,), issuer=middle)
        assert unknown(one, {LIST: revocation_list(one)}).reason.code is Code.REVOCATION_UNKNOWN

    def test_every_distribution_point_counts(self) -> None:
        second = "http://crl.acme.example/second.crl"
        two = signer("two lists", lists=(LIST, second))
        good, bad = revocation_list(two), revocation_list(two, Says("revoked", STOLEN))
        assert judged(two, {LIST: good, second: good}).warnings == ()
        assert refusal(two, {LIST: good, second: bad}).reason.code is Code.CERTIFICATE_REVOKED
        assert unknown(two, {LIST: good}).reason.code is Code.UNREACHABLE

    def test_invalidity_date_counts_against_a_proven_time_only(self) -> None:
        stolen = revocation_list(by_list(), Says("revoked", STOLEN, invalid_since=NOW - DAY))
        before = Wanted(scheme=SIGNING_AUTHORITY, time=NOW - 2 * DAY)
        assert judged(by_list(), {LIST: stolen}, wanted=before).warnings == ()
        after = refusal(by_list(), {LIST: stolen}, scheme=SIGNING_AUTHORITY, time=NOW - DAY / 2)
        assert after.reason.code is Code.CERTIFICATE_REVOKED
        unproven = refusal(by_list(), {LIST: stolen}, time=NOW - 2 * DAY)
        assert unproven.reason.code is Code.CERTIFICATE_REVOKED


class TestDelta:
    def whole(self, says: Says | None = None) -> bytes:
        what = says or Says()
        return revocation_list(by_list(), Says(what.status, what.reason, freshest=DELTA))

    def test_nothing_changed(self) -> None:
        delta = revocation_list(by_list(), Says(number=8, base=7, next=NOW + 60))
        assert judged(by_list(), {LIST: self.whole(), DELTA: delta}).valid_until == NOW + 60

    def test_revoked_since(self) -> None:
        delta = revocation_list(by_list(), Says("revoked", STOLEN, number=8, base=7))
        assert refusal(by_list(), {LIST: self.whole(), DELTA: delta}).reason.code is Code.CERTIFICATE_REVOKED

    def test_lifted_since(self) -> None:
        delta = revocation_list(by_list(), Says("revoked", REMOVED, number=8, base=7))
        assert judged(by_list(), {LIST: self.whole(Says("revoked", HOLD)), DELTA: delta}).warnings == ()

    @pytest.mark.parametrize(
        "says", [Says(number=8), Says(number=8, base=8), Says(number=6, base=5), Says(number=8, base=7, by=root())]
    )
    def test_deltas_that_do_not_belong(self, says: Says) -> None:
        delta = revocation_list(by_list(), says)
        assert unknown(by_list(), {LIST: self.whole(), DELTA: delta}).reason.code is Code.REVOCATION_UNKNOWN

    def test_missing(self) -> None:
        assert unknown(by_list(), {LIST: self.whole()}).reason.code is Code.UNREACHABLE


class TestBoth:
    def test_list_is_not_asked_where_ocsp_tells(self) -> None:
        needs = asked(by_both(), judge())
        assert [question.url for question in needs.questions] == [OCSP]
        (fact,) = needs.resume({needs.questions[0]: ocsp_answer(by_both())})
        assert fact.valid_until == NOW + 3600

    @pytest.mark.parametrize("answer", [UNREACHABLE, b"x", ocsp_answer(by_both(), Says("unknown"))])
    def test_list_where_ocsp_does_not_tell(self, answer: bytes | Undecided) -> None:
        assert judged(by_both(), {OCSP: answer, LIST: revocation_list(by_both())}).warnings == ()
        bad = revocation_list(by_both(), Says("revoked", STOLEN))
        assert refusal(by_both(), {OCSP: answer, LIST: bad}).reason.code is Code.CERTIFICATE_REVOKED

    def test_the_first_fault_is_shown_where_neither_tells(self) -> None:
        assert unknown(by_both(), {LIST: b"x"}) is UNREACHABLE

    def test_revoked_by_ocsp_is_final(self) -> None:
        error = refusal(by_both(), {OCSP: ocsp_answer(by_both(), Says("revoked")), LIST: revocation_list(by_both())})
        assert error.reason.code is Code.CERTIFICATE_REVOKED


class TestChain:
    def test_root_first_and_each_by_its_issuer(self) -> None:
        middle = issue(authority("C=DE, ST=Berlin, O=Acme, CN=Watched", ocsp=("http://root.example/",)), root())
        end = signer("end", ocsp=(OCSP,), issuer=middle)
        needs = asked(end, judge())
        assert [question.url for question in needs.questions] == ["http://root.example/", OCSP]
        good = {"http://root.example/": ocsp_answer(middle), OCSP: ocsp_answer(end)}
        assert judged(end, good).warnings == ()
        error = refusal(end, {**good, "http://root.example/": ocsp_answer(middle, Says("revoked"))})
        assert error.reason.code is Code.CERTIFICATE_REVOKED
        assert "CN=Watched" in error.reason.message

    def test_a_root_is_not_asked_for(self) -> None:
        alone = issue(authority("C=DE, ST=Berlin, O=Acme, CN=Loud root", ocsp=(OCSP,), lists=(LIST,)))
        end = signer("end", issuer=alone)
        by = X509Authority("pki", Stores(ca=(alone.read,)), None, revocation=Revocation.STRICT)
        (fact,) = by.judge(evidence(notation.JWS, end), IMAGE, NOW)
        assert fact.warnings == ()

    def test_none_listed_is_fine(self) -> None:
        (fact,) = judge().judge(evidence(notation.JWS, signer()), IMAGE, NOW)
        assert fact.warnings == ()

    @pytest.mark.parametrize(
        "url",
        ["https://ocsp.acme.example/", "ldap://acme.example/cn=x", "http://user@acme.example/", "http://", "http://x:y/"],
    )
    def test_places_that_cannot_be_asked(self, url: str) -> None:
        one = signer("odd", ocsp=(url,))
        with pytest.raises(Undecided) as caught:
            judge().judge(evidence(notation.JWS, one), IMAGE, NOW)
        assert caught.value.reason.code is Code.REVOCATION_UNKNOWN

    def test_too_many_places(self) -> None:
        one = signer("many", ocsp=tuple(f"http://h{number}.example/" for number in range(9)))
        with pytest.raises(Undecided) as caught:
            judge().judge(evidence(notation.JWS, one), IMAGE, NOW)
        assert caught.value.reason.expected == "at most 8 places, by http"


class TestModes:
    revoked = ocsp_answer(by_ocsp(), Says("revoked", STOLEN))

    def test_strict_is_what_level_strict_means(self) -> None:
        assert refusal(by_ocsp(), {OCSP: self.revoked}, judge(None)).reason.code is Code.CERTIFICATE_REVOKED
        assert unknown(by_ocsp(), {}, judge(None)) is UNREACHABLE

    def test_soft_reports_what_is_not_known(self) -> None:
        assert refusal(by_ocsp(), {OCSP: self.revoked}, judge(Revocation.SOFT)).reason.code is Code.CERTIFICATE_REVOKED
        fact = judged(by_ocsp(), {}, judge(Revocation.SOFT))
        assert [reason.code for reason in fact.warnings] == [Code.UNREACHABLE]
        assert fact.valid_until == NOW + 60, "it is asked again soon"

    def test_skip_asks_nobody(self) -> None:
        (fact,) = judge(Revocation.SKIP).judge(evidence(notation.JWS, by_ocsp()), IMAGE, NOW)
        assert fact.warnings == ()

    @pytest.mark.parametrize("level", [Level.PERMISSIVE, Level.AUDIT])
    def test_other_levels_only_report(self, level: Level) -> None:
        fact = judged(by_ocsp(), {OCSP: self.revoked}, judge(None, level))
        assert [reason.code for reason in fact.warnings] == [Code.CERTIFICATE_REVOKED]
        assert [reason.code for reason in judged(by_ocsp(), {}, judge(None, level)).warnings] == [Code.UNREACHABLE]

    def test_unless_the_policy_says_otherwise(self) -> None:
        by = judge(Revocation.STRICT, Level.PERMISSIVE)
        assert refusal(by_ocsp(), {OCSP: self.revoked}, by).reason.code is Code.CERTIFICATE_REVOKED


def test_nothing_is_asked_before_the_chain_is_proved() -> None:
    foreign = signer("foreign", ocsp=(OCSP,), issuer=intermediate("Evil"))
    with pytest.raises(Refused) as caught:
        judge().judge(evidence(notation.JWS, foreign), IMAGE, NOW)
    assert caught.value.reason.code is Code.CERTIFICATE_UNTRUSTED


def test_an_answer_to_another_question_is_none() -> None:
    needs = asked(by_ocsp(), judge())
    other: Answers = {Question("http://other.example/"): ocsp_answer(by_ocsp())}
    with pytest.raises(Needs) as caught:
        needs.resume(other)
    assert caught.value.questions == needs.questions
