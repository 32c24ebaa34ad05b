"""What an authority of certificates says of Notary Project signatures: each field alone turns the yes into a no."""

import math
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from controller.errors import Code, Invalid, Refused, Undecided
from controller.evidence import Claim, Evidence, Verified
from controller.formats import cbor, notation
from controller.formats.notation import AUTHENTIC_TIME, EXPIRY, SCHEME, SIGNING_AUTHORITY, SIGNING_TIME, TIMESTAMP
from controller.reference import Digest
from controller.verify import subject
from controller.verify.pki import Level, Revocation, Stores
from controller.verify.x509 import X509Authority
from tests.fakes.evidence import IMAGE, OTHER
from tests.fakes.notation import FORMATS, PLUGIN_HEADERS, Wanted, evidence, payload
from tests.fakes.pki import DAY, NOW, authority, intermediate, issue, root, signer
from tests.fakes.pki import Wanted as WantedCertificate

ACME = "C=DE, ST=Berlin, O=Acme"
EVIL = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")


def judge(stores: Stores | None = None, *identities: str, **options: Any) -> X509Authority:
    names = identities or (ACME,)
    return X509Authority("pki", stores or Stores(ca=(root().read,)), subject.parse_all(names), **options)


def judged(found: Evidence, by: X509Authority | None = None, now: float = NOW, digest: Digest = IMAGE) -> Verified:
    (fact,) = (by or judge()).judge(found, digest, now)
    return fact


def refusal(found: Evidence, by: X509Authority | None = None, now: float = NOW, digest: Digest = IMAGE) -> Refused:
    with pytest.raises(Refused) as caught:
        judged(found, by, now, digest)
    return caught.value


