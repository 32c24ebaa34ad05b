import io
from dataclasses import replace

import pytest

from controller.compile.compiled import Effect
from controller.decision.report import Outcome, Verdict
from controller.errors import Code, Reason
from controller.reference import Reference
from controller.render.advice import next_step
from controller.render.text import explanation, summary
from controller.render.tree import Branch, Field, Mark, Style, draw
from tests.fakes import reports

REFUSED = """\
✗ registry.example.com/shop/web:1.4 (web)
│  verdict  Deny
│  digest   sha256:cd8c8063e1ece780d8881a24978c0be61d45b606683427e59f36c8d3790cb8a6
│  at       /spec/containers/0/image
├─ ✗ policy corp (ClusterTrustPolicy, Enforce): refused
│  └─ ✗ signed (signature): failed (WrongKey)
│     │  expected  a signature by release (key SHA256:ab12cd34ef56…)
│     │  found     1, by key SHA256:9c41aa00bb11…
│     └─ ✗ release: key SHA256:ab12cd34ef56…
│        └─ ✗ cosign signature at tag sha256-cd8c8063e1ec….sig, layer 1
│             why    no trusted key made this signature (WrongKey)
│             found  a signature by key SHA256:9c41aa00bb11…
└─ → sign this digest with a key the policy trusts
     cosign sign --key KEY \\
       registry.example.com/shop/web@sha256:cd8c8063e1ece780d8881a24978c0be61d45b606683427e59f36c8d3790cb8a6"""

WARNED = """\
! registry.example.com/shop/web:1.4 (web)
│  verdict  Warn
│  digest   sha256:cd8c8063e1ece780d8881a24978c0be61d45b606683427e59f36c8d3790cb8a6
│  at       /spec/containers/0/image
└─ ! policy corp (ClusterTrustPolicy, Enforce): warned about
   ├─ ✓ signed (signature): pass
   │  └─ ✓ release: key SHA256:ab12cd34ef56…
   │     └─ ✓ sigstore bundle at referrer sha256:cd8c8063e1ec
   └─ ! bill (sbom): missing, warned about (NoEvidence)
        expected  an SBOM of type https://cyclonedx.org/bom by ci
        found     none"""

UNDECIDED = """\
? registry.example.com/shop/web:1.4 (web)
|  verdict  Deny (undecided)
|  at       /spec/containers/0/image
|- ? policy corp (ClusterTrustPolicy, Enforce): undecided, refused
|    why    image: registry.example.com did not answer (Unreachable)
|    found  the connection broke: refused
`- > check the registry's name; try again; if it lasts, tell whoever runs the registry"""


def test_a_refusal_is_told_from_image_to_check_and_ends_in_what_to_do() -> None:
    assert explanation(reports.refused(), Style()) == REFUSED


def test_a_warning_shows_what_passed_and_what_is_missing() -> None:
    assert explanation(reports.warned(), Style()) == WARNED


def test_an_open_question_looks_like_one_and_ascii_will_do() -> None:
    assert explanation(reports.undecided(), Style(ascii=True)) == UNDECIDED


def test_the_brief_tree_says_in_one_line_who_signed() -> None:
    lines = explanation(reports.warned(), Style(), brief=True).splitlines()
    assert "   ├─ ✓ signed (signature): pass, by release (key SHA256:ab12cd34ef56…)" in lines
    assert not any("sigstore bundle" in line for line in lines)
    assert "        expected  an SBOM of type https://cyclonedx.org/bom by ci" in lines


def test_another_spelling_of_the_image_is_told_what_it_means() -> None:
    nginx = replace(reports.allowed(), named=reports.named(image="nginx"), reference=Reference.parse("nginx"))
    assert "means    docker.io/library/nginx" in explanation(nginx, Style())


def test_evidence_from_before_an_outage_is_called_stale() -> None:
    assert "judged on evidence from before" in explanation(replace(reports.allowed(), stale=True), Style())


def test_what_is_ignored_or_only_recorded_does_not_look_refused() -> None:
    ignored = replace(reports.NO_SBOM, effect=Effect.IGNORE)
    recorded = replace(reports.WRONGLY_SIGNED, effect=Effect.AUDIT)
    text = explanation(reports.report(Verdict.AUDIT, reports.policy(ignored, recorded)), Style())
    assert "· bill (sbom): missing, ignored (NoEvidence)" in text
    assert "· signed (signature): failed, recorded (WrongKey)" in text
    assert "✗ policy" not in text


def test_a_revoked_image_names_the_policy_that_says_so() -> None:
    revoked = Reason(Code.REVOKED, "the image is revoked", found=str(reports.DIGEST))
    text = explanation(reports.report(Verdict.DENY, reports.failed(revoked)), Style())
    assert "why    the image is revoked (Revoked)" in text
    assert "→ this was revoked: deploy another build" in text


