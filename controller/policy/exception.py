"""TrustException, the break-glass: named policies only warn about named images, until a time that is never far away."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, StringConstraints

from controller.policy.model import Metadata
from controller.policy.part import Part
from controller.policy.words import PatternText, Text, Time
from controller.problems import Problem

EVERY: Final = "*"
_LABEL: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAME: Final = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"

Label = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=rf"^(\*|{_LABEL})$")]
"""A namespace or requirement, or `*` for every one."""
PolicyName = Annotated[str, StringConstraints(min_length=1, max_length=317, pattern=rf"^(\*|({_LABEL}/)?{_NAME})$")]
"""A ClusterTrustPolicy (`corp`), a TrustPolicy (`namespace/name`), or `*` for every one of both kinds."""


class ExceptionMatch(Part):
    """Exactly which images, and where."""

    images: tuple[PatternText, ...] = Field(
        min_length=1,
        max_length=64,
        description="Patterns over registry/repository, as in a policy; every image is `*/**`, written out.",
    )
    namespaces: tuple[Label, ...] = Field(
        min_length=1, max_length=256, description="Namespaces by name; every one is `*`, written out."
    )


class TrustExceptionSpec(Part):
    """What is let through, until when and why. Every list is required: nothing is meant by leaving it out."""

    match: ExceptionMatch = Field(description="The images it is about.")
    policies: tuple[PolicyName, ...] = Field(
        min_length=1,
        max_length=64,
        description="Policies that warn instead of denying: `corp`, `namespace/name` for a TrustPolicy, or `*`.",
    )
    requirements: tuple[Label, ...] = Field(
        min_length=1,
        max_length=64,
        description=(
            "Requirements of those policies that warn instead of denying, or `*`. Only with `*` does it help where a policy "
            "does not compile. What a policy lists under `revoked` is denied all the same."
        ),
    )
    expires_at: Time = Field(
        description="From then on it is void. At most `limits.exceptionLifetime` of the settings after the object was made."
    )
    reason: Text = Field(description="Why; shown in every warning.")
    owner: Text | None = Field(default=None, description="Who answers for it; shown in every warning.")
    ticket: Text | None = Field(default=None, description="Where it is followed up; shown in every warning.")


class ExceptionMetadata(Metadata):
    """The part of the metadata that is read: when the object was made counts, as the API server wrote it."""

    model_config = ConfigDict(extra="ignore")

    creation_timestamp: Time | None = Field(default=None, description="When it was made, as the API server says.")


class TrustExceptionResource(Part):
    """A break-glass under a name. Cluster-scoped: who may write policies of a namespace may not write these."""

    api_version: Literal["sigward.dev/v1alpha1"] = Field(description="sigward.dev/v1alpha1.")
    kind: Literal["TrustException"] = Field(description="TrustException.")
    metadata: ExceptionMetadata = Field(description="Name, and when it was made.")
    spec: TrustExceptionSpec = Field(description="What is let through, until when and why.")
    status: Any = Field(default=None, description="Written by the operator, never read here.")


def check(resource: TrustExceptionResource) -> Iterator[Problem]:
    """What is wrong across fields, the clock left out."""
    metadata, spec = resource.metadata, resource.spec
    if metadata.namespace is not None:
        yield Problem("metadata.namespace", "a TrustException has no namespace", found=metadata.namespace)
    for name, values in (("policies", spec.policies), ("requirements", spec.requirements)):
        if EVERY in values and len(values) > 1:
            yield Problem(f"spec.{name}", "`*` says every one; nothing may stand beside it", found=", ".join(values)[:120])
    if EVERY in spec.match.namespaces and len(spec.match.namespaces) > 1:
        found = ", ".join(spec.match.namespaces)[:120]
        yield Problem("spec.match.namespaces", "`*` says every one; nothing may stand beside it", found=found)
