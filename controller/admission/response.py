"""The answer to an AdmissionReview, within what Kubernetes accepts (AdmissionResponse, admission.k8s.io/v1)."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

import msgspec

from controller.admission.review import Envelope

MAX_WARNING: Final = 256
"""Characters of one warning; above a total of `MAX_WARNINGS` the API server cuts each to it, so none is longer."""
MAX_WARNINGS: Final = 4096
"""Characters of all warnings."""
MAX_MESSAGE: Final = 4096
"""Characters of a denial; the API server sets no bound, people do."""
MAX_AUDIT_VALUE: Final = 4096
"""Characters of one audit annotation."""

_ENCODER: Final = msgspec.json.Encoder()
_NONE: Final[Mapping[str, str]] = MappingProxyType({})
_ELLIPSIS: Final = "…"


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say, whatever was asked.

    `message` is the reason of a denial. `warnings` are shown to whoever made the request, admitted or not. `audit` goes into
    the API server's audit log under the webhook's name. `patch` is a JSON patch (RFC 6902), for the mutating path only.
    """

    allowed: bool
    message: str = ""
    warnings: Sequence[str] = ()
    audit: Mapping[str, str] = field(default_factory=lambda: _NONE)
    patch: Sequence[Mapping[str, Any]] = ()


def encode(envelope: Envelope, answer: Answer) -> bytes:
    """The AdmissionReview to send back, in the version and with the uid of `envelope`."""
    response: dict[str, Any] = {"uid": envelope.uid, "allowed": answer.allowed}
    if not answer.allowed:
        response["status"] = {
            "message": clean(answer.message, MAX_MESSAGE) or "denied",
            "reason": "Forbidden",
            "code": HTTPStatus.FORBIDDEN.value,
        }
    if answer.warnings:
        response["warnings"] = bounded(answer.warnings)
    if answer.audit:
        response["auditAnnotations"] = {name: clean(value, MAX_AUDIT_VALUE) for name, value in answer.audit.items()}
    if answer.patch and answer.allowed:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(_ENCODER.encode(answer.patch)).decode()
    return _ENCODER.encode({"kind": "AdmissionReview", "apiVersion": envelope.version, "response": response})


def bounded(warnings: Sequence[str]) -> list[str]:
    """The warnings that Kubernetes will show: cleaned, cut, without repetition, the last one counting those left out."""
    cleaned = list(dict.fromkeys(clean(warning, MAX_WARNING) for warning in warnings))
    kept: list[str] = []
    room = MAX_WARNINGS - MAX_WARNING  # kept free for the count
    for warning in filter(None, cleaned):
        room -= len(warning)
        if room < 0:
            kept.append(f"and {len(cleaned) - len(kept)} more warnings")
            break
        kept.append(warning)
    return kept


def clean(text: str, limit: int) -> str:
    """`text` on one line, without characters that are no print, at most `limit` long.

    Control characters make a warning vanish, and bidirectional ones make a refusal read as something else; what a registry
    said can hold either.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS
