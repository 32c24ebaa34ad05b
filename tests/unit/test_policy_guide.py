"""docs/policy.md and policies/ say what the models say."""

import re
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.compile import compile_one, compile_policies
from controller.compile.exceptions import compile_exception
from controller.decision.report import Verdict
from controller.errors import Code
from controller.policy import guide
from controller.policy.store import read_directory, read_text
from controller.policy.yamlfile import read
from controller.reference import Repository
from controller.settings import Settings
from tests.fakes.evidence import signature
from tests.fakes.keys import signing_key
from tests.fakes.policies import LIMITS, reason_codes, verdict

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "policies").glob("*/policy.yaml"))


def test_the_tables_of_fields_are_those_of_the_models() -> None:
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    assert text.endswith(guide.tables()), "python -m controller.policy.guide docs/policy.md"


def test_the_table_of_settings_is_that_of_the_models() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert text.endswith(guide.settings_table()), "python -m controller.policy.guide docs/settings.md"
    assert {row.meaning[-1:] for row in guide.rows(Settings)} <= {".", ""}


def test_every_field_says_what_it_holds_and_means() -> None:
    rows = list(guide.rows())
    assert len({row.path for row in rows}) == len(rows)
    assert all(row.holds and row.meaning.endswith(".") for row in rows)
    by_path = {row.path: row for row in rows}
    assert by_path["require[].onMissing"].holds == "Deny, Warn, Ignore"
    assert by_path["authorities[].keys[].pem"].holds == "text"
    assert by_path["mode"].default == "Enforce"
    assert by_path["signatureRepositories"].later


def test_the_guides_example_is_a_policy() -> None:
    text = (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    first, second = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (parsed,) = read(first.encode(), "docs/policy.md", LIMITS)
    assert parsed.value["spec"]["match"] == {"images": ["registry.example.com/**"]}
    (exception,) = read_text(second.encode(), "docs/policy.yaml", LIMITS)
    just_before = datetime(2026, 11, 23, 18, tzinfo=UTC).timestamp()
    assert compile_exception(exception, LIMITS, just_before).requirements == frozenset({"signed"})


def test_the_readmes_policy_is_whole() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (document,) = read_text(block.encode(), "README.yaml", LIMITS)
    assert compile_one(document, LIMITS).broken is None


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_each_example_compiles_and_is_explained(folder: Path) -> None:
    documents = read_directory(folder, LIMITS).documents
    assert documents
    for document in documents:
        if document.kind == "TrustException":
            assert compile_exception(document, LIMITS).owner
        else:
            assert compile_one(document, LIMITS).broken is None
    assert (folder / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_the_company_key_example_admits_what_the_company_signed_with_either_key() -> None:
    text = (ROOT / "policies" / "company-key" / "policy.yaml").read_text(encoding="utf-8")
    blocks = re.findall(r" *-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n", text, re.DOTALL)
    own = textwrap.indent(signing_key().public_pem, " " * 12)
    assert len(blocks) == 2
    for block in blocks:
        documents = read_text(text.replace(block, own).encode(), "policy.yaml", LIMITS)
        assert verdict(documents, signature(signing_key())).verdict is Verdict.ALLOW


def test_the_company_key_example_refuses_what_the_company_did_not_sign() -> None:
    documents = read_directory(ROOT / "policies" / "company-key", LIMITS).documents
    (policy,) = compile_policies(documents, 1, LIMITS).policies
    assert policy.authorities[0].judge.description.count("SHA256:") == 2
    assert not policy.scope.about(Repository("docker.io", "library/nginx"))
    report = verdict(documents, signature(signing_key()))
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.WRONG_KEY})
