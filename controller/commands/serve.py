"""`sigward serve`: the webhook, inside a cluster or from files without any."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

from controller.app import Options
from controller.app import run as run_app
from controller.cluster.within import Within
from controller.commands import exits, options
from controller.errors import Code, Invalid
from controller.server.tls import CertificateFiles
from controller.settings import Settings, load
from controller.telemetry import log_to

_EXAMPLES: Final = """\
  sigward serve --config sigward.yaml --tls-secret sigward-webhook
  sigward serve --kubeconfig ~/.kube/config --namespace sigward --tls-secret sigward-webhook
  sigward serve --policies policies/ --tls-cert tls.crt --tls-key tls.key
  sigward serve --policies policies/ --config sigward.yaml --tls-cert tls.crt --tls-key tls.key --host 127.0.0.1
  curl --cacert tls.crt --data @review.json https://localhost:8443/validate

Admission port (HTTPS): POST /validate judges an AdmissionReview, POST /mutate pins its tags to digests.
Metrics port (HTTP): GET /healthz, /readyz and /metrics.
The audit log, one JSON line per request, goes to standard output, everything else to standard error. Changed policies
and certificates are taken over while it runs; changed settings need a restart.

exit status: 0 stopped by a signal, 2 wrong usage or input
"""
_PORT: Final = 8443
_METRICS_PORT: Final = 9090
_LARGEST_PORT: Final = 65535


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    options.describe(
        parser,
        "Answer a cluster's admission requests over HTTPS, by the policies of the cluster it runs in, or by those of a"
        " directory and without asking any cluster.",
        _EXAMPLES,
    )
    parser.add_argument(
        "--policies", "--policy", type=Path, metavar="DIR", help="directory of policy files, watched; no cluster is asked"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings file (YAML or JSON)")
    group = parser.add_argument_group("inside a cluster (without --policies)")
    group.add_argument("--kubeconfig", type=Path, metavar="FILE", help="how to reach it (default: the pod's ServiceAccount)")
    group.add_argument("--namespace", default="", metavar="NAME", help="where --tls-secret is (default: the pod's own)")
    group.add_argument("--tls-secret", default="", metavar="NAME", help="Secret with tls.crt and tls.key, watched by name")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain, PEM, watched")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key, PEM, watched")
    parser.add_argument("--host", default="0.0.0.0", help="address for admission (default: all)")  # noqa: S104 - a webhook is called from elsewhere
    parser.add_argument("--port", type=_port, default=_PORT, help=f"port for admission (default: {_PORT}; 0: any free one)")
    parser.add_argument(
        "--metrics-host", default="", metavar="HOST", help="address for health and metrics (default: as --host)"
    )
    parser.add_argument(
        "--metrics-port",
        type=_port,
        default=_METRICS_PORT,
        metavar="PORT",
        help=f"port for health and metrics (default: {_METRICS_PORT}; 0: any free one)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal says to stop.

    Raises:
        Invalid: Settings, certificate or address cannot be used, or the policies are not there.
    """
    settings = load(arguments.config) if arguments.config else Settings()
    served = Options(
        policies=arguments.policies,
        certificate=_certificate(arguments, settings),
        host=arguments.host,
        port=arguments.port,
        metrics_host=arguments.metrics_host or arguments.host,
        metrics_port=arguments.metrics_port,
        within=_within(arguments),
    )
    log_to(sys.stderr)
    asyncio.run(run_app(settings, served))
    return exits.PASS


def _certificate(arguments: argparse.Namespace, settings: Settings) -> CertificateFiles | None:
    """The files, or None where a Secret is named instead."""
    named = [name for name in ("tls_cert", "tls_key") if getattr(arguments, name)]
    if bool(arguments.tls_secret) == bool(named) or len(named) == 1:
        expected = "--tls-cert with --tls-key, or --tls-secret"
        raise Invalid(Code.INVALID_USAGE, "which certificate to serve is not said", field="--tls-cert", expected=expected)
    return CertificateFiles(arguments.tls_cert, arguments.tls_key, settings.client_ca_file) if named else None


def _within(arguments: argparse.Namespace) -> Within | None:
    """Which cluster, or None where a directory stands for it."""
    if arguments.policies is None:
        return Within(arguments.kubeconfig, arguments.namespace, arguments.tls_secret)
    if not arguments.policies.exists():
        raise Invalid(Code.INVALID_FILE, f"{arguments.policies} is not there", field="--policies")
    for flag in ("kubeconfig", "namespace", "tls_secret"):
        if getattr(arguments, flag):
            said = "means a cluster, and --policies means none"
            raise Invalid(Code.INVALID_USAGE, said, field=f"--{flag.replace('_', '-')}")
    return None


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= _LARGEST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {_LARGEST_PORT}")
    return port
