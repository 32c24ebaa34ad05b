"""From stored bytes to evidence: what each container may look like, and what is refused with which word."""

import base64
import json
from typing import Any

import pytest

from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, COSIGN_SIGNATURE, DSSE, IN_TOTO, SIGSTORE_BUNDLE, SIMPLE_SIGNING, SPDX
from controller.errors import Code, Reason, Refused
from controller.evidence import Envelope, EnvelopeSignature, Evidence, Format, Material, MessageSignature, SimpleSigning
from controller.formats import read, with_artifact
from controller.formats.encoding import decode64
from controller.settings import Limits
from tests.fakes.evidence import IMAGE, LIMITS, MANIFEST, ORIGIN, attachment, image_bundle, one, signature, statement
from tests.fakes.keys import signing_key

KEY = signing_key()
CLAIM = payloads.claim(IMAGE, "registry.example.com/shop/web")
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
OLD_BUNDLES = [f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2, 3)]


def refusal(media_type: str, payload: bytes, annotations: dict[str, str] | None = None, limits: Limits = LIMITS) -> Reason:
    with pytest.raises(Refused) as caught:
        read(attachment(media_type, payload, annotations), limits)
    return caught.value.reason


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def document(**changes: Any) -> dict[str, Any]:
    """A bundle as cosign 3 writes it, with members replaced; None removes one."""
    content = payloads.bundle_envelope(payloads.envelope(statement(COSIGN_SIGN), KEY))
    full = {**json.loads(payloads.bundle(content, KEY.hint)), **changes}
    return {name: value for name, value in full.items() if value is not None}


def material(**members: Any) -> dict[str, Any]:
    return document(verificationMaterial=members)


def bundle_refusal(bundle: dict[str, Any], limits: Limits = LIMITS) -> Reason:
    return refusal(SIGSTORE_BUNDLE, json.dumps(bundle).encode(), limits=limits)


def test_signature_layer() -> None:
    evidence = signature(KEY, hints={"dev.sigstore.cosign/certificate": "", "dev.sigstore.cosign/chain": ""})
    assert evidence.format is Format.COSIGN_SIGNATURE
    assert isinstance(evidence.content, SimpleSigning)
    assert evidence.content.payload == CLAIM
    assert evidence.material == Material(), "empty annotations are absent ones"
    assert evidence.origin is ORIGIN
    assert evidence.size == len(CLAIM) + len(evidence.content.signature) + 9, "two counts of four bytes, one flag"


def test_signature_layer_brings_its_material_along() -> None:
    hints = {
        "dev.sigstore.cosign/certificate": CERTIFICATE,
        "dev.sigstore.cosign/chain": CERTIFICATE * 2,
        "dev.sigstore.cosign/bundle": '{"SignedEntryTimestamp":"","Payload":{}}',
        "dev.sigstore.cosign/rfc3161timestamp": '{"SignedRFC3161Timestamp":"AAEC"}',
    }
    found = signature(KEY, hints=hints).material
    assert found.certificate == CERTIFICATE.encode()
    assert found.chain == (CERTIFICATE.encode(), CERTIFICATE.encode())
    assert found.log_entries == (hints["dev.sigstore.cosign/bundle"].encode(),)
    assert found.timestamps == (b"\0\1\2",)


@pytest.mark.parametrize(
    ("annotations", "code"),
    [
        ({}, Code.MALFORMED),
        ({COSIGN_SIGNATURE: ""}, Code.MALFORMED),
        ({COSIGN_SIGNATURE: "a b="}, Code.MALFORMED),
        ({COSIGN_SIGNATURE: "A" * 70_000}, Code.LIMIT_EXCEEDED),
        ({COSIGN_SIGNATURE: "AAAA", "dev.sigstore.cosign/chain": CERTIFICATE * 17}, Code.LIMIT_EXCEEDED),
        ({COSIGN_SIGNATURE: "AAAA", "dev.sigstore.cosign/certificate": "A" * 70_000}, Code.LIMIT_EXCEEDED),
        ({COSIGN_SIGNATURE: "AAAA", "dev.sigstore.cosign/rfc3161timestamp": "[]"}, Code.MALFORMED),
        ({COSIGN_SIGNATURE: "AAAA", "dev.sigstore.cosign/rfc3161timestamp": '{"SignedRFC3161Timestamp":7}'}, Code.MALFORMED),
    ],
)
def test_signature_layer_with_bad_annotations(annotations: dict[str, str], code: Code) -> None:
    assert refusal(SIMPLE_SIGNING, CLAIM, annotations).code is code


