"""The trust roots that policies name: TrustRoots as written, and the built-in ones."""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from controller import problems, roots
from controller.errors import Code, Invalid, Reason
from controller.policy import trustroot
from controller.policy.store import TRUST_ROOT, Document
from controller.policy.trustroot import TrustRootResource
from controller.problems import Problems
from controller.roots import BUILT_IN, TrustedRoot
from controller.settings import Limits

_SHOWN: Final = 8

BuiltIn = Callable[[str], TrustedRoot | Reason]
"""The built-in root of a name as it is believed now, or why it is not."""


class Roots:
    """Trust roots by name, each parsed once. A built-in one is parsed when a policy names it, and then kept."""

    __slots__ = ("_built_in", "_named", "_own")

    def __init__(self, own: Mapping[str, TrustedRoot | Reason], limits: Limits, built_in: BuiltIn | None = None) -> None:
        """Know `own` TrustRoots, or why one cannot be used, beside the built-in ones as `built_in` says, or as shipped."""
        self._own = MappingProxyType(dict(own))
        self._built_in = built_in or (lambda name: _built_in(name, limits))
        self._named: dict[str, TrustedRoot | Reason] = {}

    @classmethod
    def read(cls, documents: Iterable[Document], limits: Limits, built_in: BuiltIn | None = None) -> "Roots":
        """Read every TrustRoot among `documents`; one that cannot be read is known with its reason."""
        own: dict[str, TrustedRoot | Reason] = {}
        written = [document for document in documents if document.kind == TRUST_ROOT]
        too_many = Reason(
            Code.LIMIT_EXCEEDED, "the cluster has too many TrustRoots", f"at most {limits.trust_roots}", str(len(written))
        )
        for number, document in enumerate(written):  # in the order given, so that every replica keeps the same ones
            own[document.name] = _read_or_reason(document, limits) if number < limits.trust_roots else too_many
        return cls(own, limits, built_in)

    @property
    def named(self) -> Mapping[str, TrustedRoot | Reason]:
        """The built-in ones that were found so far: one and the same however often each was."""
        return MappingProxyType(dict(self._named))

    def find(self, name: str) -> TrustedRoot | Reason:
        """The trust root of this name, or why there is none."""
        if name in BUILT_IN:
            if name not in self._named:
                self._named[name] = self._built_in(name)
            return self._named[name]
        known = self._own.get(name)
        if known is not None:
            return known
        names = (*BUILT_IN, *sorted(self._own))
        expected = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        return Reason(Code.ROOT_UNAVAILABLE, "there is no such TrustRoot", expected, name)


def read_root(document: Document, limits: Limits) -> TrustedRoot:
    """Parse a TrustRoot.

    Raises:
        Invalid: Naming the field that is wrong, or the member of the trusted root.
    """
    found = Problems()
    try:
        resource = TrustRootResource.model_validate(document.value)
    except ValidationError as error:
        found.extend(problems.of_shape(error, TrustRootResource))
        found.check()
        raise  # never: a validation error names at least one problem
    found.extend(trustroot.check(resource))
    found.check()
    try:
        return roots.parse((resource.spec.inline or "").encode(), document.name, limits)
    except Invalid as error:
        reason = error.reason
        raise Invalid(
            reason.code, reason.message, field="spec.inline", expected=reason.expected, found=reason.found
        ) from None


def _read_or_reason(document: Document, limits: Limits) -> TrustedRoot | Reason:
    try:
        return read_root(document, limits)
    except Invalid as error:
        return error.reason
    except Exception as error:  # noqa: BLE001 - a fault of ours must not drop a root: whoever needs it is undecided
        return Reason(Code.INTERNAL, "the trusted root could not be read", found=type(error).__name__)


@lru_cache(maxsize=2 * len(BUILT_IN))
def _built_in(name: str, limits: Limits) -> TrustedRoot:
    """Parsed once for the process: what ships does not change, and every policy change would parse it again."""
    return roots.builtin(name, limits)
