"""One OCSP response, believed or not (RFC 6960 sections 3.2 and 4.2.2)."""

import hashlib
import math
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from controller import certificates, der
from controller.certificates import Certificate
from controller.errors import Code, Refused
from controller.keys import Message
from controller.settings import Limits

_FAULTS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


def request(certificate: Certificate, issuer: Certificate) -> bytes:
    """Ask for one certificate. SHA-1 only names the issuer here, and many responders know no other (RFC 5019 section 2.1.1).

    There is no nonce, so that one answer serves every image signed under the certificate.
    """
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate.parsed, issuer.parsed, hashes.SHA1())  # noqa: S303
    return builder.build().public_bytes(Encoding.DER)


def check(raw: bytes, certificate: Certificate, issuer: Certificate, now: float, limits: Limits) -> float:
    """Judge a response about `certificate` at `now`.

    Returns:
        How long it holds (POSIX seconds): the certificate is good.

    Raises:
        Refused: `CertificateRevoked`; `RevocationUnknown` where the response may not be believed, or says that it does not
            know.
    """
    try:
        return _check(raw, certificate, issuer, now, limits)
    except _FAULTS as error:
        raise unknown("cannot be read", str(error)) from None


def _check(raw: bytes, certificate: Certificate, issuer: Certificate, now: float, limits: Limits) -> float:
    response = ocsp.load_der_ocsp_response(raw)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise unknown("is an error", response.response_status.name)
    single = _about(response, certificate, issuer)
    _check_signature(response, issuer, now, limits)
    end = single.next_update_utc.timestamp() if single.next_update_utc else -math.inf
    if not single.this_update_utc.timestamp() - limits.clock_skew <= now <= end:
        raise unknown("is not of this time", f"from {single.this_update_utc} to {single.next_update_utc}")
    critical = next((one.oid.dotted_string for one in response.extensions if one.critical), None)
    if critical:
        raise unknown("carries a critical extension that is not known", critical)
    match single.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return end
        case ocsp.OCSPCertStatus.REVOKED:
            on_hold = single.revocation_reason is x509.ReasonFlags.certificate_hold
            reason = single.revocation_reason.value if single.revocation_reason else "no reason given"
            raise revoked(certificate, f"since {single.revocation_time_utc}, {reason}", until=end if on_hold else math.inf)
        case _:
            raise unknown("does not know the certificate", certificate.subject)


def _about(response: ocsp.OCSPResponse, certificate: Certificate, issuer: Certificate) -> ocsp.OCSPSingleResponse:
    """The part that names this certificate under this issuer (section 4.1.1, CertID)."""
    name = issuer.parsed.subject.public_bytes()
    key = _key_bits(issuer)
    for single in response.responses:
        digest = single.hash_algorithm.name
        named = digest in {"sha1", "sha256", "sha384", "sha512"} and (
            single.serial_number == certificate.parsed.serial_number
            and single.issuer_name_hash == hashlib.new(digest, name).digest()
            and single.issuer_key_hash == hashlib.new(digest, key).digest()
        )
        if named:
            return single
    raise unknown("is about another certificate", expected=certificate.subject)


def _check_signature(response: ocsp.OCSPResponse, issuer: Certificate, now: float, limits: Limits) -> None:
    """By the issuer itself, or by a responder whom the issuer made one (section 4.2.2.2)."""
    message = Message(response.tbs_response_bytes)
    signer = issuer if _is_responder(response, issuer) else _delegate(response, issuer, now, limits)
    if not signer.key.verifies(response.signature, message):
        raise unknown("is not signed by its responder", signer.subject)


def _is_responder(response: ocsp.OCSPResponse, certificate: Certificate) -> bool:
    if response.responder_key_hash is not None:
        return response.responder_key_hash == hashlib.sha1(_key_bits(certificate)).digest()  # noqa: S324 - a name, not proof
    name = response.responder_name
    return name is not None and name.public_bytes() == certificate.parsed.subject.public_bytes()


def _delegate(response: ocsp.OCSPResponse, issuer: Certificate, now: float, limits: Limits) -> Certificate:
    for one in response.certificates[: limits.certificates_per_chain]:
        encoded = one.public_bytes(Encoding.DER)
        responder = certificates.parse(encoded, "certificate of the OCSP responder", limit=limits.certificate_bytes)
        if not _is_responder(response, responder) or not issuer.issued(responder):
            continue
        if ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string not in (responder.usages or ()):
            raise unknown("is signed by a certificate that may not speak about others", responder.subject)
        if not responder.window.contains(now, now):
            raise unknown("is signed by a certificate that is not valid now", responder.subject)
        if not _is_exempt(one):
            # trust-store-trust-policy.md, "Revocation Checking with OCSP", 4: its own status would have to be known first.
            raise unknown(
                "is signed by a certificate that may itself be revoked (no id-pkix-ocsp-nocheck)", responder.subject
            )
        return responder
    raise unknown("is signed by nobody whom the issuer made a responder", expected=issuer.subject)


def _is_exempt(certificate: x509.Certificate) -> bool:
    return any(extension.oid == ExtensionOID.OCSP_NO_CHECK for extension in certificate.extensions)


def _key_bits(certificate: Certificate) -> bytes:
    """The contents of the key's BIT STRING without its first octet, which is what CertID hashes (section 4.1.1)."""
    spki = certificate.parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    reader = der.read(spki, "public key").inside()
    reader.take(der.SEQUENCE)
    return reader.take(der.BIT_STRING).content[1:]


def revoked(certificate: Certificate, found: str, *, until: float = math.inf) -> Refused:
    """The reason for a certificate that was revoked; `until` where the revocation may be lifted."""
    message = f"certificate {certificate.subject[:120]} was revoked"
    return Refused(Code.CERTIFICATE_REVOKED, message, found=found, until=until)


def unknown(why: str, found: str = "", *, expected: str = "") -> Refused:
    """The reason for an answer that settles nothing."""
    return Refused(Code.REVOCATION_UNKNOWN, f"the answer {why}", expected=expected[:120], found=found[:120])
