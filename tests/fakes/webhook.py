"""The real app in this process, spoken to as the API server does: an AdmissionReview over TLS."""

import base64
import io
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml
from aiohttp import ClientSession, TCPConnector

from controller.app import App, Options
from controller.certificates import self_signed
from controller.server.tls import CertificateFiles
from controller.settings import Limits, Settings
from tests.fakes.reviews import body


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP answer; `document` is the AdmissionReview in it, empty where there is none."""

    status: int
    headers: Mapping[str, str]
    text: str
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def response(self) -> dict[str, Any]:
        """The AdmissionResponse."""
        found: dict[str, Any] = self.document["response"]
        return found

    @property
    def allowed(self) -> bool:
        """The verdict."""
        assert isinstance(self.response["allowed"], bool)
        return self.response["allowed"]

    @property
    def message(self) -> str:
        """Why it was denied."""
        return str(self.response.get("status", {}).get("message", ""))

    @property
    def warnings(self) -> list[str]:
        """What the caller is told beside the verdict."""
        return list(self.response.get("warnings", []))

    @property
    def patch(self) -> list[dict[str, Any]]:
        """The JSON patch, decoded."""
        found = self.response.get("patch")
        return [] if found is None else list(json.loads(base64.b64decode(found)))


class Webhook:
    """`async with Webhook(folder, policies) as webhook: await webhook.validate(review)`.

    Args:
        folder: An empty folder for policies and certificate.
        policies: Documents (mappings, or texts of YAML); written to files of their own, see `write_policy`.
        settings: Cluster facts; by default private registries on this machine must be named by a policy.
        clock: POSIX seconds for the app.
    """

    def __init__(
        self,
        folder: Path,
        policies: Mapping[str, Any] | None = None,
        settings: Settings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self.policies = folder / "policies"
        self.policies.mkdir(parents=True)
        for name, document in (policies or {}).items():
            self.write_policy(name, document)
        self.settings = settings or Settings(limits=Limits(lame_duck=0, drain=5))
        self.certificate, self.key = self_signed(["127.0.0.1", "localhost"]).write(folder)
        self.audit = io.StringIO()
        self.client = ssl.create_default_context(cafile=str(self.certificate))
        files = CertificateFiles(self.certificate, self.key, self.settings.client_ca_file)
        self.options = Options(self.policies, files, "127.0.0.1", 0, "127.0.0.1", 0)
        self.app = App(self.settings, self.options, self.audit, clock)
        self._session: ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self.app.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
        await self.app.stop(wait=False)

    def write_policy(self, name: str, document: Any) -> Path:
        """Write (or replace) the policy file `name.yaml`; the running app sees it at its next look."""
        path = self.policies / f"{name}.yaml"
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
        return path

    @property
    def session(self) -> ClientSession:
        """A client that trusts the webhook's first certificate and keeps connections."""
        if self._session is None:
            self._session = ClientSession(connector=TCPConnector(ssl=self.client, limit=0))
        return self._session

    async def validate(self, review: Any, **query: str) -> Response:
        """Ask for a verdict; `review` is a document, or bytes sent as they are."""
        return await self.post("/validate", review, **query)

    async def mutate(self, review: Any, **query: str) -> Response:
        """Ask for the digest patch."""
        return await self.post("/mutate", review, **query)

    async def apply(self, review: Any, **query: str) -> Response:
        """Ask whether one of our own resources may be written."""
        return await self.post("/policies", review, **query)

    async def post(self, path: str, review: Any, **query: str) -> Response:
        """Send an AdmissionReview to `path`, by default with the API server's own timeout of ten seconds."""
        raw = review if isinstance(review, bytes) else body(review)
        url = f"https://127.0.0.1:{self.app.port}{path}"
        headers = {"Content-Type": "application/json"}
        async with self.session.post(url, data=raw, params={"timeout": "10s", **query}, headers=headers) as answer:
            text = await answer.text()
            is_json = answer.content_type == "application/json"
            return Response(answer.status, dict(answer.headers), text, json.loads(text) if is_json else {})

    async def get(self, path: str) -> Response:
        """Ask the health and metrics port."""
        async with self.session.get(f"http://127.0.0.1:{self.app.metrics_port}{path}") as answer:
            return Response(answer.status, dict(answer.headers), await answer.text())

    @property
    def audit_lines(self) -> list[dict[str, Any]]:
        """Every audit line so far."""
        return [json.loads(line) for line in self.audit.getvalue().splitlines()]


def reasons(webhook: Webhook, answer: Response) -> list[str]:
    """The codes behind the last answer, which the audit log has; no message is too long for it."""
    line = webhook.audit_lines[-1]
    assert line["allowed"] is answer.allowed
    policies = [found for image in line["images"] for found in image["policies"]]
    return [reason["code"] for found in policies for reason in found.get("reasons", [])]
