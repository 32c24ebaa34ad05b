"""Whom to trust, as flags say it: the ClusterTrustPolicy that says the same, its keys and trust root read from files."""

import base64
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from controller import roots
from controller.errors import Code, Invalid
from controller.keys import FIELD_MAX_BYTES, parse
from controller.policy.store import TRUST_ROOT
from controller.policy.words import API_VERSION, TransparencyLog
from controller.settings import Limits

NAME: Final = "command-line"
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9-]+")
_NAME_LENGTH: Final = 40


@dataclass(frozen=True, slots=True)
class Key:
    """A public key as given: a name made of its file's, and its PEM."""

    name: str
    pem: str


@dataclass(frozen=True, slots=True)
class Root:
    """A trust root by the name policies use; `text` is its JSON where it is none of the built-in ones."""

    name: str = roots.BUILT_IN[0]
    text: str = ""
    has_logs: bool = True


@dataclass(frozen=True, slots=True)
class Identity:
    """Who must have signed, and who must have vouched for them: each one of exact, glob and regex, as a policy has it."""

    subject: Mapping[str, str]
    issuer: Mapping[str, str]
    root: Root = Root()


@dataclass(frozen=True, slots=True)
class Trusted:
    """Keys or an identity, and what narrows them.

    `threshold` is how many of the keys must have signed, `annotations` must be signed along, `attestation_types` are
    predicate types (or cosign's short names) of which an attestation by one of them must be there too.
    """

    keys: tuple[Key, ...] = ()
    identity: Identity | None = None
    threshold: int = 1
    annotations: Mapping[str, str] | None = None
    attestation_types: tuple[str, ...] = ()


def documents(trusted: Trusted, images: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """What the flags say about `images` (patterns; none = every image): a ClusterTrustPolicy, after the TrustRoot it names.

    Raises:
        Invalid: `InvalidPolicy` for a threshold that cannot be met.
    """
    written = _policy(trusted, images)
    root = trusted.identity.root if trusted.identity else Root()
    if not root.text:
        return (written,)
    metadata, spec = {"name": root.name}, {"inline": root.text}
    return {"apiVersion": API_VERSION, "kind": TRUST_ROOT, "metadata": metadata, "spec": spec}, written


def _policy(trusted: Trusted, images: Sequence[str]) -> dict[str, Any]:
    authorities = _authorities(trusted)
    _check_threshold(trusted)
    names = [authority["name"] for authority in authorities]
    signature: dict[str, Any] = {"threshold": trusted.threshold, "of": names}
    if trusted.annotations:
        signature["annotations"] = dict(trusted.annotations)
    require: list[dict[str, Any]] = [{"name": "signed", "signature": signature}]
    for number, kind in enumerate(trusted.attestation_types, start=1):
        name = "attested" if len(trusted.attestation_types) == 1 else f"attested-{number}"
        require.append({"name": name, "attestation": {"predicateType": kind, "of": names}})
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterTrustPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "match": {"images": sorted(set(images)) or ["*/**"]},
            "authorities": authorities,
            "require": require,
        },
    }


def _authorities(trusted: Trusted) -> list[dict[str, Any]]:
    if trusted.identity:
        identity, root = trusted.identity, trusted.identity.root
        who = {"issuer": dict(identity.issuer), "subject": dict(identity.subject)}
        authority = {"name": "identity", "keyless": {"trustRoot": root.name, "identities": [who]}}
        return [authority if root.has_logs else {**authority, "transparencyLog": TransparencyLog.OPTIONAL.value}]
    authorities: list[dict[str, Any]] = []
    for key in trusted.keys:
        name = _unused(key.name, [authority["name"] for authority in authorities])
        authorities.append({"name": name, "keys": [{"pem": key.pem}]})
    return authorities


def built_in_root(name: str, limits: Limits) -> Root:
    """A built-in trust root."""
    return Root(name, has_logs=bool(roots.builtin(name, limits).logs))


def read_root(path: Path, limits: Limits) -> Root:
    """The trusted root in a file, as Sigstore publishes it.

    Raises:
        Invalid: `InvalidFile` where it cannot be read, `InvalidTrustedRoot` where it is none.
    """
    raw = _read(path, "trusted root", limits.trusted_root_bytes)
    parsed = roots.parse(raw, str(path), limits)
    return Root(NAME, json.dumps(json.loads(raw), indent=2, ensure_ascii=False), bool(parsed.logs))


def _check_threshold(trusted: Trusted) -> None:
    """A key counts once, however often it is given; an identity is one signer."""
    different = len({parse(key.pem.encode()).spki_sha256 for key in trusted.keys}) or 1
    if 1 <= trusted.threshold <= different:
        return
    expected = f"1 to {different}, the number of different keys" if different > 1 else "1, or more keys"
    raise Invalid(Code.INVALID_POLICY, "cannot be met", field="--threshold", expected=expected, found=f"{trusted.threshold}")


def read_key(path: Path) -> Key:
    """The public key in a file, PEM or DER.

    Raises:
        Invalid: `InvalidFile` where it cannot be read, `InvalidKey` where it is no key we accept.
    """
    return given_key(_read(path, "key", FIELD_MAX_BYTES), path)


def _read(path: Path, what: str, limit: int) -> bytes:
    """The file, cut behind the limit, so that whoever parses it sees that it is too long."""
    try:
        with path.open("rb") as stream:
            return stream.read(limit + 1)
    except OSError as error:
        raise Invalid(Code.INVALID_FILE, f"the {what} {path} cannot be read", found=error.strerror or str(error)) from None


def given_key(content: bytes, path: Path) -> Key:
    """A public key by its content; `path` names it.

    Raises:
        Invalid: `InvalidKey`.
    """
    parse(content, str(path))
    try:
        pem = content.decode("ascii") if b"-----BEGIN" in content else _armoured(content)
    except UnicodeDecodeError:
        raise Invalid(Code.INVALID_KEY, "holds PEM and something else", field=str(path)) from None
    return Key(_NOT_A_NAME.sub("-", path.stem.lower()).strip("-")[:_NAME_LENGTH].strip("-") or "key", pem)


def as_yaml(*documents: Mapping[str, Any]) -> str:
    """The documents as YAML, keys as literal blocks."""
    whole = map(dict, documents)
    return yaml.dump_all(whole, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _unused(stem: str, taken: Sequence[str]) -> str:
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    return name


def _armoured(der: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are, and everything in full."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        """No anchors: what is printed is to be read and edited."""
        return True


def _literal(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _literal)
