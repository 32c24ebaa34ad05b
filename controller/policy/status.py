"""What the operator writes into `status`. Nothing that judges reads it."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from controller.policy.part import Part
from controller.policy.words import Name, Time

READY: Final = "Ready"
"""The type of the condition that says whether the object is in force as written."""

_MANY: Final = 2**31 - 1


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Part):
    """One aspect of an object's present state (apimachinery, metav1.Condition)."""

    type: Annotated[
        str,
        StringConstraints(
            min_length=1,
            max_length=316,
            pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        ),
    ] = Field(description="Type of the condition, such as Ready.")
    status: ConditionStatus = Field(description="Whether it holds.")
    observed_generation: Annotated[int, Field(ge=0, le=2**53)] | None = Field(
        default=None,
        description="The metadata.generation that this is about; older than it means not seen yet.",
    )
    last_transition_time: Time = Field(description="When the status last changed.")
    reason: Annotated[
        str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")
    ] = Field(description="Why, as one CamelCase word.")
    message: Annotated[str, StringConstraints(max_length=32768)] = Field(description="Why, for people.")


class KeyStatus(Part):
    """A key or certificate that the policy believes at present."""

    sha256: Annotated[str, StringConstraints(min_length=64, max_length=64, pattern=r"^[0-9a-f]{64}$")] = Field(
        description="SHA-256 of a public key's SubjectPublicKeyInfo or of a certificate, in hex."
    )
    not_after: Time | None = Field(default=None, description="When it stops being believed.")


class AuthorityStatus(Part):
    """What one authority believes at present."""

    name: Name = Field(description="Name of the authority.")
    keys: tuple[KeyStatus, ...] = Field(default=(), max_length=64, description="Its keys and anchors.")


class ImagesStatus(Part):
    """How many of the running images the policy matches, by its verdict when they were last judged."""

    passing: Annotated[int, Field(ge=0, le=_MANY)] = Field(description="Images that pass.")
    failing: Annotated[int, Field(ge=0, le=_MANY)] = Field(description="Images that would not be admitted today.")


class Status(Part):
    """What is known about it."""

    conditions: tuple[Condition, ...] = Field(default=(), max_length=16, description="Aspects of its state.")


class PolicyStatus(Status):
    """What is known about a policy."""

    authorities: tuple[AuthorityStatus, ...] = Field(default=(), max_length=64, description="What its authorities believe.")
    images: ImagesStatus | None = Field(default=None, description="The running images it matches.")
