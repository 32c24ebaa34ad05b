"""A Kubernetes cluster for tests: the one that KUBECONFIG names, or an API server started here.

The one started here has etcd, kube-apiserver and kube-controller-manager on loopback, RBAC, and real ServiceAccount tokens.
Its ClusterIPs are loopback addresses (127.96.0.0/24), so a webhook configuration that names a Service reaches a process that
listens there. Nothing runs pods: they stay Pending, which is all that admission needs.
"""

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from controller.certificates import self_signed
from tests.e2e.processes import free_port, running, until
from tests.interop import tools

PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
_ADMIN: Final = "e2e-admin-token"
_CONTROLLERS: Final = (
    "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,job-controller,"
    "cronjob-controller,replicationcontroller-controller,serviceaccount-controller,serviceaccount-token-controller,"
    "namespace-controller,garbage-collector-controller"
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """An API server, as its administrator sees it. `audit` is its audit log, where it was started here."""

    kubeconfig: Path
    folder: Path
    server: str = ""
    audit: Path | None = None

    def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run kubectl as the administrator."""
        done = subprocess.run(
            [str(tools.find("kubectl")), "--kubeconfig", str(self.kubeconfig), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done

    def apply(self, *documents: Any, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """`kubectl apply --server-side` of the documents, in order."""
        text = "---\n".join(yaml.safe_dump(document) for document in documents)
        return self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text, check=check)

    def create(self, document: Any, *flags: str) -> "subprocess.CompletedProcess[str]":
        """`kubectl create`, whatever comes of it."""
        return self.kubectl("create", *flags, "-f", "-", stdin=yaml.safe_dump(document), check=False)

    def get(self, *arguments: str) -> Any:
        """`kubectl get -o json`."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)

    def service_account(self, namespace: str, name: str) -> Path:
        """A kubeconfig that holds a token of this ServiceAccount, made if it is not there."""
        if self.kubectl("-n", namespace, "get", "serviceaccount", name, check=False).returncode != 0:
            self.kubectl("-n", namespace, "create", "serviceaccount", name)
        token = self.kubectl("-n", namespace, "create", "token", name, "--duration=2h").stdout.strip()
        document = yaml.safe_load(self.kubectl("config", "view", "--raw", "--minify", "--flatten").stdout)
        document["users"] = [{"name": document["users"][0]["name"], "user": {"token": token}}]
        path = self.folder / f"{namespace}-{name}.kubeconfig"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """The cluster of KUBECONFIG, or one started here."""
    named = os.environ.get("KUBECONFIG", "")
    if named:
        yield Cluster(Path(named), folder)
        return
    with ExitStack() as stack:
        etcd = _start_etcd(stack, folder)
        kubeconfig, server = _start_api_server(stack, folder, etcd)
        _start_controllers(stack, folder, kubeconfig)
        yield Cluster(kubeconfig, folder, server, folder / "audit.log")


def _program(name: str) -> str:
    return str(tools.find(name))


def _start_etcd(stack: ExitStack, folder: Path) -> str:
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [_program("etcd"), "--data-dir", str(folder / "etcd"), "--listen-client-urls", client]
    command += ["--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
    command += ["--initial-cluster", f"default={peer}"]
    stack.enter_context(running(command, folder / "etcd.log"))
    return client


def _start_api_server(stack: ExitStack, folder: Path, etcd: str) -> tuple[Path, str]:
    certificate, key = self_signed(["127.0.0.1", "localhost"]).write(folder)
    signing = folder / "service-accounts.key"
    signing.write_bytes(_private_key())
    (folder / "tokens.csv").write_text(f"{_ADMIN},admin,admin,system:masters\n", encoding="utf-8")
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
    (folder / "audit.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    port = free_port()
    server = f"https://127.0.0.1:{port}"
    flags = {
        "etcd-servers": etcd,
        "secure-port": str(port),
        "bind-address": "127.0.0.1",
        "tls-cert-file": str(certificate),
        "tls-private-key-file": str(key),
        "token-auth-file": str(folder / "tokens.csv"),
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": str(signing),
        "service-account-signing-key-file": str(signing),
        "authorization-mode": "RBAC",
        "service-cluster-ip-range": "127.96.0.0/24",
        "endpoint-reconciler-type": "none",
        "audit-policy-file": str(folder / "audit.yaml"),
        "audit-log-path": str(folder / "audit.log"),
        "cert-dir": str(folder / "certificates"),
    }
    command = [_program("kube-apiserver"), *(f"--{name}={value}" for name, value in flags.items())]
    stack.enter_context(running(command, folder / "kube-apiserver.log"))
    until(lambda: _is_ready(server, certificate), "kube-apiserver", folder / "kube-apiserver.log")
    return _kubeconfig(folder, server, certificate), server


def _private_key() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _is_ready(server: str, certificate: Path) -> bool:
    request = urllib.request.Request(f"{server}/readyz", headers={"Authorization": f"Bearer {_ADMIN}"})  # noqa: S310 - https
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310 - the same
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _kubeconfig(folder: Path, server: str, certificate: Path) -> Path:
    path = folder / "admin.kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": {"server": server, "certificate-authority": str(certificate)}}],
        "users": [{"name": "e2e", "user": {"token": _ADMIN}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        "current-context": "e2e",
    }
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def _start_controllers(stack: ExitStack, folder: Path, kubeconfig: Path) -> None:
    command: Sequence[str] = (
        _program("kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        f"--controllers={_CONTROLLERS}",
        f"--service-account-private-key-file={folder / 'service-accounts.key'}",
        f"--secure-port={free_port()}",
        "--bind-address=127.0.0.1",
        f"--cert-dir={folder / 'controller-certificates'}",
    )
    stack.enter_context(running(command, folder / "kube-controller-manager.log"))
