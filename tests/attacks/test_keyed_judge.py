"""Attacks of `attacks.md` as one authority of keys meets them; each asserts the reason, not only the no."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller import keys
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_CUSTOM, COSIGN_SIGN, CYCLONEDX, SIGSTORE_BUNDLE, SLSA_V1, SPDX
from controller.demo.signingkeys import SigningKey
from controller.errors import Code, Refused
from controller.evidence import Claim, Envelope, Evidence, Format, MessageSignature, SimpleSigning
from controller.formats import read, statement
from controller.keys import NamedKey, PublicKey
from controller.settings import Limits
from controller.verify import claims, keyed
from controller.verify.keyed import KeyedAuthority
from tests.fakes.evidence import (
    IMAGE,
    LIMITS,
    ORIGIN,
    OTHER,
    attachment,
    attestation,
    authority,
    bundle,
    image_bundle,
    named,
    signature,
)
from tests.fakes.evidence import statement as about
from tests.fakes.keys import signing_key

KEY = signing_key()
FOREIGN = signing_key("foreign")
VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"


def refusal(judge: KeyedAuthority, evidence: Evidence) -> Refused:
    with pytest.raises(Refused) as caught:
        judge.judge(evidence, IMAGE, 0)
    return caught.value


# 1: an attestation of another type


def test_row_01_type_is_read_from_the_signed_bytes_not_from_the_hints() -> None:
    """CVE-2022-35929: the layer's annotation promises an SBOM, the signed statement is a scan."""
    (hinted,) = read(
        attachment(
            "application/vnd.dsse.envelope.v1+json",
            payloads.encode(payloads.envelope(about(VULN), KEY)),
            {"predicateType": SPDX, "dev.sigstore.bundle.predicateType": SPDX},
        ),
        LIMITS,
    )
    (fact,) = authority(KEY).judge(hinted, IMAGE, 0)
    assert (fact.claim, fact.predicate_type) == (Claim.ATTESTATION, VULN)


# 2: unsigned, badly signed, foreign-signed


def test_row_02_envelope_without_a_signature() -> None:
    envelope = {**payloads.envelope(about(COSIGN_SIGN), KEY), "signatures": []}
    for raw in (payloads.encode(envelope), payloads.bundle({"dsseEnvelope": envelope}, KEY.hint)):
        media_type = SIGSTORE_BUNDLE if b"mediaType" in raw else "application/vnd.dsse.envelope.v1+json"
        with pytest.raises(Refused) as caught:
            read(attachment(media_type, raw), LIMITS)
        assert caught.value.reason.code is Code.MALFORMED


@pytest.mark.parametrize("raw", [b"", b"\0" * 70, b"signature"])
def test_row_02_badly_signed(raw: bytes) -> None:
    for evidence in (signature(KEY), image_bundle(KEY), attestation(about(SPDX), KEY)):
        assert refusal(authority(KEY), with_signature(evidence, raw)).reason.code in {Code.WRONG_KEY, Code.SIGNATURE_INVALID}


def test_row_02_signed_by_a_stranger_under_a_trusted_name() -> None:
    assert refusal(authority(KEY), image_bundle(FOREIGN, hint=KEY.hint)).reason.code is Code.SIGNATURE_INVALID
    assert refusal(authority(KEY), image_bundle(FOREIGN)).reason.code is Code.WRONG_KEY


def with_signature(evidence: Evidence, raw: bytes) -> Evidence:
    content = evidence.content
    if isinstance(content, Envelope):
        return replace(
            evidence, content=replace(content, signatures=tuple(replace(s, signature=raw) for s in content.signatures))
        )
    assert isinstance(content, SimpleSigning | MessageSignature)
    return replace(evidence, content=replace(content, signature=raw))


# 4: a key that travels with the evidence


