"""Whom to trust, as flags say it: the ClusterTrustPolicy that says the same, its keys read from files."""

import base64
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from controller.errors import Code, Invalid
from controller.keys import FIELD_MAX_BYTES, parse

NAME: Final = "command-line"
_NOT_A_NAME: Final = re.compile(r"[^a-z0-9-]+")
_NAME_LENGTH: Final = 40


@dataclass(frozen=True, slots=True)
class Key:
    """A public key as given: a name made of its file's, and its PEM."""

    name: str
    pem: str


@dataclass(frozen=True, slots=True)
class Keys:
    """`--key` and what narrows it.

    `threshold` is how many of the keys must have signed, `annotations` must be signed along, `attestation_types` are
    predicate types (or cosign's short names) of which an attestation by one of the keys must be there too.
    """

    keys: tuple[Key, ...]
    threshold: int = 1
    annotations: Mapping[str, str] | None = None
    attestation_types: tuple[str, ...] = ()


def policy(keys: Keys, images: Sequence[str]) -> dict[str, Any]:
    """The ClusterTrustPolicy that says what the flags say, about `images` (patterns; none = every image).

    Raises:
        Invalid: `InvalidPolicy` for a threshold that cannot be met.
    """
    if not 1 <= keys.threshold <= len(keys.keys):
        raise Invalid(
            Code.INVALID_POLICY, "cannot be met", field="--threshold", expected=f"1 to {len(keys.keys)}, the number of keys"
        )
    authorities: list[dict[str, Any]] = []
    for key in keys.keys:
        name = _unused(key.name, [authority["name"] for authority in authorities])
        authorities.append({"name": name, "keys": [{"pem": key.pem}]})
    names = [authority["name"] for authority in authorities]
    signature: dict[str, Any] = {"threshold": keys.threshold, "of": names}
    if keys.annotations:
        signature["annotations"] = dict(keys.annotations)
    require: list[dict[str, Any]] = [{"name": "signed", "signature": signature}]
    for number, kind in enumerate(keys.attestation_types, start=1):
        name = "attested" if len(keys.attestation_types) == 1 else f"attested-{number}"
        require.append({"name": name, "attestation": {"predicateType": kind, "of": names}})
    return {
        "apiVersion": "sigward.dev/v1alpha1",
        "kind": "ClusterTrustPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "match": {"images": sorted(set(images)) or ["*/**"]},
            "authorities": authorities,
            "require": require,
        },
    }


def read_key(path: Path) -> Key:
    """The public key in a file, PEM or DER.

    Raises:
        Invalid: `InvalidFile` where it cannot be read, `InvalidKey` where it is no key we accept.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(FIELD_MAX_BYTES + 1)
    except OSError as error:
        raise Invalid(Code.INVALID_FILE, f"the key {path} cannot be read", found=error.strerror or str(error)) from None
    return given_key(content, path)


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


def as_yaml(document: Mapping[str, Any]) -> str:
    """The document as YAML, keys as literal blocks."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


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
