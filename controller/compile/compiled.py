"""What a policy becomes once everything in it has been parsed."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from controller.errors import Reason
from controller.evidence import Judge
from controller.policy.selectors import Selector
from controller.policy.trustroot import Tuf
from controller.policy.words import Mode, Select
from controller.reference import Digest, ImagePattern, Repository
from controller.registry.discovery import Want
from controller.roots import TrustedRoot


class Effect(IntEnum):
    """What a finding does to the request, in order of strictness."""

    IGNORE = 0
    AUDIT = 1
    WARN = 2
    DENY = 3


CEILING: Mapping[Mode, Effect] = {Mode.ENFORCE: Effect.DENY, Mode.WARN: Effect.WARN, Mode.AUDIT: Effect.AUDIT}
"""The strictest effect a mode can have."""


@dataclass(frozen=True, slots=True)
class PolicyId:
    """Which policy: `kind` is ClusterTrustPolicy (no namespace) or TrustPolicy."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Scope:
    """What a policy is about. A part that could not be read matches everything (design, rule 12).

    `namespace` limits a TrustPolicy to its own; `namespace_selector` exists in cluster policies only.
    """

    images: tuple[ImagePattern, ...] | None
    exclude_images: tuple[ImagePattern, ...] = ()
    namespace: str = ""
    namespace_selector: Selector | None = None
    object_selector: Selector | None = None

    def about(self, repository: Repository) -> bool:
        """Whether the image's repository is matched and not excluded."""
        if any(pattern.matches(repository) for pattern in self.exclude_images):
            return False
        return self.images is None or any(pattern.matches(repository) for pattern in self.images)


@dataclass(frozen=True, slots=True)
class Authority:
    """A judge, the role it speaks for, and the kinds of evidence it can use."""

    judge: Judge
    role: str = ""
    uses: frozenset[Want] = frozenset({Want.SIGNATURES, Want.ATTESTATIONS})


@dataclass(frozen=True, slots=True)
class Signature:
    """`signature`: at least `threshold` of the authorities `of` by distinct signers, and `per_role` of each role.

    `of` holds indexes into the policy's authorities. `annotations` must all be among the signed ones.
    """

    of: tuple[int, ...]
    threshold: int
    per_role: Mapping[str, int]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Attestation:
    """`attestation`, `sbom` and `provenance`: statements of one of the types, verified by one of `of`.

    `judges` are those authorities, in the order of `of`, as they read what is asked of the content; empty where nothing is,
    and the authorities themselves suffice. `select` says which of several statements must do.
    """

    of: tuple[int, ...]
    predicate_types: tuple[str, ...]
    judges: tuple[Authority, ...] = ()
    select: Select = Select.ANY


@dataclass(frozen=True, slots=True)
class Sbom(Attestation):
    """`sbom`: its `formats` became predicate types; a version suffix (`…/v2.3`) of SPDX's counts as the type."""


@dataclass(frozen=True, slots=True)
class Provenance(Attestation):
    """`provenance`: SLSA v1 or v0.2."""


@dataclass(frozen=True, slots=True)
class Digests:
    """`digests`: the image is one of these."""

    digests: frozenset[Digest]


@dataclass(frozen=True, slots=True)
class AllowUnsigned:
    """`unsafeAllowUnsigned`: always passes and warns on every use."""

    reason: str


Rule = Signature | Attestation | Sbom | Provenance | Digests | AllowUnsigned


@dataclass(frozen=True, slots=True)
class Requirement:
    """One item of `require`. `on_missing` and `on_failure` are already cut at the ceiling of both modes."""

    name: str
    rule: Rule
    on_missing: Effect
    on_failure: Effect
    ceiling: Effect


@dataclass(frozen=True, slots=True)
class Revoked:
    """Digests that are denied and signers (`key:sha256:…`) that are no longer believed."""

    digests: frozenset[Digest] = frozenset()
    signers: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.digests or self.signers)


