"""Bills of materials: CycloneDX 1.2 to 1.7 (ECMA-424) and SPDX 2.2 and 2.3 as JSON, and what a policy asks of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.errors import Code, Reason, Refused
from controller.predicates import packages
from controller.predicates.licenses import Lists
from controller.predicates.packages import Denied

_WHAT: Final = "the SBOM"
_CYCLONEDX: Final = frozenset(f"1.{minor}" for minor in range(2, 8))
_SPDX: Final = frozenset({"SPDX-2.2", "SPDX-2.3"})
_NESTED: Final = 64
_NO_SUPPLIER: Final = frozenset({"", "NOASSERTION", "NONE"})
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Component:
    """One package as the document has it. `licences` are expressions that hold together."""

    name: str
    version: str
    purls: tuple[str, ...]
    licences: tuple[str, ...]
    supplier: str

    def __str__(self) -> str:
        return next(iter(self.purls), f"{self.name} {self.version}".strip())[:120]


@dataclass(frozen=True, slots=True)
class SbomRule:
    """What a policy asks of a bill of materials, at most `most` components long."""

    denied: tuple[Denied, ...]
    licences: Lists
    supplier: bool
    most: int

    @property
    def fingerprint(self) -> str:
        """As `ContentRule.fingerprint`."""
        lists = (sorted(self.licences.allow), sorted(self.licences.deny))
        asked = ("sbom 1", sorted(one.text for one in self.denied), lists, self.supplier, self.most)
        return hashlib.sha256(repr(asked).encode()).hexdigest()

    def problem(self, predicate: Any) -> Reason | None:
        """As `ContentRule.problem`.

        Raises:
            Refused: `Malformed` or `LimitExceeded`.
        """
        found = tuple(components(predicate, self.most))
        if not found:
            return Reason(Code.SBOM_INCOMPLETE, f"{_WHAT} lists nothing", expected="at least one component")
        nameless = [one for one in found if not one.name or (not one.version and not _versioned(one))]
        if nameless:
            shown = _some([str(one) for one in nameless])
            return Reason(Code.SBOM_INCOMPLETE, f"{_WHAT} has components without name or version", found=shown)
        return self._packages(found) or self._licences(found) or self._suppliers(found)

    def _packages(self, found: tuple[Component, ...]) -> Reason | None:
        if not self.denied:
            return None
        by_kind: dict[str, list[Denied]] = {}
        for denied in self.denied:
            by_kind.setdefault(denied.kind, []).append(denied)
        hits = []
        for component in found:
            for text in component.purls:
                package = packages.read(text)
                if package and any(denied.matches(package) for denied in by_kind.get(package.kind, ())):
                    hits.append(str(package))
        if not hits:
            return None
        expected = "none of " + _some([denied.text for denied in self.denied])
        return Reason(Code.PACKAGE_DENIED, "a denied package is in the image", expected, _some(hits))

    def _licences(self, found: tuple[Component, ...]) -> Reason | None:
        lists = self.licences
        if not lists.allow and not lists.deny:
            return None
        hits = []
        for component in found:
            why = next((bad for text in component.licences or ("",) if (bad := lists.problem(text))), "")
            if why:
                hits.append(f"{why} ({component})")
        if not hits:
            return None
        expected = f"only {_some(list(lists.allow))}" if lists.allow else f"none of {_some(list(lists.deny))}"
        return Reason(Code.LICENSE_DENIED, "a licence in the image is not accepted", expected, _some(hits))

    def _suppliers(self, found: tuple[Component, ...]) -> Reason | None:
        lacking = [str(one) for one in found if one.supplier.upper() in _NO_SUPPLIER] if self.supplier else []
        if not lacking:
            return None
        return Reason(Code.SUPPLIER_MISSING, "a component names no supplier", "a supplier of each", _some(lacking))


def components(predicate: Any, most: int) -> Iterator[Component]:
    """Every package of a document, the root that it is about left out.

    Raises:
        Refused: `Malformed` for another kind of document or version, `LimitExceeded` for more than `most`.
    """
    document = _document(predicate)
    found = _cyclonedx(document) if "bomFormat" in document else _spdx(document)
    for number, component in enumerate(found):
        if number >= most:
            raise Refused(Code.LIMIT_EXCEEDED, f"{_WHAT} is too long", expected=f"at most {most} components")
        yield component


def _document(predicate: Any) -> Mapping[str, Any]:
    """The document; some signers put it in as a text."""
    if isinstance(predicate, str):
        try:
            predicate = json.loads(predicate)
        except (ValueError, RecursionError):
            predicate = None
    if not isinstance(predicate, Mapping):
        raise Refused(Code.MALFORMED, f"{_WHAT} is no JSON object")
    if "@context" in predicate and "bomFormat" not in predicate:
        expected = "CycloneDX 1.2 to 1.7, SPDX 2.2 or 2.3"
        raise Refused(Code.MALFORMED, f"{_WHAT} is SPDX 3, which is not read", expected=expected)
    return predicate


def _cyclonedx(document: Mapping[str, Any]) -> Iterator[Component]:
    version = _text(document.get("specVersion"))
    if document.get("bomFormat") != "CycloneDX" or version not in _CYCLONEDX:
        raise Refused(Code.MALFORMED, f"{_WHAT} is of another version", expected="CycloneDX 1.2 to 1.7", found=version[:40])
    yield from _nested(document.get("components"), 0)


def _nested(listed: Any, depth: int) -> Iterator[Component]:
    if listed is None:
        return
    if not isinstance(listed, list) or depth > _NESTED:
        raise Refused(Code.MALFORMED, f"{_WHAT}: components must be a list, at most {_NESTED} deep")
    for one in listed:
        if not isinstance(one, Mapping):
            raise Refused(Code.MALFORMED, f"{_WHAT}: a component must be an object")
        if one.get("type") != "file":  # a file is no package: it has neither version nor supplier
            supplier = one.get("supplier")
            name = _text(supplier.get("name")) if isinstance(supplier, Mapping) else ""
            group = _text(one.get("group"))
            own = f"{group}/{_text(one.get('name'))}" if group else _text(one.get("name"))
            purl = _text(one.get("purl"))
            licences = tuple(_cyclonedx_licences(one.get("licenses")))
            yield Component(own, _text(one.get("version")), (purl,) if purl else (), licences, name)
        yield from _nested(one.get("components"), depth + 1)


def _cyclonedx_licences(listed: Any) -> Iterator[str]:
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, Mapping):
            continue
        licence = one.get("license")
        inner = licence if isinstance(licence, Mapping) else {}
        text = _text(one.get("expression")) or _text(inner.get("id")) or _text(inner.get("name"))
        if text:
            yield text


def _spdx(document: Mapping[str, Any]) -> Iterator[Component]:
    version = _text(document.get("spdxVersion"))
    if version not in _SPDX:
        raise Refused(Code.MALFORMED, f"{_WHAT} is of another version", expected="SPDX-2.2 or SPDX-2.3", found=version[:40])
    listed = document.get("packages", [])
    if not isinstance(listed, list):
        raise Refused(Code.MALFORMED, f"{_WHAT}: packages must be a list")
    described = _described(document)
    for one in listed:
        if not isinstance(one, Mapping):
            raise Refused(Code.MALFORMED, f"{_WHAT}: a package must be an object")
        if _text(one.get("SPDXID")) in described:
            continue
        concluded, declared = _text(one.get("licenseConcluded")), _text(one.get("licenseDeclared"))
        licence = declared if concluded.upper() in _NO_SUPPLIER else concluded
        supplier = _text(one.get("supplier")).removeprefix("Organization: ").removeprefix("Person: ")
        purls = tuple(_purls(one.get("externalRefs")))
        yield Component(
            _text(one.get("name")), _text(one.get("versionInfo")), purls, (licence,) if licence else (), supplier
        )


def _described(document: Mapping[str, Any]) -> frozenset[str]:
    """The packages that the document is about: the image itself."""
    listed = document.get("documentDescribes")
    found = {one for one in listed if isinstance(one, str)} if isinstance(listed, list) else set()
    relations = document.get("relationships")
    for one in relations if isinstance(relations, list) else ():
        if (
            isinstance(one, Mapping)
            and one.get("relationshipType") == "DESCRIBES"
            and one.get("spdxElementId") == "SPDXRef-DOCUMENT"
        ):
            found.add(_text(one.get("relatedSpdxElement")))
    return frozenset(found) - {""}


def _purls(listed: Any) -> Iterator[str]:
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping) and one.get("referenceType") == "purl" and isinstance(one.get("referenceLocator"), str):
            yield one["referenceLocator"]


def _versioned(component: Component) -> bool:
    """Whether its package URL says a version, or it is something that has none."""
    read = [package for text in component.purls if (package := packages.read(text))]
    return not read or any(package.version for package in read)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _some(texts: list[str]) -> str:
    distinct = list(dict.fromkeys(texts))
    more = f" and {len(distinct) - _SHOWN} more" if len(distinct) > _SHOWN else ""
    return ", ".join(distinct[:_SHOWN]) + more
