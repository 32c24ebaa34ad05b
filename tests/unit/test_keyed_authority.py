"""What an authority of keys says yes to, and why it says no."""

import pytest

from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, CYCLONEDX, SPDX, STATEMENT_V01
from controller.demo.signingkeys import KeyType
from controller.errors import Code, Invalid, Refused
from controller.evidence import Claim, Evidence, Verified
from controller.keys import NamedKey
from controller.reference import Digest
from controller.verify.keyed import KeyedAuthority
from tests.fakes.evidence import IMAGE, OTHER, attestation, authority, named, signature, statement
from tests.fakes.keys import signing_key


def judged(judge: KeyedAuthority, evidence: Evidence, subject: Digest = IMAGE) -> Verified:
    (fact,) = judge.judge(evidence, subject, 0)
    return fact


def refusal(judge: KeyedAuthority, evidence: Evidence, subject: Digest = IMAGE) -> Refused:
    with pytest.raises(Refused) as caught:
        judge.judge(evidence, subject, 0)
    return caught.value


def test_signature_of_cosign_2() -> None:
    key = signing_key()
    evidence = signature(key, payload=payloads.claim(IMAGE, "anything", {"env": "prod", "count": 3}))
    fact = judged(authority(key), evidence)
    assert fact.claim is Claim.SIGNATURE
    assert fact.digest == IMAGE
    assert fact.signer.id == f"key:sha256:{key.fingerprint}"
    assert fact.authority == "release"
    assert fact.evidence == evidence.id
    assert dict(fact.annotations) == {"env": "prod"}, "annotations are texts; others prove nothing"
    assert fact.predicate_type == ""


@pytest.mark.parametrize("kind", sorted(set(KeyType) - {KeyType.RSA3072, KeyType.RSA4096}))  # as 2048, and slow to make
def test_every_key_type(kind: KeyType) -> None:
    key = signing_key(kind=kind)
    assert judged(authority(key), signature(key)).claim is Claim.SIGNATURE
    assert judged(authority(key), attestation(statement(SPDX), key)).claim is Claim.ATTESTATION


def test_any_one_key_suffices() -> None:
    keys = [signing_key(str(number)) for number in range(15)]
    assert judged(authority(*keys), signature(keys[14])).signer.id == f"key:sha256:{keys[14].fingerprint}"


def test_wrong_key_says_whom_was_expected() -> None:
    judge = authority(signing_key("a"))
    reason = refusal(judge, signature(signing_key("b"))).reason
    assert reason.code is Code.WRONG_KEY
    assert reason.expected == judge.description == f"key {named(signing_key('a')).key.fingerprint}"


def test_signature_of_another_image() -> None:
    error = refusal(authority(signing_key()), signature(signing_key(), OTHER))
    assert error.reason.code is Code.WRONG_DIGEST
    assert (error.reason.expected, error.reason.found) == (str(IMAGE), str(OTHER))
    assert error.predicate_type is None


def test_no_keys_is_no_authority() -> None:
    with pytest.raises(Invalid):
        KeyedAuthority("empty", [])


def test_attestation_brings_its_predicate() -> None:
    key = signing_key()
    fact = judged(authority(key), attestation(statement(SPDX, {"name": "bill"}, kind=STATEMENT_V01), key))
    assert fact.claim is Claim.ATTESTATION
    assert fact.predicate_type == SPDX
    assert fact.predicate == {"name": "bill"}


def test_attestation_about_another_image_is_a_failure_of_its_type() -> None:
    error = refusal(authority(signing_key()), attestation(statement(SPDX, {}, OTHER), signing_key()))
    assert error.reason.code is Code.WRONG_DIGEST
    assert error.predicate_type == SPDX


def test_two_signers_of_one_envelope_are_two_facts() -> None:
    a, b, c = (signing_key(name) for name in "abc")
    evidence = attestation(statement(SPDX), a, b, c)
    facts = authority(b, a).judge(evidence, IMAGE, 0)
    assert {fact.signer.id for fact in facts} == {f"key:sha256:{key.fingerprint}" for key in (a, b)}


def test_sign_statement_is_a_signature_in_any_container() -> None:
    fact = judged(authority(signing_key()), attestation(statement(COSIGN_SIGN), signing_key()))
    assert (fact.claim, fact.predicate_type, fact.predicate) == (Claim.SIGNATURE, COSIGN_SIGN, None)


def test_log_required_refuses_until_logs_are_judged() -> None:
    judge = authority(signing_key(), log_required=True)
    assert refusal(judge, signature(signing_key())).reason.code is Code.LOG_REQUIRED
    assert refusal(judge, signature(signing_key("other"))).reason.code is Code.WRONG_KEY


def test_fingerprint_changes_with_what_is_believed_and_with_nothing_else() -> None:
    a, b = named(signing_key("a")), named(signing_key("b"))
    base = KeyedAuthority("x", [a, b]).fingerprint
    assert KeyedAuthority("y", [NamedKey("other", b.key), a, b]).fingerprint == base
    assert KeyedAuthority("x", [a]).fingerprint != base
    assert KeyedAuthority("x", [a, b], log_required=True).fingerprint != base


def test_description_shows_three_keys() -> None:
    keys = [NamedKey(f"h{number}", named(signing_key(str(number))).key) for number in range(5)]
    assert KeyedAuthority("x", keys).description.startswith(f"key h0 {keys[0].key.fingerprint}, h1 ")
    assert KeyedAuthority("x", keys).description.endswith(" or 2 more")


def test_wrong_type_of_predicate_is_reported_as_its_own() -> None:
    fact = judged(authority(signing_key()), attestation(statement(CYCLONEDX), signing_key()))
    assert fact.predicate_type == CYCLONEDX
