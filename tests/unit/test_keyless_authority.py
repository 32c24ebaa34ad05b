"""The judge of identities: every shape that is signed, and each check it makes, alone."""

import dataclasses
import math
from typing import Any

import pytest
from cryptography import x509

from controller.certificates import FULCIO_CLAIMS
from controller.demo.mediatypes import COSIGN_SIGN, COSIGN_SIGNATURE
from controller.demo.signingkeys import KeyType
from controller.errors import Code, Invalid, Reason, Refused, Undecided
from controller.evidence import Claim, Evidence, Format, SimpleSigning
from controller.reference import Digest
from controller.settings import Limits
from controller.verify.identity import Identity as Trusted
from controller.verify.identity import Kind, Pattern
from controller.verify.keyless import KeylessAuthority
from tests.fakes.authorities import (
    CODE_SIGNING,
    ISSUER,
    SUBJECT,
    T0,
    TIME_STAMPING,
    CertificateAuthority,
    CertificateLog,
    Identity,
    Wanted,
    b64,
)
from tests.fakes.evidence import IMAGE, MANIFEST, OTHER, attestation, image_bundle, statement
from tests.fakes.keys import signing_key
from tests.fakes.sigstore import (
    CERTIFICATE,
    ENTRY,
    NOW,
    STAMP,
    PrivateSigstore,
    attestation_layer,
    evidence,
    raw_signature,
    signature_layer,
    trusted,
)

PREDICATE = "https://example.com/predicate"
SIGSTORE = PrivateSigstore()


def refusal(piece: Evidence, judge: KeylessAuthority | None = None, subject: Digest = IMAGE, now: float = NOW) -> Reason:
    with pytest.raises(Refused) as caught:
        (judge or SIGSTORE.authority()).judge(piece, subject, now)
    return caught.value.reason


@pytest.mark.parametrize("logs", [["dsse"], ["intoto"], ["hashedrekord 2"], ["dsse 2"], ["dsse", "hashedrekord 2"]])
@pytest.mark.parametrize("stamps", [1, 3])
def test_statements_under_every_kind_of_entry(logs: list[str], stamps: int) -> None:
    content = statement(PREDICATE, {"a": 1})
    (fact,) = SIGSTORE.authority().judge(evidence(SIGSTORE.sign_statement(logs, stamps=stamps, content=content)), IMAGE, NOW)
    assert (fact.claim, fact.predicate_type, fact.predicate) == (Claim.ATTESTATION, PREDICATE, {"a": 1})
    assert (fact.authority, fact.digest, fact.valid_until, fact.format) == ("ci", IMAGE, math.inf, Format.BUNDLE)


@pytest.mark.parametrize("kind", [KeyType.P256, KeyType.P384, KeyType.RSA2048, KeyType.ED25519])
def test_certificates_for_every_kind_of_key(kind: KeyType) -> None:
    holder = SIGSTORE.holder(kind=kind)
    for document, manifest in (
        (SIGSTORE.sign_statement(["dsse", "hashedrekord 2"], stamps=1, holder=holder), None),
        (SIGSTORE.sign_message(["hashedrekord", "hashedrekord 2"], stamps=1, holder=holder), MANIFEST),
    ):
        (fact,) = SIGSTORE.authority().judge(evidence(document, manifest), IMAGE, NOW)
        assert fact.claim is Claim.SIGNATURE


def test_cosign_layers() -> None:
    (fact,) = SIGSTORE.authority().judge(signature_layer(*SIGSTORE.sign_layer()), IMAGE, NOW)
    assert (fact.claim, fact.format) == (Claim.SIGNATURE, Format.COSIGN_SIGNATURE)
    layer = attestation_layer(*SIGSTORE.attest_layer(statement(PREDICATE, [1])))
    (fact,) = SIGSTORE.authority().judge(layer, IMAGE, NOW)
    assert (fact.claim, fact.predicate, fact.format) == (Claim.ATTESTATION, [1], Format.COSIGN_ATTESTATION)


def test_cosign_layers_with_one_proof_of_time_only() -> None:
    payload, annotations = SIGSTORE.sign_layer()
    without_stamp = {name: value for name, value in annotations.items() if name != STAMP}
    assert SIGSTORE.authority().judge(signature_layer(payload, without_stamp), IMAGE, NOW)
    without_entry = signature_layer(payload, {name: value for name, value in annotations.items() if name != ENTRY})
    assert refusal(without_entry).code is Code.LOG_REQUIRED
    assert SIGSTORE.authority(log_required=False).judge(without_entry, IMAGE, NOW)


