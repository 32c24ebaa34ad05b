"""Sigward itself beside the cluster: a replica under its own ServiceAccount, reached through a Service's address."""

import base64
import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from controller.certificates import self_signed
from controller.cluster import permissions
from tests.e2e.cluster import Cluster
from tests.e2e.processes import free_port, running, until

SYSTEM: Final = "sigward-system"
TLS: Final = "sigward-tls"


@dataclass(frozen=True, slots=True)
class Replica:
    """A running `sigward serve`: where its health is, and its log."""

    health: str
    log: Path
    process: int

    def ready(self) -> str:
        """Empty when it is ready, else why not."""
        status, text = _get(f"{self.health}/readyz")
        return "" if status == 200 else text.strip() or "no answer"

    def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        _, text = _get(f"{self.health}/metrics")
        found = [line.split()[-1] for line in text.splitlines() if line.startswith(f"{name} ")]
        return float(found[0]) if found else float("nan")

    @property
    def resident(self) -> float:
        """Memory in MiB."""
        return self.metric("process_resident_memory_bytes") / 2**20


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own process, on loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


@dataclass
class Installation:
    """Everything but the process: namespace, roles, Service, certificate, webhook configuration."""

    cluster: Cluster
    folder: Path
    settings: dict[str, Any]
    scope: dict[str, str]
    address: str = ""
    kubeconfig: Path = Path()
    names: list[str] = field(default_factory=list)

    def install(self) -> None:
        """Put it there, the webhook configuration last and only for namespaces with the labels of `scope`."""
        cluster = self.cluster
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}, _service())
        self.address = cluster.get("-n", SYSTEM, "service", "sigward")["spec"]["clusterIP"]
        self.kubeconfig = cluster.service_account(SYSTEM, "sigward")
        cluster.apply(*_roles())
        self.exchange_certificate()
        (self.folder / "settings.yaml").write_text(yaml.safe_dump(self.settings), encoding="utf-8")

    def exchange_certificate(self) -> None:
        """A new serving certificate, and the configuration that trusts it."""
        pair = self_signed([f"sigward.{SYSTEM}.svc", self.address])
        data = {"tls.crt": pair.certificate.decode(), "tls.key": pair.key.decode()}
        secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "stringData": data}
        self.cluster.apply({**secret, "metadata": {"name": TLS, "namespace": SYSTEM}})
        (self.folder / "ca.pem").write_bytes(pair.certificate)

    def configure(self, *, workloads: bool = True) -> None:
        """Have the API server ask; without `workloads` about Pods only."""
        bundle = (self.folder / "ca.pem").read_text(encoding="utf-8")
        self.cluster.apply(*_webhooks(bundle, self.scope, workloads=workloads))

    def remove(self) -> None:
        """Nothing of it asks any more."""
        for kind in ("validatingwebhookconfiguration", "mutatingwebhookconfiguration"):
            self.cluster.kubectl("delete", kind, "sigward-e2e", "--ignore-not-found")

    @contextmanager
    def replica(self, *, address: str = "", name: str = "replica") -> Iterator[Replica]:
        """Run a replica at the Service's address, or at another one."""
        port, log = free_port(), self.folder / f"{name}.log"
        command = [sys.executable, "-m", "controller", "serve", "--kubeconfig", str(self.kubeconfig), "--namespace", SYSTEM]
        command += ["--tls-secret", TLS, "--config", str(self.folder / "settings.yaml")]
        command += ["--host", address or self.address, "--port", "443"]
        command += ["--metrics-host", "127.0.0.1", "--metrics-port", str(port)]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": str(Path.cwd())}
        with running(command, log, env=env) as process:
            replica = Replica(f"http://127.0.0.1:{port}", log, process.pid)
            until(lambda: not replica.ready(), "a ready replica", log)
            yield replica

    def audit(self, name: str = "replica") -> list[dict[str, Any]]:
        """The audit lines of a replica so far."""
        lines = (self.folder / f"{name}.log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if '"sigward.audit"' in line]


def _service() -> dict[str, Any]:
    spec = {"selector": {"app": "sigward"}, "ports": [{"port": 443, "targetPort": 443}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "sigward", "namespace": SYSTEM}, "spec": spec}


def _roles() -> list[dict[str, Any]]:
    rbac = "rbac.authorization.k8s.io"
    subjects = [{"kind": "ServiceAccount", "name": "sigward", "namespace": SYSTEM}]
    whole = [rule.document() for rule in (*permissions.SERVE, *permissions.SECRETS)]
    own = [permissions.own_secret(TLS).document()]
    made = []
    placed = {"name": "sigward", "namespace": SYSTEM}
    for kind, rules, metadata in (("ClusterRole", whole, {"name": "sigward"}), ("Role", own, placed)):
        head = {"apiVersion": f"{rbac}/v1", "metadata": metadata}
        made.append({**head, "kind": kind, "rules": rules})
        ref = {"apiGroup": rbac, "kind": kind, "name": "sigward"}
        made.append({**head, "kind": f"{kind}Binding", "roleRef": ref, "subjects": subjects})
    return made


def _rule(group: str, resources: list[str], operations: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "apiVersions": ["*"], "resources": resources, "operations": operations}


_WORKLOADS: Final = (
    ("apps", ["deployments", "replicasets", "statefulsets", "daemonsets"]),
    ("batch", ["jobs", "cronjobs"]),
    ("", ["replicationcontrollers", "podtemplates"]),
)


def _webhooks(bundle: str, scope: dict[str, str], *, workloads: bool) -> list[dict[str, Any]]:
    both = ["CREATE", "UPDATE"]
    pods = [_rule("", ["pods", "pods/ephemeralcontainers"], both)]
    kinds = [_rule(group, resources, both) for group, resources in _WORKLOADS] if workloads else []
    own = [_rule("sigward.dev", ["*"], both)]
    selected = {"namespaceSelector": {"matchLabels": scope}}
    validating = [
        _webhook("validate", "/validate", pods + kinds, bundle, failurePolicy="Fail", **selected),
        _webhook("policies", "/policies", own, bundle, failurePolicy="Fail"),
    ]
    extra = {"failurePolicy": "Ignore", "reinvocationPolicy": "IfNeeded", **selected}
    mutating = [_webhook("mutate", "/mutate", [_rule("", ["pods"], ["CREATE"])], bundle, **extra)]
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "sigward-e2e"}}
    return [
        {**head, "kind": "ValidatingWebhookConfiguration", "webhooks": validating},
        {**head, "kind": "MutatingWebhookConfiguration", "webhooks": mutating},
    ]


def _webhook(name: str, path: str, rules: list[dict[str, Any]], bundle: str, **more: Any) -> dict[str, Any]:
    service = {"namespace": SYSTEM, "name": "sigward", "path": path, "port": 443}
    return {
        "name": f"{name}.sigward.dev",
        "clientConfig": {"service": service, "caBundle": base64.b64encode(bundle.encode()).decode()},
        "rules": rules,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 10,
        "matchPolicy": "Equivalent",
        **more,
    }