def test_signature_layer_that_is_too_long() -> None:
    reason = refusal(SIMPLE_SIGNING, b" " * 101, {COSIGN_SIGNATURE: "AAAA"}, Limits(signature_bytes=100))
    assert (reason.code, reason.found) == (Code.LIMIT_EXCEEDED, "101")


def test_attestation_layer_whatever_its_payload_type() -> None:
    envelope = payloads.envelope(b"anything", KEY, payload_type="text/plain", key_ids=["k"])
    for media_type in (DSSE, IN_TOTO):
        evidence = one(attachment(media_type, payloads.encode(envelope), artifact_type=IN_TOTO))
        assert evidence.format is Format.COSIGN_ATTESTATION
        assert isinstance(evidence.content, Envelope)
        assert (evidence.content.payload_type, evidence.content.payload) == ("text/plain", b"anything")
        assert [entry.keyid for entry in evidence.content.signatures] == ["k"]


@pytest.mark.parametrize(
    ("envelope", "code"),
    [
        (b"", Code.MALFORMED),
        (b"[]", Code.MALFORMED),
        (b"{}", Code.MALFORMED),
        (b'{"payloadType":"t","payload":"AAAA","signatures":[]}', Code.MALFORMED),
        (b'{"payloadType":"t","payload":"AAAA","signatures":{}}', Code.MALFORMED),
        (b'{"payloadType":"t","payload":"AAAA","signatures":["x"]}', Code.MALFORMED),
        (b'{"payloadType":"t","payload":"AAAA","signatures":[{"keyid":7,"sig":"AAAA"}]}', Code.MALFORMED),
        (b'{"payloadType":"t","payload":"AAAA","signatures":[{"keyid":""}]}', Code.MALFORMED),
        (b'{"payloadType":7,"payload":"AAAA","signatures":[{"sig":"AAAA"}]}', Code.MALFORMED),
        (b'{"payloadType":"t","payload":"AAA\\n","signatures":[{"sig":"AAAA"}]}', Code.MALFORMED),
        (b'{"payloadType":"t","payload":"AAAA","PAYLOAD":"BBBB","signatures":[{"sig":"AAAA"}]}', Code.AMBIGUOUS),
        (b'{"payloadType":"t","payload":"AAAA","payload":"BBBB","signatures":[{"sig":"AAAA"}]}', Code.AMBIGUOUS),
        (
            b'{"payloadType":"t","payload":"AAAA","signatures":[' + b'{"sig":"AAAA"},' * 16 + b'{"sig":""}]}',
            Code.LIMIT_EXCEEDED,
        ),
    ],
)
def test_attestation_layer_that_is_no_envelope(envelope: bytes, code: Code) -> None:
    assert refusal(DSSE, envelope).code is code


def test_what_is_no_container_of_evidence() -> None:
    for media_type in ("application/spdx+json", "text/plain", "application/vnd.cncf.notary.signature", ""):
        assert read(attachment(media_type, b"{}"), LIMITS) == ()
    assert read(attachment(IN_TOTO, statement(SPDX), artifact_type=IN_TOTO), LIMITS) == (), "unsigned, as BuildKit stores it"


def test_artifact_type_of_the_oci_1_1_mode_of_cosign() -> None:
    content = payloads.claim(IMAGE, "x")
    stored = attachment(
        SIMPLE_SIGNING,
        content,
        {COSIGN_SIGNATURE: payloads.signature(content, KEY)},
        artifact_type="application/vnd.dev.cosign.artifact.sig.v1+json",
    )
    assert one(stored).format is Format.COSIGN_SIGNATURE


def test_two_pieces_whose_bytes_line_up_are_two_pieces() -> None:
    """A verdict is remembered under the id: what is a signature in one piece must not be material in another."""
    first = EnvelopeSignature("", b"1")
    zero, none = b"\0\0\0\0", Material(key_hint="\0\0\0\0", certificate=b"\0\0\0\0", timestamps=(b"",))
    shifted = Envelope("t", b"p", (first, EnvelopeSignature("hint", b"certificate")))
    plain = Envelope("t", b"p", (first,))
    one_piece = Evidence.of(Format.COSIGN_ATTESTATION, ORIGIN, shifted, none)
    other = Evidence.of(
        Format.COSIGN_ATTESTATION,
        ORIGIN,
        plain,
        Material("hint", b"certificate", timestamps=(zero, zero, b"")),
    )
    assert one_piece.id != other.id


