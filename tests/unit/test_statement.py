"""in-toto statements and simple-signing claims: what the signed bytes say, and when they say nothing."""

import json
from typing import Any

import pytest

from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, SLSA_V1, SPDX, STATEMENT_V01, STATEMENT_V1
from controller.errors import Code, Refused
from controller.evidence import Claim, Envelope, EnvelopeSignature, MessageSignature, SimpleSigning
from controller.formats import statement
from controller.reference import Digest
from controller.settings import Limits
from controller.verify import claims
from tests.fakes.evidence import IMAGE, LIMITS, MANIFEST, OTHER

SHA512 = Digest.of(MANIFEST, "sha512")


def document(**changes: Any) -> bytes:
    full = {
        "_type": STATEMENT_V1,
        "subject": [{"digest": {"sha256": IMAGE.hex}}],
        "predicateType": SPDX,
        "predicate": {},
        **changes,
    }
    return json.dumps(full).encode()


def said(raw: bytes, subject: Digest = IMAGE) -> claims.Said:
    envelope = Envelope(statement.PAYLOAD_TYPE, raw, (EnvelopeSignature("", b""),))
    return claims.read(envelope, subject, LIMITS)


def refusal(raw: bytes, subject: Digest = IMAGE) -> Refused:
    with pytest.raises(Refused) as caught:
        said(raw, subject)
    return caught.value


@pytest.mark.parametrize("kind", [STATEMENT_V01, STATEMENT_V1])
@pytest.mark.parametrize("predicate", [{"a": [1]}, "a text", None, [1], 7])
def test_versions_and_predicates_of_any_kind(kind: str, predicate: object) -> None:
    found = said(document(_type=kind, predicate=predicate))
    assert (found.claim, found.predicate_type, found.predicate) == (Claim.ATTESTATION, SPDX, predicate)


def test_one_of_many_subjects_suffices() -> None:
    subjects = [{"name": f"s{number}", "digest": {"sha256": "0" * 64}} for number in range(1000)]
    assert said(document(subject=[*subjects, {"digest": {"sha256": IMAGE.hex}}])).predicate_type == SPDX


def test_sha512_counts_when_sha512_is_judged() -> None:
    both = document(subject=[{"digest": {"sha256": IMAGE.hex, "sha512": SHA512.hex}}])
    assert said(both).predicate_type == said(both, SHA512).predicate_type == SPDX
    only = document(subject=[{"digest": {"sha512": SHA512.hex}}])
    assert said(only, SHA512).predicate_type == SPDX
    assert refusal(only).reason.code is Code.WRONG_DIGEST, "nobody can tell that both digests are of one image"


@pytest.mark.parametrize(
    ("subjects", "found"),
    [
        ([], "no sha256 or sha512 digest"),
        (None, "no sha256 or sha512 digest"),
        ([{"name": str(IMAGE)}], "no sha256 or sha512 digest"),
        ([{"name": "x", "digest": {"gitCommit": IMAGE.hex}}], "no sha256 or sha512 digest"),
        ([{"digest": {"SHA256": IMAGE.hex}}], "no sha256 or sha512 digest"),
        ([{"digest": {"sha256": OTHER.hex}}], str(OTHER)),
        ([{"digest": {"sha256": IMAGE.hex.upper()}}], f"sha256:{IMAGE.hex.upper()}"),
        ([{"digest": {"sha256": str(IMAGE)}}], f"sha256:{IMAGE}"[:80]),
        ([{"digest": {"sha256": IMAGE.hex[:-1]}}], f"sha256:{IMAGE.hex[:-1]}"),
        ([{"digest": {"sha256": OTHER.hex}}] * 5, f"{OTHER}, {OTHER} and 3 more"),
    ],
)
def test_statement_about_something_else(subjects: object, found: str) -> None:
    error = refusal(document(subject=subjects))
    assert error.reason.code is Code.WRONG_DIGEST
    assert error.predicate_type == SPDX
    assert (error.reason.expected, error.reason.found) == (str(IMAGE), found)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", Code.MALFORMED),
        (b"[]", Code.MALFORMED),
        (b"{}", Code.MALFORMED),
        (document(_type="https://in-toto.io/Statement/v2"), Code.MALFORMED),
        (document(_type=None), Code.MALFORMED),
        (document(predicateType=""), Code.MALFORMED),
        (document(predicateType=7), Code.MALFORMED),
        (document(subject={}), Code.MALFORMED),
        (document(subject=["x"]), Code.MALFORMED),
        (document(subject=[{"name": 7, "digest": {"sha256": IMAGE.hex}}]), Code.MALFORMED),
        (document(subject=[{"digest": {"sha256": 7}}]), Code.MALFORMED),
        (document(subject=[{"digest": []}]), Code.MALFORMED),
        (document(subject=[{"digest": {"sha256": IMAGE.hex, "SHA256": OTHER.hex}}]), Code.AMBIGUOUS),
        (document(subject=[{"digest": {"sha256": IMAGE.hex}, "Digest": {}}]), Code.AMBIGUOUS),
        (document(PredicateType=SLSA_V1), Code.AMBIGUOUS),
        (document().replace(b'"_type"', b'"predicateType":"x","_type"'), Code.AMBIGUOUS),
        (document(subject=[{"digest": {"sha256": OTHER.hex}}] * 1025), Code.LIMIT_EXCEEDED),
    ],
)
def test_signed_but_not_a_statement(raw: bytes, code: Code) -> None:
    error = refusal(raw)
    assert error.reason.code is code
    assert error.predicate_type is None


