"""One list of revoked certificates, believed or not (RFC 5280 sections 5 and 6.3.3), and its delta."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from controller.certificates import Certificate
from controller.keys import Message
from controller.settings import Limits
from controller.verify.ocsp import revoked, unknown

_FAULTS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_KNOWN: Final = frozenset({x509.IssuingDistributionPoint.oid, x509.DeltaCRLIndicator.oid})
_KNOWN_OF_ENTRY: Final = frozenset({x509.CRLReason.oid, x509.InvalidityDate.oid})


@dataclass(frozen=True, slots=True)
class RevocationList:
    """A list whose signature holds. `number` and, for a delta, `base` are CRL numbers; `freshest` says where deltas are.

    `end` (POSIX seconds) is when the next one is due, `stale` whether that has passed: then only a lasting revocation in it
    is believed (trust-store-trust-policy.md, "Revocation Checking with CRL", 3.2).
    """

    parsed: x509.CertificateRevocationList
    number: int
    base: int | None
    freshest: tuple[str, ...]
    end: float
    stale: bool


def read(raw: bytes, url: str, certificate: Certificate, issuer: Certificate, now: float, limits: Limits) -> RevocationList:
    """Read the list found at `url` in which `certificate` would stand.

    Raises:
        Refused: `RevocationUnknown`: unreadable, by another issuer, not of this time, or of a scope that leaves the
            certificate out.
    """
    try:
        parsed = x509.load_der_x509_crl(raw)
        _check_signature(parsed, issuer)
        _check_extensions(parsed, url, certificate)
        return _described(parsed, now, limits)
    except _FAULTS as error:
        raise unknown("is a list that cannot be read", str(error)) from None


def check(certificate: Certificate, whole: RevocationList, delta: RevocationList | None, signed_at: float | None) -> float:
    """Look `certificate` up.

    Args:
        certificate: Whose status is wanted.
        whole: The full list.
        delta: What changed since, where there is such a list.
        signed_at: The proven time of the signature (POSIX seconds), which counts against an invalidity date.

    Returns:
        How long the answer holds (POSIX seconds): the certificate is not revoked.

    Raises:
        Refused: `CertificateRevoked`, or `RevocationUnknown` where the list is too old to clear anybody.
    """
    until = min(whole.end, delta.end if delta else math.inf)
    try:
        entry = _latest(certificate, whole, delta)
        reason, invalid_since = (None, None) if entry is None else _read_entry(entry)
    except _FAULTS as error:
        raise unknown("is a list with an entry that cannot be read", str(error)) from None
    on_hold = reason is x509.ReasonFlags.certificate_hold
    lifted = entry is None or reason is x509.ReasonFlags.remove_from_crl
    before = signed_at is not None and invalid_since is not None and signed_at < invalid_since
    if not lifted and not before and not (on_hold and whole.stale):
        found = reason.value if reason else "no reason given"
        raise revoked(certificate, found, until=until if on_hold else math.inf)
    if whole.stale or (delta and delta.stale):
        raise unknown("is a list whose successor is overdue")
    return until


def check_delta(whole: RevocationList, delta: RevocationList) -> None:
    """Check that the two belong together (RFC 5280 section 5.2.4).

    Raises:
        Refused: `RevocationUnknown`.
    """
    if delta.base is None or delta.base > whole.number or delta.number < whole.number:
        raise unknown("is a delta list that does not continue the full one", f"{delta.base}..{delta.number}")


def _latest(certificate: Certificate, whole: RevocationList, delta: RevocationList | None) -> x509.RevokedCertificate | None:
    """The delta's word counts before the full list's."""
    serial = certificate.parsed.serial_number
    changed = delta.parsed.get_revoked_certificate_by_serial_number(serial) if delta else None
    return changed or whole.parsed.get_revoked_certificate_by_serial_number(serial)


def _read_entry(entry: x509.RevokedCertificate) -> tuple[x509.ReasonFlags | None, float | None]:
    reason: x509.ReasonFlags | None = None
    invalid_since: float | None = None
    for extension in entry.extensions:
        match extension.value:
            case x509.CRLReason() as value:
                reason = value.reason
            case x509.InvalidityDate() as value:
                invalid_since = value.invalidity_date_utc.timestamp()
            case _:
                if extension.critical and extension.oid not in _KNOWN_OF_ENTRY:
                    raise ValueError(extension.oid.dotted_string)
    return reason, invalid_since


def _check_signature(parsed: x509.CertificateRevocationList, issuer: Certificate) -> None:
    if parsed.issuer.public_bytes() != issuer.parsed.subject.public_bytes():
        raise unknown("is a list by another issuer", parsed.issuer.rfc4514_string(), expected=issuer.subject)
    if not issuer.may_sign_lists:
        raise unknown("is a list by an issuer that may sign none", issuer.subject)
    if not issuer.key.verifies(parsed.signature, Message(parsed.tbs_certlist_bytes)):
        raise unknown("is a list that its issuer did not sign", issuer.subject)


def _check_extensions(parsed: x509.CertificateRevocationList, url: str, certificate: Certificate) -> None:
    for extension in parsed.extensions:
        if isinstance(extension.value, x509.IssuingDistributionPoint):
            _check_scope(extension.value, url, certificate)
        elif extension.critical and extension.oid not in _KNOWN:
            raise unknown("is a list with a critical extension that is not known", extension.oid.dotted_string)


def _check_scope(scope: x509.IssuingDistributionPoint, url: str, certificate: Certificate) -> None:
    """RFC 5280 section 6.3.3 (b): a list for others, for some reasons only, or of another place says nothing here."""
    wrong_kind = (scope.only_contains_ca_certs and not certificate.is_authority) or (
        scope.only_contains_user_certs and certificate.is_authority
    )
    if wrong_kind or scope.only_contains_attribute_certs or scope.indirect_crl or scope.only_some_reasons:
        raise unknown("is a list of another scope", "for other certificates, or for some reasons only")
    if scope.full_name is not None and url not in _urls(scope.full_name):
        raise unknown("is a list of another place", ", ".join(_urls(scope.full_name))[:120], expected=url)


def _described(parsed: x509.CertificateRevocationList, now: float, limits: Limits) -> RevocationList:
    number = base = None
    freshest: tuple[str, ...] = ()
    for extension in parsed.extensions:
        match extension.value:
            case x509.CRLNumber() as value:
                number = value.crl_number
            case x509.DeltaCRLIndicator() as value:
                base = value.crl_number
            case x509.FreshestCRL() as value:
                freshest = tuple(url for point in value for url in _urls(point.full_name or ()))
            case _:
                pass
    if parsed.next_update_utc is None or parsed.last_update_utc.timestamp() - limits.clock_skew > now:
        raise unknown("is a list that is not of this time", f"from {parsed.last_update_utc} to {parsed.next_update_utc}")
    end = parsed.next_update_utc.timestamp()
    return RevocationList(parsed, number or 0, base, freshest, end, stale=now > end)


def _urls(names: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    return tuple(name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))