_ABOUT_SIGNATURES: Final = frozenset({Want.SIGNATURES, Want.SIMPLE_SIGNING})


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy ready to judge.

    Where `broken` is set the policy did not compile: it still applies to its `scope` and fails there in its own mode.
    With `each_platform` the requirements are about every platform of an index instead of the index.
    `on_unavailable` is the effect of an undecided requirement, cut at the policy's ceiling. `origin` is the file and line it
    stands at, where it comes from a file.
    """

    id: PolicyId
    mode: Mode
    scope: Scope
    on_unavailable: Effect = Effect.DENY
    authorities: tuple[Authority, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    revoked: Revoked = Revoked()
    broken: Reason | None = None
    each_platform: bool = False
    origin: str = ""

    @property
    def judges(self) -> tuple[Judge, ...]:
        """Everybody who must see the evidence: each authority, and again where it reads the content of statements."""
        readers = (one for item in self.requirements if isinstance(item.rule, Attestation) for one in item.rule.judges)
        return tuple(authority.judge for authority in (*self.authorities, *readers))

    @property
    def wants(self) -> frozenset[Want]:
        """What evidence the requirements can use; nothing else is fetched for this policy."""
        wants: set[Want] = set()
        for requirement in self.requirements:
            rule = requirement.rule
            if isinstance(rule, (Signature, Attestation)):
                used = frozenset(want for index in rule.of for want in self.authorities[index].uses)
                wants |= used & (_ABOUT_SIGNATURES if isinstance(rule, Signature) else {Want.ATTESTATIONS})
        return frozenset(wants)

    @property
    def is_cluster(self) -> bool:
        """Only cluster policies count as coverage and may revoke in every mode."""
        return self.id.kind == "ClusterTrustPolicy"

    @property
    def covers(self) -> bool:
        """Whether it keeps an image from being unmatched: one that only revokes demands nothing, so it covers nothing."""
        return self.is_cluster and bool(self.broken or self.requirements)


@dataclass(frozen=True, slots=True)
class TrustException:
    """A break-glass: from `since` until `until` (POSIX seconds) the policies it names only warn about the images it names.

    None stands for every one, which was written out as `*`.
    """

    name: str
    images: tuple[ImagePattern, ...]
    namespaces: frozenset[str] | None
    policies: frozenset[str] | None
    requirements: frozenset[str] | None
    since: float
    until: float
    reason: str
    owner: str = ""
    ticket: str = ""

    def about(self, repository: Repository, namespace: str) -> bool:
        """Whether an image of this repository, in this namespace, is among those it names."""
        here = self.namespaces is None or namespace in self.namespaces
        return here and any(pattern.matches(repository) for pattern in self.images)

    def lifts(self, policy: PolicyId, requirements: Iterable[str] | None) -> bool:
        """Whether it names the policy and each of these requirements; None is the policy as a whole, whatever it says."""
        if self.policies is not None and str(policy) not in self.policies:
            return False
        return self.requirements is None or (requirements is not None and self.requirements.issuperset(requirements))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a request judges by, immutable. `number` grows with each; `fingerprint` is equal on equal replicas.

    `namespaces` holds the labels of namespaces known without asking anybody, `built_in_roots` the built-in roots that its
    policies name, or why one cannot be used, `exceptions` every TrustException that can be used, expired or not, and
    `void_exceptions` the others, by name, with what is wrong with them. `mirrored_roots` are the TrustRoots that its
    policies name and a TUF repository publishes.
    """

    number: int
    policies: tuple[CompiledPolicy, ...]
    fingerprint: str
    namespaces: Mapping[str, Mapping[str, str]]
    built_in_roots: Mapping[str, TrustedRoot | Reason] = field(default_factory=dict)
    exceptions: tuple[TrustException, ...] = ()
    void_exceptions: tuple[tuple[str, Reason], ...] = ()
    mirrored_roots: Mapping[str, Tuf] = field(default_factory=dict)

    @staticmethod
    def fingerprint_of(parts: tuple[str, ...]) -> str:
        """Hash of the parts in sorted order: the same set gives the same fingerprint, whatever order it came in."""
        return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]
