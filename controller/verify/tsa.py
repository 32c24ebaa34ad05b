"""Whether a timestamp is the word of a timestamp authority we trust (RFC 3161; RFC 5652 section 5.6; RFC 5816)."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from controller import certificates
from controller.certificates import TIME_STAMPING, Certificate
from controller.errors import Code, Refused
from controller.formats.timestamp import Timestamp
from controller.keys import Message
from controller.roots import Authority, TrustedRoot
from controller.settings import Limits
from controller.verify import chain, time
from controller.verify.chain import Path
from controller.verify.time import Moment, Span

_HASHES: Final = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
_ECDSA: Final = {"1.2.840.10045.4.3.2": "sha256", "1.2.840.10045.4.3.3": "sha384", "1.2.840.10045.4.3.4": "sha512"}
_RSA_HASHED: Final = {
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
_RSA_PLAIN: Final = "1.2.840.113549.1.1.1"  # RFC 3370 section 3.2: the digest algorithm says which hash
_ED25519: Final = "1.3.101.112"


@dataclass(frozen=True, slots=True)
class Stamped:
    """A timestamp that holds: the time it proves, the window of the authority, and the path to its anchor."""

    moment: Moment
    window: Span
    path: Path


def check(stamp: Timestamp, message: Message, root: TrustedRoot, limits: Limits) -> tuple[Moment, Span]:
    """Check a timestamp over `message`; the time it proves, and the window of the authority, for all other times.

    Raises:
        Refused: As `prove`.
    """
    stamped = prove(stamp, message, root, limits)
    return stamped.moment, stamped.window


def prove(stamp: Timestamp, message: Message, root: TrustedRoot, limits: Limits) -> Stamped:
    """The same, with the path for whoever also asks whether the authority was revoked.

    Raises:
        Refused: `TimestampUntrusted` where no authority of `root` is named as the signer; `TimestampInvalid`,
            `CertificateInvalid`; `OutsideValidity` where the authority was not valid at the time it states.
    """
    if message.digest(stamp.imprint.algorithm) != stamp.imprint.value:
        raise _invalid("is of something else than this signature")
    if hashlib.new(stamp.digest_algorithm, stamp.content).digest() != stamp.content_digest:
        raise _invalid("carries content that its signature does not cover (RFC 5652 section 5.6)")
    if stamp.accuracy > limits.timestamp_accuracy:
        raise _invalid("is too coarse", f"at most {limits.timestamp_accuracy:g} s", f"{stamp.accuracy:g} s")
    refusal: Refused | None = None
    for authority, path in _signers(stamp, root, limits):
        try:
            return _check_by(stamp, authority, path)
        except Refused as error:  # the same certificate may stand under two authorities with different windows
            refusal = refusal or error
    raise refusal or Refused(
        Code.TIMESTAMP_UNTRUSTED,
        f"the timestamp is by no authority of {root.title}",
        expected=", ".join(authority.chain[0].subject for authority in root.timestamp_authorities[:2])
        or "no authority at all",
        found=_signer(stamp),
    )


def _check_by(stamp: Timestamp, authority: Authority, path: Path) -> Stamped:
    end = path[0]
    for named in stamp.certificate_hashes:  # SHA-1 only identifies here: the certificate is trusted for other reasons
        if hashlib.new(named.algorithm, end.der).digest() != named.value:
            raise _invalid("names another signing certificate (RFC 5035 section 5.4)", end.subject)
    if not _signed(stamp, end):
        raise _invalid("is not signed by the authority", end.subject)
    if end.usages != frozenset({TIME_STAMPING}) or not end.usages_critical:
        raise Refused(
            Code.CERTIFICATE_INVALID,
            "the timestamp authority's certificate is not for timestamps alone (RFC 3161 section 2.3)",
            found=", ".join(sorted(end.usages or ())),
        )
    chain.check(path, TIME_STAMPING, "a timestamp authority")
    moment = Moment(stamp.time, f"timestamp by {authority.uri or end.subject}"[:120])
    window = Span(authority.window, f"timestamp authority {authority.uri or end.subject}")
    time.check((moment,), (window, *(Span(one.window, f"certificate {one.subject}") for one in path)))
    return Stamped(moment, window, path)


def _signers(stamp: Timestamp, root: TrustedRoot, limits: Limits) -> Iterator[tuple[Authority, Path]]:
    """Trusted certificates that the timestamp names as its signer.

    Where the trusted root lists the signing certificate, it is that one and no other (CVE-2026-33753: certificates that
    come in the token's own set are anybody's). Where it lists authorities only, one from the set may lead there.
    """
    for authority in root.timestamp_authorities:
        first = authority.chain[0]
        if not first.is_authority:
            if _names(stamp, first):
                yield authority, authority.chain
            continue
        embedded = _embedded(stamp, limits)
        for candidate in embedded:
            path = chain.build(candidate, authority, embedded, limit=limits.certificates_per_chain)
            if _names(stamp, candidate) and path is not None:
                yield authority, path


def _embedded(stamp: Timestamp, limits: Limits) -> tuple[Certificate, ...]:
    return tuple(
        certificates.parse(raw, "certificate in the timestamp", limit=limits.certificate_bytes) for raw in stamp.certificates
    )


def _names(stamp: Timestamp, certificate: Certificate) -> bool:
    """Whether the signer identifier means `certificate` (RFC 5652 section 5.3)."""
    named, parsed = stamp.signer, certificate.parsed
    if named.key_identifier:
        return named.key_identifier == certificate.key_identifier
    return named.issuer == parsed.issuer.public_bytes() and named.serial == parsed.serial_number


def _signed(stamp: Timestamp, certificate: Certificate) -> bool:
    """Whether the signature is over the signed attributes (RFC 5652 section 5.4), in the way it says it was made.

    RSASSA-PSS is not accepted: its parameters, which nothing signs, would say how to verify.
    """
    named, key = stamp.signature_algorithm, certificate.parsed.public_key()
    rsa_hashes = {**_RSA_HASHED, _RSA_PLAIN: stamp.digest_algorithm}
    try:
        match key:
            case ec.EllipticCurvePublicKey() if named in _ECDSA:
                key.verify(stamp.signature, stamp.signed, ec.ECDSA(_HASHES[_ECDSA[named]]))
            case rsa.RSAPublicKey() if named in rsa_hashes:
                key.verify(stamp.signature, stamp.signed, padding.PKCS1v15(), _HASHES[rsa_hashes[named]])
            case ed25519.Ed25519PublicKey() if named == _ED25519:
                key.verify(stamp.signature, stamp.signed)
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _signer(stamp: Timestamp) -> str:
    if stamp.signer.key_identifier:
        return f"a signer with key identifier {stamp.signer.key_identifier.hex()[:40]}"
    return f"a signer with certificate number {stamp.signer.serial:x}"[:80]


def _invalid(why: str, expected: str = "", found: str = "") -> Refused:
    return Refused(Code.TIMESTAMP_INVALID, f"timestamp {why}", expected=expected, found=found)
