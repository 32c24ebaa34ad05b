"""The conformance suite as policies put it: what is written in a policy is the judge that the suite was tried on."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.decision.report import Verdict
from controller.policy.store import Document
from controller.reference import Digest
from tests.conformance.test_sigstore import CASES, FOLDER, IDENTITY, ISSUER, judge, judge_of, read
from tests.fakes.evidence import attachment, one
from tests.fakes.policies import policy, reason_codes, snapshot, spec, trust_root, verdict

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PASSING = [case for case in CASES if not case.name.endswith("_fail")]


def documents(case: Path, **fields: Any) -> list[Document]:
    """The policy that trusts whom the case says, after the TrustRoot where it brings one."""
    own = case / "trusted_root.json"
    root = "own" if own.exists() else "public-good"
    who = {
        "issuer": {"exact": read(case, "issuer", ISSUER)},
        "subject": {"exact": read(case, "identity", IDENTITY)},
    }
    authority: dict[str, Any] = {"name": "case", "keyless": {"trustRoot": root, "identities": [who]}}
    if (case / "key.pub").exists():
        pem = {"pem": read(case, "key.pub", "")}
        authority = {"name": "case", "keys": [pem], "trustRoot": root, "transparencyLog": "Required"}
    written = policy(spec(authority, **fields))
    return [trust_root("own", json.loads(own.read_bytes())), written] if own.exists() else [written]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_judge_is_the_same(case: Path) -> None:
    (compiled,) = snapshot(*documents(case)).policies
    assert compiled.broken is None
    assert compiled.authorities[0].judge.fingerprint == judge_of(case).fingerprint


@pytest.mark.parametrize("case", PASSING, ids=lambda case: case.name)
def test_admitted(case: Path) -> None:
    (fact,) = judge(case)
    rule = {"attestation": {"predicateType": fact.predicate_type}} if fact.predicate_type else {"signature": {}}
    evidence = one(attachment(BUNDLE, (case / "bundle.sigstore.json").read_bytes(), artifact_type=BUNDLE))
    policies = documents(case, require=[{"name": "given", **rule}])
    assert verdict(policies, evidence, digest=fact.digest).verdict is Verdict.ALLOW
    other = verdict(policies, evidence, digest=Digest.of(b"another"))
    assert other.verdict is Verdict.DENY
    assert {str(code) for code in reason_codes(other)} & {"WrongDigest", "SignatureInvalid", "LogEntryMismatch"}


def test_there_are_cases() -> None:
    assert bool(CASES) == FOLDER.is_dir()
