"""policies/github-workflow means what it says, tried with a private Sigstore in place of the public ones."""

from pathlib import Path
from typing import Any

import pytest

from controller.decision.report import Report, Verdict
from controller.demo.mediatypes import COSIGN_SIGN
from controller.errors import Code
from controller.policy.store import Document, read_directory
from tests.fakes import sigstore
from tests.fakes.authorities import Identity
from tests.fakes.evidence import statement
from tests.fakes.policies import LIMITS, reason_codes, trust_root, verdict
from tests.fakes.sigstore import PrivateSigstore

FOLDER = Path(__file__).parents[2] / "policies" / "github-workflow"
PRIVATE = PrivateSigstore("private")
WORKFLOW = "https://github.com/acme/{}/.github/workflows/release.yml@{}"
PROVENANCE = "https://slsa.dev/provenance/v1"
HOSTED = {"runnerEnvironment": "github-hosted"}


def documents() -> list[Document]:
    found = [_under("private", document.value) for document in read_directory(FOLDER, LIMITS).documents]
    return [*found, trust_root("private", PRIVATE.document())]


def _under(root: str, value: Any) -> Document:
    for authority in value["spec"]["authorities"]:
        authority["keyless"]["trustRoot"] = root
    return Document(value)


def judged(repository: str, subject: str, kind: str, claims: dict[str, str], *, logged: bool) -> Report:
    holder = PRIVATE.holder(Identity(subject, claims=claims))
    logs = ("dsse",) if logged else ()
    document = PRIVATE.sign_statement(logs, stamps=not logged, holder=holder, content=statement(kind))
    return verdict(documents(), sigstore.evidence(document), image=f"ghcr.io/acme/{repository}/web")


@pytest.mark.parametrize(
    ("reference", "claims", "codes"),
    [
        ("refs/tags/v1.4.0", HOSTED, set()),
        ("refs/heads/main", HOSTED, {Code.WRONG_SUBJECT}),
        ("refs/tags/v1/x", HOSTED, {Code.WRONG_SUBJECT}),
        ("refs/tags/v1.4.0", {"runnerEnvironment": "self-hosted"}, {Code.WRONG_CLAIM}),
        ("refs/tags/v1.4.0", {}, {Code.WRONG_CLAIM}),
    ],
)
def test_a_release_tag_of_the_one_workflow(reference: str, claims: dict[str, str], codes: set[Code]) -> None:
    report = judged("shop", WORKFLOW.format("shop", reference), COSIGN_SIGN, claims, logged=True)
    assert (report.verdict is Verdict.ALLOW, reason_codes(report)) == (not codes, codes)


def test_another_repository_s_workflow() -> None:
    report = judged("shop", WORKFLOW.format("evil", "refs/tags/v1"), COSIGN_SIGN, HOSTED, logged=True)
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.WRONG_SUBJECT})


@pytest.mark.parametrize(("kind", "code"), [(PROVENANCE, None), ("https://spdx.dev/Document", Code.WRONG_PREDICATE_TYPE)])
def test_a_private_repository_has_no_log(kind: str, code: Code | None) -> None:
    report = judged("internal", WORKFLOW.format("internal", "refs/tags/v2"), kind, {}, logged=False)
    assert reason_codes(report) == ({code} if code else set())


def test_a_public_one_must_have_it() -> None:
    report = judged("shop", WORKFLOW.format("shop", "refs/tags/v1"), COSIGN_SIGN, HOSTED, logged=False)
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.LOG_REQUIRED})