def test_lines_fit_into_100_columns_except_what_is_to_be_copied() -> None:
    reason = Reason(Code.NO_EVIDENCE, "missing", "word " * 60, f"https://example.com/{'x' * 120} and more")
    long = replace(reports.WRONGLY_SIGNED, reason=reason)
    text = explanation(reports.report(Verdict.DENY, reports.policy(long)), Style())
    too_long = [line for line in text.splitlines() if len(line) > 100]
    assert [line.strip("│ ") for line in too_long if "https://" not in line and "@sha256" not in line] == []
    assert f"https://example.com/{'x' * 120}" in text
    # What is continued stands under what it continues.
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if "expected  word" in line)
    assert lines[first].index("word") == lines[first + 1].index("word")


def test_nothing_from_outside_reaches_the_terminal_raw() -> None:
    hostile = "\x1b[2Jgone\r\nforged \u202ereversed\x07"
    checks = (replace(reports.BY_INTERN, evidence=hostile, reason=Reason(Code.MALFORMED, hostile, hostile, hostile)),)
    signed = replace(reports.WRONGLY_SIGNED, name=hostile, note=hostile, reason=checks[0].reason, checks=checks)
    denied = replace(reports.refused(), policies=(reports.policy(signed),), named=reports.named(image=hostile))
    text = explanation(denied, Style())
    assert text.replace("\n", "").isprintable()
    assert not any(line.startswith("forged") for line in text.splitlines())


def test_colour_is_around_the_text_and_changes_none_of_it() -> None:
    plain = draw(Branch("title", Mark.GOOD, (Field("label", "text"),), (Branch("child", Mark.BAD),)), Style())
    painted = draw(Branch("title", Mark.GOOD, (Field("label", "text"),), (Branch("child", Mark.BAD),)), Style(colour=True))
    assert "\x1b[32m✓\x1b[0m" in painted
    assert "\x1b[31m✗\x1b[0m child" in painted
    for code in ("\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[1m", "\x1b[0m"):
        painted = painted.replace(code, "")
    assert painted == plain


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_gets_colour_unless_the_environment_says_no(environment: dict[str, str], *, colour: bool) -> None:
    assert Style.of(_Terminal(io.BytesIO(), encoding="utf-8"), environment) == Style(colour=colour)


def test_a_pipe_gets_no_colour_and_an_old_encoding_no_boxes() -> None:
    assert Style.of(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), {}) == Style()
    assert Style.of(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"), {}) == Style(ascii=True)


def test_the_summary_counts_in_words() -> None:
    every = [reports.allowed(), reports.warned(), reports.refused(), reports.refused(), reports.undecided()]
    assert summary(every) == "5 images: 1 allowed, 1 allowed with a warning, 2 refused, 1 undecided"
    assert summary([reports.allowed()]) == "1 image: 1 allowed"
    assert summary([]) == "0 images: nothing to judge"


def test_where_the_requirement_is_met_other_peoples_signatures_are_no_news() -> None:
    carol = "key SHA256:0ca401000000…"
    foreign = replace(reports.BY_INTERN, authority="carol", expected=carol)
    elsewhere = replace(reports.BY_INTERN, reason=Reason(Code.WRONG_DIGEST, "the signature is about another image"))
    met = replace(reports.SIGNED, checks=(reports.BY_RELEASE, reports.BY_INTERN, elsewhere, foreign))
    lines = explanation(reports.report(Verdict.ALLOW, reports.policy(met)), Style()).splitlines()
    assert lines[-6:] == [
        "   └─ ✓ signed (signature): pass",
        "      ├─ ✓ release: key SHA256:ab12cd34ef56…",
        "      │  ├─ ✓ sigstore bundle at referrer sha256:cd8c8063e1ec",
        "      │  └─ · cosign signature at tag sha256-cd8c8063e1ec….sig, layer 1",
        "      │       why  the signature is about another image (WrongDigest)",
        "      └─ · carol: key SHA256:0ca401000000…: nothing by it",
    ]


def test_one_of_several_keys_of_an_authority_is_named_where_it_signed() -> None:
    several = replace(reports.BY_RELEASE, expected=f"{reports.RELEASE}, SHA256:9c41aa00bb11…")
    text = explanation(reports.report(Verdict.ALLOW, reports.policy(replace(reports.SIGNED, checks=(several,)))), Style())
    assert "sigstore bundle at referrer sha256:cd8c8063e1ec: by key SHA256:ab12cd34ef56…" in text


def test_a_policy_with_one_open_requirement_is_undecided_not_refused() -> None:
    open_question = replace(reports.WRONGLY_SIGNED, outcome=Outcome.UNDECIDED, reason=reports.UNREACHABLE)
    text = explanation(reports.report(Verdict.DENY, reports.policy(open_question)), Style())
    assert "? policy corp (ClusterTrustPolicy, Enforce): undecided, refused" in text
    assert "? signed (signature): undecided" in text


def test_a_registry_that_answers_otherwise_than_expected_is_a_matter_of_settings() -> None:
    assert next_step(Code.UNREACHABLE, "", "TLS, or insecure: true for x in the settings").text.startswith(
        "have the platform team say in the settings"
    )
    assert next_step(Code.UNREACHABLE).text.startswith("check the registry's name; try again")
