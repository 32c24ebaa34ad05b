"""AdmissionReview, bytes to value (Kubernetes API, admission.k8s.io/v1 and v1beta1).

The caller is anonymous unless the API server was given a client certificate, so the bytes are hostile. They are read in two
steps: `open_envelope` finds whom to answer (what it cannot read is an HTTP 400), `read_review` the rest (what it cannot read
is a denial with the right uid). Names are compared exactly, as the API server does; unknown fields are ignored.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from controller.documents import read_json
from controller.errors import Code, Invalid, Refused
from controller.settings import Limits

VERSIONS: Final = frozenset({"admission.k8s.io/v1", "admission.k8s.io/v1beta1"})
_UID: Final = 256
"""Longest uid, in characters; the API server's are UUIDs."""
_DEEPEST: Final = 1000
"""Levels at which Python's own guard against recursion stops the decoder; below it nothing here recurses into an object."""
_WHAT: Final = "AdmissionReview"

_DECODER: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder()

GroupKind = tuple[str, str]
"""API group (empty for core) and kind."""


class Operation(StrEnum):
    """What the request does."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


_OPERATIONS: Final = {operation.value: operation for operation in Operation}
_WITH_OBJECT: Final = (Operation.CREATE, Operation.UPDATE)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Whom to answer: the review's own apiVersion and the request's uid. The rest of `document` is not checked yet."""

    version: str
    uid: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Review:
    """One admission request.

    `object` is None for DELETE and CONNECT only. `old_object` is as it came, of any type: it is no more than a hint about
    what already runs.
    """

    version: str
    uid: str
    kind: GroupKind
    subresource: str
    operation: Operation
    namespace: str
    name: str
    user: str
    dry_run: bool
    object: dict[str, Any] | None
    old_object: Any


def open_envelope(raw: bytes) -> Envelope:
    """Read whom to answer.

    Args:
        raw: The body, not longer than `Limits.review_bytes`.

    Raises:
        Invalid: `InvalidReview` where the body is no JSON, no AdmissionReview of a known version, or has no request uid.
    """
    try:
        document = _DECODER.decode(raw)
    except RecursionError:
        raise _invalid("is nested too deeply") from None
    except ValueError as error:  # msgspec's errors and UnicodeDecodeError are such
        raise _invalid("is not JSON", found=str(error)[:120]) from None
    if not isinstance(document, dict):
        raise _invalid("is not a JSON object", found=type(document).__name__)
    if document.get("kind") != _WHAT:
        raise _invalid("has another kind", field="kind", expected=_WHAT, found=_shown(document.get("kind")))
    version = document.get("apiVersion")
    if not isinstance(version, str) or version not in VERSIONS:
        raise _invalid(
            "has an unknown version", field="apiVersion", expected=" or ".join(sorted(VERSIONS)), found=_shown(version)
        )
    request = document.get("request")
    if not isinstance(request, dict):
        raise _invalid("has no request", field="request", expected="an object", found=_shown(request))
    uid = request.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= _UID:
        raise _invalid("has no uid", field="request.uid", expected=f"1 to {_UID} characters", found=_shown(uid))
    return Envelope(version, uid, document)


def read_review(raw: bytes, envelope: Envelope, limits: Limits) -> Review:
    """Read the rest of the review that `envelope` was opened from.

    Raises:
        Refused: `Ambiguous` where a name stands twice in an object.
        Invalid: `InvalidReview` naming the field.
    """
    _check_one_reading(raw, envelope, limits)
    request = envelope.document["request"]
    kind = _kind(request)
    operation = _OPERATIONS.get(_text(request, "operation", "request.operation"))
    if operation is None:
        raise _invalid("is unknown", field="request.operation", found=_shown(request.get("operation")))
    user = request.get("userInfo")
    return Review(
        version=envelope.version,
        uid=envelope.uid,
        kind=kind,
        subresource=_text(request, "subResource", "request.subResource"),
        operation=operation,
        namespace=_text(request, "namespace", "request.namespace"),
        name=_text(request, "name", "request.name"),
        user=_text(user, "username", "request.userInfo.username") if isinstance(user, dict) else "",
        dry_run=_flag(request, "dryRun"),
        object=_object(request, kind) if operation in _WITH_OBJECT else None,
        old_object=request.get("oldObject"),
    )


def _check_one_reading(raw: bytes, envelope: Envelope, limits: Limits) -> None:
    """Refuse a document with a repeated name, at a small part of the price of looking at every object.

    The decoder keeps the last of two equal names, so what it dropped is missing when its value is encoded again. A string
    costs two quotation marks, and one more for each that it holds: written in the raw form as backslash and quotation mark
    or as the escape u0022, in the encoded form always in the former way. So, with no name dropped,

        quotation marks in raw + escapes u0022 in raw  =  quotation marks in the encoded form,

    and a dropped name makes the right side smaller by at least two. Counting the bytes of the escape can only find more than
    there are (after an escaped backslash), which makes the left side larger still: equality proves that nothing was dropped.
    Equal bytes, which the API server's compact form usually gives, prove it sooner. Everything else goes the exact way.
    """
    try:
        encoded = _ENCODER.encode(envelope.document)
    except RecursionError:
        raise Refused(Code.LIMIT_EXCEEDED, f"{_WHAT} is nested too deeply") from None
    if encoded != raw.rstrip() and raw.count(b'"') + raw.count(b"\\u0022") != encoded.count(b'"'):
        # Names that differ in letter case are two names to the API server, and labels may well be.
        read_json(raw, _WHAT, limit=limits.review_bytes, max_depth=_DEEPEST, fold_names=False)


def _kind(request: dict[str, Any]) -> GroupKind:
    value = request.get("kind")
    if not isinstance(value, dict):
        raise _invalid("must be an object", field="request.kind", found=_shown(value))
    kind = _text(value, "kind", "request.kind.kind")
    if not kind:
        raise _invalid("is missing", field="request.kind.kind")
    return _text(value, "group", "request.kind.group"), kind


def _object(request: dict[str, Any], kind: GroupKind) -> dict[str, Any]:
    """The object, which must be what `request.kind` says: the table of images is chosen by that."""
    value = request.get("object")
    if not isinstance(value, dict):
        raise _invalid("must be an object", field="request.object", found=_shown(value))
    group, slash, _ = _text(value, "apiVersion", "request.object.apiVersion").partition("/")
    found = (group if slash else "", _text(value, "kind", "request.object.kind"))
    if found != kind:
        raise _invalid(
            "is another kind than request.kind", field="request.object", expected=shown_kind(kind), found=shown_kind(found)
        )
    return value


def shown_kind(kind: GroupKind) -> str:
    """The kind for people: `Deployment (apps)`."""
    return f"{kind[1][:64]} ({kind[0][:128] or 'core'})"


def _text(value: dict[str, Any], name: str, field: str) -> str:
    found = value.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise _invalid("must be a string", field=field, found=_shown(found))
    return found


def _flag(request: dict[str, Any], name: str) -> bool:
    found = request.get(name)
    if found is not None and not isinstance(found, bool):
        raise _invalid("must be true or false", field=f"request.{name}", found=_shown(found))
    return bool(found)


def _shown(value: object) -> str:
    return repr(value[:80]) if isinstance(value, str) else "nothing" if value is None else type(value).__name__


def _invalid(message: str, *, field: str = "", expected: str = "", found: str = "") -> Invalid:
    return Invalid(
        Code.INVALID_REVIEW, f"{_WHAT} {message}" if not field else message, field=field, expected=expected, found=found
    )
