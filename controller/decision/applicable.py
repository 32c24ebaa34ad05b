"""Which policies judge an image in its place."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from controller.admission.subject import Workload
from controller.compile.compiled import CompiledPolicy, Snapshot, TrustException
from controller.errors import Code, Reason
from controller.policy.selectors import Selector
from controller.reference import Repository

NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""The label that the API server sets to the namespace's name and nobody can change: known without a look-up."""

_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Applicable:
    """The policies about one image: those to be judged, and those that fail without being judged, each with its reason.

    `covered` says whether any of them is a cluster policy that demands something; only those count as coverage (design,
    section 3). One that only revokes must not open what `unmatchedImages` closes. `exceptions` are the TrustExceptions that
    name the image here and now.
    """

    judged: tuple[CompiledPolicy, ...] = ()
    failed: tuple[tuple[CompiledPolicy, Reason], ...] = ()
    covered: bool = False
    exceptions: tuple[TrustException, ...] = ()

    @property
    def revokes_digests(self) -> bool:
        """Whether every digest of the image must be known: a policy that fails without being judged revokes all the same."""
        return any(policy.revoked.digests for policy in (*self.judged, *(policy for policy, _ in self.failed)))

    @property
    def key(self) -> Hashable:
        """Which they are and why they fail, for memory; within one snapshot an ID names one policy.

        A policy that fails is not the same as that policy judged: both readings stand apart here. An exception that has
        expired is no longer among the names, so what was remembered under it is not found again.
        """
        failed = tuple((policy.id, reason) for policy, reason in self.failed)
        return tuple(policy.id for policy in self.judged), failed, tuple(each.name for each in self.exceptions)


def about(snapshot: Snapshot, repository: Repository) -> tuple[CompiledPolicy, ...]:
    """The policies whose image patterns match, wherever the image is to run."""
    return tuple(policy for policy in snapshot.policies if policy.scope.about(repository))


def excepted(policies: Applicable, snapshot: Snapshot, workload: Workload, repository: Repository, now: float) -> Applicable:
    """The same with the TrustExceptions that name the image here and now (POSIX seconds): they expire at once."""
    exceptions = tuple(
        each for each in snapshot.exceptions if each.since <= now < each.until and each.about(repository, workload.namespace)
    )
    return replace(policies, exceptions=exceptions) if exceptions else policies


def applicable(snapshot: Snapshot, workload: Workload, repository: Repository) -> Applicable:
    """Select the policies about `repository` in `workload`'s place, as `placed` does from those about the image."""
    return placed(about(snapshot, repository), snapshot, workload)


def placed(policies: Iterable[CompiledPolicy], snapshot: Snapshot, workload: Workload) -> Applicable:
    """Select those of `policies`, which are about the image, that apply in `workload`'s place.

    A policy that did not compile applies to its scope and fails there (design, rule 12). Where the labels of the namespace
    are not known, a policy that asks for them applies and fails as undecided (rules 10 and 12): a look-up that failed must
    never read as "does not match" (CVE-2025-46342).
    """
    judged: list[CompiledPolicy] = []
    failed: list[tuple[CompiledPolicy, Reason]] = []
    for policy in policies:
        if not _selected(policy, workload):
            continue
        here = _here(policy.scope.namespace_selector, workload, snapshot)
        if here is False:
            continue
        if policy.broken:
            failed.append((policy, policy.broken))
        elif here is None:
            failed.append((policy, _unknown(workload)))
        else:
            judged.append(policy)
    covered = any(p.covers for p in judged) or any(p.covers for p, _ in failed)
    return Applicable(tuple(judged), tuple(failed), covered)


def needs_namespace(snapshot: Snapshot, namespace: str) -> bool:
    """Whether a policy asks for labels of this namespace, and they are not known here: whoever can asks for them first."""
    if not namespace or namespace in snapshot.namespaces:
        return False
    selectors = (policy.scope.namespace_selector for policy in snapshot.policies)
    return any(selector is not None and selector.keys - {NAME_LABEL} for selector in selectors)


def _selected(policy: CompiledPolicy, workload: Workload) -> bool:
    scope = policy.scope
    if not policy.is_cluster and scope.namespace != workload.namespace:
        return False
    return scope.object_selector is None or scope.object_selector.matches(workload.labels)


def _here(selector: Selector | None, workload: Workload, snapshot: Snapshot) -> bool | None:
    """Whether the namespace is selected; None where that cannot be known."""
    if selector is None or not selector.expressions:
        return True
    if not workload.namespace:
        # An object outside all namespaces is never excluded by a namespace selector (as in webhook configurations); an
        # image that a command names alone has a place without labels.
        return True if workload.kind else selector.matches(_NO_LABELS)
    labels = snapshot.namespaces.get(workload.namespace)
    if labels is None:
        if selector.keys != {NAME_LABEL}:
            return None
        labels = _NO_LABELS
    return selector.matches({**labels, NAME_LABEL: workload.namespace})


def _unknown(workload: Workload) -> Reason:
    return Reason(
        Code.NAMESPACE_UNKNOWN,
        "whether the policy applies could not be decided",
        expected=f"the labels of namespace {workload.namespace}",
        found="a namespace that is not known here",
    )
