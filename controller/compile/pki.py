"""Authorities of certificates as written -> ready to judge: anchors parsed, identities read, once."""

from collections.abc import Sequence
from dataclasses import dataclass

from controller.certificates import Certificate
from controller.compile.believed import resolve
from controller.compile.compiled import Authority
from controller.compile.references import Data, quietly
from controller.errors import Code, Invalid, Reason
from controller.policy.authorities import X509, PemSource, Stores
from controller.policy.authorities import Authority as Written
from controller.policy.words import Mode, TransparencyLog
from controller.problems import Problem, Problems
from controller.registry.discovery import Want
from controller.roots import TrustedRoot
from controller.settings import Limits
from controller.verify import pki, subject
from controller.verify.pki import Level, Revocation
from controller.verify.subject import Subject
from controller.verify.unavailable import UnavailableAuthority
from controller.verify.x509 import X509Authority

_USES = frozenset({Want.SIGNATURES, Want.ATTESTATIONS})


@dataclass(frozen=True, slots=True)
class Trust:
    """What an authority of certificates rests on beside its own fields.

    `data` are the objects it may name, `namespace` that of a TrustPolicy. `revoked` holds the SHA-256 (hex) of keys that the
    policy revokes, `root` says whose logs and timestamps are believed beside those of the stores.
    """

    data: Data
    namespace: str
    revoked: frozenset[str]
    root: TrustedRoot | None
    limits: Limits


def compile_x509(written: Written, x509: X509, field: str, mode: Mode, found: Problems, trust: Trust) -> Authority | None:
    """An authority of certificates, or None, and `found` says why; one whose anchors are not to be had is undecided.

    Args:
        written: The authority.
        x509: Its certificates.
        field: Path of `x509`.
        mode: The policy's: an authority that believes signers nobody trusts must not let anything in.
        found: Takes what is wrong.
        trust: What it rests on.
    """
    if x509.level.value == Level.AUDIT and mode is Mode.ENFORCE:
        expected = "Strict or Permissive where spec.mode is Enforce"
        found.extend([Problem(f"{field}.level", "believes signers that nobody trusts", expected=expected)])
        return None
    judges: list[X509Authority | UnavailableAuthority] = []
    with found.at(field):
        identities = subject.parse_all(x509.identities, f"{field}.identities")
        stores = _stores(x509.stores, f"{field}.stores", trust)
        if isinstance(stores, _Missing):
            judges.append(UnavailableAuthority(written.name, stores.where, stores.reason, code=Code.KEY_UNAVAILABLE))
        else:
            judges.append(_judge(written, x509, stores, identities, trust))
    return Authority(judges[0], written.role or "", _USES) if judges else None


def _judge(written: Written, x509: X509, stores: pki.Stores, identities: Sequence[Subject], trust: Trust) -> X509Authority:
    return X509Authority(
        written.name,
        stores,
        identities,
        level=Level(x509.level.value),
        revocation=None if x509.revocation is None else Revocation(x509.revocation.value),
        root=trust.root,
        log_required=written.transparency_log is TransparencyLog.REQUIRED,
        revoked=trust.revoked,
        limits=trust.limits,
    )


@dataclass(frozen=True, slots=True)
class _Missing:
    where: str
    reason: Reason


def _stores(written: Stores, field: str, trust: Trust) -> pki.Stores | _Missing:
    """All stores, or the first that is in an object of its own and cannot be read there."""
    sources = (("ca", written.ca), ("signingAuthority", written.signing_authority), ("tsa", written.tsa))
    read = [_store(source, f"{field}.{name}.pem", trust) for name, source in sources]
    missing = next((one for one in read if isinstance(one, _Missing)), None)
    if missing:
        return missing
    ca, signing_authority, tsa = (() if isinstance(one, _Missing) else one for one in read)
    return pki.Stores(ca=ca, signing_authority=signing_authority, tsa=tsa)


def _store(source: PemSource | None, field: str, trust: Trust) -> tuple[Certificate, ...] | _Missing:
    if source is None:
        return ()
    referred = resolve(trust.data, source.secret_key_ref, source.config_map_key_ref, trust.namespace)
    if referred is None:
        return pki.read_store((source.pem or "").encode(), field, trust.limits)
    where, content = referred
    if isinstance(content, Reason):
        return _Missing(where, content)
    try:
        return pki.read_store(content, "", trust.limits)
    except Invalid as error:
        return _Missing(where, quietly(error))
