"""Sigstore's own conformance bundles, judged by public keys.

Cases signed with a managed key are judged by that key. The others carry certificates, which a key authority ignores; there
the leaf's public key is trusted as if somebody had exported it, so that other people's signatures are verified here too.
What is refused for the sake of its log entry, timestamp or certificate is judged where those are.
"""

import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controller import keys
from controller.errors import Code, Reason, Refused
from controller.evidence import Claim, Evidence
from controller.formats import read, with_artifact
from controller.keys import NamedKey
from controller.reference import Digest
from controller.verify.keyed import KeyedAuthority
from tests.fakes.evidence import LIMITS, attachment

FOLDER = (
    Path(os.environ.get("SIGWARD_CONFORMANCE", Path(__file__).parents[2] / ".." / "shared" / "conformance")) / "sigstore"
)
CASES = sorted(path.parent for path in FOLDER.glob("*/bundle.sigstore.json"))
MANAGED = FOLDER / "managed-key-happy-path"
UNREADABLE = {
    "bundle-empty-certificate-chain_fail": (Code.MALFORMED, "x509CertificateChain is empty"),
    "bundle-invalid-base64-signature_fail": (Code.MALFORMED, "messageSignature.signature is not canonical base64"),
    "bundle-malformed-json_fail": (Code.MALFORMED, "is not JSON"),
    "bundle-unknown-version_fail": (Code.MALFORMED, "unknown version"),
}
BAD_SIGNATURE = {"dsse-invalid-sig_fail", "rekor2-dsse-invalid-sig_fail", "signature-mismatch_fail"}

needs_data = pytest.mark.skipif(
    not CASES and os.environ.get("CI") != "true", reason=f"no cases in {FOLDER}; name the folder with SIGWARD_CONFORMANCE"
)


def artifact(case: Path) -> bytes:
    own = case / "artifact"
    return (own if own.exists() else FOLDER / "a.txt").read_bytes()


def evidence(case: Path) -> Evidence:
    raw = (case / "bundle.sigstore.json").read_bytes()
    (found,) = read(attachment("application/vnd.dev.sigstore.bundle.v0.3+json", raw), LIMITS)
    return found


def managed(*, log_required: bool = False) -> KeyedAuthority:
    return KeyedAuthority(
        "managed", [NamedKey("", keys.parse((MANAGED / "key.pub").read_bytes()))], log_required=log_required
    )


def leaf(case: Path, *, log_required: bool = False) -> KeyedAuthority:
    key = x509.load_der_x509_certificate(evidence(case).material.certificate).public_key()
    return KeyedAuthority(
        "leaf",
        [NamedKey("", keys.parse(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)))],
        log_required=log_required,
    )


def refusal(judge: KeyedAuthority, found: Evidence, subject: Digest) -> Reason:
    with pytest.raises(Refused) as caught:
        judge.judge(found, subject, 0)
    return caught.value.reason


@needs_data
def test_the_cases_are_there() -> None:
    assert len(CASES) >= 50


@needs_data
def test_managed_key_happy_path() -> None:
    content = artifact(MANAGED)
    for found in (evidence(MANAGED), with_artifact(evidence(MANAGED), content)):
        (fact,) = managed().judge(found, Digest.of(content), 0)
        assert (fact.claim, fact.digest) == (Claim.SIGNATURE, Digest.of(content))
        assert fact.signer.id == f"key:sha256:{keys.parse((MANAGED / 'key.pub').read_bytes()).spki_sha256}"


@needs_data
def test_managed_key_over_another_artifact() -> None:
    reason = refusal(managed(), evidence(MANAGED), Digest.of(b"another"))
    assert reason.code is Code.WRONG_DIGEST
    assert (reason.expected, reason.found) == (str(Digest.of(b"another")), str(Digest.of(artifact(MANAGED))))


@needs_data
def test_managed_key_whose_log_entry_nobody_judges_yet() -> None:
    assert refusal(managed(log_required=True), evidence(MANAGED), Digest.of(artifact(MANAGED))).code is Code.LOG_REQUIRED


@needs_data
def test_managed_key_no_key() -> None:
    """Signed with a key that the verifier was not given."""
    case = FOLDER / "managed-key-no-key_fail"
    reason = refusal(leaf(FOLDER / "happy-path-v0.3"), evidence(case), Digest.of(artifact(case)))
    assert reason.code is Code.WRONG_KEY
    assert reason.found.startswith("key SHA256:"), "the key in its log entry fits, and is shown"


@needs_data
def test_incorrect_public_key() -> None:
    """The key in its log entry was replaced: believed by no key authority, and no help where a log is required."""
    case = FOLDER / "incorrect-public-key_fail"
    subject = Digest.of(artifact(case))
    assert refusal(managed(), evidence(case), subject).code is Code.WRONG_KEY
    assert refusal(leaf(case, log_required=True), evidence(case), subject).code is Code.LOG_REQUIRED


@needs_data
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_every_case_under_a_key_it_was_not_signed_with(case: Path) -> None:
    if case.name in UNREADABLE:
        code, said = UNREADABLE[case.name]
        with pytest.raises(Refused) as caught:
            evidence(case)
        assert caught.value.reason.code is code
        assert said in caught.value.reason.message
    elif not case.name.startswith("managed-key"):
        assert refusal(managed(), evidence(case), Digest.of(artifact(case))).code is Code.WRONG_KEY


@needs_data
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if not case.name.startswith("managed") and not case.name.endswith("_fail")],
    ids=lambda p: p.name,
)
def test_signatures_of_other_people_under_the_exported_leaf_key(case: Path) -> None:
    content = artifact(case)
    (fact,) = leaf(case).judge(with_artifact(evidence(case), content), Digest.of(content), 0)
    assert fact.digest == Digest.of(content)
    assert fact.claim is (Claim.ATTESTATION if fact.predicate_type else Claim.SIGNATURE)


@needs_data
@pytest.mark.parametrize("name", sorted(BAD_SIGNATURE))
def test_signatures_that_do_not_hold_even_under_the_leaf_key(name: str) -> None:
    case = FOLDER / name
    assert refusal(leaf(case), evidence(case), Digest.of(artifact(case))).code is Code.WRONG_KEY
