"""The words a trust policy may use: its enums and the shapes of its plain values."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, StringConstraints, WithJsonSchema

from controller.errors import Invalid
from controller.reference import Digest
from controller.settings import duration

GROUP: Final = "sigward.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

_DURATION_LENGTH: Final = 64
_RFC3339: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
"""Without RFC 3339's small letters, which Kubernetes does not read either (Go, time.RFC3339)."""


class Mode(StrEnum):
    """How strict a policy or a requirement can be."""

    ENFORCE = "Enforce"
    WARN = "Warn"
    AUDIT = "Audit"


class OnUnavailable(StrEnum):
    """What happens while a registry or a root is out of reach."""

    DENY = "Deny"
    WARN = "Warn"


class OnFinding(StrEnum):
    """What a missing or contradicting statement does."""

    DENY = "Deny"
    WARN = "Warn"
    IGNORE = "Ignore"


class Platforms(StrEnum):
    """Whether evidence is wanted about the requested digest or about each platform's manifest."""

    INDEX = "Index"
    EACH = "Each"


class TransparencyLog(StrEnum):
    """Whether a signature must stand in a transparency log."""

    REQUIRED = "Required"
    OPTIONAL = "Optional"


class Select(StrEnum):
    """Which of several statements of one type must hold."""

    ANY = "Any"
    NEWEST = "Newest"
    ALL = "All"


class SbomFormat(StrEnum):
    """The document formats of a bill of materials."""

    CYCLONEDX = "CycloneDX"
    SPDX = "SPDX"


class Severity(StrEnum):
    """Severity of a vulnerability, from which on it counts."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    CRITICAL = "Critical"


class Level(StrEnum):
    """Verification level of the Notary Project's trust policy."""

    STRICT = "Strict"
    PERMISSIVE = "Permissive"
    AUDIT = "Audit"


class Revocation(StrEnum):
    """How certificate revocation is checked."""

    STRICT = "Strict"
    SOFT = "Soft"
    SKIP = "Skip"


class Operator(StrEnum):
    """Operators of a label selector (apimachinery, LabelSelectorOperator)."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


def _timestamp(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(_RFC3339, value):
        raise ValueError("expected an RFC 3339 time such as 2026-01-31T00:00:00Z")
    return datetime.fromisoformat(value)


def _duration(value: object) -> object:
    if not isinstance(value, str) or value != value.strip() or len(value) > _DURATION_LENGTH:
        raise ValueError("expected a duration such as 30s, 10m or 720h")
    return duration(value)


def _digest(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        Digest.parse(value)
    except Invalid as error:
        raise ValueError(f"expected {error.reason.expected}") from None
    return value


def _flag(value: object) -> object:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")  # noqa: TRY004 - pydantic takes no other
    return value


def _whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("expected a whole number")  # noqa: TRY004 - pydantic takes no other
    return value


_LABEL: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=_LABEL)]
"""A name as Kubernetes likes them: lower-case letters, digits and '-' (RFC 1123 label)."""
ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""The name of an object (RFC 1123 subdomain)."""
DataKey = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
"""A key in a Secret's or ConfigMap's data."""
Short = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
PatternText = Annotated[str, StringConstraints(min_length=1, max_length=512)]
ExpressionText = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Pem = Annotated[str, StringConstraints(min_length=1, max_length=16384)]
PemBundle = Annotated[str, StringConstraints(min_length=1, max_length=262144)]
RootText = Annotated[str, StringConstraints(min_length=1, max_length=1048576)]
"""A JSON document of a Sigstore instance, as text."""
DigestText = Annotated[
    str,
    StringConstraints(min_length=71, max_length=135),
    BeforeValidator(_digest),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 71,
            "maxLength": 135,
            "pattern": "^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$",
        }
    ),
]
"""`sha256:<64 hex digits>` or `sha512:<128 hex digits>`."""
Fingerprint = Annotated[str, StringConstraints(min_length=64, max_length=71, pattern=r"^([sS][hH][aA]256:)?[0-9a-f]{64}$")]
"""SHA-256 in hex, with or without `sha256:` in front."""
KeyMark = Annotated[
    str,
    StringConstraints(
        min_length=48,
        max_length=72,
        pattern=r"^(([sS][hH][aA]256:)?[0-9a-f]{64}|openpgp:([0-9a-f]{40}|[0-9a-f]{64}))$",
    ),
]
"""A `Fingerprint`, or `openpgp:` and the fingerprint of an OpenPGP primary key in lower-case hex."""
LabelKey = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?$",
    ),
]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^([a-zA-Z0-9]([-_.a-zA-Z0-9]*[a-zA-Z0-9])?)?$")]
Time = Annotated[
    datetime,
    BeforeValidator(_timestamp),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 35, "pattern": f"^{_RFC3339}$"}),
]
"""RFC 3339."""
Age = Annotated[
    float,
    BeforeValidator(_duration),
    Field(gt=0, le=10 * 365 * 86400),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 2,
            "maxLength": _DURATION_LENGTH,
            "pattern": r"^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$",
        }
    ),
]
"""A Go duration, in seconds once read."""
Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=64)]
