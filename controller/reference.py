"""Image references and image patterns.

A reference is read the way Docker and containerd read it (distribution/reference, grammar in its package comment) and then
made canonical, so that one image has one name: a policy must not be avoided by another spelling of the same registry.
"""

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from typing import Final

import re2

from controller.errors import Code, Invalid, Refused

DEFAULT_REGISTRY: Final = "docker.io"
_MAX_REFERENCE: Final = 1024
_MAX_REPOSITORY: Final = 255
_MAX_PORT: Final = 65535
_MAX_PATTERN: Final = 512
_MAX_WILDCARDS: Final = 16
_HEX_LENGTH: Final = {"sha256": 64, "sha512": 128}
# Other names of the same registry: an image fetched through them is the image of docker.io.
_ALIASES: Final = {"index.docker.io": DEFAULT_REGISTRY, "registry-1.docker.io": DEFAULT_REGISTRY}

# The expressions below are linear: no part of one can match what its neighbour matches.
_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:.]+\])", re.ASCII)
_PORT: Final = re.compile(r"[0-9]{1,8}", re.ASCII)
_COMPONENT: Final = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]+", re.ASCII)
_PATTERN: Final = re.compile(r"[a-z0-9*\[\]:._-]+(?:/[a-z0-9*._-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Digest:
    """A content digest (OCI image specification, descriptor, "Digests"): `sha256` or `sha512` and lower-case hex."""

    algorithm: str
    hex: str

    @classmethod
    def parse(cls, value: str) -> "Digest":
        """Read `sha256:<64 hex>` or `sha512:<128 hex>`.

        Raises:
            Invalid: `InvalidReference` for any other algorithm, length or letter.
        """
        algorithm, _, encoded = value.partition(":")
        if _HEX_LENGTH.get(algorithm) != len(encoded) or not _HEX.fullmatch(encoded):
            raise Invalid(
                Code.INVALID_REFERENCE,
                "not a digest",
                expected="sha256:<64 hex digits> or sha512:<128 hex digits>",
                found=repr(value[:160]),
            )
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> "Digest":
        """Hash `content`; `algorithm` is `sha256` or `sha512`."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    def check(self, content: bytes, what: str) -> None:
        """Hash `content` and compare.

        Raises:
            Refused: `DigestMismatch`.
        """
        found = Digest.of(content, self.algorithm)
        if found != self:
            raise Refused(Code.DIGEST_MISMATCH, f"{what} is not what its digest says", expected=str(self), found=str(found))

    @property
    def short(self) -> str:
        """`sha256:` and twelve hex digits, for people."""
        return f"{self.algorithm}:{self.hex[:12]}"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository: canonical registry host (`registry.example.com:5000`) and path (`shop/web`)."""

    registry: str
    path: str

    @classmethod
    def parse(cls, value: str) -> "Repository":
        """Read a repository name, without tag or digest.

        Raises:
            Invalid: `InvalidReference`.
        """
        reference = Reference.parse(value)
        if reference.tag or reference.digest:
            raise _invalid(value, "a repository carries no tag and no digest")
        return reference.repository

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


@dataclass(frozen=True, slots=True)
class Reference:
    """An image reference in canonical form. With neither tag nor digest, the tag is `latest` (see `wanted_tag`)."""

    repository: Repository
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, value: str) -> "Reference":
        """Read a reference as the kubelet's runtime would, and make it canonical.

        `nginx` is `docker.io/library/nginx`; `index.docker.io`, upper-case hosts and port 443 are other spellings of one
        registry; tag and digest together are both kept (the digest is what runs).

        Raises:
            Invalid: `InvalidReference`, saying which part is wrong.
        """
        if not value or len(value) > _MAX_REFERENCE:
            raise _invalid(value, f"a reference has 1 to {_MAX_REFERENCE} characters")
        rest, at, digest_text = value.partition("@")
        digest = _digest(value, digest_text) if at else None
        rest, tag = _split_tag(value, rest)
        host, path = _split_host(rest)
        registry = _registry(value, host)
        if registry == DEFAULT_REGISTRY and "/" not in path:
            path = f"library/{path}"
        _check_path(value, path)
        return cls(Repository(registry, path), tag, digest)

    @property
    def wanted_tag(self) -> str | None:
        """The tag to resolve, or None where a digest already says what runs."""
        if self.digest:
            return None
        return self.tag or "latest"

    def pinned(self, digest: Digest) -> "Reference":
        """The same reference with `digest`, its tag kept for people."""
        return Reference(self.repository, self.tag, digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


class ImagePattern:
    """Which repositories a policy is about: `registry.example.com/shop/**`.

    `*` matches within one path segment, `**` across segments, both also nothing; everything else stands for itself. The
    pattern is compared with the whole canonical repository name, anchored at both ends. The first segment is the registry
    and may hold `*` but not `**`; `*/**` is every image.
    """

    __slots__ = ("_expression", "_prefix", "text")

    def __init__(self, value: str) -> None:
        """Compile `value`.

        Raises:
            Invalid: `InvalidReference` for a pattern that is malformed or could never match.
        """
        _check_pattern(value)
        self.text = value
        head, tail = value.partition("*")[0], value[len(value.partition("*")[0]) :]
        self._prefix = head
        self._expression = None if tail in {"", "**"} else re2.compile(_to_expression(tail))

    def matches(self, repository: Repository) -> bool:
        """Whether the whole name `registry/path` matches."""
        name = f"{repository.registry}/{repository.path}"
        if self._expression is None:
            return name.startswith(self._prefix) if self.text.endswith("**") else name == self._prefix
        return name.startswith(self._prefix) and self._expression.fullmatch(name[len(self._prefix) :]) is not None

    def __repr__(self) -> str:
        return f"ImagePattern({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ImagePattern) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def _invalid(value: str, why: str) -> Invalid:
    return Invalid(Code.INVALID_REFERENCE, f"image reference {value[:160]!r}: {why}")


def _digest(value: str, text: str) -> Digest:
    try:
        return Digest.parse(text)
    except Invalid as error:
        raise _invalid(value, str(error)) from None


def _split_tag(value: str, rest: str) -> tuple[str, str | None]:
    head, slash, last = rest.rpartition("/")
    name, colon, tag = last.partition(":")
    if not colon:
        return rest, None
    if not _TAG.fullmatch(tag):
        raise _invalid(value, "the tag has 1 to 128 letters, digits, '_', '.' or '-', and begins with none of the last two")
    return f"{head}{slash}{name}", tag


def _split_host(rest: str) -> tuple[str, str]:
    """The first segment is a host if it could be nothing else (distribution/reference, splitDockerDomain)."""
    first, slash, path = rest.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first or first != first.lower()):
        return first, path
    return DEFAULT_REGISTRY, rest


