"""The shapes of `--output json`: one document per command, told apart by `kind`, described in docs/output.md.

Names are stable: fields and kinds may be added under one `version`, never renamed or given another meaning. The JSON Schema
in docs/output.schema.json is generated from these types.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

VERSION: Final = 1

Version = Annotated[Literal[1], Meta(description="Version of this format.")]
Result = Annotated[
    Literal["Pass", "Refused", "Undecided"],
    Meta(description="Pass: admitted, perhaps with warnings. Refused: denied. Undecided: denied for want of an answer."),
]
ExitCode = Annotated[
    Literal[0, 1, 2, 3], Meta(description="The command's exit status: 0 pass, 1 refused, 2 wrong input, 3 undecided.")
]
Verdict = Annotated[Literal["Allow", "Audit", "Warn", "Deny"], Meta(description="What admission does because of the image.")]
Effect = Annotated[Literal["Ignore", "Audit", "Warn", "Deny"], Meta(description="What this finding does to the request.")]

Outcome = Annotated[Literal["Pass", "Missing", "Failed", "Undecided"], Meta(description="What became of it.")]


class _Shape(Struct, frozen=True, rename="camel"):
    pass


class Reason(_Shape, frozen=True):
    """Why: a stable `code` for programs, the rest for people."""

    code: str
    message: str
    expected: str
    found: str


class Check(_Shape, frozen=True):
    """One authority's judgement of one piece of evidence. `reason` is null, and `signer` set, where it was proved."""

    authority: str
    trusts: str
    evidence: str
    format: str
    proved: bool
    signer: str
    reason: Reason | None


class Exempting(_Shape, frozen=True):
    """The TrustException that made a denial a warning: who answers for it, why, and until when (RFC 3339)."""

    name: str
    owner: str
    ticket: str
    reason: str
    until: str


class Requirement(_Shape, frozen=True):
    """One requirement of a policy and the checks behind its outcome.

    `platform` names the platform of an index it is about where the policy judges each by itself, and is empty elsewhere.
    """

    name: str
    kind: str
    outcome: Outcome
    effect: Effect
    reason: Reason | None
    note: str
    platform: str
    checks: list[Check]
    exception: Exempting | None


class Policy(_Shape, frozen=True):
    """One policy's judgement. `namespace` is empty for a ClusterTrustPolicy; `reason` is set where it failed as a whole.

    `exception` is the TrustException that made that failure a warning.
    """

    kind: str
    namespace: str
    name: str
    mode: str
    effect: Effect
    outcome: Outcome
    reason: Reason | None
    requirements: list[Requirement]
    exception: Exempting | None


class Object(_Shape, frozen=True):
    """The Kubernetes object that names an image, and the file it was read from (`deploy.yaml:12`, the line it begins at)."""

    file: str
    kind: str
    namespace: str
    name: str


class Image(_Shape, frozen=True):
    """One image's verdict and why, from policy down to each check.

    `image` is the text as written, `pointer` its JSON pointer in `object` (null and empty on the command line). `reference`
    is its canonical form and `digest` what was judged, each empty where it was not to be had. `stale` says that evidence
    from before the registry went out of reach was used. `next` says what to do about a refusal.
    """

    image: str
    object: Object | None
    pointer: str
    container: str
    reference: str
    digest: str
    result: Result
    verdict: Verdict
    stale: bool
    reason: Reason | None
    next: str
    policies: list[Policy]


class Summary(_Shape, frozen=True):
    """How many came out how; `warned` are among `passed`."""

    total: int
    passed: int
    warned: int
    refused: int
    undecided: int


class Verification(_Shape, frozen=True, tag_field="kind", tag="Verification"):
    """Written by `verify` and `explain`."""

    version: Version
    result: Result
    exit_code: ExitCode
    summary: Summary
    images: list[Image]


class Artifact(_Shape, frozen=True):
    """One entry of a batch. `name` is the image or the path; `image` is set for containers that were judged."""

    index: int
    type: str
    name: str
    result: Result
    signer: str
    reason: Reason | None
    image: Image | None


class Batch(_Shape, frozen=True, tag_field="kind", tag="Batch"):
    """Written by `batch`, entries in the order of the manifest."""

    version: Version
    result: Result
    exit_code: ExitCode
    summary: Summary
    artifacts: list[Artifact]


class Proof(_Shape, frozen=True):
    """What one authority of a policy says about an attachment."""

    policy: str
    authority: str
    proved: bool
    signer: str
    reason: Reason | None


class Attachment(_Shape, frozen=True):
    """One thing stored beside an image. Without `proofs` nobody judged it: found is not proved.

    `place` is where it was found, `type` what its (unsigned) media type or artifact type says, `predicateType` what a
    statement says it is, `about` the platform manifest that an unsigned BuildKit attestation is about.
    """

    what: Annotated[
        Literal["Signature", "Attestation", "UnsignedAttestation", "Other", "Unreadable"],
        Meta(description="What it is, read from its content."),
    ]
    format: str
    place: str
    manifest: str
    type: str
    predicate_type: str
    about: str
    proved: bool
    proofs: list[Proof]
    reason: Reason | None


class Gap(_Shape, frozen=True):
    """A place that could not be read."""

    place: str
    reason: Reason


class Tree(_Shape, frozen=True, tag_field="kind", tag="Tree"):
    """Written by `tree`: everything attached to one image."""

    version: Version
    exit_code: ExitCode
    image: str
    reference: str
    digest: str
    media_type: str
    platforms: list[str]
    judged: bool
    attachments: list[Attachment]
    gaps: list[Gap]


class Bundle(_Shape, frozen=True, tag_field="kind", tag="Bundle"):
    """Written by `verify-bundle`. `signer`, `claim` and `predicateType` are of what was verified, else empty."""

    version: Version
    result: Result
    exit_code: ExitCode
    digest: str
    signer: str
    claim: str
    predicate_type: str
    reason: Reason | None


class Response(_Shape, frozen=True):
    """What the webhook answered, verbatim."""

    allowed: bool
    message: str
    warnings: list[str]


class Scenario(_Shape, frozen=True):
    """One scenario of the demo: what happened, what was to be expected, what came."""

    name: str
    lesson: str
    expected: str
    came: str
    as_expected: bool
    response: Response
    images: list[Image]


class Demo(_Shape, frozen=True, tag_field="kind", tag="Demo"):
    """Written by `demo`."""

    version: Version
    exit_code: ExitCode
    scenarios: list[Scenario]


class Error(_Shape, frozen=True, tag_field="kind", tag="Error"):
    """Written by a command that could not do its work: wrong input (2), no answer (3). `field` names the input at fault."""

    version: Version
    exit_code: ExitCode
    field: str
    reason: Reason


Document = Verification | Batch | Tree | Bundle | Demo | Error


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of `Document`, as docs/output.schema.json holds it."""
    (own,), parts = msgspec.json.schema_components([Document], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://sigward.dev/schemas/output-v{VERSION}.json",
        "title": "Output of sigward --output json",
        **own,
        "$defs": parts,
    }
