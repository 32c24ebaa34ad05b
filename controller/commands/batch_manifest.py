"""The manifest of `sigward batch`: which artifacts are to be verified, each by what.

    {"artifacts": [
      {"type": "container", "image": "registry.example.com/shop/web:1.4", "public_key": "cosign.pub"},
      {"type": "container", "image": "registry.example.com/shop/db:2", "policy": "policies/"},
      {"type": "container", "image": "registry.example.com/shop/api:3", "identity": "https://github.com/acme/shop/…",
       "issuer": "https://token.actions.githubusercontent.com"},
      {"type": "file", "path": "dist/tool.tgz", "signature": "dist/tool.tgz.sig", "public_key": "cosign.pub"}]}

What is wrong with the manifest itself stops the command; what is wrong with one entry fails that entry. No entry is verified
by "anyone": one that does not say whom it trusts fails.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.documents import read_object
from controller.errors import Code, Invalid, Reason, Refused

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_ARTIFACTS: Final = 20_000

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {"container": ("image",), "file": ("path", "signature")}
_TRUST: Final = ("public_key", "policy", "identity", "issuer")
_ROOT: Final = "trusted_root"
"""May stand beside identity and issuer: a file with the trusted root of a private Sigstore instance."""

_LABEL: Final = "name"
"""May stand in any entry, for people; means nothing."""

_TEXTS: Final = frozenset({"type", *_TRUST, _ROOT, "image", "path", "signature", _LABEL})


@dataclass(frozen=True, slots=True)
class Container:
    """An image, to be judged by a key, by policies or by an identity and its issuer; exactly one of the three is set.

    Keys, policies and trusted roots are paths; a key may also be written out as PEM. Without a trusted root, Sigstore's
    public instance is meant.
    """

    index: int
    image: str
    public_key: str = ""
    policy: str = ""
    identity: str = ""
    issuer: str = ""
    trusted_root: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file with a detached signature."""

    index: int
    path: str
    signature: str
    public_key: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """An entry that fails without being verified: of an unknown type, or without a word on whom to trust."""

    index: int
    type: str
    name: str
    reason: Reason


Entry = Container | File | Unusable


def read(path: Path) -> tuple[Entry, ...]:
    """Read the manifest at `path`, entries in its order, at least one.

    Raises:
        Invalid: `InvalidManifest`, naming the field, where it is no such manifest; `InvalidFile` where it cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Invalid(Code.INVALID_FILE, f"the manifest {path} cannot be read", found=error.strerror or str(error)) from None
    try:
        document = read_object(raw, "manifest", limit=MAX_BYTES)
    except Refused as refused:
        reason = refused.reason
        raise Invalid(
            Code.INVALID_MANIFEST, f"{path}: {reason.message}", expected=reason.expected, found=reason.found
        ) from None
    return tuple(_entry(index, value) for index, value in enumerate(_artifacts(document)))


def _artifacts(document: Mapping[str, Any]) -> list[Any]:
    unknown = [name for name in document if name != "artifacts"]
    if unknown:
        raise _invalid(unknown[0][:64], "is no field of a batch manifest", expected="artifacts")
    artifacts = document.get("artifacts")
    if not isinstance(artifacts, list):
        raise _invalid("artifacts", "must be an array", found="nothing" if artifacts is None else type(artifacts).__name__)
    if not 1 <= len(artifacts) <= MAX_ARTIFACTS:
        raise _invalid("artifacts", "has too few or too many", expected=f"1 to {MAX_ARTIFACTS}", found=str(len(artifacts)))
    return artifacts


def _entry(index: int, value: Any) -> Entry:
    where = f"artifacts[{index}]"
    if not isinstance(value, dict):
        raise _invalid(where, "must be an object", found=type(value).__name__)
    for name, content in value.items():
        if name in _TEXTS and (not isinstance(content, str) or not content):
            raise _invalid(f"{where}.{name}", "must be a string that is not empty", found=type(content).__name__)
    kind = value.get("type")
    if kind is None:
        raise _invalid(f"{where}.type", "is missing", expected="container or file")
    missing = [name for name in _NEEDED.get(kind, ()) if name not in value]
    if missing:
        raise _invalid(f"{where}.{missing[0]}", "is missing", expected=f"a {kind} entry has {' and '.join(_NEEDED[kind])}")
    reason = _unusable(kind, value)
    if reason:
        name = value.get("image") or value.get("path") or value.get(_LABEL) or ""
        return Unusable(index, kind, name, reason)
    if kind == "file":
        return File(index, value["path"], value["signature"], value["public_key"])
    return Container(index, value["image"], **{name: value[name] for name in (*_TRUST, _ROOT) if name in value})


def _unusable(kind: str, value: Mapping[str, Any]) -> Reason | None:
    """Why an entry cannot be verified, None where it can."""
    if kind not in _NEEDED:
        return Reason(Code.INVALID_MANIFEST, "unknown type", "container or file", repr(kind[:64]))
    unknown = [name for name in value if name not in {"type", *_NEEDED[kind], *_TRUST, _ROOT, _LABEL}]
    if unknown:  # a misspelt restriction must not be silently ignored
        expected = ", ".join((*_NEEDED[kind], *_TRUST))
        return Reason(Code.INVALID_MANIFEST, "unknown field", expected, repr(unknown[0][:64]))
    said = tuple(name for name in _TRUST if name in value)
    if _ROOT in value and said != ("identity", "issuer"):
        return Reason(Code.INVALID_MANIFEST, "trusted_root says whom to believe about an identity", "identity and issuer")
    return _distrusted(kind, said)


def _distrusted(kind: str, said: tuple[str, ...]) -> Reason | None:
    """Why what an entry says of whom to trust is of no use, None where it is."""
    if said == ("public_key",) or (said == ("policy",) and kind == "container"):
        return None
    if said == ("policy",):
        return Reason(Code.INVALID_MANIFEST, "policies are about images", "public_key")
    if said == ("identity", "issuer"):
        if kind == "container":
            return None
        return Reason(Code.NOT_SUPPORTED_YET, "identities are about images; for files there is verify-bundle", "public_key")
    if not said or said in {("identity",), ("issuer",)}:
        expected = "public_key" if kind == "file" else "public_key, policy, or identity and issuer"
        return Reason(Code.INVALID_MANIFEST, "does not say whom to trust", expected, " ".join(said) or "nothing")
    return Reason(Code.INVALID_MANIFEST, "says more than once whom to trust", "one of them", ", ".join(said))


def _invalid(field: str, message: str, *, expected: str = "", found: str = "") -> Invalid:
    return Invalid(Code.INVALID_MANIFEST, message, field=field, expected=expected, found=found)