@pytest.mark.parametrize("form", FORMATS)
class TestEnvelope:
    def test_signature(self, form: str) -> None:
        found = evidence(form, signer(), Wanted(artifact={"annotations": {"env": "prod"}}))
        fact = judged(found)
        assert (fact.claim, fact.digest, fact.evidence) == (Claim.SIGNATURE, IMAGE, found.id)
        assert dict(fact.annotations) == {"env": "prod"}
        assert fact.signer.name == "CN=release,O=Acme,ST=Berlin,C=DE (under CN=Root,O=Acme,ST=Berlin,C=DE)"
        assert fact.valid_until == signer().read.window.end
        assert fact.warnings == ()

    @pytest.mark.parametrize("kind", ["P-256", "P-384", "P-521", "RSA 2048", "RSA 3072"])
    def test_every_key(self, form: str, kind: str) -> None:
        assert judged(evidence(form, signer(key=kind, kind=kind))).claim is Claim.SIGNATURE

    def test_signing_authority(self, form: str) -> None:
        found = evidence(form, signer(), Wanted(scheme=SIGNING_AUTHORITY, expiry=NOW + 60))
        fact = judged(found, judge(Stores(signing_authority=(root().read,))))
        assert fact.valid_until == NOW + 60
        assert refusal(found).reason.code is Code.CERTIFICATE_UNTRUSTED

    @pytest.mark.parametrize("anchor", [root, intermediate, signer])
    def test_any_certificate_of_the_chain_can_be_the_anchor(self, form: str, anchor: Any) -> None:
        assert judged(evidence(form, signer()), judge(Stores(ca=(anchor().read,)))).claim is Claim.SIGNATURE

    def test_one_signer_under_a_renewed_certificate(self, form: str) -> None:
        first, second = judged(evidence(form, signer())), judged(evidence(form, signer(key="renewed")))
        assert first.signer.id == second.signer.id
        assert judged(evidence(form, signer("other"))).signer.id != first.signer.id
        assert judged(evidence(form, signer()), judge(Stores(ca=(intermediate().read,)))).signer.id != first.signer.id

    def test_self_signed_signer(self, form: str) -> None:
        alone = issue(WantedCertificate(f"{ACME}, CN=alone"))
        assert judged(evidence(form, alone), judge(Stores(ca=(alone.read,)))).claim is Claim.SIGNATURE
        assert refusal(evidence(form, alone)).reason.code is Code.CERTIFICATE_UNTRUSTED

    @pytest.mark.parametrize(
        ("wanted", "code"),
        [
            (Wanted(scheme="notary.x509.other"), Code.MALFORMED),
            (Wanted(headers={SIGNING_TIME: None}), Code.MALFORMED),
            (Wanted(headers={"cty": "application/json"}), Code.WRONG_PAYLOAD_TYPE),
            (Wanted(headers={"cty": None}), Code.MALFORMED),
            (Wanted(headers={"alg": None}), None),
            (Wanted(headers={"com.example.x": "y"}, critical=(SCHEME, "com.example.x")), Code.UNKNOWN_CRITICAL),
            (Wanted(critical=()), Code.MALFORMED),
            (Wanted(critical=(SCHEME, SCHEME)), Code.MALFORMED),
            (Wanted(critical=(SCHEME, EXPIRY)), Code.MALFORMED),
            (Wanted(critical=("cty", SCHEME)), Code.UNKNOWN_CRITICAL),
            (Wanted(expiry=NOW + 60, critical=(SCHEME,)), Code.MALFORMED),
            (Wanted(expiry=NOW - 3601), Code.MALFORMED),
            (Wanted(expiry=NOW), Code.SIGNATURE_EXPIRED),
            (Wanted(headers=PLUGIN_HEADERS), Code.PLUGIN_REQUIRED),
            (Wanted(headers={notation.PLUGIN + "MinVersion": "1.0.0"}), Code.PLUGIN_REQUIRED),
            (Wanted(scheme=SIGNING_AUTHORITY, critical=(SCHEME,)), Code.MALFORMED),
            (Wanted(scheme=SIGNING_AUTHORITY, headers={AUTHENTIC_TIME: None}, critical=(SCHEME,)), Code.MALFORMED),
            (Wanted(algorithm="ES384"), Code.WRONG_ALGORITHM),
            (Wanted(algorithm="PS256"), Code.WRONG_ALGORITHM),
            (Wanted(spoil=lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])), Code.SIGNATURE_INVALID),
            (Wanted(spoil=lambda raw: raw[:-1]), Code.SIGNATURE_INVALID),
            (Wanted(spoil=lambda raw: b"\0" + raw), Code.SIGNATURE_INVALID),
            (Wanted(chain=()), Code.NO_CERTIFICATE),
            (Wanted(chain=(b"x",)), Code.CERTIFICATE_INVALID),
            (Wanted(payload=b"{}"), Code.MALFORMED),
            (Wanted(payload=b"[]"), Code.MALFORMED),
            (Wanted(payload=payload()[:-2] + b', "size": 1}}'), Code.AMBIGUOUS),
            (Wanted(artifact={"digest": str(OTHER)}), Code.WRONG_DIGEST),
            (Wanted(artifact={"size": 1}), Code.WRONG_DIGEST),
            (Wanted(artifact={"size": True}), Code.MALFORMED),
            (Wanted(artifact={"size": "76"}), Code.MALFORMED),
            (Wanted(artifact={"mediaType": "application/vnd.oci.image.index.v1+json"}), Code.WRONG_DIGEST),
            (Wanted(artifact={"annotations": {"a": 1}}), Code.MALFORMED),
            (Wanted(unprotected={SCHEME: "notary.x509"}), Code.AMBIGUOUS),
        ],
    )
    def test_refused(self, form: str, wanted: Wanted, code: Code | None) -> None:
        expected = code or (Code.MALFORMED if form == notation.JWS else Code.WRONG_ALGORITHM)
        assert refusal(evidence(form, signer(), wanted)).reason.code is expected

    def test_headers_of_the_other_scheme(self, form: str) -> None:
        time: Any = "2026-01-01T00:00:00Z" if form == notation.JWS else cbor.encode_tag(1, cbor.encode_integer(1))
        wanted = Wanted(headers={AUTHENTIC_TIME: time}, critical=(SCHEME, AUTHENTIC_TIME))
        assert refusal(evidence(form, signer(), wanted)).reason.code is Code.MALFORMED

    def test_another_image(self, form: str) -> None:
        error = refusal(evidence(form, signer()), digest=OTHER)
        assert error.reason.code is Code.WRONG_DIGEST
        assert str(OTHER) in error.reason.expected
        assert str(IMAGE) in error.reason.found

    def test_without_the_manifest_nothing_is_decided(self, form: str) -> None:
        with pytest.raises(Undecided) as caught:
            judged(evidence(form, signer(), target=None))
        assert caught.value.reason.code is Code.REGISTRY_ERROR

    def test_signed_by_another_key_than_the_certificates(self, form: str) -> None:
        wrong = Wanted(chain=[one.der for one in signer().chain])
        assert refusal(evidence(form, signer(key="thief"), wrong)).reason.code is Code.SIGNATURE_INVALID

    def test_a_key_that_is_never_used(self, form: str) -> None:
        assert refusal(evidence(form, signer(key="ed", kind="Ed25519"))).reason.code is Code.WRONG_ALGORITHM

    def test_a_timestamp_without_a_store_is_ignored(self, form: str) -> None:
        assert judged(evidence(form, signer(), Wanted(stamp=lambda _: b"nonsense"))).claim is Claim.SIGNATURE

    def test_an_ignored_timestamp_is_named_where_the_time_matters(self, form: str) -> None:
        expired = signer(end=NOW - 1)
        error = refusal(evidence(form, expired, Wanted(stamp=lambda _: b"nonsense")))
        assert error.reason.code is Code.OUTSIDE_VALIDITY
        assert "there is a timestamp, and the policy names no store tsa" in error.reason.found
        assert "timestamp" not in refusal(evidence(form, expired)).reason.found

    def test_a_timestamp_under_a_store_must_hold(self, form: str) -> None:
        stores = Stores(ca=(root().read,), tsa=(root("Clock").read,))
        found = evidence(form, signer(), Wanted(stamp=lambda _: b"nonsense"))
        assert refusal(found, judge(stores)).reason.code is Code.MALFORMED
        assert judged(evidence(form, signer()), judge(stores)).valid_until < math.inf