def test_an_instance_without_logs_as_github_s_for_private_repositories() -> None:
    document = SIGSTORE.document()
    document["tlogs"] = document["ctlogs"] = []
    judge = SIGSTORE.authority(log_required=False, document=document)
    holder = SIGSTORE.holder(logs=())
    piece = evidence(SIGSTORE.sign_statement([], stamps=1, holder=holder))
    (fact,) = judge.judge(piece, IMAGE, NOW)
    assert fact.digest == IMAGE
    assert refusal(piece, SIGSTORE.authority(document=document)).code is Code.LOG_REQUIRED
    assert refusal(evidence(SIGSTORE.sign_statement([], holder=holder)), judge).code is Code.TIME_NOT_PROVEN


def test_the_signer_is_issuer_and_subject_and_never_the_key() -> None:
    judge = SIGSTORE.authority()
    facts = [
        judge.judge(evidence(SIGSTORE.sign_statement(holder=SIGSTORE.ca.certify(signing_key(name)))), IMAGE, NOW)[0]
        for name in ("first key", "second key")
    ]
    assert facts[0].signer == facts[1].signer
    other = "https://github.com/acme/shop/.github/workflows/other.yml@refs/heads/main"
    piece = evidence(SIGSTORE.sign_statement(holder=SIGSTORE.holder(Identity(other))))
    (third,) = SIGSTORE.authority(trusted(other)).judge(piece, IMAGE, NOW)
    assert third.signer.id != facts[0].signer.id


def test_about_another_image() -> None:
    content = statement(COSIGN_SIGN, None, OTHER)
    for piece in (
        evidence(SIGSTORE.sign_statement(content=content)),
        signature_layer(*SIGSTORE.sign_layer(digest=OTHER)),
        evidence(SIGSTORE.sign_message(content=b"another image")),
    ):
        assert refusal(piece).code is Code.WRONG_DIGEST


def test_formats_of_other_judges() -> None:
    piece = dataclasses.replace(image_bundle(signing_key()), format=Format.NOTATION)
    assert refusal(piece).code is Code.WRONG_FORMAT


def test_an_envelope_with_two_signatures_has_no_one_certificate() -> None:
    piece = attestation_layer(*SIGSTORE.attest_layer(statement(PREDICATE)))
    twice = attestation(statement(PREDICATE), signing_key("ephemeral"), signing_key("foreign"))
    assert refusal(dataclasses.replace(piece, content=twice.content)).message == "the envelope carries several signatures"


def with_root(**changes: Any) -> KeylessAuthority:
    document = SIGSTORE.document()
    for name, change in changes.items():
        document[name] = change
    return SIGSTORE.authority(document=document)


def test_a_log_that_the_root_does_not_list_counts_as_absent() -> None:
    other = PrivateSigstore("other")
    holder = SIGSTORE.holder()
    bundle = SIGSTORE.sign_statement(stamps=1, holder=holder)
    envelope = bundle["dsseEnvelope"]
    signature = next(iter(envelope["signatures"]))["sig"]
    foreign = other.entry("dsse", b"", {**envelope, "signatures": [{"sig": signature}]}, holder, b"")
    own = bundle["verificationMaterial"]["tlogEntries"]
    bundle["verificationMaterial"]["tlogEntries"] = [foreign, *own]
    assert SIGSTORE.authority().judge(evidence(bundle), IMAGE, NOW)
    bundle["verificationMaterial"]["tlogEntries"] = [foreign]
    assert refusal(evidence(bundle)).code is Code.LOG_UNTRUSTED
    assert SIGSTORE.authority(log_required=False).judge(evidence(bundle), IMAGE, NOW)


def test_one_bad_entry_of_a_known_log_beside_a_good_one() -> None:
    bundle = SIGSTORE.sign_statement(["dsse", "dsse"])
    bundle["verificationMaterial"]["tlogEntries"][1]["inclusionPromise"]["signedEntryTimestamp"] = b64(b"forged")
    assert refusal(evidence(bundle)).code is Code.SET_INVALID


def test_every_time_lies_in_every_window() -> None:
    """Two times a minute apart, and each window in turn ends between them."""
    bundle = SIGSTORE.sign_statement(["dsse"], stamps=1)
    stamped = SIGSTORE.tsa.stamp(raw_signature(bundle["dsseEnvelope"]), T0 + 61)
    bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"] = [{"signedTimestamp": b64(stamped)}]
    piece = evidence(bundle)
    assert SIGSTORE.authority().judge(piece, IMAGE, NOW)
    short = {"start": "2025-10-01T00:00:00Z", "end": "2025-10-09T08:53:50Z"}
    document = SIGSTORE.document()
    owners = {
        "tlogs": "log https://rekor.sigstore.example.com",
        "ctlogs": "certificate transparency log",
        "certificateAuthorities": "certificate authority",
        "timestampAuthorities": "timestamp authority",
    }
    for name, owner in owners.items():
        changed = [dict(entry) for entry in document[name]]
        for entry in changed:
            holder = entry["publicKey"] = dict(entry["publicKey"]) if "publicKey" in entry else None
            (entry if holder is None else holder)["validFor"] = short
            if holder is None:
                del entry["publicKey"]
        reason = refusal(piece, with_root(**{name: changed}))
        assert reason.code is Code.OUTSIDE_VALIDITY
        assert owner in reason.message


