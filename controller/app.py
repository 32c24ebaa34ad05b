"""Everything built once, run, and stopped cleanly."""

import asyncio
import contextlib
import gc
import itertools
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self, TextIO

from controller.admission.pods import ImageTable
from controller.admission.subject import Subject
from controller.cluster.within import Within
from controller.compile import compile_policies
from controller.compile.compiled import Snapshot
from controller.decision.report import Report
from controller.errors import Code, Invalid, Reason, Undecided
from controller.pipeline.gate import Gate
from controller.policy.store import Document, read_directory
from controller.policy.trustroot import Tuf
from controller.registry.client import RegistryClient
from controller.registry.counted import CountedSource
from controller.registry.credentials import Anonymous, Credentials, DockerConfigFile
from controller.registry.source import Source
from controller.registry.transport import RegistryTransport
from controller.render import refusal
from controller.roots import TrustedRoot
from controller.roots.followed import FollowedRoots, Place
from controller.server.door import AdmissionDoor, Judging
from controller.server.service import AdmissionServer, HealthServer
from controller.server.tls import CertificateFiles, ExchangeableContext, ServingCertificate, server_context
from controller.server.watch import Files, Watched
from controller.settings import Settings
from controller.telemetry import AuditLog, Telemetry

if TYPE_CHECKING:
    from controller.cluster.replica import ClusterReplica

_LOOK: Final = 1.0
"""Seconds between looks at policy and certificate files."""

_GC_THRESHOLD: Final = 20_000
"""Objects made before the collector looks: a review is a thousand objects that reference counting frees by itself."""

_LOG: Final = logging.getLogger("sigward")


@dataclass(frozen=True, slots=True)
class Options:
    """What `sigward serve` is told. A port of 0 takes any free one.

    Policies come from the directory `policies`, or, where it is None, from the cluster that `within` names. Without
    `certificate` files the certificate is the Secret that `within` names.
    """

    policies: Path | None
    certificate: CertificateFiles | None
    host: str
    port: int
    metrics_host: str
    metrics_port: int
    within: Within | None = None


class Policies(Protocol):
    """Where policies come from: `current` is the snapshot in force, None before the first; `error` why there is none."""

    current: Snapshot | None

    @property
    def error(self) -> object:
        """What keeps the first from being made, or the next."""

    async def refresh(self) -> bool:
        """Look, where nobody tells; whether a new snapshot is in force."""

    def put(self, snapshot: Snapshot) -> None:
        """Let another snapshot of the same policies be in force."""

    async def close(self) -> None:
        """End what is under way."""


