"""TrustExceptions as written -> ready to be asked (design, section 3). One that cannot be read lets nothing through."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from controller import problems
from controller.compile.compiled import TrustException
from controller.errors import Code, Invalid, Reason
from controller.policy import exception
from controller.policy.exception import EVERY, TrustExceptionResource
from controller.policy.store import TRUST_EXCEPTION, Document
from controller.problems import Problems
from controller.reference import ImagePattern
from controller.settings import Limits

_HOUR: Final = 3600.0
_SKEW: Final = 300.0
"""Seconds by which clocks may differ."""


def compile_exception(document: Document, limits: Limits, now: float | None = None) -> TrustException:
    """Parse a TrustException.

    Args:
        document: As it was read.
        limits: `exception_lifetime`.
        now: POSIX seconds, where it is being written: it may have no creationTimestamp then, and must not have expired.

    Raises:
        Invalid: Naming every field that is wrong.
    """
    found = Problems()
    try:
        resource = TrustExceptionResource.model_validate(document.value)
    except ValidationError as error:
        found.extend(problems.of_shape(error, TrustExceptionResource))
        found.check()
        raise  # never: a validation error names at least one problem
    found.extend(exception.check(resource))
    made = _made(resource, now, found)
    until = resource.spec.expires_at.timestamp()
    _check_lifetime(made, until, limits, now, found)
    images = _patterns(resource.spec.match.images, found)
    found.check()
    return _compiled(resource, images, made, until)


def compile_exceptions(
    documents: Iterable[Document], limits: Limits
) -> tuple[tuple[TrustException, ...], tuple[tuple[str, Reason], ...]]:
    """Those among `documents` that can be used, and the others by name with what is wrong with them."""
    good: list[TrustException] = []
    void: list[tuple[str, Reason]] = []
    for document in documents:
        if document.kind == TRUST_EXCEPTION:
            compiled = _compile_or_void(document, limits, len(good))
            if isinstance(compiled, TrustException):
                good.append(compiled)
            else:
                void.append((document.name, compiled))
    return tuple(good), tuple(void)


def _compile_or_void(document: Document, limits: Limits, before: int) -> TrustException | Reason:
    if before >= limits.exceptions:
        return Reason(Code.LIMIT_EXCEEDED, "there are too many TrustExceptions", f"at most {limits.exceptions}")
    try:
        return compile_exception(document, limits)
    except Invalid as error:
        return error.reason
    except Exception as error:  # noqa: BLE001 - a fault of ours must open nothing, and stop nothing either
        return Reason(Code.INTERNAL, "it could not be compiled", found=type(error).__name__)


def _made(resource: TrustExceptionResource, now: float | None, found: Problems) -> float:
    made = resource.metadata.creation_timestamp
    if made is not None:
        return made.timestamp()
    if now is None:  # the API server always writes it; a file must, or the exception would have no age
        expected = "the time it was made, such as 2026-01-31T00:00:00Z"
        found.add("metadata.creationTimestamp", "is missing", expected=expected)
    return now or 0.0


def _check_lifetime(made: float, until: float, limits: Limits, now: float | None, found: Problems) -> None:
    longest, earliest = limits.exception_lifetime, made if now is None else now
    if until - made > longest:
        expected = f"at most {longest / _HOUR:g}h after the object was made (limits.exceptionLifetime)"
        found.add("spec.expiresAt", "lies too far away", expected=expected, found=f"{(until - made) / _HOUR:.1f}h")
    if until <= earliest:
        expected = f"a time after {datetime.fromtimestamp(earliest, UTC).isoformat(timespec='seconds')}"
        found.add("spec.expiresAt", "lies in the past", expected=expected)


def _patterns(texts: Iterable[str], found: Problems) -> tuple[ImagePattern, ...]:
    patterns: list[ImagePattern] = []
    for index, text in enumerate(texts):
        with found.at(f"spec.match.images[{index}]"):
            patterns.append(ImagePattern(text))
    return tuple(patterns)


def _compiled(
    resource: TrustExceptionResource, images: tuple[ImagePattern, ...], made: float, until: float
) -> TrustException:
    spec = resource.spec
    return TrustException(
        name=resource.metadata.name,
        images=images,
        namespaces=_named(spec.match.namespaces),
        policies=_named(spec.policies),
        requirements=_named(spec.requirements),
        since=made - _SKEW,
        until=until,
        reason=spec.reason,
        owner=spec.owner or "",
        ticket=spec.ticket or "",
    )


def _named(values: tuple[str, ...]) -> frozenset[str] | None:
    return None if EVERY in values else frozenset(values)
