"""Packages by package URL, and which of them a policy denies (purl-spec; versions as their ecosystems order them)."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import unquote

from controller.errors import Code, Invalid

_SEMANTIC: Final = frozenset({"npm", "cargo", "golang", "pub", "hex", "nuget", "composer", "swift"})
"""Types in whose versions everything behind a hyphen is a pre-release (semver.org)."""
_PARTS: Final = re.compile(r"[0-9]+|[a-zA-Z]+|~", re.ASCII)
_EARLY: Final = ("~", "dev", "a", "alpha", "b", "beta", "m", "milestone", "c", "rc", "pre", "preview", "snapshot")
"""What comes before the release it names, in that order."""
_OPERATORS: Final = ("<=", ">=", "<", ">", "!=")

_Version = tuple[tuple[int, int, str], ...]


@dataclass(frozen=True, slots=True)
class PackageUrl:
    """Type, namespace with name, and version (empty where there is none). Qualifiers and subpath name no other package."""

    kind: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"pkg:{self.kind}/{self.name}" + (f"@{self.version}" if self.version else "")


def read(text: str) -> PackageUrl | None:
    """A package URL in canonical form; None for what is none."""
    if not text.lower().startswith("pkg:"):
        return None
    rest = text[4:].lstrip("/").partition("#")[0].partition("?")[0]
    kind, _, path = rest.partition("/")
    path, _, version = _at(path)
    name = "/".join(unquote(part) for part in path.split("/") if part)
    kind = kind.lower()
    if not kind or not name:
        return None
    return PackageUrl(kind, _canonical(kind, name), unquote(version))


def _at(path: str) -> tuple[str, str, str]:
    """Name and version: the last `@` divides them, unless it begins an npm scope."""
    name, at, version = path.rpartition("@")
    return (path, "", "") if not at or not name or name.endswith("/") else (name, at, version)


def _canonical(kind: str, name: str) -> str:
    name = name.lower()  # more than the specification asks of some types, so that none slips by in capitals
    return re.sub(r"[-_.]+", "-", name) if kind == "pypi" else name  # PEP 503


@dataclass(frozen=True, slots=True)
class Denied:
    """A package that must not be there: every version, one, or those that meet all `bounds` (`<2.0`, `>=1.4`)."""

    text: str
    kind: str
    name: str
    version: str
    bounds: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str, field: str) -> "Denied":
        """Read `pkg:npm/event-stream@3.3.6`, `pkg:npm/lodash@<4.17.21`, `pkg:pypi/django@>=4.0,<4.2.1`, `pkg:npm/left-pad`.

        `*` in a name stands for any part of it.

        Raises:
            Invalid: `InvalidPolicy`.
        """
        found = read(text)
        if found is None or not re.fullmatch(r"[a-z0-9.+-]+", found.kind):
            expected = "pkg:type/namespace/name@version, or @<2.0 or @>=1.0,<2.0"
            raise Invalid(Code.INVALID_POLICY, "no package URL", field=field, expected=expected, found=repr(text[:80]))
        if not found.version.startswith(("<", ">", "!")):
            return cls(text, found.kind, found.name, found.version, ())
        bounds = tuple(_bound(part.strip(), field) for part in found.version.split(","))
        return cls(text, found.kind, found.name, "", bounds)

    def matches(self, package: PackageUrl) -> bool:
        """Whether the package is denied. One whose version is missing or cannot be compared is not let by."""
        if package.kind != self.kind or not fnmatchcase(package.name, self.name):
            return False
        if not package.version:
            return True
        if self.version:
            return package.version == self.version or self._order(package, self.version) == 0
        return all(_holds(operator, self._order(package, limit)) for operator, limit in self.bounds)

    def _order(self, package: PackageUrl, limit: str) -> int:
        return compare(package.version, limit, semantic=self.kind in _SEMANTIC)


def _bound(text: str, field: str) -> tuple[str, str]:
    operator = next((one for one in _OPERATORS if text.startswith(one)), "")
    limit = text[len(operator) :].strip()
    if not operator or not limit:
        expected = f"one of {' '.join(_OPERATORS)} before a version"
        raise Invalid(Code.INVALID_POLICY, "no version range", field=field, expected=expected, found=repr(text[:40]))
    return operator, limit


def _holds(operator: str, order: int) -> bool:
    match operator:
        case "<":
            return order < 0
        case "<=":
            return order <= 0
        case ">":
            return order > 0
        case ">=":
            return order >= 0
        case _:
            return order != 0


def compare(one: str, other: str, *, semantic: bool = False) -> int:
    """-1, 0 or 1: numbers as numbers, pre-releases before their release, an epoch (`1:`) first, build metadata not at all.

    With `semantic` everything behind the first hyphen is a pre-release, else only what is known to be one.
    """
    left, right = _epoch(one), _epoch(other)
    if left[0] != right[0]:
        return -1 if left[0] < right[0] else 1
    first, second = _key(left[1], semantic=semantic), _key(right[1], semantic=semantic)
    return (first > second) - (first < second)


def _epoch(version: str) -> tuple[int, str]:
    text = version.strip().lstrip("vV").partition("+")[0]
    epoch, colon, rest = text.partition(":")
    return (int(epoch), rest) if colon and epoch.isdigit() and len(epoch) < 10 else (0, text)  # noqa: PLR2004 - a number


def _key(version: str, *, semantic: bool) -> _Version:
    """Comparable parts, closed by one that stands between pre-releases and everything that follows a release."""
    release, hyphen, early = version[:256].partition("-") if semantic else (version[:256], "", "")
    parts = _parts(release)
    if hyphen:
        return (*parts, (0, -1, ""), *_parts(early), (1, 0, ""))
    return (*parts, (1, 0, ""))


def _parts(text: str) -> list[tuple[int, int, str]]:
    """Numbers, words of pre-releases, and other words, without zeros that change nothing: 1.0 is 1, 1.0-rc1 is 1-rc1."""
    parts: list[tuple[int, int, str]] = []
    for part in _PARTS.findall(text):
        if part.isdigit():
            parts.append((2, int(part[:64]), ""))
            continue
        _shorten(parts)
        low = part.lower()
        parts.append((0, _EARLY.index(low), "") if low in _EARLY else (1, 1, low))
    _shorten(parts)
    return parts


def _shorten(parts: list[tuple[int, int, str]]) -> None:
    while parts and parts[-1] == (2, 0, ""):
        parts.pop()
