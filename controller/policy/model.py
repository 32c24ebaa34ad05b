"""The resources as people write them (design, section 3). Shapes only: rules across fields are in `rules`."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from controller.policy.authorities import Authority
from controller.policy.part import LATER, Part
from controller.policy.requirements import Requirement
from controller.policy.words import (
    DigestText,
    ExpressionText,
    Fingerprint,
    KeyMark,
    LabelKey,
    LabelValue,
    Mode,
    Name,
    ObjectName,
    OnUnavailable,
    Operator,
    PatternText,
    Platforms,
)


class LabelExpression(Part):
    """One of matchExpressions."""

    key: LabelKey = Field(description="The label.")
    operator: Operator = Field(description="In, NotIn, Exists or DoesNotExist.")
    values: tuple[LabelValue, ...] = Field(default=(), max_length=64, description="Values for In and NotIn, else empty.")


class LabelSelector(Part):
    """A label selector as Kubernetes has it; the empty one matches everything."""

    match_labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, max_length=64, description="Labels that must be there with exactly these values."
    )
    match_expressions: tuple[LabelExpression, ...] = Field(
        default=(), max_length=64, description="Further conditions; all must hold."
    )


class MatchCondition(Part):
    """A CEL condition under which the policy applies."""

    name: Name = Field(description="Name of the condition; unique within the policy.")
    expression: ExpressionText = Field(description="CEL; an error means the policy applies.")


class Match(Part):
    """Which images a policy judges."""

    images: tuple[PatternText, ...] = Field(
        min_length=1,
        max_length=256,
        description="Patterns over registry/repository: `*` within a segment, `**` across; `*/**` is every image.",
    )
    exclude_images: tuple[PatternText, ...] = Field(default=(), max_length=256, description="Images it leaves alone.")
    namespace_selector: LabelSelector | None = Field(
        default=None, description="Labels of the namespaces it applies in; absent means all. Cluster policies only."
    )
    object_selector: LabelSelector | None = Field(
        default=None, description="Labels the pods will have; absent means any. Tenants choose labels: not a gate by itself."
    )
    match_conditions: Annotated[tuple[MatchCondition, ...], LATER] = Field(
        default=(), max_length=16, description="Further conditions; all must be true."
    )


class Revoked(Part):
    """What is no longer believed. In a cluster policy it denies in every mode."""

    digests: tuple[DigestText, ...] = Field(
        default=(), max_length=4096, description="Denied: compared with the requested digest and an index's children."
    )
    keys: tuple[KeyMark, ...] = Field(
        default=(),
        max_length=1024,
        description=(
            "SHA-256 of a SubjectPublicKeyInfo, or `openpgp:` and the fingerprint of a primary key: no longer believed."
        ),
    )
    certificates: tuple[Fingerprint, ...] = Field(
        default=(),
        max_length=1024,
        description="SHA-256 of a certificate: what it or its chain vouches for is no longer believed.",
    )


class Spec(Part):
    """What a trust policy says."""

    mode: Mode = Field(default=Mode.ENFORCE, description="The strictest this policy can be.")
    on_unavailable: OnUnavailable = Field(
        default=OnUnavailable.DENY, description="What happens while a registry or a root is out of reach."
    )
    platforms: Platforms = Field(
        default=Platforms.INDEX,
        description="Index: evidence about the requested digest. Each: every platform manifest of an index passes alone.",
    )
    match: Match = Field(description="Which images this policy judges.")
    signature_repositories: Annotated[tuple[PatternText, ...], LATER] = Field(
        default=(), max_length=16, description="Further repositories to look for evidence in. Cluster policies only."
    )
    authorities: tuple[Authority, ...] = Field(default=(), max_length=64, description="Who is believed.")
    require: tuple[Requirement, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description=(
            "What must be true, all of it. Absent: one signature by the only authority, unless the policy only revokes."
        ),
    )
    revoked: Revoked = Field(default_factory=Revoked, description="What is no longer believed.")


class Metadata(Part):
    """The part of an object's metadata that is read; the API server owns the rest."""

    model_config = ConfigDict(extra="ignore")

    name: ObjectName = Field(description="Name.")
    namespace: Name | None = Field(default=None, description="Namespace of a TrustPolicy.")


class TrustPolicyResource(Part):
    """What both kinds of policy share."""

    api_version: Literal["sigward.dev/v1alpha1"] = Field(description="sigward.dev/v1alpha1.")
    kind: Literal["ClusterTrustPolicy", "TrustPolicy"] = Field(description="ClusterTrustPolicy or TrustPolicy.")
    metadata: Metadata = Field(description="Name, and the namespace of a TrustPolicy.")
    spec: Spec = Field(description="What the policy says.")
    status: Any = Field(default=None, description="Written by the operator, never read here.")
