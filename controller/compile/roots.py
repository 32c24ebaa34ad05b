"""The trust roots that policies name: TrustRoots as written, and the built-in ones."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError

from controller import problems, roots
from controller.compile.references import Data
from controller.errors import Code, Invalid, Reason
from controller.policy import trustroot
from controller.policy.store import CONFIG_MAP, TRUST_ROOT, Document
from controller.policy.trustroot import TrustRootResource, Tuf
from controller.problems import Problems
from controller.roots import BUILT_IN, TrustedRoot
from controller.settings import Limits

_SHOWN: Final = 8

BuiltIn = Callable[[str], TrustedRoot | Reason]
"""The built-in root of a name as it is believed now, or why it is not."""


Mirrored = Callable[[str, Tuf], TrustedRoot | Reason]
"""The root that a TrustRoot's TUF repository published, as it is believed now, or why there is none."""


class Roots:
    """Trust roots by name, each parsed once. A built-in one is parsed when a policy names it, and then kept.

    Args:
        own: TrustRoots, where they are published, or why one cannot be used.
        limits: Bounds for what is read.
        built_in: Says what the built-in ones are now; by default as shipped.
        mirrored: The same for those published by a TUF repository; by default nothing was fetched yet.
        data: The Secrets and ConfigMaps that policies may name.
    """

    __slots__ = ("_built_in", "_mirrored", "_named", "_own", "data", "followed")

    def __init__(
        self,
        own: Mapping[str, TrustedRoot | Tuf | Reason],
        limits: Limits,
        built_in: BuiltIn | None = None,
        mirrored: Mirrored | None = None,
        data: Data | None = None,
    ) -> None:
        self.data = data or Data()
        self.followed: dict[str, Tuf] = {}
        self._own = MappingProxyType(dict(own))
        self._built_in = built_in or (lambda name: _built_in(name, limits))
        self._mirrored = mirrored or _not_fetched
        self._named: dict[str, TrustedRoot | Reason] = {}

    @classmethod
    def read(
        cls,
        documents: Iterable[Document],
        limits: Limits,
        built_in: BuiltIn | None = None,
        mirrored: Mirrored | None = None,
    ) -> "Roots":
        """Read every TrustRoot among `documents`; one that cannot be read is known with its reason."""
        kept = tuple(documents)
        data = Data(kept)
        own: dict[str, TrustedRoot | Tuf | Reason] = {}
        written = [document for document in kept if document.kind == TRUST_ROOT]
        too_many = Reason(
            Code.LIMIT_EXCEEDED, "the cluster has too many TrustRoots", f"at most {limits.trust_roots}", str(len(written))
        )
        for number, document in enumerate(written):  # in the order given, so that every replica keeps the same ones
            own[document.name] = _read_or_reason(document, limits, data) if number < limits.trust_roots else too_many
        return cls(own, limits, built_in, mirrored, data)

    @property
    def named(self) -> Mapping[str, TrustedRoot | Reason]:
        """The built-in ones that were found so far: one and the same however often each was."""
        return MappingProxyType({name: root for name, root in self._named.items() if name in BUILT_IN})

    @property
    def believed(self) -> Mapping[str, TrustedRoot | Reason]:
        """Every root that was found so far and may become another one while the documents stay as they are."""
        return MappingProxyType(dict(self._named))

    def find(self, name: str) -> TrustedRoot | Reason:
        """The trust root of this name, or why there is none."""
        if name in self._named:
            return self._named[name]
        if name in BUILT_IN:
            return self._named.setdefault(name, self._built_in(name))
        known = self._own.get(name)
        if isinstance(known, Tuf):
            self.followed[name] = known
            return self._named.setdefault(name, self._mirrored(name, known))
        if known is not None:
            return known
        names = (*BUILT_IN, *sorted(self._own))
        expected = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        return Reason(Code.ROOT_UNAVAILABLE, "there is no such TrustRoot", expected, name)


def _not_fetched(name: str, source: Tuf) -> Reason:
    return Reason(Code.ROOT_UNAVAILABLE, f"TrustRoot {name} was not fetched yet", found=f"nothing from {source.url[:120]}")


def check_root(document: Document, limits: Limits) -> TrustRootResource:
    """Whether a TrustRoot is written as it must be: an inline one whole, another as far as it stands here.

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
    if resource.spec.inline is not None:
        _parse(resource.spec.inline.encode(), document.name, "spec.inline", limits)
    return resource


def read_root(document: Document, limits: Limits, data: Data) -> TrustedRoot | Tuf | Reason:
    """Parse a TrustRoot, or say where it is published, or why the object it names cannot be read.

    Raises:
        Invalid: As `check_root`.
    """
    spec = check_root(document, limits).spec
    if spec.tuf is not None:
        return spec.tuf
    if spec.config_map_key_ref is None:
        return _parse((spec.inline or "").encode(), document.name, "spec.inline", limits)
    ref = spec.config_map_key_ref
    content = data.find(CONFIG_MAP, ref, "")
    if isinstance(content, Reason):
        return replace(content, code=Code.ROOT_UNAVAILABLE)
    return _parse(content, document.name, f"key {ref.key} of ConfigMap {ref.namespace}/{ref.name}", limits)


def _parse(raw: bytes, name: str, field: str, limits: Limits) -> TrustedRoot:
    try:
        return roots.parse(raw, name, limits)
    except Invalid as error:
        reason = error.reason
        raise Invalid(reason.code, reason.message, field=field, expected=reason.expected, found=reason.found) from None


def _read_or_reason(document: Document, limits: Limits, data: Data) -> TrustedRoot | Tuf | Reason:
    try:
        return read_root(document, limits, data)
    except Invalid as error:
        return error.reason
    except Exception as error:  # noqa: BLE001 - a fault of ours must not drop a root: whoever needs it is undecided
        return Reason(Code.INTERNAL, "the trusted root could not be read", found=type(error).__name__)


@lru_cache(maxsize=2 * len(BUILT_IN))
def _built_in(name: str, limits: Limits) -> TrustedRoot:
    """Parsed once for the process: what ships does not change, and every policy change would parse it again."""
    return roots.builtin(name, limits)
