"""Which chains and which algorithms a Notary Project signature may use (signature-specification.md).

Only basic constraints, key usage and extended key usage are honoured; other extensions, critical ones too, are not looked at
because the specification says so ("Other requirements", 2). Validity periods are judged elsewhere, at proven times.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from controller.certificates import Certificate
from controller.errors import Code, Refused

Path = tuple[Certificate, ...]
"""From the signer's certificate to the root, last."""

_SHA: Final[Mapping[str, hashes.HashAlgorithm]] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_RSA: Final = {2048: "PS256", 3072: "PS384", 4096: "PS512"}
_EC: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_EXCLUDED: Final = frozenset(
    usage.dotted_string
    for usage in (
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.TIME_STAMPING,
        ExtendedKeyUsageOID.OCSP_SIGNING,
    )
)


def check(path: Path) -> None:
    """Check a signer's chain against "Certificate Requirements": complete, ordered, for this use.

    Raises:
        Refused: `CertificateInvalid`.
    """
    end, *issuers = path
    if not path[-1].issued(path[-1]):
        raise _unfit(path[-1], "ends the chain and is no root: it is not signed by itself")
    for child, issuer in pairwise(path):
        if child.issued(child):
            raise _unfit(child, "is signed by itself and stands before the end of the chain")
        if not issuer.issued(child):
            raise _unfit(child, "was not issued by the next one in the chain", issuer.subject[:80])
    _check_end(end)
    for depth, issuer in enumerate(issuers):
        check_issuer(issuer, depth)


def check_issuer(issuer: Certificate, below: int) -> None:
    """Check a root or intermediate; `below` counts the authorities between it and the end certificate.

    Raises:
        Refused: `CertificateInvalid`.
    """
    basic, usage = issuer.extension(x509.BasicConstraints), issuer.extension(x509.KeyUsage)
    if basic is None or not basic.critical or not basic.value.ca:
        raise _unfit(issuer, "is no authority", "basic constraints, critical, CA:TRUE")
    if basic.value.path_length is not None and below > basic.value.path_length:
        raise _unfit(issuer, "allows fewer authorities below it", str(basic.value.path_length), str(below))
    if usage is None or not usage.critical or not usage.value.key_cert_sign:
        raise _unfit(issuer, "may not issue certificates", "key usage, critical, keyCertSign")


def algorithm(end: Certificate) -> str:
    """The one algorithm that the signer's key may sign with ("Algorithm Selection").

    Raises:
        Refused: `WrongAlgorithm` for keys of other kinds or sizes.
    """
    name: str | None = None
    match end.parsed.public_key():
        case rsa.RSAPublicKey() as key:
            name = _RSA.get(key.key_size)
        case ec.EllipticCurvePublicKey() as key:
            name = _EC.get(key.curve.name)
        case _:
            pass
    if name is None:
        raise Refused(
            Code.WRONG_ALGORITHM,
            "the signer's key is of a kind that Notary Project signatures do not use",
            expected="RSA 2048, 3072 or 4096, or ECDSA P-256, P-384 or P-521",
            found=end.key.algorithm,
        )
    return name


def verify(end: Certificate, signature: bytes, signed: bytes) -> None:
    """Verify a signature as JWS (RFC 7518 sections 3.4, 3.5) and COSE (RFC 9053 section 2.1, RFC 8230) write it.

    Raises:
        Refused: `WrongAlgorithm`, `SignatureInvalid`.
    """
    sha = _SHA[algorithm(end)[2:]]
    try:
        match end.parsed.public_key():
            case rsa.RSAPublicKey() as key:
                key.verify(signature, signed, padding.PSS(padding.MGF1(sha), padding.PSS.DIGEST_LENGTH), sha)
            case ec.EllipticCurvePublicKey() as key:
                key.verify(_to_der(signature, (key.key_size + 7) // 8), signed, ec.ECDSA(sha))
            case _:  # `algorithm` refused every other kind
                raise AssertionError
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        found = f"certificate of {end.subject[:120]}"
        raise Refused(Code.SIGNATURE_INVALID, "the signature is not that of its certificate", found=found) from None


def _to_der(signature: bytes, width: int) -> bytes:
    """Two numbers of fixed width, one after the other (RFC 7518 section 3.4)."""
    if len(signature) != 2 * width:
        raise InvalidSignature
    numbers = (int.from_bytes(part, "big") for part in (signature[:width], signature[width:]))
    return encode_dss_signature(*numbers)


def check_stamping(path: Path) -> None:
    """Check a timestamp authority's chain, beyond what RFC 3161 asks of its certificate's extended key usage.

    Raises:
        Refused: `CertificateInvalid`.
    """
    end, *issuers = path
    _check_signing_only(end)
    for depth, issuer in enumerate(issuers):
        check_issuer(issuer, depth)


def _check_end(end: Certificate) -> None:
    _check_signing_only(end)
    excluded = (end.usages or frozenset()) & _EXCLUDED
    if excluded:
        raise _unfit(end, "is for another use than signing code", found=", ".join(sorted(excluded)))


def _check_signing_only(end: Certificate) -> None:
    basic, usage = end.extension(x509.BasicConstraints), end.extension(x509.KeyUsage)
    if basic is not None and basic.value.ca:
        raise _unfit(end, "is an authority, and signs", "basic constraints CA:FALSE or none")
    if usage is None or not usage.critical or not usage.value.digital_signature:
        raise _unfit(end, "may not sign", "key usage, critical, digitalSignature")
    value = usage.value  # encipherOnly and decipherOnly mean something beside keyAgreement only (RFC 5280 section 4.2.1.3)
    if value.key_encipherment or value.data_encipherment or value.key_agreement or value.key_cert_sign or value.crl_sign:
        raise _unfit(end, "may do more than sign", "key usage digitalSignature only")


def _unfit(certificate: Certificate, why: str, expected: str = "", found: str = "") -> Refused:
    message = f"certificate {certificate.subject[:120]} {why} (Notary Project, Certificate Requirements)"
    return Refused(Code.CERTIFICATE_INVALID, message, expected=expected, found=found)