def test_bundle_of_cosign_3() -> None:
    evidence = image_bundle(KEY)
    assert evidence.format is Format.BUNDLE
    assert isinstance(evidence.content, Envelope)
    assert evidence.content.payload == statement(COSIGN_SIGN)
    assert evidence.material == Material(key_hint=KEY.hint, proofs_required=True)


@pytest.mark.parametrize("version", [*OLD_BUNDLES, SIGSTORE_BUNDLE])
def test_every_version_whatever_the_descriptor_calls_it(version: str) -> None:
    raw = json.dumps(document(mediaType=version)).encode()
    assert one(attachment(OLD_BUNDLES[0], raw)).format is Format.BUNDLE
    assert one(attachment("application/json", raw, artifact_type=SIGSTORE_BUNDLE)).format is Format.BUNDLE


def test_bundle_with_certificates_entries_and_timestamps() -> None:
    entry = {"logIndex": "7", "kindVersion": {"version": "0.0.1", "kind": "dsse"}}
    bundle = material(
        x509CertificateChain={"certificates": [{"rawBytes": b64(b"leaf")}, {"rawBytes": b64(b"issuer")}]},
        tlogEntries=[entry],
        timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": b64(b"stamp")}]},
    )
    found = one(attachment(SIGSTORE_BUNDLE, json.dumps(bundle).encode())).material
    assert (found.certificate, found.chain, found.timestamps) == (b"leaf", (b"issuer",), (b"stamp",))
    assert [json.loads(raw) for raw in found.log_entries] == [entry]
    one_certificate = one(attachment(SIGSTORE_BUNDLE, json.dumps(material(certificate={"rawBytes": "AAEC"})).encode()))
    assert one_certificate.material == Material(certificate=b"\0\1\2", proofs_required=True)


def test_versions_from_0_2_on_ask_for_proofs() -> None:
    asked = {
        version: one(attachment(SIGSTORE_BUNDLE, json.dumps(document(mediaType=version)).encode())).material.proofs_required
        for version in (*OLD_BUNDLES, SIGSTORE_BUNDLE)
    }
    assert [version for version, required in asked.items() if not required] == [OLD_BUNDLES[0]]


def test_line_breaks_in_a_timestamp_do_not_matter() -> None:
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": "c3Rh\nbXA=\r\n"}]}
    bundle = material(certificate={"rawBytes": "AAEC"}, timestampVerificationData=stamps)
    assert one(attachment(SIGSTORE_BUNDLE, json.dumps(bundle).encode())).material.timestamps == (b"stamp",)


def test_null_is_absent_and_a_hint_may_be() -> None:
    bundle = material(publicKey={"hint": None}, certificate=None, tlogEntries=None, timestampVerificationData=None)
    assert one(attachment(SIGSTORE_BUNDLE, json.dumps(bundle).encode())).material == Material(proofs_required=True)
    assert one(attachment(SIGSTORE_BUNDLE, json.dumps(material(publicKey={})).encode())).material == Material(
        proofs_required=True
    )


def message_bundle(**members: Any) -> dict[str, Any]:
    return document(dsseEnvelope=None, messageSignature=members)


@pytest.mark.parametrize(("algorithm", "name"), [("SHA2_256", "SHA2_256"), (1, "SHA2_256"), (3, "SHA2_512")])
def test_bundle_with_a_message_signature(algorithm: object, name: str) -> None:
    bundle = message_bundle(messageDigest={"algorithm": algorithm, "digest": b64(b"digest")}, signature=b64(b"signature"))
    evidence = one(attachment(SIGSTORE_BUNDLE, json.dumps(bundle).encode()))
    assert evidence.content == MessageSignature(name, b"digest", b"signature")


def test_artifact_is_part_of_what_a_verdict_rests_on() -> None:
    bundle = message_bundle(signature=b64(b"signature"))
    evidence = one(attachment(SIGSTORE_BUNDLE, json.dumps(bundle).encode()))
    filled = with_artifact(evidence, MANIFEST, "")
    assert evidence.content == MessageSignature("HASH_ALGORITHM_UNSPECIFIED", b"", b"signature")
    assert filled.content == MessageSignature("HASH_ALGORITHM_UNSPECIFIED", b"", b"signature", MANIFEST)
    assert filled.id != evidence.id
    other = signature(KEY)
    assert with_artifact(other, MANIFEST, "") is other