@pytest.mark.parametrize(
    "changes",
    [
        {"usage": None},
        {"usage_critical": False},
        {"usage": ("content_commitment",)},
        {"usage": ("digital_signature", "key_encipherment")},
        {"usage": ("digital_signature", "data_encipherment")},
        {"usage": ("digital_signature", "key_agreement")},
        {"usage": ("digital_signature", "key_cert_sign")},
        {"usage": ("digital_signature", "crl_sign")},
        {"basic": True},
        {"purposes": (ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.SERVER_AUTH)},
        {"purposes": (ExtendedKeyUsageOID.CLIENT_AUTH,)},
        {"purposes": (ExtendedKeyUsageOID.EMAIL_PROTECTION,)},
        {"purposes": (ExtendedKeyUsageOID.TIME_STAMPING,)},
        {"purposes": (ExtendedKeyUsageOID.OCSP_SIGNING,)},
        {"purposes": (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)},
    ],
)
def test_signers_that_may_not_sign(changes: dict[str, Any]) -> None:
    assert refusal(evidence(notation.JWS, signer(**changes))).reason.code is Code.CERTIFICATE_INVALID


@pytest.mark.parametrize(
    "changes",
    [
        {"purposes": ()},
        {"usage": ("digital_signature", "content_commitment")},
        {"basic": False},
        {"basic": False, "basic_critical": False},
        {"extensions": ((x509.UnrecognizedExtension(EVIL, b"\5\0"), True),)},  # the specification says: not looked at
    ],
)
def test_signers_that_may_sign(changes: dict[str, Any]) -> None:
    assert judged(evidence(notation.JWS, signer(**changes))).claim is Claim.SIGNATURE


@pytest.mark.parametrize(
    "changes",
    [
        {"basic": None},
        {"basic": False},
        {"basic_critical": False},
        {"usage": None},
        {"usage_critical": False},
        {"usage": ("crl_sign",)},
    ],
)
def test_authorities_that_may_not_issue(changes: dict[str, Any]) -> None:
    middle = issue(authority(f"{ACME}, CN=Odd", **changes), root())
    assert refusal(evidence(notation.JWS, signer(issuer=middle))).reason.code is Code.CERTIFICATE_INVALID


def test_path_length() -> None:
    lower = issue(authority(f"{ACME}, CN=Lower"), intermediate())  # below one that allows none below it
    assert refusal(evidence(notation.JWS, signer(issuer=lower))).reason.code is Code.CERTIFICATE_INVALID


def test_weak_rsa() -> None:
    assert refusal(evidence(notation.JWS, signer(key="weak", kind="RSA 1024"))).reason.code is Code.CERTIFICATE_INVALID


