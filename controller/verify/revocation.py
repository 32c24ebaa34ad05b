"""Whether a chain was revoked, judged from answers that somebody else fetched.

Clauses: trust-store-trust-policy.md, "Certificate Revocation Evaluation". From root to leaf: OCSP first, lists where OCSP
does not tell. A certificate that names neither cannot be revoked. No answer is believed without its signature, its issuer
and its time; what cannot be believed leaves the status unknown.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from controller.certificates import Certificate
from controller.errors import Code, Refused, Undecided
from controller.evidence import Answers, Question
from controller.settings import Limits
from controller.verify import crl, ocsp
from controller.verify.codesigning import Path

_LONGEST_URL: Final = 2048


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a whole chain.

    `questions` are still to be asked, root first. `unknown` says whose status is not known though everything was asked, and
    why. `until` (POSIX seconds) is how long the answers hold.
    """

    questions: tuple[Question, ...]
    unknown: tuple[Undecided, ...]
    until: float


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What has been answered, and what it is judged against: `now`, and `signed_at` where a time is proved (POSIX s)."""

    answers: Answers
    now: float
    signed_at: float | None
    limits: Limits

    def open(self, questions: Iterable[Question]) -> tuple[Question, ...]:
        """Those nobody asked yet."""
        return tuple(question for question in questions if question not in self.answers)

    def answer(self, question: Question) -> bytes:
        """What came back.

        Raises:
            Undecided: Nothing did.
        """
        value = self.answers[question]
        if isinstance(value, Undecided):
            raise value
        return value


class _Open(Exception):  # noqa: N818 - not an error
    """Something is still to be asked."""

    def __init__(self, questions: tuple[Question, ...]) -> None:
        self.questions = questions
        super().__init__()


def examine(path: Path, inquiry: Inquiry) -> Status:
    """Say what the answers tell about every certificate of `path` but the last, which nobody can revoke.

    Raises:
        Refused: `CertificateRevoked`.
    """
    questions: list[Question] = []
    unknown: list[Undecided] = []
    until = math.inf
    for certificate, issuer in reversed(list(pairwise(path))):
        try:
            until = min(until, _status(certificate, issuer, inquiry))
        except _Open as more:
            questions.extend(more.questions)
        except Undecided as error:
            unknown.append(error)
    return Status(tuple(dict.fromkeys(questions)), tuple(unknown), until)


def _status(certificate: Certificate, issuer: Certificate, inquiry: Inquiry) -> float:
    """How long the certificate is known to be good."""
    responders = _responders(certificate)
    points = _points(certificate)
    if not responders and not points:
        return math.inf
    fault: Undecided | None = None
    if responders:
        try:
            return _by_ocsp(responders, certificate, issuer, inquiry)
        except Undecided as error:
            if not points:
                raise
            fault = error
    try:
        return min(_by_lists(urls, certificate, issuer, inquiry) for urls in points)
    except Undecided as error:
        raise fault or error from None


def _by_ocsp(responders: tuple[str, ...], certificate: Certificate, issuer: Certificate, inquiry: Inquiry) -> float:
    request = ocsp.request(certificate, issuer)
    questions = tuple(Question(url, request) for url in _callable(responders, certificate, inquiry.limits))
    _insist(inquiry.open(questions))
    return _first(
        questions,
        certificate,
        lambda question: ocsp.check(inquiry.answer(question), certificate, issuer, inquiry.now, inquiry.limits),
    )


def _by_lists(urls: tuple[str, ...], certificate: Certificate, issuer: Certificate, inquiry: Inquiry) -> float:
    questions = tuple(Question(url) for url in _callable(urls, certificate, inquiry.limits))
    _insist(inquiry.open(questions))
    return _first(questions, certificate, lambda question: _by_list(question, certificate, issuer, inquiry))


def _by_list(question: Question, certificate: Certificate, issuer: Certificate, inquiry: Inquiry) -> float:
    now, limits = inquiry.now, inquiry.limits
    whole = crl.read(inquiry.answer(question), question.url, certificate, issuer, now, limits)
    if whole.base is not None:
        raise ocsp.unknown("is a delta list where the full one should be")
    if not whole.freshest:
        return crl.check(certificate, whole, None, inquiry.signed_at)
    changes = tuple(Question(url) for url in _callable(whole.freshest, certificate, limits))
    _insist(inquiry.open(changes))

    def merged(change: Question) -> float:
        delta = crl.read(inquiry.answer(change), change.url, certificate, issuer, now, limits)
        crl.check_delta(whole, delta)
        return crl.check(certificate, whole, delta, inquiry.signed_at)

    return _first(changes, certificate, merged)


def _first(questions: Iterable[Question], certificate: Certificate, check: Callable[[Question], float]) -> float:
    """The first answer that may be believed; several places say the same thing (RFC 5280 section 4.2.1.13)."""
    fault: Undecided | None = None
    for question in questions:
        host = urlsplit(question.url).netloc
        try:
            return check(question)
        except Undecided as error:
            fault = fault or error
        except Refused as error:
            if error.reason.code is not Code.REVOCATION_UNKNOWN:
                raise
            fault = fault or _unknown(certificate, host, str(error.reason))
    raise fault or _unknown(certificate, "", "nobody to ask")


def _insist(questions: tuple[Question, ...]) -> None:
    if questions:
        raise _Open(questions)


def _callable(urls: tuple[str, ...], certificate: Certificate, limits: Limits) -> tuple[str, ...]:
    """Those that can be asked at all: plain HTTP, as these answers carry their own signatures (RFC 5280 section 8)."""
    usable = tuple(url for url in urls if _is_usable(url))
    if not usable or len(urls) > limits.revocation_urls:
        found = f"{len(urls)} places" if usable else (urls[0] if urls else "none")[:120]
        expected = f"at most {limits.revocation_urls} places, by http"
        raise Undecided(
            Code.REVOCATION_UNKNOWN,
            f"cannot ask about certificate {certificate.subject[:120]}",
            expected=expected,
            found=found,
        )
    return usable


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            len(url) <= _LONGEST_URL
            and url.isascii()
            and url.isprintable()
            and parts.scheme == "http"
            and bool(parts.hostname)
            and "@" not in parts.netloc
            and parts.port != 0
        )
    except ValueError:
        return False


def _responders(certificate: Certificate) -> tuple[str, ...]:
    access = certificate.extension(x509.AuthorityInformationAccess)
    return tuple(
        description.access_location.value
        for description in (access.value if access else ())
        if description.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(description.access_location, x509.UniformResourceIdentifier)
    )


def _points(certificate: Certificate) -> tuple[tuple[str, ...], ...]:
    """The URLs of each distribution point; one without any is listed too, as there is a list that cannot be had."""
    points = certificate.extension(x509.CRLDistributionPoints)
    return tuple(tuple(_addresses(point)) for point in (points.value if points else ()))


def _addresses(point: x509.DistributionPoint) -> Iterator[str]:
    if point.crl_issuer is None and point.reasons is None:  # indirect and partial lists are not read
        yield from (name.value for name in point.full_name or () if isinstance(name, x509.UniformResourceIdentifier))


def _unknown(certificate: Certificate, host: str, found: str) -> Undecided:
    message = f"nobody said whether certificate {certificate.subject[:120]} is revoked"
    return Undecided(Code.REVOCATION_UNKNOWN, message, source=host, found=found[:200])
