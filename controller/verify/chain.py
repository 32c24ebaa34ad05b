"""Certification paths to an authority of a trusted root (RFC 5280 section 6.1, the parts that apply).

Validity periods are not looked at here: they are judged at the proven times, all windows together (`verify/time.py`).
Name constraints, and every critical extension nobody here processes, are refused rather than ignored.
"""

from collections.abc import Iterable, Sequence

from controller.certificates import ANY_USAGE, Certificate
from controller.errors import Code, Refused
from controller.roots import Authority

Path = tuple[Certificate, ...]
"""From the end certificate to the anchor, last."""


def build(end: Certificate, authority: Authority, supplied: Sequence[Certificate], *, limit: int) -> Path | None:
    """A path from `end` to the anchor of `authority`, or None.

    Certificates that came with the evidence lead only to an authority whose root alone is listed. Where the trusted root
    lists intermediates, its `validFor` speaks about them, and a retired one brought along would evade it.
    """
    if len(authority.chain) > 1:
        return (end, *authority.chain) if authority.chain[0].issued(end) else None
    return _search(end, authority.anchor, supplied, limit)


def _search(end: Certificate, anchor: Certificate, supplied: Sequence[Certificate], limit: int) -> Path | None:
    """Depth first, each certificate expanded once: at most limit^2 signatures are checked, whatever was supplied."""
    paths: list[Path] = [(end,)]
    seen = {end}
    while paths:
        path = paths.pop()
        if anchor.issued(path[-1]):
            return (*path, anchor)
        if len(path) == limit:
            continue
        for candidate in supplied[:limit]:
            if candidate not in seen and candidate.issued(path[-1]):
                seen.add(candidate)
                paths.append((*path, candidate))
    return None


def check(path: Path, purpose: str, what: str) -> None:
    """Check that each certificate of `path` may do what it did.

    Args:
        path: End certificate first, anchor last.
        purpose: The extended key usage (dotted) that the end certificate must have and the others must not exclude.
        what: Names the end certificate in reasons.

    Raises:
        Refused: `CertificateInvalid`.
    """
    end, *issuers = path
    for certificate in path:
        if certificate.unknown_critical:
            raise _unfit(certificate, "an extension that is not processed", certificate.unknown_critical[0])
    if end.is_authority:
        raise _unfit(end, f"authority, where {what} is wanted", "basicConstraints CA:TRUE")
    if not end.may_sign or end.usages is None or purpose not in end.usages:
        raise _unfit(end, "no permission for this use", ", ".join(sorted(end.usages or ())) or "no extended key usage")
    for depth, issuer in enumerate(issuers):
        _check_issuer(issuer, purpose, below=sum(not certificate.self_issued for certificate in issuers[:depth]))


def _check_issuer(issuer: Certificate, purpose: str, *, below: int) -> None:
    """RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.12; `below` counts the authorities between it and the end."""
    if not issuer.is_authority or not issuer.may_sign_certificates:
        raise _unfit(issuer, "no permission to issue certificates", "no CA:TRUE with keyCertSign")
    if issuer.path_length is not None and below > issuer.path_length:
        raise _unfit(issuer, "more authorities below it than it allows", f"{below}, where {issuer.path_length} are allowed")
    if issuer.usages is not None and not issuer.usages & {purpose, ANY_USAGE}:
        raise _unfit(issuer, "no permission to issue for this use", ", ".join(sorted(issuer.usages)))


def _unfit(certificate: Certificate, why: str, found: str) -> Refused:
    return Refused(
        Code.CERTIFICATE_INVALID, f"certificate {certificate.subject[:120]} has {why} (RFC 5280)", found=found[:160]
    )


def marks(path: Iterable[Certificate]) -> frozenset[str]:
    """What a fact proved by the certificates of `path` rests on: with one of them revoked it is believed no more."""
    return frozenset(
        mark for one in path for mark in (f"key:sha256:{one.key.spki_sha256}", f"certificate:sha256:{one.sha256}")
    )