@pytest.mark.parametrize(
    "order",
    [
        (0,),  # incomplete
        (0, 1),
        (0, 2, 1),
        (0, 1, 2, 2),  # the root twice
        (0, 1, 1, 2),
        (1, 2),
        (2,),
    ],
)
def test_chains_that_are_none(order: tuple[int, ...]) -> None:
    chain = [one.der for one in signer().chain]
    error = refusal(evidence(notation.JWS, signer(), Wanted(chain=[chain[index] for index in order])))
    assert error.reason.code in {Code.CERTIFICATE_INVALID, Code.SIGNATURE_INVALID}


def test_an_unrelated_certificate_in_the_chain() -> None:
    chain = [one.der for one in (*signer().chain[:2], root("Evil"), root())]
    assert refusal(evidence(notation.JWS, signer(), Wanted(chain=chain))).reason.code is Code.CERTIFICATE_INVALID


class TestTime:
    def test_expired_certificate(self) -> None:
        end = signer().read.window.end or 0
        assert judged(evidence(notation.JWS, signer()), now=end).valid_until == end
        error = refusal(evidence(notation.JWS, signer()), now=end + 1)
        assert (error.reason.code, error.until) == (Code.OUTSIDE_VALIDITY, math.inf)

    def test_not_yet_valid_is_judged_again_when_it_is(self) -> None:
        error = refusal(evidence(notation.JWS, signer(start=NOW + DAY)))
        assert (error.reason.code, error.until) == (Code.OUTSIDE_VALIDITY, NOW + DAY)

    def test_expired_intermediate(self) -> None:
        middle = issue(authority(f"{ACME}, CN=Old", start=NOW - 9 * DAY, end=NOW - DAY), root())
        assert refusal(evidence(notation.JWS, signer(issuer=middle))).reason.code is Code.OUTSIDE_VALIDITY

    def test_authentic_time_is_what_counts(self) -> None:
        stores = Stores(signing_authority=(root().read,))
        old = signer(start=NOW - 50 * DAY, end=NOW - 40 * DAY)
        inside = evidence(notation.JWS, old, Wanted(scheme=SIGNING_AUTHORITY, time=NOW - 45 * DAY))
        assert judged(inside, judge(stores)).valid_until == math.inf
        outside = evidence(notation.JWS, old, Wanted(scheme=SIGNING_AUTHORITY, time=NOW - 39 * DAY))
        assert refusal(outside, judge(stores)).reason.code is Code.OUTSIDE_VALIDITY

    def test_authentic_time_to_come(self) -> None:
        found = evidence(notation.JWS, signer(), Wanted(scheme=SIGNING_AUTHORITY, time=NOW + DAY))
        assert refusal(found, judge(Stores(signing_authority=(root().read,)))).reason.code is Code.OUTSIDE_VALIDITY

    def test_the_signers_own_time_proves_nothing(self) -> None:
        old = signer(start=NOW - 50 * DAY, end=NOW - 40 * DAY)
        found = evidence(notation.JWS, old, Wanted(time=NOW - 45 * DAY))
        assert refusal(found).reason.code is Code.OUTSIDE_VALIDITY


class TestLevels:
    """trust-store-trust-policy.md, "Signature Verification details": the table."""

    expired = Wanted(expiry=NOW - 60)

    def test_expiry(self) -> None:
        found = evidence(notation.JWS, signer(), self.expired)
        assert refusal(found, judge(level=Level.STRICT)).reason.code is Code.SIGNATURE_EXPIRED
        for level in (Level.PERMISSIVE, Level.AUDIT):
            assert [reason.code for reason in judged(found, judge(level=level)).warnings] == [Code.SIGNATURE_EXPIRED]

    def test_time(self) -> None:
        found = evidence(notation.JWS, signer(end=NOW - 60))
        assert refusal(found, judge(level=Level.STRICT)).reason.code is Code.OUTSIDE_VALIDITY
        for level in (Level.PERMISSIVE, Level.AUDIT):
            assert [reason.code for reason in judged(found, judge(level=level)).warnings] == [Code.OUTSIDE_VALIDITY]

    @pytest.mark.parametrize(
        ("stores", "identity", "code"),
        [
            (Stores(ca=(root("Evil").read,)), ACME, Code.CERTIFICATE_UNTRUSTED),
            (None, f"{ACME}, CN=other", Code.WRONG_SUBJECT),
        ],
    )
    def test_authenticity(self, stores: Stores | None, identity: str, code: Code) -> None:
        found = evidence(notation.JWS, signer())
        for level in (Level.STRICT, Level.PERMISSIVE):
            assert refusal(found, judge(stores, identity, level=level)).reason.code is code
        fact = judged(found, judge(stores, identity, level=Level.AUDIT))
        assert [reason.code for reason in fact.warnings] == [code]
        assert fact.signer.id == "x509:unauthenticated", "however many sign, they are one"

    @pytest.mark.parametrize("level", Level)
    @pytest.mark.parametrize(
        "wanted",
        [
            Wanted(artifact={"digest": str(OTHER)}),
            Wanted(spoil=lambda raw: bytes(len(raw))),
            Wanted(headers=PLUGIN_HEADERS),
            Wanted(headers={"x": "y"}, critical=(SCHEME, "x")),
        ],
    )
    def test_integrity_at_every_level(self, level: Level, wanted: Wanted) -> None:
        with pytest.raises(Refused):
            judged(evidence(notation.JWS, signer(), wanted), judge(level=level))


