"""Keyless authorities as written -> ready to judge, and the trust roots that any authority names."""

from collections.abc import Sequence

from controller.compile.compiled import Authority
from controller.compile.roots import Roots
from controller.errors import Code, Reason
from controller.policy.authorities import Authority as Written
from controller.policy.authorities import Identity as WrittenIdentity
from controller.policy.authorities import Issuer, Keyless
from controller.policy.words import TransparencyLog
from controller.problems import Problem, Problems
from controller.roots import TrustedRoot
from controller.settings import Limits
from controller.verify.identity import Identity, Kind, Pattern
from controller.verify.keyless import KeylessAuthority
from controller.verify.unavailable import UnavailableAuthority


def compile_keyless(
    written: Written, keyless: Keyless, field: str, found: Problems, roots: Roots, revoked: frozenset[str], limits: Limits
) -> Authority | None:
    """A keyless authority, or None, and `found` says why; one whose root cannot be used is undecided (design, rule 12).

    Args:
        written: The authority.
        keyless: Its root and identities.
        field: Path of `keyless`.
        found: Takes what is wrong.
        roots: The trust roots there are.
        revoked: SHA-256 (hex) of keys that the policy revokes.
        limits: Bounds for what is read.
    """
    identities = _identities(keyless.identities, f"{field}.identities", found)
    if len(identities) < len(keyless.identities):
        return None
    root = roots.find(keyless.trust_root)
    if isinstance(root, Reason):
        return unavailable(written, keyless.trust_root, root)
    judge = KeylessAuthority(
        written.name,
        root,
        identities,
        log_required=written.transparency_log is not TransparencyLog.OPTIONAL,
        revoked=revoked,
        limits=limits,
    )
    return Authority(judge, written.role or "")


def unavailable(written: Written, root: str, reason: Reason) -> Authority:
    """The authority while its trust root cannot be used."""
    return Authority(UnavailableAuthority(written.name, f"trust root {root}", reason), written.role or "")


def root_problems(authorities: Sequence[Written], roots: Roots) -> list[Problem]:
    """Trust roots that cannot be used, and logs that are asked for where the root knows none.

    For whoever writes a policy. In force, such an authority is undecided or proves nothing; the others still count.
    """
    found: list[Problem] = []
    for index, written in enumerate(authorities):
        field = f"spec.authorities[{index}]"
        name, where = _named(written, field)
        if not name:
            continue
        root = roots.find(name)
        if isinstance(root, Reason):
            code = Code.INVALID_POLICY if root.code is Code.ROOT_UNAVAILABLE else root.code
            found.append(Problem(where, root.message, root.expected, root.found, code))
        elif _log_required(written) and not root.logs:
            said = f"trust root {name} knows no transparency log"
            found.append(Problem(f"{field}.transparencyLog", said, expected="Optional", found="Required"))
    return found


def time_root(written: Written, roots: Roots) -> TrustedRoot | Reason | None:
    """Whom an authority of keys or certificates believes about logs and time; None where it names nobody."""
    return roots.find(written.trust_root) if written.trust_root else None


def _named(written: Written, field: str) -> tuple[str, str]:
    if written.keyless:
        return written.keyless.trust_root, f"{field}.keyless.trustRoot"
    return written.trust_root or "", f"{field}.trustRoot"


def _log_required(written: Written) -> bool:
    if written.transparency_log is None:
        return written.keyless is not None
    return written.transparency_log is TransparencyLog.REQUIRED


def _identities(written: Sequence[WrittenIdentity], field: str, found: Problems) -> tuple[Identity, ...]:
    """As many as were written, or `found` says why not."""
    read: list[Identity] = []
    for index, one in enumerate(written):
        if not all(_is_one(part) for part in (one.issuer, one.subject)):
            continue  # said already
        where = f"{field}[{index}]"
        issuer = _pattern(one.issuer, f"{where}.issuer", found)
        subject = _pattern(one.subject, f"{where}.subject", found)
        if issuer and subject:
            with found.at(where):
                read.append(Identity(issuer, subject, dict(one.claims), insecure_any_subject=one.insecure_any_subject))
    return tuple(read)


def _is_one(written: Issuer) -> bool:
    return [written.exact, written.glob, written.regex].count(None) == 2  # noqa: PLR2004 - of three ways one


def _pattern(written: Issuer, field: str, found: Problems) -> Pattern | None:
    ways: tuple[tuple[Kind, str | None], ...] = (("exact", written.exact), ("glob", written.glob), ("regex", written.regex))
    for kind, text in ways:
        if text is not None:
            with found.at(f"{field}.{kind}"):
                return Pattern(kind, text)
    return None
