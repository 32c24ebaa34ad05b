"""Signed certificate timestamps: whether a certificate transparency log took the certificate in (RFC 6962 section 3)."""

import datetime as dt
import struct
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.certificate_transparency import LogEntryType, SignedCertificateTimestamp

from controller.certificates import Certificate
from controller.errors import Code, Refused
from controller.keys import Message
from controller.roots import TrustedRoot
from controller.settings import Limits
from controller.verify import time
from controller.verify.time import Moment, Span

_CERTIFICATE_TIMESTAMP = 0
_PRECERTIFICATE_ENTRY = 1


def check(certificate: Certificate, issuer: Certificate, root: TrustedRoot, limits: Limits) -> tuple[Span, ...]:
    """Check the timestamps embedded in `certificate`; the windows of the logs that hold it, for all other times.

    At least one must be by a log of `root`, and each by such a log must hold. A root that lists no certificate transparency
    log asks for none (design, section 5).

    Raises:
        Refused: `SctMissing`, `SctInvalid`; `OutsideValidity` where the log's key was not in use when it signed.
    """
    if not root.ct_logs:
        return ()
    stamps = _embedded(certificate, limits)
    windows = [window for stamp in stamps for window in _check(stamp, certificate, issuer, root)]
    if not windows:
        raise Refused(
            Code.SCT_INVALID,
            f"no certificate transparency log of {root.title} holds the certificate",
            expected=", ".join(log.url for log in root.ct_logs[-2:]),
            found=", ".join(f"log {stamp.log_id.hex()[:16]}" for stamp in stamps[:2]),
        )
    return tuple(windows)


def _embedded(certificate: Certificate, limits: Limits) -> list[SignedCertificateTimestamp]:
    try:
        extension = certificate.parsed.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps)
        stamps = list(extension.value)
    except x509.ExtensionNotFound:
        stamps = []
    except ValueError as error:
        raise _invalid("cannot be read", str(error)[:80]) from None
    if not stamps:
        raise Refused(
            Code.SCT_MISSING,
            "the certificate carries no signed certificate timestamp",
            expected="one by a certificate transparency log",
        )
    if len(stamps) > limits.log_entries_per_bundle:
        raise Refused(
            Code.LIMIT_EXCEEDED,
            "the certificate carries too many signed certificate timestamps",
            expected=f"at most {limits.log_entries_per_bundle}",
            found=str(len(stamps)),
        )
    return stamps


def _check(
    stamp: SignedCertificateTimestamp, certificate: Certificate, issuer: Certificate, root: TrustedRoot
) -> Iterator[Span]:
    logs = [(log, log.key) for log in root.find_ct_log(stamp.log_id) if log.key is not None]
    if not logs:
        return
    message = Message(_signed(stamp, certificate, issuer))
    moment = Moment(stamp.timestamp.replace(tzinfo=dt.UTC).timestamp(), "signed certificate timestamp")
    if not logs[0][1].verifies(stamp.signature, message):
        raise _invalid("is not the log's over this certificate", f"log {logs[0][0].url}")
    windows = [Span(log.window, f"certificate transparency log {log.url}") for log, _ in logs]
    fitting = [window for window in windows if window.window.contains(moment.time, moment.time)]
    time.check((moment,), windows[:1] if not fitting else ())
    yield fitting[0]


def _signed(stamp: SignedCertificateTimestamp, certificate: Certificate, issuer: Certificate) -> bytes:
    """The `digitally-signed` structure of a precertificate entry (RFC 6962 section 3.2)."""
    if stamp.entry_type is not LogEntryType.PRE_CERTIFICATE:
        raise _invalid("is for another kind of entry than a precertificate")
    if not isinstance(stamp.signature_hash_algorithm, hashes.SHA256):  # section 2.1.4
        raise _invalid("is signed with another hash than SHA-256")
    try:
        precertificate = certificate.parsed.tbs_precertificate_bytes
    except ValueError as error:
        raise _invalid("leaves no precertificate to compare", str(error)[:80]) from None
    milliseconds = round(stamp.timestamp.replace(tzinfo=dt.UTC).timestamp() * 1000)
    return b"".join(
        (
            struct.pack("!BBQH", stamp.version.value, _CERTIFICATE_TIMESTAMP, milliseconds, _PRECERTIFICATE_ENTRY),
            bytes.fromhex(issuer.key.spki_sha256),
            len(precertificate).to_bytes(3, "big"),
            precertificate,
            struct.pack("!H", len(stamp.extension_bytes)),
            stamp.extension_bytes,
        )
    )


def _invalid(why: str, found: str = "") -> Refused:
    return Refused(Code.SCT_INVALID, f"signed certificate timestamp {why}", found=found)
