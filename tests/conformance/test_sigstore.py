"""Bundles of Sigstore's public conformance suite: each judged right, each refusal for the reason its README names."""

import os
from pathlib import Path

import pytest

from controller import keys, roots
from controller.errors import Code, Refused
from controller.evidence import Claim, Judge, Origin, Verified
from controller.formats import bundle
from controller.keys import NamedKey
from controller.reference import Digest, Repository
from controller.registry.discovery import Attachment
from controller.roots import TrustedRoot
from controller.settings import Limits
from controller.verify.identity import Identity, Pattern
from controller.verify.keyed import KeyedAuthority
from controller.verify.keyless import KeylessAuthority
from tests.fakes.commandline import run

FOLDER = (
    Path(os.environ.get("SIGWARD_CONFORMANCE", Path(__file__).parents[2] / ".." / "shared" / "conformance")) / "sigstore"
)
CASES = sorted(path.parent for path in FOLDER.glob("*/bundle.sigstore.json"))
IDENTITY = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/"
    "extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ISSUER = "https://token.actions.githubusercontent.com"
NOW = 1795305600.0  # 2026-11-22: every certificate in the suite has expired by then
LIMITS = Limits()

REASONS = {
    "bundle-empty-certificate-chain_fail": Code.MALFORMED,
    "bundle-invalid-base64-signature_fail": Code.MALFORMED,
    "bundle-malformed-json_fail": Code.MALFORMED,
    "bundle-negative-log-index_fail": Code.MALFORMED,
    "bundle-unknown-version_fail": Code.MALFORMED,
    "bundle-with-root-cert_fail": Code.ROOT_IN_CHAIN,
    "checkpoint-wrong-roothash_fail": Code.CHECKPOINT_INVALID,
    "dsse-invalid-sig_fail": Code.SIGNATURE_INVALID,
    "dsse-mismatch-envelope_fail": Code.LOG_ENTRY_MISMATCH,
    "inclusion-proof-corrupted-hash_fail": Code.LOG_PROOF_INVALID,
    "incorrect-public-key_fail": Code.LOG_ENTRY_MISMATCH,
    "integrated-time-in-future_fail": Code.OUTSIDE_VALIDITY,
    "intoto-expired-certificate_fail": Code.OUTSIDE_VALIDITY,
    "intoto-log-entry-mismatch_fail": Code.LOG_ENTRY_MISMATCH,
    "intoto-missing-inclusion-proof_fail": Code.LOG_PROOF_MISSING,
    "intoto-set-outside-signing-cert-validity_fail": Code.OUTSIDE_VALIDITY,
    "invalid-checkpoint-signature_fail": Code.CHECKPOINT_INVALID,
    "invalid-inclusion-proof_fail": Code.LOG_PROOF_INVALID,
    "managed-key-no-key_fail": Code.NO_CERTIFICATE,
    "rekor2-checkpoint-missing-log-signature_fail": Code.CHECKPOINT_INVALID,
    "rekor2-checkpoint-missing-origin_fail": Code.CHECKPOINT_INVALID,
    "rekor2-checkpoint-missing-root-hash_fail": Code.CHECKPOINT_INVALID,
    "rekor2-checkpoint-no-matching-signature_fail": Code.CHECKPOINT_INVALID,
    "rekor2-dsse-invalid-sig_fail": Code.SIGNATURE_INVALID,
    "rekor2-dsse-mismatch-sig_fail": Code.LOG_ENTRY_MISMATCH,
    "rekor2-no-inclusion-proof_fail": Code.LOG_PROOF_MISSING,
    "rekor2-no-timestamp_fail": Code.TIME_NOT_PROVEN,
    "rekor2-timestamp-outside-tsa-cert-validity_fail": Code.OUTSIDE_VALIDITY,
    "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail": Code.TIMESTAMP_UNTRUSTED,
    "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail": Code.TIMESTAMP_UNTRUSTED,
    "rekor2-timestamp-with-incorrect-time_fail": Code.OUTSIDE_VALIDITY,
    "set-invalid-signature_fail": Code.SET_INVALID,
    "signature-mismatch_fail": Code.SIGNATURE_INVALID,
    "wrong-hashedrekord-artifact_fail": Code.LOG_ENTRY_MISMATCH,
    "wrong-hashedrekord-entry_fail": Code.LOG_ENTRY_MISMATCH,
}
"""What each README says is wrong, as the code that names it."""

