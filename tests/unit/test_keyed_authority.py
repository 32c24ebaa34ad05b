"""What an authority of keys says yes to, and why it says no."""

import base64
import json
from dataclasses import replace

import pytest

from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, CYCLONEDX, SIGSTORE_BUNDLE, SPDX, STATEMENT_V01
from controller.demo.signingkeys import KeyType, SigningKey
from controller.errors import Code, Invalid, Refused
from controller.evidence import Claim, Envelope, Evidence, Format, Verified
from controller.formats import with_artifact
from controller.keys import NamedKey
from controller.reference import Digest
from controller.verify.keyed import KeyedAuthority
from tests.fakes.evidence import (
    IMAGE,
    MANIFEST,
    OTHER,
    attachment,
    attestation,
    authority,
    image_bundle,
    named,
    one,
    signature,
    statement,
)
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


def message_evidence(key: SigningKey, manifest: bytes = MANIFEST, *, filled: bool = False) -> Evidence:
    raw = payloads.bundle(payloads.message_signature(manifest, key), key.hint)
    found = one(attachment(SIGSTORE_BUNDLE, raw))
    return with_artifact(found, MANIFEST) if filled else found


def test_image_signature_of_cosign_3() -> None:
    key = signing_key()
    fact = judged(authority(signing_key("other"), key), image_bundle(key))
    assert (fact.claim, fact.predicate_type, fact.format) == (Claim.SIGNATURE, COSIGN_SIGN, Format.BUNDLE)
    assert fact.signer.id == f"key:sha256:{key.fingerprint}"


@pytest.mark.parametrize("hint", ["", "anything", "\u202e"])
def test_hint_decides_nothing(hint: str) -> None:
    key, other = signing_key(), signing_key("other")
    assert judged(authority(other, key), image_bundle(key, hint=hint)).claim is Claim.SIGNATURE
    assert judged(authority(other, key), image_bundle(key, hint=other.hint)).signer.id == f"key:sha256:{key.fingerprint}"


def test_bundle_by_a_key_that_is_not_trusted_shows_its_hint() -> None:
    foreign = signing_key("foreign")
    reason = refusal(authority(signing_key()), image_bundle(foreign)).reason
    assert reason.code is Code.WRONG_KEY
    assert reason.found == f"key hint {named(foreign).key.fingerprint}"
    odd = refusal(authority(signing_key()), image_bundle(foreign, hint="the vendor's\n" + "x" * 100)).reason
    assert odd.found == "key hint " + repr("the vendor's\n" + "x" * 47)


def test_trusted_key_named_but_content_altered() -> None:
    key = signing_key()
    evidence = image_bundle(key)
    assert isinstance(evidence.content, Envelope)
    altered = replace(evidence, content=replace(evidence.content, payload=evidence.content.payload + b" "))
    reason = refusal(authority(key), altered).reason
    assert reason.code is Code.SIGNATURE_INVALID
    assert named(key).key.fingerprint in reason.message
    by_keyid = attestation(statement(SPDX), signing_key("other"), key_ids=[key.fingerprint])
    assert refusal(authority(key), by_keyid).reason.code is Code.SIGNATURE_INVALID


def log_entry(kind: str, spec: object) -> dict[str, object]:
    body = base64.b64encode(payloads.encode({"apiVersion": "0.0.1", "kind": kind, "spec": spec})).decode()
    return {"logIndex": "1", "canonicalizedBody": body}


def test_key_in_a_log_entry_names_who_signed_if_it_fits() -> None:
    foreign = signing_key("foreign")
    pem = base64.b64encode(foreign.public_pem.encode()).decode()
    fingerprint = f"key {named(foreign).key.fingerprint}"
    bodies = [
        log_entry("hashedrekord", {"signature": {"publicKey": {"content": pem}}}),
        log_entry("dsse", {"signatures": [{"verifier": pem}]}),
        log_entry("intoto", {"content": {"envelope": {"signatures": [{"publicKey": pem}]}}}),
    ]
    for body in bodies:
        evidence = image_bundle(foreign, tlogEntries=[body])
        assert refusal(authority(signing_key()), evidence).reason.found == fingerprint
        unrelated = image_bundle(signing_key("third"), hint="", tlogEntries=[body])
        assert (
            refusal(authority(signing_key()), unrelated).reason.found == "a signature by another key, or over other content"
        )
    tag_style = json.dumps({"SignedEntryTimestamp": "", "Payload": {"body": bodies[0]["canonicalizedBody"]}})
    evidence = signature(foreign, hints={"dev.sigstore.cosign/bundle": tag_style})
    assert refusal(authority(signing_key()), evidence).reason.found == fingerprint


@pytest.mark.parametrize(
    "entry", ["", "null", "[]", '{"Payload":7}', '{"Payload":{"body":7}}', '{"Payload":{"body":"e30="}}']
)
def test_log_entry_that_says_nothing(entry: str) -> None:
    evidence = signature(signing_key("foreign"), hints={"dev.sigstore.cosign/bundle": entry})
    assert refusal(authority(signing_key()), evidence).reason.code is Code.WRONG_KEY


def test_certificate_beside_a_signature_is_told() -> None:
    evidence = signature(signing_key("foreign"), hints={"dev.sigstore.cosign/certificate": "anything"})
    assert refusal(authority(signing_key()), evidence).reason.found == "a signature with a certificate"


@pytest.mark.parametrize("kind", [KeyType.P256, KeyType.P384, KeyType.RSA2048])
def test_message_signature_over_the_manifest(kind: KeyType) -> None:
    key = signing_key(kind=kind)
    for filled in (False, True):
        fact = judged(authority(key), message_evidence(key, filled=filled))
        assert (fact.claim, fact.predicate_type) == (Claim.SIGNATURE, "")


@pytest.mark.parametrize("kind", [KeyType.ED25519, KeyType.ML_DSA_44, KeyType.P384])
def test_message_signature_that_needs_the_manifests_bytes(kind: KeyType) -> None:
    key = signing_key(kind=kind).with_cosign_defaults()
    assert judged(authority(key), message_evidence(key, filled=True)).claim is Claim.SIGNATURE
    assert refusal(authority(key), message_evidence(key)).reason.code is Code.SIGNATURE_INVALID


def test_message_signature_over_another_manifest() -> None:
    key = signing_key()
    reason = refusal(authority(key), message_evidence(key, b"another image")).reason
    assert (reason.code, reason.expected, reason.found) == (Code.WRONG_DIGEST, str(IMAGE), str(OTHER))
    foreign = refusal(authority(key), message_evidence(signing_key("foreign"), b"another image")).reason
    assert foreign.code is Code.WRONG_KEY


def test_format_that_is_not_for_keys() -> None:
    evidence = replace(signature(signing_key()), format=Format.SIMPLE_SIGNING)
    assert refusal(authority(signing_key()), evidence).reason.code is Code.WRONG_FORMAT


def test_wrong_type_of_predicate_is_reported_as_its_own() -> None:
    fact = judged(authority(signing_key()), attestation(statement(CYCLONEDX), signing_key()))
    assert fact.predicate_type == CYCLONEDX
