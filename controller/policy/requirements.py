"""What must be true of an image: the items of `require`."""

from typing import Annotated

from pydantic import Field

from controller.policy.part import LATER, Part
from controller.policy.words import (
    Age,
    Count,
    DigestText,
    ExpressionText,
    Flag,
    Mode,
    Name,
    OnFinding,
    PatternText,
    SbomFormat,
    Select,
    Severity,
    Short,
    Text,
    Time,
    Url,
)

Of = Annotated[
    tuple[Name, ...],
    Field(min_length=1, max_length=64, description="Authorities that count. May be left out only with one authority."),
]


class Signature(Part):
    """The image is signed."""

    threshold: Count = Field(
        default=1, description="How many of the authorities must have signed, each by a signer of its own."
    )
    of: Of | None = Field(default=None, description="Authorities that count. May be left out only with one authority.")
    per_role: dict[Name, Count] = Field(
        default_factory=dict, max_length=16, description="How many authorities of each role must be among those counted."
    )
    annotations: dict[Short, Annotated[str, Field(max_length=1024)]] = Field(
        default_factory=dict, max_length=32, description="Annotations the signature must carry, signed, exact."
    )


class Validation(Part):
    """A CEL rule over a statement."""

    expression: ExpressionText = Field(description="CEL; must be true.")
    message: Text | None = Field(default=None, description="Shown when it is not.")


class Attestation(Part):
    """A statement about the image, verified under one of the authorities."""

    predicate_type: Url = Field(description="Predicate type as a URI, or cosign's short name (slsaprovenance1, vuln, …).")
    of: Of | None = Field(default=None, description="Authorities that count. May be left out only with one authority.")
    max_age: Age | None = Field(default=None, description="Oldest accepted statement, by proven time.")
    select: Select = Field(
        default=Select.ANY, description="Any: one statement must hold. Newest: the newest. All: every one."
    )
    validations: Annotated[tuple[Validation, ...], LATER] = Field(
        default=(), max_length=16, description="Rules that the statement must meet."
    )


class PackageRules(Part):
    """Rules about packages in a bill of materials."""

    deny: tuple[Text, ...] = Field(
        default=(),
        max_length=256,
        description="Package URLs that must not be there: all versions, `@1.2.3`, or `@>=1.0,<1.4.2`; `*` in names.",
    )


class LicenseRules(Part):
    """Rules about licences in a bill of materials."""

    deny: tuple[Short, ...] = Field(
        default=(),
        max_length=256,
        description="SPDX licences that nothing may need; `*` in names. Of `A OR B` one may be chosen.",
    )
    allow: tuple[Short, ...] = Field(
        default=(),
        max_length=256,
        description="Where given, the only SPDX licences accepted; a component without one is not.",
    )


class Sbom(Part):
    """A bill of materials about the image, verified under one of the authorities."""

    of: Of | None = Field(default=None, description="Authorities that count. May be left out only with one authority.")
    formats: tuple[SbomFormat, ...] = Field(
        default=(SbomFormat.CYCLONEDX, SbomFormat.SPDX), min_length=1, max_length=2, description="Accepted formats."
    )
    packages: PackageRules = Field(default_factory=PackageRules, description="Rules about packages.")
    licenses: LicenseRules = Field(default_factory=LicenseRules, description="Rules about licences.")
    require_supplier: Flag = Field(default=False, description="Every component names its supplier.")
    max_age: Age | None = Field(default=None, description="Oldest accepted document, by proven time.")


class SourceRules(Part):
    """Where the source of a build must come from."""

    repository: Url = Field(description="The source repository.")
    refs: tuple[PatternText, ...] = Field(default=(), max_length=64, description="Accepted refs; empty accepts any.")


class Provenance(Part):
    """SLSA provenance of the image."""

    of: Of | None = Field(default=None, description="Authorities that count. May be left out only with one authority.")
    builders: tuple[PatternText, ...] = Field(min_length=1, max_length=64, description="Accepted builders.")
    source: SourceRules | None = Field(default=None, description="Where the source must come from.")
    build_types: tuple[PatternText, ...] = Field(default=(), max_length=64, description="Accepted build types; empty: any.")
    level: Annotated[int, Field(ge=1, le=3)] | None = Field(default=None, description="Least SLSA build level.")


class IgnoredVulnerability(Part):
    """A vulnerability that does not count for a while."""

    id: Short = Field(description="CVE, GHSA or another identifier.")
    until: Time = Field(description="From then on it counts again.")
    reason: Text = Field(description="Why it is ignored.")


class Vex(Part):
    """Whose statements of exploitability are believed."""

    of: Of = Field(description="Authorities whose OpenVEX statements count.")


class Vulnerabilities(Part):
    """A vulnerability scan of the image."""

    of: Of | None = Field(default=None, description="Authorities that count. May be left out only with one authority.")
    fail_on: Severity = Field(default=Severity.HIGH, description="Least severity that fails.")
    only_fixable: Flag = Field(default=False, description="Count only vulnerabilities that have a fix.")
    ignore: tuple[IgnoredVulnerability, ...] = Field(default=(), max_length=256, description="What does not count.")
    max_age: Age | None = Field(default=None, description="Oldest accepted scan.")
    vex: Vex | None = Field(default=None, description="Believed statements of exploitability.")


class AllowUnsigned(Part):
    """Passes whatever was found, and warns on every use."""

    reason: Text = Field(description="Why; shown in every warning.")


Digests = Annotated[tuple[DigestText, ...], Field(min_length=1, max_length=1024)]


class Requirement(Part):
    """One thing that must be true: exactly one kind."""

    name: Name = Field(description="Name of the requirement; unique within the policy, shown in every refusal.")
    mode: Mode | None = Field(default=None, description="How strict this one is; never stricter than the policy's mode.")
    on_missing: OnFinding | None = Field(
        default=None,
        description=(
            "What a missing statement does: none of that type verifies under an authority in `of`. Default Deny; Warn for "
            "sbom. Only for requirements about statements."
        ),
    )
    on_failure: OnFinding | None = Field(
        default=None,
        description="What a verified statement that says no does. Default Deny. Only for requirements about statements.",
    )
    signature: Signature | None = Field(default=None, description="The image is signed.")
    attestation: Attestation | None = Field(default=None, description="A statement about the image exists.")
    sbom: Sbom | None = Field(default=None, description="A bill of materials about the image exists.")
    provenance: Provenance | None = Field(default=None, description="The image was built as it should be.")
    vulnerabilities: Annotated[Vulnerabilities | None, LATER] = Field(
        default=None, description="A scan found nothing that counts."
    )
    digests: Digests | None = Field(default=None, description="The image is one of these digests.")
    unsafe_allow_unsigned: AllowUnsigned | None = Field(
        default=None, description="Always passes and warns on every use: for images nobody signs."
    )
