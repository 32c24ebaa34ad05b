"""`sigward demo`: the product at work, without cluster, Docker or network.

A registry and the real webhook run in this process; each scenario is a real AdmissionReview over TLS, sent by a client that
verifies the server's certificate.
"""

import argparse
import asyncio
import io
import ssl
import tempfile
import textwrap
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, TCPConnector

from controller.admission.pods import ImageTable
from controller.app import App, Options
from controller.certificates import self_signed
from controller.commands import exits, options, trust
from controller.commands.saying import note, say, style
from controller.compile.compiled import Effect
from controller.decision.report import Report, Verdict
from controller.demo.scenarios import SCENARIOS, Scenario
from controller.demo.stage import Document, Stage, policies, staged
from controller.errors import Code, Invalid
from controller.render import json, output
from controller.render.clean import clean
from controller.render.findings import findings, refusals
from controller.render.text import branch
from controller.render.tree import WIDTH, Mark, Style, draw
from controller.server.tls import CertificateFiles
from controller.settings import Limits, RegistrySettings, Settings

_EXAMPLES: Final = """\
  sigward demo
  sigward demo --only unsigned --only "wrong key"
  sigward demo --output json

exit status: 0 every scenario came out as expected, 1 one did not, 2 wrong usage
"""
_OPENING: Final = (
    "A registry and the admission webhook run in this process. Each scenario is a real AdmissionReview over TLS, "
    "answered from four trust policies: corp (signed by release), payments (two of three people), catalog (an SBOM too), "
    "platform (signed by its release workflow, without a key)."
)
_HOST: Final = "127.0.0.1"
_REGISTRY_PORT: Final = 5000
_PATIENCE: Final = 10
_INDENT: Final = "  "


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scenario came out: the webhook's answer and the reports behind it."""

    scenario: Scenario
    allowed: bool
    message: str
    warnings: tuple[str, ...]
    reports: tuple[Report, ...]

    @property
    def came(self) -> str:
        """Verdict and reason, as `Scenario.expected` writes them."""
        order = (Verdict.DENY, Verdict.WARN, Verdict.AUDIT, Verdict.ALLOW)
        worst = min(self.reports, key=lambda report: order.index(report.verdict))
        if worst.verdict is Verdict.DENY:
            return f"{worst.verdict} {refusals(worst)[0].reason.code}"
        warned = findings(worst, Effect.WARN)
        return f"{worst.verdict} {warned[0].reason.code}" if warned else str(worst.verdict)

    @property
    def as_expected(self) -> bool:
        """Whether webhook and reports agree with each other, and with the scenario."""
        denied = any(report.verdict is Verdict.DENY for report in self.reports)
        return self.came == self.scenario.expected and self.allowed is not denied


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    options.describe(
        parser,
        "Start a registry and the webhook in this process, sign images well and badly, and show the verdicts.",
        _EXAMPLES,
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORDS", help="scenarios whose name has these words; may be repeated"
    )
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Play the scenarios; returns the exit status.

    Raises:
        Invalid: No scenario has the words of `--only`.
    """
    chosen = _able(_chosen(arguments.only))
    outcomes = asyncio.run(play(chosen, _REGISTRY_PORT))
    as_expected = all(outcome.as_expected for outcome in outcomes)
    say(_document(outcomes, as_expected=as_expected), _text(outcomes, style()), arguments)
    return exits.PASS if as_expected else exits.REFUSED


def _able(chosen: Sequence[Scenario]) -> list[Scenario]:
    """Those that can be played with what is installed; the others are named."""
    for scenario in chosen:
        if not scenario.needs():
            note(f"left out, because the extra it needs is not installed: {scenario.name}")
    return [scenario for scenario in chosen if scenario.needs()]


def _chosen(only: Sequence[str]) -> list[Scenario]:
    unknown = next((words for words in only if not any(words.lower() in s.name.lower() for s in SCENARIOS)), None)
    if unknown is not None:
        names = ", ".join(scenario.name for scenario in SCENARIOS)
        raise Invalid(
            Code.INVALID_USAGE,
            "no scenario has these words in its name",
            field="--only",
            expected=names,
            found=repr(unknown),
        )
    return [s for s in SCENARIOS if not only or any(words.lower() in s.name.lower() for words in only)]


async def play(scenarios: Sequence[Scenario], port: int = 0) -> list[Outcome]:
    """Play `scenarios`, one after the other; the registry listens at `port` if that is free (0: at any)."""
    with tempfile.TemporaryDirectory(prefix="sigward-demo-") as folder:
        async with staged(port) as stage:
            settings = _settings(stage)
            certificate = self_signed([_HOST]).write(Path(folder))
            app = App(settings, _options(Path(folder), stage, certificate), io.StringIO())
            trusted = ssl.create_default_context(cafile=str(certificate[0]))
            async with app, ClientSession(connector=TCPConnector(ssl=trusted)) as client:
                return [await _play(scenario, stage, app, client, settings) for scenario in scenarios]


async def _play(scenario: Scenario, stage: Stage, app: App, client: ClientSession, settings: Settings) -> Outcome:
    document = scenario.arrange(stage)
    url = f"https://{_HOST}:{app.port}/validate?timeout={_PATIENCE}s"
    async with client.post(url, json=review(document)) as answer:
        response = (await answer.json())["response"]
    group = document["apiVersion"].rpartition("/")[0]
    subjects = ImageTable((), settings.limits).images((group, document["kind"]), document, "shop")
    reports = await app.explain(subjects, _PATIENCE)
    message = str(response.get("status", {}).get("message", ""))
    return Outcome(scenario, response["allowed"], message, tuple(response.get("warnings", ())), reports)


def review(document: Document) -> Document:
    """What the API server sends when somebody creates `document`."""
    group, _, version = document["apiVersion"].rpartition("/")
    kind = {"group": group, "version": version, "kind": document["kind"]}
    resource = {"group": group, "version": version, "resource": f"{document['kind'].lower()}s"}
    metadata = document["metadata"]
    request: dict[str, Any] = {
        "uid": str(uuid.uuid4()),
        "kind": kind,
        "resource": resource,
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "operation": "CREATE",
        "userInfo": {"username": "jane"},
        "object": document,
        "oldObject": None,
        "dryRun": False,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def _settings(stage: Stage) -> Settings:
    plain_http = RegistrySettings(insecure=True)
    return Settings(
        registries={stage.registry.host: plain_http, stage.away.host: plain_http},
        limits=Limits(lame_duck=0, drain=1),
    )


def _options(folder: Path, stage: Stage, certificate: tuple[Path, Path]) -> Options:
    directory = folder / "policies"
    directory.mkdir()
    for name, document in policies(stage).items():
        (directory / f"{name}.yaml").write_text(trust.as_yaml(document), encoding="utf-8")
    return Options(directory, CertificateFiles(*certificate), _HOST, 0, _HOST, 0)


def _text(outcomes: Sequence[Outcome], drawing: Style) -> str:
    parts = [
        "\n".join(textwrap.wrap(_OPENING, WIDTH)),
        *(_told(number, outcome, drawing) for number, outcome in enumerate(outcomes, 1)),
    ]
    wrong = [outcome.scenario.name for outcome in outcomes if not outcome.as_expected]
    if wrong:
        parts.append(f"{len(outcomes)} scenarios; not as expected: {', '.join(wrong)}")
    else:
        parts.append(f"{len(outcomes)} scenarios, all as expected." if len(outcomes) > 1 else "1 scenario, as expected.")
    return "\n\n".join(parts)


def _told(number: int, outcome: Outcome, drawing: Style) -> str:
    """What happened and what to take from it, the webhook's words, and the tree behind them."""
    scenario = outcome.scenario
    lines = [drawing.bold(f"{number}. {scenario.name}"), *_wrapped(scenario.happened), *_wrapped(scenario.lesson)]
    lines += ["", *_answered(outcome, drawing), ""]
    narrow = Style(drawing.colour, drawing.ascii, WIDTH - len(_INDENT))
    for report in outcome.reports:
        lines += textwrap.indent(draw(branch(report), narrow), _INDENT).splitlines()
    if not outcome.as_expected:
        lines += _wrapped(f"NOT AS EXPECTED: expected {scenario.expected}, came {outcome.came}")
    return "\n".join(lines)


def _answered(outcome: Outcome, drawing: Style) -> list[str]:
    mark = Mark.GOOD if outcome.allowed else Mark.BAD
    first = "allowed" if outcome.allowed else f"denied: {clean(outcome.message)}"
    lines = _wrapped(f"webhook: {first}")
    for warning in outcome.warnings:
        lines += _wrapped(f"warning: {clean(warning)}")
        mark = Mark.WARN if outcome.allowed else mark
    return [drawing.paint(line, mark) for line in lines]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )


def _document(outcomes: Sequence[Outcome], *, as_expected: bool) -> output.Demo:
    return output.Demo(1, 0 if as_expected else 1, [_scenario(outcome) for outcome in outcomes])


def _scenario(outcome: Outcome) -> output.Scenario:
    return output.Scenario(
        name=outcome.scenario.name,
        lesson=outcome.scenario.lesson,
        expected=outcome.scenario.expected,
        came=outcome.came,
        as_expected=outcome.as_expected,
        response=output.Response(outcome.allowed, outcome.message, list(outcome.warnings)),
        images=[json.image(report) for report in outcome.reports],
    )
