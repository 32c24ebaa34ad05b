"""Notary Project signature envelopes (notaryproject/specifications, specs/signature-specification.md).

Two encodings of one thing: JWS (signature-envelope-jws.md) and COSE_Sign1 (signature-envelope-cose.md). `open_envelope`
takes either apart into the same value; what it demands of the headers is the same for both.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from controller.errors import Code, Refused
from controller.evidence import Evidence, Format, Material, NotationEnvelope
from controller.registry import mediatypes
from controller.registry.discovery import Attachment
from controller.settings import Limits

ARTIFACT: Final = mediatypes.NOTATION
JWS: Final = mediatypes.JOSE
COSE: Final = mediatypes.COSE
PAYLOAD: Final = "application/vnd.cncf.notary.payload.v1+json"

X509: Final = "notary.x509"
SIGNING_AUTHORITY: Final = "notary.x509.signingAuthority"
SCHEMES: Final = frozenset({X509, SIGNING_AUTHORITY})

PREFIX: Final = "io.cncf.notary."
SCHEME: Final = f"{PREFIX}signingScheme"
SIGNING_TIME: Final = f"{PREFIX}signingTime"
AUTHENTIC_TIME: Final = f"{PREFIX}authenticSigningTime"
EXPIRY: Final = f"{PREFIX}expiry"
TIMESTAMP: Final = f"{PREFIX}timestampSignature"
PLUGIN: Final = f"{PREFIX}verificationPlugin"

_PROCESSED: Final = frozenset({SCHEME, AUTHENTIC_TIME, EXPIRY})
_PLUGIN: Final = re.compile(re.escape(PLUGIN) + r"(MinVersion)?", re.IGNORECASE)
WHAT: Final = "Notary Project signature"


@dataclass(frozen=True, slots=True)
class SignedHeaders:
    """The signed attributes, times in POSIX seconds; `critical` are the labels marked so, `names` all text labels."""

    algorithm: str
    content_type: str
    scheme: str
    signing_time: float | None
    authentic_time: float | None
    expiry: float | None
    critical: tuple[str, ...]
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope taken apart. `signed` are the bytes the signature is over; `chain` is DER, the signer's first.

    `timestamp` is the token that came along, empty where there is none. Everything is still a claim.
    """

    headers: SignedHeaders
    payload: bytes
    signed: bytes
    signature: bytes
    chain: tuple[bytes, ...]
    timestamp: bytes


def signature(attachment: Attachment, limits: Limits) -> Evidence:
    """Read a layer of a Notary Project signature; it is opened where it is judged, because most of it needs the signature.

    Raises:
        Refused: `LimitExceeded`.
    """
    check_size(attachment.payload, limits)
    content = NotationEnvelope(attachment.media_type, attachment.payload)
    return Evidence.of(Format.NOTATION, attachment.origin, content, Material(), attachment.annotations)


def check_size(raw: bytes, limits: Limits) -> None:
    """Refuse an envelope that is too long, before anything in it is read.

    Raises:
        Refused: `LimitExceeded`.
    """
    if len(raw) > limits.signature_bytes:
        expected = f"at most {limits.signature_bytes} bytes"
        raise Refused(Code.LIMIT_EXCEEDED, f"{WHAT} is too long", expected=expected, found=str(len(raw)))


def check_chain(count: int, limits: Limits) -> None:
    """Refuse a chain that is empty or too long, before any certificate in it is read (CVE-2026-32280).

    Raises:
        Refused: `NoCertificate` or `LimitExceeded`.
    """
    if count == 0:
        raise Refused(Code.NO_CERTIFICATE, f"{WHAT} carries no certificate chain")
    if count > limits.certificates_per_chain:
        expected = f"at most {limits.certificates_per_chain}"
        raise Refused(Code.LIMIT_EXCEEDED, f"{WHAT} carries too many certificates", expected=expected, found=str(count))


def check_headers(headers: SignedHeaders) -> None:
    """Check what signature-specification.md, "Standard attributes" and "Extended attributes", says of both encodings.

    Raises:
        Refused: `PluginRequired` where only a plugin could say yes, `UnknownCriticalHeader`, `WrongPayloadType`,
            `Malformed`.
    """
    plugin = next((name for name in sorted(headers.names) if _PLUGIN.fullmatch(name)), None)
    if plugin:
        raise Refused(Code.PLUGIN_REQUIRED, f"{WHAT} can only be verified by a plugin, and none is ever run", found=plugin)
    if len(set(headers.critical)) != len(headers.critical):
        raise malformed("marks a header critical twice")
    unknown = next((name for name in headers.critical if name not in _PROCESSED), None)
    if unknown is not None:
        raise Refused(
            Code.UNKNOWN_CRITICAL,
            f"{WHAT} marks a header critical that is not known",
            expected=", ".join(sorted(_PROCESSED)),
            found=repr(unknown[:80]),
        )
    absent = next((name for name in headers.critical if name not in headers.names), None)
    if absent is not None:
        raise malformed("marks a header critical that it does not carry", found=absent)
    for name in _PROCESSED & headers.names:
        if name not in headers.critical:
            raise malformed("does not mark a header critical that must be", expected=name)
    if headers.content_type != PAYLOAD:
        found = repr(headers.content_type[:80])
        raise Refused(Code.WRONG_PAYLOAD_TYPE, f"{WHAT} is over another kind of content", expected=PAYLOAD, found=found)
    _check_times(headers)


def _check_times(headers: SignedHeaders) -> None:
    """Each scheme has its own signing time and not the other's; what expires does so after it was signed."""
    if headers.scheme not in SCHEMES:
        expected = " or ".join(sorted(SCHEMES))
        raise malformed("is of an unknown signing scheme", expected=expected, found=repr(headers.scheme[:80]))
    times = {SIGNING_TIME: headers.signing_time, AUTHENTIC_TIME: headers.authentic_time}
    wanted = SIGNING_TIME if headers.scheme == X509 else AUTHENTIC_TIME
    signed_at = times.pop(wanted)
    if signed_at is None:
        raise malformed("lacks the signing time of its scheme", expected=wanted)
    if any(time is not None for time in times.values()):
        raise malformed("carries the signing time of another scheme", expected=f"{wanted} alone")
    if headers.expiry is not None and headers.expiry <= signed_at:
        raise malformed("expires before it was made", found=str(headers.expiry))


def disjoint(protected: Collection[object], unprotected: Collection[object]) -> None:
    """One header stands in one place (RFC 7515 section 7.2.1, RFC 9052 section 3).

    Raises:
        Refused: `Ambiguous`.
    """
    twice = set(protected) & set(unprotected)
    if twice:
        found = ", ".join(sorted(map(repr, twice)))[:80]
        raise Refused(Code.AMBIGUOUS, f"{WHAT} carries a header signed and unsigned", found=found)


def only(document: Mapping[str, object], names: Collection[str]) -> None:
    """Refuse members that the specification does not know.

    Raises:
        Refused: `Malformed`.
    """
    unknown = next((name for name in document if name not in names), None)
    if unknown is not None:
        raise malformed("has an unknown member", expected=", ".join(names), found=repr(unknown[:64]))


def malformed(why: str, *, expected: str = "", found: str = "") -> Refused:
    """The reason for an envelope that breaks the specification."""
    return Refused(Code.MALFORMED, f"{WHAT} {why}", expected=expected, found=found)