def test_a_time_that_has_not_come() -> None:
    piece = evidence(SIGSTORE.sign_statement())
    assert refusal(piece, now=T0 - 60.0).code is Code.OUTSIDE_VALIDITY
    assert SIGSTORE.authority().judge(piece, IMAGE, T0 - 59.0), "clocks differ a little"


@pytest.mark.parametrize(
    ("holder", "code"),
    [
        (SIGSTORE.holder(logs=()), Code.SCT_MISSING),
        (SIGSTORE.holder(logs=(CertificateLog("foreign ct"),)), Code.SCT_INVALID),
        (SIGSTORE.holder(log_time=T0 - 90 * 86400), Code.OUTSIDE_VALIDITY),
        (SIGSTORE.holder(usages=(TIME_STAMPING,)), Code.CERTIFICATE_INVALID),
        (SIGSTORE.holder(usages=()), Code.CERTIFICATE_INVALID),
        (SIGSTORE.holder(authority=True), Code.CERTIFICATE_INVALID),
        (
            SIGSTORE.holder(extensions=((x509.TLSFeature([x509.TLSFeatureType.status_request]), True),)),
            Code.CERTIFICATE_INVALID,
        ),
        (PrivateSigstore("other").holder(), Code.CERTIFICATE_UNTRUSTED),
    ],
)
def test_certificates_that_are_not_fit(holder: Any, code: Code) -> None:
    assert refusal(evidence(SIGSTORE.sign_statement(holder=holder))).code is code


def test_a_known_certificate_log_beside_a_foreign_one() -> None:
    foreign = CertificateLog("foreign ct")
    for logs in ((SIGSTORE.ct, foreign), (foreign, SIGSTORE.ct)):
        assert SIGSTORE.authority().judge(evidence(SIGSTORE.sign_statement(holder=SIGSTORE.holder(logs=logs))), IMAGE, NOW)


def test_a_stamp_for_another_certificate() -> None:
    """The log's own signature, over another precertificate: another issuer's."""
    elsewhere = CertificateAuthority("elsewhere", log=SIGSTORE.ct)

    class Swapped(CertificateLog):
        id = SIGSTORE.ct.id

        def stamp(self, precertificate: x509.Certificate, issuer: Any, time: float) -> bytes:
            del issuer
            return SIGSTORE.ct.stamp(precertificate, elsewhere.intermediate, time)

    reason = refusal(evidence(SIGSTORE.sign_statement(holder=SIGSTORE.holder(logs=(Swapped(),)))))
    assert (reason.code, "is not the log's" in reason.message) == (Code.SCT_INVALID, True)


@pytest.mark.parametrize(
    "intermediate",
    [
        Wanted("bad", path_length=0, usages=(TIME_STAMPING,)),
        Wanted("bad", signs_certificates=False, usages=(CODE_SIGNING,)),
        Wanted("bad", extensions=((x509.NameConstraints([x509.DNSName("example.com")], None), False),)),
    ],
)
def test_intermediates_that_may_not_issue(intermediate: Wanted) -> None:
    sigstore = PrivateSigstore()
    sigstore.ca = CertificateAuthority("bad", log=sigstore.ct, intermediate=intermediate)
    reason = refusal(evidence(sigstore.sign_statement()), sigstore.authority())
    assert reason.code is Code.CERTIFICATE_INVALID
    assert "CN=bad" in reason.message


def test_a_root_that_could_not_be_loaded_is_no_verdict() -> None:
    judge = KeylessAuthority("ci", None, [trusted()])
    with pytest.raises(Undecided) as caught:
        judge.judge(evidence(SIGSTORE.sign_statement()), IMAGE, NOW)
    assert caught.value.reason.code is Code.ROOT_UNAVAILABLE


def test_revoked_certificates_and_keys() -> None:
    root, holder = SIGSTORE.root(), SIGSTORE.holder()
    piece = evidence(SIGSTORE.sign_statement(holder=holder))
    intermediate = root.authorities[0].chain[0]
    for revoked in (holder.key.fingerprint, intermediate.sha256, intermediate.key.spki_sha256):
        judge = KeylessAuthority("ci", root, [trusted()], revoked=frozenset({revoked}))
        assert refusal(piece, judge).code is Code.REVOKED