class App:
    """A replica: both listeners and everything behind them.

    Args:
        settings: Cluster facts.
        options: Where everything is.
        audit: Where audit lines go.
        clock: POSIX seconds, for the gate and the age of trusted roots.

    Attributes:
        port: Where admission is served, once started.
        metrics_port: Where health and metrics are.
        telemetry: Its metrics.
        policies: Where policies come from.
    """

    def __init__(
        self, settings: Settings, options: Options, audit: TextIO | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._options = options
        self._clock = clock
        self._audit = AuditLog(audit if audit is not None else sys.stdout)
        self._numbers = itertools.count(1)
        self._named_registries: frozenset[str] = frozenset()
        self._stopping = False
        self._poller: asyncio.Task[None] | None = None
        self.port = self.metrics_port = 0
        self.telemetry = Telemetry()
        self._roots = FollowedRoots(settings.roots, settings.limits, self.telemetry, clock)
        self._compiled: tuple[Sequence[Document], object] = ((), ())
        self._table = ImageTable(settings.image_paths, settings.limits)
        self._transport = RegistryTransport(settings, private_allowed=lambda name: name in self._named_registries)
        self._own = DockerConfigFile(settings.docker_config) if settings.docker_config else Anonymous()
        self._source = self._view(self._own)
        self._gate = Gate(settings, clock, self.telemetry.looked_up)
        self._cluster: ClusterReplica | None = None
        self._certificate: Watched[ServingCertificate] | None = None
        self.policies: Policies = Watched(
            "policies", Files([options.policies] if options.policies else []).stamp, self._load, self.telemetry, self._use
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(wait=False)

    async def start(self) -> None:
        """Load everything and listen. Broken policies leave the process alive, and not ready until they are mended.

        Raises:
            Invalid: The certificate cannot be used, or an address not be listened on.
        """
        options, limits = self._options, self._settings.limits
        self._context = ExchangeableContext(server_context(self._settings.client_ca_file))
        if options.within is not None:
            self._cluster = await self._in_cluster(options.within)
            self.policies = self._cluster.policies
        if options.certificate is not None:
            self._certificate = await self._follow_files(options.certificate)
        await self.policies.refresh()
        judging = Judging(
            gate=self._gate,
            source=self._source,
            snapshot=lambda: self.policies.current,
            table=self._table,
            answer=refusal.answer,
            limits=limits,
            pins=self._settings.mutate,
            clock=self._clock,
            around=self._cluster,
        )
        self._judging = judging
        self._admission = AdmissionServer(AdmissionDoor(judging, self.telemetry, self._audit), self._context, limits)
        self._health = HealthServer(self.not_ready, self.telemetry)
        self.telemetry.ready.set_function(lambda: float(not self.not_ready()))
        try:
            self.metrics_port = await self._health.start(options.metrics_host, options.metrics_port)
            self.port = await self._admission.start(options.host, options.port)
        except OSError as error:
            await self.stop(wait=False)
            places = f"{options.host}:{options.port} and {options.metrics_host}:{options.metrics_port}"
            raise Invalid(Code.INVALID_SETTINGS, f"cannot listen on {places}: {error.strerror or error}") from None
        if self._cluster is not None:
            self._cluster.start()
        self._poller = asyncio.create_task(self._look())
        ports = {"port": self.port, "metricsPort": self.metrics_port, "ready": self.not_ready() or "yes"}
        _LOG.info("serving", extra={"fields": ports})

    def not_ready(self) -> str:
        """Why no request should be sent here; empty when it may."""
        if self._stopping:
            return "stopping"
        if self.policies.current is None:
            return f"policies: {self.policies.error or 'not loaded yet'}"
        return "" if self._cluster is None else self._cluster.not_ready()

    async def explain(self, subjects: Sequence[Subject], seconds: float) -> tuple[Report, ...]:
        """The reports behind an answer: the same gate, the same registries, the policies in force.

        Raises:
            Undecided: `PoliciesUnknown` before the first policies were loaded.
        """
        snapshot = self.policies.current
        if snapshot is None:
            raise Undecided(Code.POLICIES_UNKNOWN, "the policies are not loaded yet")
        deadline = asyncio.get_running_loop().time() + seconds
        return await self._judging.judge(subjects, snapshot, deadline)

    async def stop(self, *, wait: bool = True) -> None:
        """Say that it is not ready, answer what comes and is under way, and end.

        Args:
            wait: Whether others may still send requests for a while (`lame_duck`).
        """
        self._stopping = True
        await self._admission.drain(wait=wait)
        if self._poller is not None:
            self._poller.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._poller
        if self._cluster is not None:
            await self._cluster.close()
        await self._roots.close()
        await self._gate.close()
        await self._transport.close()
        await self._health.stop()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            await self.policies.refresh()
            await self._judge_by_current_roots()
            if self._certificate is not None:
                await self._certificate.refresh()
            self._admission.close_silent()

    def _view(self, credentials: Credentials) -> Source:
        return CountedSource(RegistryClient(self._transport, credentials), self.telemetry)

    async def _in_cluster(self, within: Within) -> "ClusterReplica":
        """The cluster around, loaded only where there is one: who serves files needs no client for it."""
        try:
            from controller.cluster.client import ClusterClient  # noqa: PLC0415 - an extra
            from controller.cluster.replica import ClusterReplica  # noqa: PLC0415 - as above
        except ImportError:
            raise Invalid(Code.NOT_INSTALLED, "the extra `cluster` (kubernetes) is not installed") from None
        limits = self._settings.limits
        return ClusterReplica(
            await ClusterClient.connect(limits, within.kubeconfig),
            within,
            limits,
            self.telemetry,
            compile=self._made,
            use=self._use,
            certificate=self._exchange_pem,
            own=self._own,
            view=self._view,
        )

    async def _follow_files(self, files: CertificateFiles) -> Watched[ServingCertificate]:
        self._exchange(ServingCertificate.load(files))
        followed = Watched(
            "certificate", Files(files.paths).stamp, lambda: ServingCertificate.load(files), self.telemetry, self._exchange
        )
        await followed.refresh()
        return followed

    def _load(self) -> Snapshot:
        folder = self._options.policies
        documents = read_directory(folder, self._settings.limits).documents if folder else ()
        return self._made(documents, empty=f"{folder} holds no policy")

    def _made(self, documents: Sequence[Document], empty: str = "") -> Snapshot:
        """Compile what was read; in a directory no policy at all is a mount that failed more often than a wish."""
        stamp = self._roots.stamp()
        snapshot = self._compile(documents)
        if not snapshot.policies and empty:
            raise Invalid(Code.INVALID_POLICY, empty)
        self._compiled = (documents if snapshot.built_in_roots or snapshot.mirrored_roots else (), stamp)
        return snapshot

    def _compile(self, documents: Sequence[Document]) -> Snapshot:
        return compile_policies(documents, next(self._numbers), self._settings.limits, self._roots.find, self._mirrored)

    def _mirrored(self, name: str, source: Tuf) -> TrustedRoot | Reason:
        return self._roots.mirrored(name, source.url, source.root)

    async def _judge_by_current_roots(self) -> None:
        """Compile what is in force anew where a trusted root it names is another now, whatever the files hold meanwhile."""
        documents, before = self._compiled
        stamp, in_force = self._roots.stamp(), self.policies.current
        if not documents or stamp == before:
            return
        self._compiled = (documents, stamp)
        try:
            snapshot = await asyncio.to_thread(self._compile, documents)
        except Exception:  # noqa: BLE001 - a fault of ours must not end the looking
            _LOG.exception("policies could not be compiled by the new trusted roots; what was in force stays")
            return
        current = self.policies.current
        if current and in_force and current.number == in_force.number:  # else newer policies came, and by newer roots
            self.policies.put(snapshot)
            self._use(snapshot)

    def _use(self, snapshot: Snapshot) -> None:
        patterns = [p for policy in snapshot.policies if policy.is_cluster for p in policy.scope.images or ()]
        hosts = {pattern.text.partition("/")[0] for pattern in patterns}
        self._named_registries = frozenset(host for host in hosts if "*" not in host)
        broken = [policy for policy in snapshot.policies if policy.broken]
        for policy in broken:
            _LOG.error("policy %s does not compile and refuses what it matches: %s", policy.id, policy.broken)
        for name, reason in snapshot.void_exceptions:
            _LOG.error("exception %s is void and lets nothing through: %s", name, reason)
        for name, root in snapshot.built_in_roots.items():
            if isinstance(root, Reason):
                _LOG.error("who names trusted root %s is undecided: %s", name, root)
        own = (Place(name, source.url, source.root) for name, source in snapshot.mirrored_roots.items())
        self._roots.follow(snapshot.built_in_roots, own)
        ready = len(snapshot.policies) - len(broken)
        self.telemetry.loaded(snapshot.number, snapshot.fingerprint, ready, len(broken))
        fields = {"number": snapshot.number, "fingerprint": snapshot.fingerprint, "ready": ready, "broken": len(broken)}
        _LOG.info("policies loaded", extra={"fields": fields})

    def _exchange_pem(self, chain: bytes, key: bytes, what: str) -> None:
        self._exchange(ServingCertificate.of(chain, key, self._settings.client_ca_file, what))

    def _exchange(self, serving: ServingCertificate) -> None:
        self._context.current = serving.context
        self.telemetry.certificate_expiry.set(serving.expires)


async def run(settings: Settings, options: Options) -> None:
    """Be the process: serve until SIGTERM (drain first) or SIGINT (nobody is waiting); a second signal ends it at once.

    Raises:
        Invalid: As `App.start`.
    """
    app = App(settings, options)
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    await app.start()
    gc.collect()
    gc.freeze()  # what was imported and loaded stays; it need not be looked at again
    gc.set_threshold(_GC_THRESHOLD)
    stopping = asyncio.create_task(app.stop(wait=await signals.get() is signal.SIGTERM))
    again = asyncio.create_task(signals.get())
    await asyncio.wait((stopping, again), return_when=asyncio.FIRST_COMPLETED)  # a second signal: at once
    again.cancel()
    if stopping.done():
        await stopping
    stopping.cancel()