@pytest.mark.parametrize(
    ("bundle", "code", "said"),
    [
        (document(mediaType="application/vnd.dev.sigstore.bundle.v0.9+json"), Code.MALFORMED, "unknown version"),
        (document(mediaType=3), Code.MALFORMED, "mediaType must be a string"),
        (document(mediaType=None), Code.MALFORMED, "mediaType must be a string"),
        (document(media_type=SIGSTORE_BUNDLE), Code.MALFORMED, "unknown member"),
        (document(MediaType=SIGSTORE_BUNDLE), Code.AMBIGUOUS, "letter case"),
        (document(dsseEnvelope=None), Code.MALFORMED, "none of its content"),
        (document(messageSignature={"signature": "AAAA"}), Code.AMBIGUOUS, "several contents"),
        (document(verificationMaterial=None), Code.MALFORMED, "none of its content"),
        (document(verificationMaterial=[]), Code.MALFORMED, "must be an object"),
        (material(), Code.MALFORMED, "none of its content"),
        (material(public_key={"hint": ""}), Code.MALFORMED, "unknown member"),
        (material(publicKey={"hint": ""}, certificate={"rawBytes": "AAAA"}), Code.AMBIGUOUS, "several contents"),
        (material(publicKey={"hint": 7}), Code.MALFORMED, "hint must be a string"),
        (material(publicKey={"rawBytes": "AAAA"}), Code.MALFORMED, "unknown member"),
        (material(publicKey="AAAA"), Code.MALFORMED, "must be an object"),
        (material(x509CertificateChain={"certificates": []}), Code.MALFORMED, "is empty"),
        (material(x509CertificateChain={"certificates": ["AAAA"]}), Code.MALFORMED, "must be an object"),
        (
            material(x509CertificateChain={"certificates": [{"rawBytes": ""}] * 17}),
            Code.LIMIT_EXCEEDED,
            "certificates is too long",
        ),
        (material(certificate={"rawBytes": "*"}), Code.MALFORMED, "base64"),
        (material(publicKey={}, tlogEntries=[7]), Code.MALFORMED, "must hold objects"),
        (material(publicKey={}, tlogEntries=[{}] * 17), Code.LIMIT_EXCEEDED, "tlogEntries is too long"),
        (
            material(publicKey={}, timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": ""}] * 17}),
            Code.LIMIT_EXCEEDED,
            "rfc3161Timestamps is too long",
        ),
        (message_bundle(), Code.MALFORMED, "signature must be a string"),
        (message_bundle(signature="AAAA", message_digest={}), Code.MALFORMED, "unknown member"),
        (message_bundle(signature="AAAA", messageDigest={"algorithm": "SHA1"}), Code.MALFORMED, "algorithm is unknown"),
        (message_bundle(signature="AAAA", messageDigest={"algorithm": True}), Code.MALFORMED, "algorithm is unknown"),
    ],
)
def test_bundle_that_is_refused(bundle: dict[str, Any], code: Code, said: str) -> None:
    reason = bundle_refusal(bundle)
    assert reason.code is code
    assert said in reason.message


def test_bundle_with_two_signatures() -> None:
    envelope = payloads.envelope(statement(COSIGN_SIGN), KEY, signing_key("other"))
    reason = bundle_refusal(document(dsseEnvelope=payloads.bundle_envelope(envelope)["dsseEnvelope"]))
    assert reason.code is Code.MALFORMED
    assert (reason.expected, reason.found) == ("one", "2")


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("", b""),
        ("-_8=", b"\xfb\xff"),
        ("+/8=", b"\xfb\xff"),
        ("+/8", b"\xfb\xff"),
        ("AA==", b"\0"),
        ("AA", b"\0"),
        ("AAAA", b"\0\0\0"),
    ],
)
def test_base64_that_has_one_reading(text: str, raw: bytes) -> None:
    assert decode64(text, "x") == raw


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "A===",
        "AA=",
        "AAA==",
        "AB==",
        "AAB=",
        "+_8=",
        "A A=",
        "AA==\n",
        "\nAA==",
        "AAAA====",
        "AA==AA==",
        "=",
        "é",
        "!AAA",
    ],
)
def test_base64_that_decoders_disagree_about(text: str) -> None:
    with pytest.raises(Refused) as caught:
        decode64(text, "x")
    assert caught.value.reason.code is Code.MALFORMED
