"""SLSA provenance v0.2 and v1: who built it, from which source, how, and at which build level (slsa.dev/spec).

Read are the fields that the builder fills in and the build's tenant cannot reach: `builder.id`, the build type, and the
top-level source that the build was started with. Nothing says its own SLSA level: it follows from the builder (`_LEVELS`).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controller.errors import Code, Reason, Refused
from controller.predicates.patterns import Pattern, any_matches, shown

TYPES: Final = ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2")
_LEVELS: Final = (
    (Pattern("https://github.com/slsa-framework/slsa-github-generator/.github/workflows/*.yml@refs/tags/*"), 3),
    (Pattern("https://cloudbuild.googleapis.com/GoogleHostedWorker*"), 3),
    (Pattern("https://github.com/actions/runner/github-hosted"), 2),
    (Pattern("https://tekton.dev/chains/v2"), 2),
)
"""Build levels of builders whose own documentation states them. Any other one proves level 1: that provenance exists."""
_SOURCES: Final = ("workflow", "source", "buildConfigSource")
"""Where the builders' build types keep the source among their external parameters."""
_WHAT: Final = "the provenance"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a build's source came from; `ref` is empty where nothing says it."""

    repository: str
    ref: str


@dataclass(frozen=True, slots=True)
class ProvenanceRule:
    """What a policy asks of provenance. `repository` is empty and `level` 1 where it does not ask."""

    builders: tuple[Pattern, ...]
    repository: str = ""
    refs: tuple[Pattern, ...] = ()
    build_types: tuple[Pattern, ...] = ()
    level: int = 1

    @property
    def fingerprint(self) -> str:
        """As `ContentRule.fingerprint`."""
        parts = [sorted(pattern.text for pattern in group) for group in (self.builders, self.refs, self.build_types)]
        return hashlib.sha256(repr(("provenance 1", parts, self.repository, self.level)).encode()).hexdigest()

    def problem(self, predicate: Any) -> Reason | None:
        """As `ContentRule.problem`.

        Raises:
            Refused: `Malformed` where the builder is not named.
        """
        builder, build_type = _builder(predicate), _build_type(predicate)
        if not any_matches(self.builders, builder):
            return Reason(Code.WRONG_BUILDER, "built by another builder", shown(self.builders), builder[:200])
        if self.build_types and not any_matches(self.build_types, build_type):
            found = build_type[:200] or "none"
            return Reason(Code.WRONG_BUILD_TYPE, "built in another way", shown(self.build_types), found)
        return self._level_problem(builder) or self._source_problem(predicate)

    def _level_problem(self, builder: str) -> Reason | None:
        known = max((level for pattern, level in _LEVELS if pattern.matches(builder)), default=1)
        if known >= self.level:
            return None
        expected, found = f"a builder of SLSA build level {self.level}", f"level {known}: {builder[:160]}"
        return Reason(Code.LEVEL_NOT_MET, "the builder does not reach the level", expected, found)

    def _source_problem(self, predicate: Any) -> Reason | None:
        if not self.repository:
            return None
        source = _source(predicate)
        if source is None:
            return Reason(Code.WRONG_SOURCE, f"{_WHAT} names no source", self.repository, "none")
        if source.repository != normal(self.repository):
            return Reason(Code.WRONG_SOURCE, "built from another repository", self.repository, source.repository[:200])
        if self.refs and not any_matches(self.refs, source.ref):
            return Reason(Code.WRONG_SOURCE, "built from another ref", shown(self.refs), source.ref[:200] or "none")
        return None


def normal(repository: str) -> str:
    """A repository's address without what changes nothing: `git+`, a final `/` or `.git`, capitals in the host."""
    text = repository.removeprefix("git+").rstrip("/").removesuffix(".git")
    scheme, separator, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{separator}{host.lower()}{slash}{path}" if separator else text


def _builder(predicate: Any) -> str:
    holder = _member(predicate, "runDetails") if "runDetails" in _object(predicate) else _object(predicate)
    builder = _member(holder, "builder").get("id")
    if not isinstance(builder, str) or not builder:
        raise Refused(Code.MALFORMED, f"{_WHAT} names no builder", expected="builder.id")
    return builder


def _build_type(predicate: Any) -> str:
    document = _object(predicate)
    found = (
        _member(document, "buildDefinition").get("buildType") if "buildDefinition" in document else document.get("buildType")
    )
    return found if isinstance(found, str) else ""


def _source(predicate: Any) -> Source | None:
    """The source at the top: of several places the first that names one, as the build types define them."""
    return next(_sources(_object(predicate)), None)


def _sources(document: Mapping[str, Any]) -> Iterator[Source]:
    if "buildDefinition" not in document:  # v0.2
        config = _member(_member(document, "invocation"), "configSource")
        yield from _from_uri(config.get("uri"))
        return
    definition = _member(document, "buildDefinition")
    external = _member(definition, "externalParameters")
    for name in _SOURCES:
        found = external.get(name)
        if isinstance(found, str):
            yield from _from_uri(found)
        elif isinstance(found, Mapping):
            repository, ref = found.get("repository", found.get("uri")), found.get("ref")
            if isinstance(ref, str) and isinstance(repository, str):
                yield Source(normal(repository), ref)
            else:
                yield from _from_uri(repository)
    dependencies = definition.get("resolvedDependencies")
    git = [one.get("uri") for one in dependencies if isinstance(one, Mapping)] if isinstance(dependencies, Sequence) else []
    git = [uri for uri in git if isinstance(uri, str) and uri.startswith("git+")]
    if len(git) == 1:  # of several nobody says which was built
        yield from _from_uri(git[0])


def _from_uri(uri: Any) -> Iterator[Source]:
    """`git+https://host/path@ref` (an SPDX download location); the ref begins at the first `@` of the path."""
    if not isinstance(uri, str) or not uri:
        return
    scheme, separator, rest = uri.rpartition("://")
    host, slash, path = rest.partition("/")
    where, _, ref = path.partition("@")
    yield Source(normal(f"{scheme}{separator}{host}{slash}{where}"), ref)


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Refused(Code.MALFORMED, f"{_WHAT} is no object", found=type(value).__name__)
    return value


def _member(document: Any, name: str) -> Mapping[str, Any]:
    found = _object(document).get(name)
    return found if isinstance(found, Mapping) else {}
