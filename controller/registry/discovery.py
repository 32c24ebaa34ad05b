"""Which evidence a repository holds about a digest: found, bounded, not judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from controller.errors import Reason
from controller.evidence import Origin


class Want(StrEnum):
    """What the applicable policies can use; nothing else is fetched."""

    SIGNATURES = "signatures"
    ATTESTATIONS = "attestations"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One stored piece, as bytes: a layer of a cosign tag manifest, or the layer of a referrer.

    `media_type` is the layer descriptor's, `artifact_type` the manifest's; `annotations` the layer's over the manifest's.
    """

    origin: Origin
    media_type: str
    artifact_type: str
    annotations: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """A source that did not answer, or whose answer was refused.

    `settled` is True for a refusal (limits, malformed, mismatch): final, remembered. False is `Undecided`: not remembered.
    """

    place: str
    reason: Reason
    settled: bool


@dataclass(frozen=True, slots=True)
class Discovery:
    """All that was found, and where looking failed."""

    attachments: tuple[Attachment, ...]
    gaps: tuple[Gap, ...]
