"""What a policy that does not compile still says (design, rule 12): it applies, and fails in its own mode.

Each part is read by itself. A part of `match` can only narrow, so one that is not understood is left out and the policy is
about more, never about less; a mode that is not understood is Enforce.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from controller.compile.compiled import CompiledPolicy, PolicyId, Revoked, Scope
from controller.compile.selectors import selector
from controller.errors import Invalid, Reason
from controller.policy.model import LabelSelector
from controller.policy.rules import selector_problems
from controller.policy.selectors import Selector
from controller.policy.words import DigestText, Fingerprint, KeyMark, Mode
from controller.reference import Digest, ImagePattern

_T = TypeVar("_T")
_DIGESTS: TypeAdapter[tuple[DigestText, ...]] = TypeAdapter(tuple[DigestText, ...])
_CERTIFICATES: TypeAdapter[tuple[Fingerprint, ...]] = TypeAdapter(tuple[Fingerprint, ...])
_KEYS: TypeAdapter[tuple[KeyMark, ...]] = TypeAdapter(tuple[KeyMark, ...])


def broken(identity: PolicyId, value: Mapping[str, Any], reason: Reason, origin: str = "") -> CompiledPolicy:
    """A policy that refuses, for `reason`, what can still be read of its scope."""
    spec = _mapping(value.get("spec"))
    return CompiledPolicy(
        id=identity,
        mode=_mode(spec),
        scope=_scope(identity, _mapping(spec.get("match"))),
        revoked=_revoked(_mapping(spec.get("revoked"))),
        broken=reason,
        origin=origin,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mode(spec: Mapping[str, Any]) -> Mode:
    try:
        return Mode(spec["mode"])
    except (KeyError, ValueError):
        return Mode.ENFORCE


def _scope(identity: PolicyId, match: Mapping[str, Any]) -> Scope:
    return Scope(
        images=_patterns(match.get("images")) or None,
        exclude_images=_patterns(match.get("excludeImages")) or (),
        namespace=identity.namespace,
        namespace_selector=None if identity.namespace else _selector(match.get("namespaceSelector")),
        object_selector=_selector(match.get("objectSelector")),
    )


def _patterns(value: object) -> tuple[ImagePattern, ...] | None:
    """All of them, or None where one cannot be read: it may have been the one that mattered."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return None
    try:
        return tuple(map(ImagePattern, value))
    except Invalid:
        return None


def _selector(value: object) -> Selector | None:
    try:
        written = LabelSelector.model_validate(value)
    except ValidationError:
        return None
    return None if any(selector_problems(written, "")) else selector(written)


def _revoked(value: Mapping[str, Any]) -> Revoked:
    digests = _each(value.get("digests"), lambda text: Digest.parse(_DIGESTS.validate_python((text,))[0]))
    keys = _each(value.get("keys"), lambda text: key_signer(_KEYS.validate_python((text,))[0]))
    certificates = _each(value.get("certificates"), lambda text: certificate_mark(_CERTIFICATES.validate_python((text,))[0]))
    return Revoked(frozenset(digests), frozenset((*keys, *certificates)))


def _each(value: object, read: Callable[[Any], _T]) -> Iterable[_T]:
    """What can be read of a list: here more entries deny more, so each one counts by itself."""
    for item in value if isinstance(value, list) else ():
        try:
            yield read(item)
        except (Invalid, ValidationError):
            continue


def key_signer(mark: str) -> str:
    """The signer that a `KeyMark` means (`Signer.id`)."""
    return mark if mark.startswith("openpgp:") else f"key:sha256:{mark[-64:]}"


def certificate_mark(fingerprint: str) -> str:
    """What of `Verified.rests_on` a revoked certificate is."""
    return f"certificate:sha256:{fingerprint[-64:].lower()}"