def _registry(value: str, host: str) -> str:
    name, colon, port = host, "", ""
    if not host.endswith("]"):
        bare, colon, port = host.rpartition(":")
        name = bare if colon else host
    if not _HOST.fullmatch(name):
        raise _invalid(value, "the registry is not a host name")
    name = _canonical_host(value, name.lower())
    if not colon:
        return _without_port(name)
    if not _PORT.fullmatch(port) or not 0 < int(port) <= _MAX_PORT:
        raise _invalid(value, f"the port is a number from 1 to {_MAX_PORT}")
    if int(port) == 443:  # noqa: PLR2004 - HTTPS, the port that is meant when none is written
        return _without_port(name)
    return f"{name}:{int(port)}"


def _without_port(name: str) -> str:
    """The host on the default port, in a form that still reads as a host: `registry:443/x` must not become `registry/x`."""
    if "." in name or ":" in name or name == "localhost":
        return _ALIASES.get(name, name)
    return f"{name}:443"


def _canonical_host(value: str, name: str) -> str:
    if not name.startswith("["):
        return name
    try:
        return f"[{ipaddress.IPv6Address(name[1:-1]).compressed}]"
    except ValueError:
        raise _invalid(value, "the registry is not an IPv6 address") from None


def _check_path(value: str, path: str) -> None:
    if not path or len(path) > _MAX_REPOSITORY:
        raise _invalid(value, f"the repository has 1 to {_MAX_REPOSITORY} characters")
    if not all(_COMPONENT.fullmatch(component) for component in path.split("/")):
        raise _invalid(value, "a repository has lower-case segments of letters and digits, joined by '.', '_', '__' or '-'")
    bare = path.removeprefix("library/")
    if "/" not in bare and len(bare) == _HEX_LENGTH["sha256"] and _HEX.fullmatch(bare):
        raise _invalid(value, "64 hex digits are an image ID, not a repository")


def _check_pattern(value: str) -> None:
    registry = value.partition("/")[0]
    why = ""
    if len(value) > _MAX_PATTERN or value.count("*") > _MAX_WILDCARDS:
        why = f"at most {_MAX_PATTERN} characters and {_MAX_WILDCARDS} '*'"
    elif value != value.lower():
        why = "names are compared in lower case"
    elif not _PATTERN.fullmatch(value) or ":" in value[len(registry) :]:
        why = "write registry/path with '*' and '**'; every image is '*/**'; tags and digests do not belong here"
    elif "**" in registry or "***" in value:
        why = "'**' stands in the path, not in the registry, and '***' means nothing"
    elif "*" not in registry and not _is_registry(registry):
        why = f"the registry must be written: docker.io/{'' if '/' in value else 'library/'}{value}"
    else:
        why = _why_never(registry, value[len(registry) + 1 :])
    if why:
        raise Invalid(Code.INVALID_REFERENCE, f"image pattern {value[:160]!r}: {why}")


def _why_never(registry: str, path: str) -> str:
    """Why no canonical name can match: such a policy would cover nothing and nobody would notice."""
    if "*" not in registry:
        canonical = Reference.parse(f"{registry}/x/x").repository.registry
        if canonical != registry:
            return f"would never match; write {canonical}"
    if registry == DEFAULT_REGISTRY and "/" not in path and "**" not in path:
        return f"would never match; write {DEFAULT_REGISTRY}/library/{path}"
    if not all("*" in segment or _COMPONENT.fullmatch(segment) for segment in path.split("/")):
        return "would never match: a segment of it can be in no repository name"
    return ""


def _is_registry(segment: str) -> bool:
    return segment == "localhost" or "." in segment or ":" in segment


def _to_expression(tail: str) -> str:
    parts = re.split(r"(\*\*|\*)", tail)
    translated = {"**": ".*", "*": "[^/]*"}
    return "".join(translated.get(part) or re2.escape(part) for part in parts)