def test_an_error_nobody_foresaw_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    for panic in (ZeroDivisionError, MemoryError, BaseException):

        def broken(*_: object, panic: type[BaseException] = panic) -> None:
            raise panic

        monkeypatch.setattr("controller.verify.sct.check", broken)
        reason = refusal(evidence(SIGSTORE.sign_statement()))
        assert (reason.code, reason.found) == (Code.INTERNAL, panic.__name__)


def test_the_fingerprint_is_of_what_is_believed() -> None:
    root = SIGSTORE.root()
    other = SIGSTORE.root({**SIGSTORE.document(), "ctlogs": []})
    base = KeylessAuthority("ci", root, [trusted()]).fingerprint
    assert KeylessAuthority("another name", root, [trusted()]).fingerprint == base
    assert KeylessAuthority("ci", root, [trusted(), trusted("x@y")]).fingerprint == (
        KeylessAuthority("ci", root, [trusted("x@y"), trusted()]).fingerprint
    )
    others = {
        KeylessAuthority("ci", other, [trusted()]).fingerprint,
        KeylessAuthority("ci", None, [trusted()]).fingerprint,
        KeylessAuthority("ci", root, [trusted()], log_required=False).fingerprint,
        KeylessAuthority("ci", root, [trusted()], revoked=frozenset({"00"})).fingerprint,
        KeylessAuthority("ci", root, [trusted("x@y")]).fingerprint,
        KeylessAuthority("ci", root, [trusted(claims={"buildTrigger": "push"})]).fingerprint,
        KeylessAuthority("ci", root, [Trusted(Pattern("exact", ISSUER), Pattern("glob", SUBJECT))]).fingerprint,
    }
    assert len(others | {base}) == 8


def test_whom_it_trusts_in_words() -> None:
    judge = SIGSTORE.authority(trusted(), trusted("b@x"), trusted("c@x"), trusted("d@x"))
    assert judge.description == f"identity {SUBJECT} (issuer {ISSUER}), b@x (issuer {ISSUER}) or 2 more"


def test_limits_of_what_is_read() -> None:
    root = SIGSTORE.root()
    for limits in (Limits(certificate_bytes=100), Limits(timestamp_bytes=100), Limits(log_entries_per_bundle=1)):
        judge = KeylessAuthority("ci", root, [trusted()], limits=limits)
        assert refusal(evidence(SIGSTORE.sign_statement(stamps=2)), judge).code is Code.LIMIT_EXCEEDED


def test_a_signature_altered_or_somebody_else_s() -> None:
    payload, annotations = SIGSTORE.sign_layer()
    altered = signature_layer(payload, {**annotations, COSIGN_SIGNATURE: b64(signing_key("foreign").sign(payload))})
    assert refusal(altered).code is Code.SIGNATURE_INVALID
    piece = signature_layer(payload, annotations)
    assert isinstance(piece.content, SimpleSigning)
    other = dataclasses.replace(piece, content=dataclasses.replace(piece.content, payload=payload + b" "))
    assert refusal(other).code is Code.SIGNATURE_INVALID
    broken = signature_layer(
        payload, {**annotations, CERTIFICATE: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}
    )
    assert refusal(broken).code is Code.CERTIFICATE_INVALID


@pytest.mark.parametrize(
    ("kind", "text"),
    [("exact", ""), ("regex", "("), ("regex", "a" * 2000), ("regex", "(?P<x"), ("glob", "a**b"), ("glob", "*a" * 17)],
)
def test_patterns_that_are_none(kind: Kind, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        Pattern(kind, text)
    assert caught.value.reason.code is Code.INVALID_POLICY


def test_identities_that_would_trust_everybody() -> None:
    anybody, somebody = Pattern("regex", ".*"), Pattern("exact", "a@example.com")
    for issuer, subject in (
        (anybody, somebody),
        (Pattern("exact", ISSUER), anybody),
        (Pattern("exact", ISSUER), Pattern("regex", ".+")),
    ):
        with pytest.raises(Invalid) as caught:
            Trusted(issuer, subject)
        assert caught.value.reason.code is Code.INVALID_POLICY
    with pytest.raises(Invalid) as caught:
        Trusted(Pattern("exact", ISSUER), somebody, {"sourceRepository": "x"})
    assert (caught.value.reason.expected, caught.value.reason.found) == (", ".join(FULCIO_CLAIMS), "'sourceRepository'")
    with pytest.raises(Invalid):
        KeylessAuthority("ci", SIGSTORE.root(), [])


def test_any_subject_where_somebody_insists() -> None:
    everybody = Trusted(Pattern("exact", ISSUER), Pattern("regex", ".*"), insecure_any_subject=True)
    piece = evidence(SIGSTORE.sign_statement(holder=SIGSTORE.holder(Identity("who@ever.example"))))
    (fact,) = SIGSTORE.authority(everybody).judge(piece, IMAGE, NOW)
    assert fact.signer.name == f"who@ever.example (issuer {ISSUER})"