def test_row_04_key_in_the_certificate_field_is_nobodys_key() -> None:
    """GHSA-fx35-mq7g-6g98: the payload brings the key that it verifies under."""
    der = FOREIGN.public_der
    content = payloads.bundle_envelope(payloads.envelope(about(COSIGN_SIGN), FOREIGN))
    document = json.loads(payloads.bundle(content, ""))
    document["verificationMaterial"] = {"certificate": {"rawBytes": payloads._base64(der)}}
    (in_bundle,) = read(attachment(SIGSTORE_BUNDLE, payloads.encode(document)), LIMITS)
    in_layer = signature(FOREIGN, hints={"dev.sigstore.cosign/certificate": FOREIGN.public_pem})
    for evidence in (in_bundle, in_layer):
        assert evidence.material.certificate
        reason = refusal(authority(KEY), evidence).reason
        assert (reason.code, reason.found) == (Code.WRONG_KEY, "a signature with a certificate")


def test_row_04_certificate_field_takes_nothing_away_either() -> None:
    """What is ignored is ignored in both directions: a trusted key's signature stays one."""
    evidence = signature(KEY, hints={"dev.sigstore.cosign/certificate": FOREIGN.public_pem})
    assert authority(KEY).judge(evidence, IMAGE, 0)[0].claim is Claim.SIGNATURE


# 6: a valid signature over what is no claim


@pytest.mark.parametrize("payload", [b"", b"hello", b"[]", b'{"critical":null}', b"\xff\xfe", b"[" * 5000, b'"\\ud800"'])
def test_row_06_valid_signature_over_an_unparsable_payload(payload: bytes) -> None:
    """CVE-2026-39395."""
    in_layer = signature(KEY, payload=payload)
    in_envelope = attestation(payload, KEY)
    in_bundle = bundle(payload, KEY)
    for evidence in (in_layer, in_envelope, in_bundle):
        assert refusal(authority(KEY), evidence).reason.code in {Code.MALFORMED, Code.LIMIT_EXCEEDED}


def test_row_06_valid_signature_over_another_kind_of_payload() -> None:
    assert (
        refusal(authority(KEY), attestation(about(SPDX), KEY, payload_type="text/plain")).reason.code
        is Code.WRONG_PAYLOAD_TYPE
    )
    claim = payloads.claim(IMAGE, "x", kind="atomic container signature")
    assert refusal(authority(KEY), signature(KEY, payload=claim)).reason.code is Code.WRONG_PAYLOAD_TYPE


def test_row_06_signed_claim_moved_into_an_envelope_and_back() -> None:
    """A signature over one container's bytes is none over another's: DSSE signs type and length, too."""
    statement_bytes = about(COSIGN_SIGN)
    as_claim = signature(KEY, payload=statement_bytes)
    assert refusal(authority(KEY), as_claim).reason.code is Code.MALFORMED
    assert isinstance(as_claim.content, SimpleSigning)
    envelope = Envelope(statement.PAYLOAD_TYPE, statement_bytes, ())
    moved = replace(image_bundle(KEY), content=replace(envelope, signatures=_signatures(as_claim.content.signature)))
    assert refusal(authority(KEY), moved).reason.code is Code.SIGNATURE_INVALID


def _signatures(raw: bytes) -> Any:
    return tuple(replace(s, signature=raw) for s in _envelope(image_bundle(KEY)).signatures)


def _envelope(evidence: Evidence) -> Envelope:
    assert isinstance(evidence.content, Envelope)
    return evidence.content


# 7 and 9: too many


