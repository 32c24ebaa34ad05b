"""Authorities of certificates as written -> ready to judge: anchors parsed, identities read, once."""

from controller.certificates import Certificate
from controller.compile.compiled import Authority
from controller.policy.authorities import X509, PemSource, Stores
from controller.policy.authorities import Authority as Written
from controller.policy.words import Mode, TransparencyLog
from controller.problems import Problem, Problems
from controller.registry.discovery import Want
from controller.roots import TrustedRoot
from controller.settings import Limits
from controller.verify import pki, subject
from controller.verify.pki import Level, Revocation
from controller.verify.x509 import X509Authority

_USES = frozenset({Want.SIGNATURES, Want.ATTESTATIONS})


def compile_x509(
    written: Written,
    x509: X509,
    field: str,
    mode: Mode,
    found: Problems,
    revoked: frozenset[str],
    root: TrustedRoot | None,
    limits: Limits,
) -> Authority | None:
    """An authority of certificates, or None, and `found` says why.

    Args:
        written: The authority.
        x509: Its certificates.
        field: Path of `x509`.
        mode: The policy's: an authority that believes signers nobody trusts must not let anything in.
        found: Takes what is wrong.
        revoked: SHA-256 (hex) of keys that the policy revokes.
        root: Whose logs and timestamps are believed beside those of the stores.
        limits: Bounds for what is read.
    """
    if x509.level.value == Level.AUDIT and mode is Mode.ENFORCE:
        expected = "Strict or Permissive where spec.mode is Enforce"
        found.extend([Problem(f"{field}.level", "believes signers that nobody trusts", expected=expected)])
        return None
    judges: list[X509Authority] = []
    with found.at(field):
        stores = _stores(x509.stores, f"{field}.stores", limits)
        identities = subject.parse_all(x509.identities, f"{field}.identities")
        judges.append(
            X509Authority(
                written.name,
                stores,
                identities,
                level=Level(x509.level.value),
                revocation=None if x509.revocation is None else Revocation(x509.revocation.value),
                root=root,
                log_required=written.transparency_log is TransparencyLog.REQUIRED,
                revoked=revoked,
                limits=limits,
            )
        )
    return Authority(judges[0], written.role or "", _USES) if judges else None


def _stores(written: Stores, field: str, limits: Limits) -> pki.Stores:
    def read(source: PemSource | None, name: str) -> tuple[Certificate, ...]:
        if source is None or source.pem is None:
            return ()  # a reference: refused as not supported yet
        return pki.read_store(source.pem.encode(), f"{field}.{name}.pem", limits)

    return pki.Stores(
        ca=read(written.ca, "ca"),
        signing_authority=read(written.signing_authority, "signingAuthority"),
        tsa=read(written.tsa, "tsa"),
    )