@pytest.mark.parametrize("which", range(3))
def test_revoked_by_the_policy(which: int) -> None:
    for identifier in (signer().chain[which].read.sha256, signer().chain[which].read.key.spki_sha256):
        by = judge(revoked=frozenset({identifier}))
        assert refusal(evidence(notation.JWS, signer()), by).reason.code is Code.REVOKED


def test_no_log_holds_notary_project_signatures() -> None:
    assert refusal(evidence(notation.JWS, signer()), judge(log_required=True)).reason.code is Code.LOG_REQUIRED


def test_everybody_only_by_an_explicit_choice() -> None:
    stores = Stores(ca=(root().read,))
    fact = judged(evidence(notation.JWS, signer("anna")), X509Authority("pki", stores, None))
    assert fact.claim is Claim.SIGNATURE
    with pytest.raises(Invalid):
        X509Authority("pki", stores, ())
    with pytest.raises(Invalid):
        X509Authority("pki", Stores(tsa=(root().read,)), None)


def test_fingerprint_changes_with_what_is_believed_and_with_nothing_else() -> None:
    base = judge().fingerprint
    same = X509Authority("other", Stores(ca=(root().read,)), subject.parse_all(["x509.subject: ST=Berlin,O=Acme,C=DE"]))
    assert same.fingerprint == base
    others = [
        judge(Stores(ca=(intermediate().read,))),
        judge(Stores(signing_authority=(root().read,))),
        judge(Stores(ca=(root().read,), tsa=(root().read,))),
        judge(None, f"{ACME}, CN=x"),
        judge(level=Level.PERMISSIVE),
        judge(revocation=Revocation.SOFT),
        judge(revoked=frozenset({"00"})),
        judge(log_required=True),
        X509Authority("x", Stores(ca=(root().read,)), None),
    ]
    assert len({base, *(one.fingerprint for one in others)}) == len(others) + 1


def test_times_in_jws_are_rfc_3339() -> None:
    for good in ("2026-11-18T00:00:00Z", "2026-11-18T01:00:00.123456789+01:00"):
        judged(evidence(notation.JWS, signer(), Wanted(headers={SIGNING_TIME: good})))
    for bad in ("2026-11-18", "2026-13-18T00:00:00Z", "20261118T000000Z", 1795000000, "2026-11-18T00:00:00", ""):
        error = refusal(evidence(notation.JWS, signer(), Wanted(headers={SIGNING_TIME: bad})))
        assert error.reason.code is Code.MALFORMED


def test_times_in_cose_are_whole_seconds_under_tag_1() -> None:
    bad = (
        cbor.encode_integer(1),
        cbor.encode_tag(0, cbor.encode_text("2026-11-18T00:00:00Z")),
        cbor.encode_tag(1, cbor.encode_integer(-1)),
        cbor.encode_tag(1, cbor.encode_integer(1 << 40)),
    )
    for value in bad:
        error = refusal(evidence(notation.COSE, signer(), Wanted(headers={SIGNING_TIME: value})))
        assert error.reason.code is Code.MALFORMED


def test_timestamp_header_must_be_bytes() -> None:
    for form in FORMATS:
        found = evidence(form, signer(), Wanted(unprotected={TIMESTAMP: "no base64!"}))
        assert refusal(found).reason.code is Code.MALFORMED


def test_evidence_is_addressed_by_what_it_describes() -> None:
    first = evidence(notation.JWS, signer())
    content = first.content
    assert first.id == replace(first, annotations={}).id
    assert evidence(notation.JWS, signer(), target=None).id != first.id
    assert content == replace(first, annotations={}).content
