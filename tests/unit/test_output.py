"""The published schema is the code's, and what the code writes is the schema's."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.decision.report import Verdict
from controller.errors import Code, Invalid, Refused, SigwardError, Undecided
from controller.render import json as rendered
from controller.render import output
from tests.fakes import jsonschema, reports

SCHEMA: dict[str, Any] = json.loads(Path("docs/output.schema.json").read_text(encoding="utf-8"))
REPORTS = [reports.allowed(), reports.warned(), reports.refused(), reports.undecided()]


def written(document: output.Document) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(rendered.encode(document))
    return value


def test_the_published_schema_is_the_one_the_code_writes_by() -> None:
    assert output.schema() == SCHEMA, (
        "python -c 'import json; from controller.render.output import schema; print(json.dumps(schema(), indent=2))'"
        " > docs/output.schema.json, and a line in docs/output.md"
    )


@pytest.mark.parametrize("kind", ["Verification", "Batch", "Tree", "Demo", "Error"])
def test_every_kind_and_every_member_is_described_in_the_reference(kind: str) -> None:
    text = Path("docs/output.md").read_text(encoding="utf-8")
    assert f"`{kind}`" in text
    for name in SCHEMA["$defs"][kind]["properties"]:
        assert f"`{name}`" in text, name


def test_a_verification_holds_every_report_whole() -> None:
    document = written(rendered.verification([rendered.image(report) for report in REPORTS]))
    assert jsonschema.problems(document, SCHEMA) == []
    assert [image["result"] for image in document["images"]] == ["Pass", "Pass", "Refused", "Undecided"]
    assert document["summary"] == {"total": 4, "passed": 2, "warned": 1, "refused": 1, "undecided": 1}
    assert (document["version"], document["result"], document["exitCode"]) == (1, "Refused", 1)
    check = document["images"][2]["policies"][0]["requirements"][0]["checks"][0]
    assert (check["proved"], check["reason"]["code"], check["trusts"]) == (False, "WrongKey", reports.RELEASE)
    assert document["images"][2]["next"] == "sign this digest with a key the policy trusts"


@pytest.mark.parametrize(
    ("results", "worst", "code"),
    [
        ([], "Refused", 1),
        (["Pass"], "Pass", 0),
        (["Pass", "Undecided"], "Undecided", 3),
        (["Undecided", "Refused", "Pass"], "Refused", 1),
    ],
)
def test_the_worst_result_decides_and_nothing_at_all_is_no_pass(
    results: list[output.Result], worst: output.Result, code: int
) -> None:
    assert rendered.worst(results) == worst
    assert rendered.exit_code(worst) == code


@pytest.mark.parametrize(
    ("error", "code", "field"),
    [
        (Invalid(Code.INVALID_KEY, "no key", field="--key"), 2, "--key"),
        (Refused(Code.NOT_FOUND, "not there"), 1, ""),
        (Undecided(Code.UNREACHABLE, "no answer", source="registry.example.com"), 3, ""),
    ],
)
def test_a_failure_is_a_document_too(error: SigwardError, code: int, field: str) -> None:
    document = written(rendered.error(error))
    assert jsonschema.problems(document, SCHEMA) == []
    assert (document["kind"], document["exitCode"], document["field"]) == ("Error", code, field)
    assert document["reason"]["code"] == error.reason.code


def test_a_refusal_that_rests_on_open_questions_alone_is_undecided() -> None:
    both = reports.report(Verdict.DENY, *reports.undecided().policies, *reports.refused().policies)
    assert rendered.result(both) == "Refused"
    assert rendered.result(reports.undecided()) == "Undecided"


def test_the_validator_of_these_tests_can_say_no() -> None:
    document = written(rendered.verification([rendered.image(reports.refused())]))
    changes: list[dict[str, Any]] = [
        {"version": 2},
        {"result": "Maybe"},
        {"images": {}},
        {"surprise": 1},
        {"exitCode": True},
    ]
    for change in (*changes, {"kind": "Tree"}):
        assert jsonschema.problems({**document, **change}, SCHEMA) != [], change
    del document["images"][0]["digest"]
    assert jsonschema.problems(document, SCHEMA) != []