@pytest.mark.parametrize("member", ["tlogEntries", "rfc3161Timestamps"])
def test_row_09_ten_thousand_log_entries_or_timestamps(member: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2024-45395: counted before any is looked at."""

    def untouched(*_: object) -> bytes:
        raise AssertionError("an entry was read")

    monkeypatch.setattr("controller.formats.bundle._entry", untouched)
    monkeypatch.setattr("controller.formats.bundle._raw", untouched)
    material: dict[str, Any] = (
        {"tlogEntries": [{"logIndex": str(number)} for number in range(10_000)]}
        if member == "tlogEntries"
        else {"timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}] * 10_000}}
    )
    with pytest.raises(Refused) as caught:
        image_bundle(KEY, **material)
    reason = caught.value.reason
    assert reason.code is Code.LIMIT_EXCEEDED
    assert member in reason.message
    assert (reason.expected, reason.found) == (f"at most {LIMITS.log_entries_per_bundle} items", "10000")


def test_row_07_ten_thousand_signatures_in_one_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2023-46737: no key is tried."""

    def untouched(*_: object) -> bool:
        raise AssertionError("a key was tried")

    monkeypatch.setattr(PublicKey, "verifies", untouched)
    envelope = payloads.envelope(about(SPDX), KEY)
    envelope["signatures"] *= 10_000
    with pytest.raises(Refused) as caught:
        read(attachment("application/vnd.dsse.envelope.v1+json", payloads.encode(envelope)), LIMITS)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED
    assert "signatures" in caught.value.reason.message


def test_row_07_ten_thousand_subjects() -> None:
    subjects = [{"digest": {"sha256": IMAGE.hex}}] * 10_000
    reason = refusal(authority(KEY), attestation(payloads.statement(subjects, SPDX, {}), KEY)).reason
    assert reason.code is Code.LIMIT_EXCEEDED
    assert "subject" in reason.message


# 10: one signer counted twice


def test_row_10_one_key_under_two_names_and_two_encodings() -> None:
    der = KEY.public_der
    compressed = (
        bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + bytes([2 + (der[-1] & 1)]) + der[27:59]
    )
    judge = KeyedAuthority("twice", [named(KEY, "a"), NamedKey("b", keys.parse(compressed)), named(KEY, "c")])
    for evidence in (signature(KEY), attestation(about(SPDX), KEY, KEY, KEY)):
        assert len(judge.judge(evidence, IMAGE, 0)) == 1


def test_row_10_one_signature_under_many_hints() -> None:
    evidence = attestation(about(SPDX), KEY, KEY, key_ids=[KEY.fingerprint, FOREIGN.fingerprint])
    (fact,) = authority(KEY, FOREIGN).judge(evidence, IMAGE, 0)
    assert fact.signer.id == f"key:sha256:{KEY.fingerprint}"


# 24: evidence of another image


def test_row_24_evidence_of_another_image() -> None:
    for evidence in (signature(KEY, OTHER), image_bundle(KEY, OTHER), attestation(about(SPDX, {}, OTHER), KEY)):
        reason = refusal(authority(KEY), evidence).reason
        assert (reason.code, reason.expected, reason.found) == (Code.WRONG_DIGEST, str(IMAGE), str(OTHER))


def test_row_24_digest_in_a_name_or_under_another_algorithm() -> None:
    for subject in (
        {"name": f"registry.example.com/shop/web@{IMAGE}", "digest": {"sha256": OTHER.hex}},
        {"name": str(IMAGE), "digest": {"gitCommit": IMAGE.hex, "sha1": IMAGE.hex[:40]}},
        {"name": "x", "digest": {"sha256": OTHER.hex}, "uri": f"pkg:oci/web@{IMAGE}", "annotations": {"sha256": IMAGE.hex}},
    ):
        evidence = attestation(payloads.statement([subject], COSIGN_SIGN, {}), KEY)
        assert refusal(authority(KEY), evidence).reason.code is Code.WRONG_DIGEST


# 28: exceptions in a verifier


class NativePanicError(BaseException):
    """As pyo3 raises where Rust code panics: no Exception."""


FAULTS: list[Callable[[], BaseException]] = [
    ValueError,
    KeyError,
    RecursionError,
    MemoryError,
    OverflowError,
    StopIteration,
    AssertionError,
    NativePanicError,
    lambda: UnicodeDecodeError("utf-8", b"", 0, 1, "x"),
]
PLACES: list[tuple[object, str]] = [
    (PublicKey, "verifies"),
    (claims, "signed_message"),
    (claims, "read"),
    (statement, "parse"),
    (KeyedAuthority, "_fact"),
    (KeyedAuthority, "_in_order"),
    (keyed, "signatures"),
    (keyed, "Verified"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[type(fault()).__name__ for fault in FAULTS])
@pytest.mark.parametrize(("owner", "name"), PLACES, ids=[name for _, name in PLACES])
def test_row_28_any_exception_anywhere_is_a_no(
    owner: object, name: str, fault: Callable[[], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2026-44310: whatever breaks, wherever it breaks, the answer is no."""

    def broken(*_: object, **__: object) -> None:
        raise fault()

    evidence = attestation(about(SPDX), KEY)
    assert authority(KEY).judge(evidence, IMAGE, 0)
    judge = authority(KEY)
    monkeypatch.setattr(owner, name, broken)
    error = refusal(judge, evidence)
    name_of = type(fault()).__name__
    assert error.reason.code is Code.INTERNAL
    # PEP 479: a generator turns StopIteration into RuntimeError, so that it does not read as a quiet end.
    assert error.reason.found == name_of or (name_of, error.reason.found) == ("StopIteration", "RuntimeError")


@pytest.mark.parametrize("fault", [ValueError, TypeError, OverflowError])
def test_row_28_exception_in_the_library_is_no_signature(fault: type[Exception]) -> None:
    def broken(_signature: bytes, _message: bytes) -> None:
        raise fault

    key = keys.parse(KEY.public_der)
    weak = replace(key, schemes=tuple(replace(scheme, check=broken) for scheme in key.schemes))
    assert refusal(KeyedAuthority("x", [NamedKey("", weak)]), signature(KEY)).reason.code is Code.WRONG_KEY


def test_row_28_a_stop_of_the_program_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(claims, "read", stopped)
    with pytest.raises(KeyboardInterrupt):
        authority(KEY).judge(signature(KEY), IMAGE, 0)


# 36: signatures and attestations never meet each other's requirement


@pytest.mark.parametrize("predicate_type", [SPDX, CYCLONEDX, SLSA_V1, VULN, COSIGN_CUSTOM, COSIGN_SIGN + "/", "sign/v1"])
@pytest.mark.parametrize("contain", [attestation, bundle])
def test_row_36_no_other_statement_is_a_signature(
    contain: Callable[[bytes, SigningKey], Evidence], predicate_type: str
) -> None:
    (fact,) = authority(KEY).judge(contain(about(predicate_type), KEY), IMAGE, 0)
    assert (fact.claim, fact.predicate_type) == (Claim.ATTESTATION, predicate_type)


@pytest.mark.parametrize("contain", [attestation, bundle])
def test_row_36_no_signature_is_an_attestation(contain: Callable[[bytes, SigningKey], Evidence]) -> None:
    for evidence in (contain(about(COSIGN_SIGN, {"packages": []}), KEY), signature(KEY)):
        (fact,) = authority(KEY).judge(evidence, IMAGE, 0)
        assert (fact.claim, fact.predicate) == (Claim.SIGNATURE, None), "and it brings no predicate to be judged as one"


# Rule 6: one signature in a bundle's envelope


def test_second_signature_slipped_into_a_bundle_past_the_reader() -> None:
    evidence = attestation(about(SPDX), KEY, FOREIGN)
    smuggled = Evidence.of(Format.BUNDLE, ORIGIN, evidence.content, evidence.material)
    reason = refusal(authority(KEY), smuggled).reason
    assert (reason.code, reason.found) == (Code.MALFORMED, "2")


def test_limits_reach_the_judge() -> None:
    judge = KeyedAuthority("x", [named(KEY)], limits=Limits(attestation_bytes=10))
    assert refusal(judge, attestation(about(SPDX), KEY)).reason.code is Code.LIMIT_EXCEEDED