WORDS = {
    "checkpoint-wrong-roothash_fail": "another tree than the inclusion proof",
    "incorrect-public-key_fail": "another certificate",
    "intoto-expired-certificate_fail": "validity of certificate",
    "intoto-set-outside-signing-cert-validity_fail": "validity of certificate",
    "integrated-time-in-future_fail": "validity of certificate",
    "invalid-checkpoint-signature_fail": "a signature that is not the log's",
    "rekor2-checkpoint-missing-log-signature_fail": "no signature block",
    "rekor2-checkpoint-no-matching-signature_fail": "no signature of the log",
    "rekor2-dsse-mismatch-sig_fail": "another signature",
    "rekor2-timestamp-outside-tsa-cert-validity_fail": "timestamp by",
    "rekor2-timestamp-with-incorrect-time_fail": "validity of certificate (no name)",
}
"""Where one code covers several faults: what the reason must say besides."""


def read(folder: Path, name: str, default: str) -> str:
    path = folder / name
    return path.read_text().strip() if path.exists() else default


def root_of(folder: Path) -> TrustedRoot:
    path = folder / "trusted_root.json"
    return roots.parse(path.read_bytes(), folder.name, LIMITS) if path.exists() else roots.builtin("public-good")


def judge_of(folder: Path) -> Judge:
    key = folder / "key.pub"
    root = root_of(folder)
    if key.exists():
        return KeyedAuthority("key", [NamedKey("", keys.parse(key.read_bytes()))], root=root, log_required=True)
    issuer, subject = read(folder, "issuer", ISSUER), read(folder, "identity", IDENTITY)
    return KeylessAuthority("identity", root, [Identity(Pattern("exact", issuer), Pattern("exact", subject))])


def judge(folder: Path) -> tuple[Verified, ...]:
    artifact = folder / "artifact"
    digest = Digest.of((artifact if artifact.exists() else FOLDER / "a.txt").read_bytes())
    raw = (folder / "bundle.sigstore.json").read_bytes()
    origin = Origin(Repository("example.com", "suite"), Digest.of(raw), folder.name)
    evidence = bundle.parse(Attachment(origin, "", "", {}, raw), LIMITS)
    return judge_of(folder).judge(evidence, digest, NOW)


def test_the_suite_is_there() -> None:
    if not CASES and os.environ.get("CI") != "true":
        pytest.skip(f"no cases in {FOLDER}; name the folder with SIGWARD_CONFORMANCE")
    assert len(CASES) == 50
    assert {case.name for case in CASES if case.name.endswith("_fail")} == set(REASONS)


@pytest.mark.parametrize("case", [case for case in CASES if not case.name.endswith("_fail")], ids=lambda case: case.name)
def test_verified(case: Path) -> None:
    (verified,) = judge(case)
    artifact = case / "artifact"
    assert verified.digest == Digest.of((artifact if artifact.exists() else FOLDER / "a.txt").read_bytes())
    keyed = (case / "key.pub").exists()
    assert verified.signer.id.startswith("key:sha256:" if keyed else "keyless:sha256:")
    assert keyed or verified.signer.name == f"{IDENTITY} (issuer {ISSUER})"
    assert verified.claim is (Claim.ATTESTATION if verified.predicate_type else Claim.SIGNATURE)


@pytest.mark.parametrize("case", [case for case in CASES if case.name.endswith("_fail")], ids=lambda case: case.name)
def test_refused_for_the_reason_named(case: Path) -> None:
    with pytest.raises(Refused) as caught:
        judge(case)
    assert caught.value.reason.code is REASONS[case.name], caught.value
    assert WORDS.get(case.name, "") in f"{caught.value}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_command_says_the_same(case: Path) -> None:
    """`sigward verify-bundle` speaks the suite's own protocol; its exit status is the verdict."""
    key, root = case / "key.pub", case / "trusted_root.json"
    issuer, identity = read(case, "issuer", ISSUER), read(case, "identity", IDENTITY)
    who = ("--key", key) if key.exists() else ("--certificate-identity", identity, "--certificate-oidc-issuer", issuer)
    more = ("--trusted-root", root) if root.exists() else ()
    artifact = case / "artifact" if (case / "artifact").exists() else FOLDER / "a.txt"
    for signed in (artifact, Digest.of(artifact.read_bytes())):
        ran = run("verify-bundle", "--bundle", case / "bundle.sigstore.json", *who, *more, "-o", "json", signed)
        document = ran.document
        if case.name.endswith("_fail"):
            assert (ran.code, document["reason"]["code"]) == (1, REASONS[case.name])
        else:
            assert (ran.code, document["reason"]) == (0, None)
