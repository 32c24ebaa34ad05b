"""Keys and key rings as written, here or in a Secret or ConfigMap -> ready to judge.

What is written in the policy must be right, or the policy is wrong. What stands in an object of its own can go missing or
break by itself: then the authority is undecided, and neither the policy nor its other authorities are (design, rule 12).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from controller import keys
from controller.compile.compiled import Authority
from controller.compile.references import Data, quietly
from controller.errors import Code, Invalid, Reason
from controller.evidence import Judge
from controller.keys import NamedKey
from controller.policy import authorities
from controller.policy.authorities import DataRef
from controller.policy.words import TransparencyLog
from controller.problems import Problem, Problems
from controller.registry.discovery import Want
from controller.roots import TrustedRoot
from controller.settings import Limits
from controller.validity import Window
from controller.verify.keyed import KeyedAuthority
from controller.verify.keyring import KeyRing
from controller.verify.openpgp import OpenPgpAuthority
from controller.verify.unavailable import IncompleteAuthority, UnavailableAuthority

_SIMPLE_SIGNING: Final = frozenset({Want.SIMPLE_SIGNING})


@dataclass(frozen=True, slots=True)
class Source:
    """Where an authority's keys are read: the objects it may name, and `field`, its own path in the policy.

    `namespace` is that of a TrustPolicy, empty for a ClusterTrustPolicy; `found` takes what is wrong in the policy itself.
    """

    data: Data
    namespace: str
    field: str
    found: Problems
    limits: Limits


def resolve(
    data: Data, secret: DataRef | None, config_map: DataRef | None, namespace: str
) -> tuple[str, bytes | Reason] | None:
    """What is referred to, or why it is not there, with where that is for people; None where nothing is referred to."""
    kind, ref = ("Secret", secret) if secret is not None else ("ConfigMap", config_map)
    if ref is None:
        return None
    where = f"key {ref.key} of {kind} {ref.namespace or namespace}/{ref.name}"
    return where, data.find(kind, ref, namespace)


def compile_keys(written: authorities.Authority, source: Source, root: TrustedRoot | None) -> Authority | None:
    """An authority of keys; None, and `found` says why, where the policy itself is wrong."""
    named: list[NamedKey] = []
    missing: list[UnavailableAuthority] = []
    for index, key in enumerate(written.keys or ()):
        where = f"{source.field}.keys[{index}]"
        window = Window(_seconds(key.not_before), _seconds(key.not_after))
        referred = resolve(source.data, key.secret_key_ref, key.config_map_key_ref, source.namespace)
        if referred is not None:
            read = _key(referred[1])
            if isinstance(read, Reason):
                missing.append(UnavailableAuthority(written.name, referred[0], read, code=Code.KEY_UNAVAILABLE))
            else:
                named.append(NamedKey(key.name or "", read, window))
        elif key.pem is not None:
            with source.found.at(f"{where}.pem"):
                named.append(NamedKey(key.name or "", keys.parse(key.pem.encode(), f"{where}.pem"), window))
    judge = _keyed(written, named, missing, root, source)
    return Authority(judge, written.role or "") if judge else None


def _keyed(
    written: authorities.Authority,
    named: Sequence[NamedKey],
    missing: Sequence[UnavailableAuthority],
    root: TrustedRoot | None,
    source: Source,
) -> Judge | None:
    if not named and missing:
        return missing[0]
    if not named:
        if not source.found:  # every way here was refused already; this keeps it so
            source.found.extend([Problem(source.field, "believes nobody")])
        return None
    log_required = written.transparency_log is TransparencyLog.REQUIRED
    judge = KeyedAuthority(written.name, named, root=root, log_required=log_required, limits=source.limits)
    return IncompleteAuthority(judge, missing[0]) if missing else judge


def _key(content: bytes | Reason) -> keys.PublicKey | Reason:
    if isinstance(content, Reason):
        return content
    try:
        return keys.parse(content)
    except Invalid as error:
        return quietly(error)


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def compile_openpgp(written: authorities.Authority, keyring: authorities.Keyring, source: Source) -> Authority | None:
    """An authority of an OpenPGP key ring; None, and `found` says why, where the policy itself is wrong."""
    field = f"{source.field}.openpgp.keyring"
    referred = resolve(source.data, keyring.secret_key_ref, keyring.config_map_key_ref, source.namespace)
    rings: list[KeyRing] = []
    if referred is not None:
        where, content = referred
        try:
            ring = content if isinstance(content, Reason) else KeyRing.parse(content, "", source.limits)
        except Invalid as error:
            ring = quietly(error)
        if isinstance(ring, Reason):
            judge = UnavailableAuthority(written.name, where, ring, code=Code.KEY_UNAVAILABLE)
            return Authority(judge, written.role or "", _SIMPLE_SIGNING)
        rings.append(ring)
    elif keyring.armored is not None:
        with source.found.at(f"{field}.armored"):
            rings.append(KeyRing.parse(keyring.armored.encode(), f"{field}.armored", source.limits))
    if not rings:
        return None
    return Authority(OpenPgpAuthority(written.name, rings[0], source.limits), written.role or "", _SIMPLE_SIGNING)
