"""Certificates: other people's, read strictly into values; and our own, made for a demonstration."""

from controller.certificates.own import KeyPair, expiry, self_signed
from controller.certificates.parsed import (
    ANY_USAGE,
    CODE_SIGNING,
    FULCIO_CLAIMS,
    TIME_STAMPING,
    AlternativeName,
    Certificate,
    parse,
)

__all__ = [
    "ANY_USAGE",
    "CODE_SIGNING",
    "FULCIO_CLAIMS",
    "TIME_STAMPING",
    "AlternativeName",
    "Certificate",
    "KeyPair",
    "expiry",
    "parse",
    "self_signed",
]