def test_names_in_the_predicate_are_somebody_elses() -> None:
    predicate = {"environment": {"http_proxy": "a", "HTTP_PROXY": "b"}}
    assert said(document(predicate=predicate)).predicate == predicate
    twice = document(predicate=1).replace(b'"predicate": 1', b'"predicate": {"a":1,"a":2}')
    assert refusal(twice).reason.code is Code.AMBIGUOUS


def test_statement_limit_has_a_name() -> None:
    with pytest.raises(Refused) as caught:
        statement.parse(document(), Limits(attestation_bytes=10))
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


def test_payload_of_another_type() -> None:
    envelope = Envelope("application/vnd.in-toto+jsonx", document(), (EnvelopeSignature("", b""),))
    with pytest.raises(Refused) as caught:
        claims.read(envelope, IMAGE, LIMITS)
    assert caught.value.reason.code is Code.WRONG_PAYLOAD_TYPE
    assert caught.value.reason.found == "'application/vnd.in-toto+jsonx'"


def test_annotations_of_cosign_3_stand_in_the_subject() -> None:
    subject = {"digest": {"sha256": IMAGE.hex}, "annotations": {"env": "prod", "count": 3}}
    other = {"digest": {"sha256": OTHER.hex}, "annotations": {"team": "b"}}
    found = said(document(subject=[other, subject], predicateType=COSIGN_SIGN))
    assert found.claim is Claim.SIGNATURE
    assert dict(found.annotations) == {"env": "prod"}
    assert not said(document(subject=[subject])).annotations, "an attestation has none"


def test_annotations_on_which_two_subjects_disagree_count_for_nothing() -> None:
    def subject(**annotations: str) -> dict[str, Any]:
        return {"digest": {"sha256": IMAGE.hex}, "annotations": annotations}

    both = document(subject=[subject(env="prod", team="a"), subject(env="test", team="a")], predicateType=COSIGN_SIGN)
    assert dict(said(both).annotations) == {"team": "a"}


def claim_refusal(payload: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        claims.read(SimpleSigning(payload, b""), IMAGE, LIMITS)
    return caught.value


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"not json", Code.MALFORMED),
        (b"{}", Code.MALFORMED),
        (b'{"critical":[]}', Code.MALFORMED),
        (payloads.claim("sha256:" + "0" * 64, "x"), Code.WRONG_DIGEST),
        (payloads.claim(IMAGE.hex, "x"), Code.WRONG_DIGEST),
        (payloads.claim(str(IMAGE).upper(), "x"), Code.WRONG_DIGEST),
        (payloads.claim(IMAGE, "x", kind="atomic container signature"), Code.WRONG_PAYLOAD_TYPE),
        (payloads.claim(IMAGE, "x", kind=""), Code.WRONG_PAYLOAD_TYPE),
        (payloads.claim(IMAGE, "x").replace(b'"optional":null', b'"optional":[]'), Code.MALFORMED),
        (payloads.claim(IMAGE, "x").replace(b'"optional":null', b'"optional":{"a":"1","a":"2"}'), Code.AMBIGUOUS),
        (payloads.claim(IMAGE, "x").replace(b'"optional":null', b'"Critical":{}'), Code.AMBIGUOUS),
        (payloads.claim(IMAGE, "x").replace(b'"image":{', b'"image":{"Docker-Manifest-Digest":"",'), Code.AMBIGUOUS),
        (payloads.claim(IMAGE, "x").replace(b'"image":{', b'"image":{"docker-manifest-digest":"",'), Code.AMBIGUOUS),
        (payloads.claim(IMAGE, "x", {"pad": "x" * 300_000}), Code.LIMIT_EXCEEDED),
    ],
)
def test_claim_that_is_refused(payload: bytes, code: Code) -> None:
    assert claim_refusal(payload).reason.code is code


def test_claim_for_sha512_and_whatever_name() -> None:
    found = claims.read(SimpleSigning(payloads.claim(SHA512, "evil.example.com/x", {}), b""), SHA512, LIMITS)
    assert found == claims.Said(Claim.SIGNATURE)


def test_message_signature_must_not_name_another_digest() -> None:
    other = MessageSignature("SHA2_256", bytes.fromhex(OTHER.hex), b"")
    with pytest.raises(Refused) as caught:
        claims.read(other, IMAGE, LIMITS)
    assert caught.value.reason.code is Code.WRONG_DIGEST
    assert (caught.value.reason.expected, caught.value.reason.found) == (str(IMAGE), str(OTHER))
    assert claims.read(MessageSignature("SHA2_256", bytes.fromhex(IMAGE.hex), b""), IMAGE, LIMITS).claim is Claim.SIGNATURE
    assert claims.read(MessageSignature("", b"", b""), IMAGE, LIMITS).claim is Claim.SIGNATURE


def test_manifest_given_for_another_digest() -> None:
    with pytest.raises(Refused) as caught:
        claims.signed_message(MessageSignature("", b"", b"", MANIFEST), OTHER)
    assert caught.value.reason.code is Code.DIGEST_MISMATCH
