"""What the protobuf specifications call kinds of keys (sigstore_common.proto, `PublicKeyDetails`), against real keys."""

import re
from typing import Final

from controller.keys import PublicKey

PKCS1: Final = re.compile(r"PKCS1_RSA_(?:PKCS1V5|PSS)", re.ASCII)
"""Names whose key is a bare PKCS#1 RSAPublicKey (RFC 8017 appendix A.1.1) and no SubjectPublicKeyInfo."""

_KINDS: Final = (
    (re.compile(r"PKIX_ECDSA_P(256|384|521)_SHA_(?:256|384|512)", re.ASCII), r"ECDSA P-\1"),
    (re.compile(r"PKIX_RSA_(?:PKCS1V5|PSS)", re.ASCII), "RSA"),
    (re.compile(r"PKIX_RSA_(?:PKCS1V15|PSS)_(2048|3072|4096)_SHA256", re.ASCII), r"RSA \1"),
    (re.compile(r"PKIX_ED25519", re.ASCII), "Ed25519"),
    (re.compile(r"ML_DSA_(44|65|87)", re.ASCII), r"ML-DSA-\1"),
    (PKCS1, "RSA"),
)


def supported(details: str) -> bool:
    """Whether keys called `details` can be used here."""
    return any(pattern.fullmatch(details) for pattern, _ in _KINDS)


def describes(details: str, key: PublicKey) -> bool:
    """Whether `key` is of the kind that `details` names."""
    for pattern, kind in _KINDS:
        match = pattern.fullmatch(details)
        if match:
            name = match.expand(kind)
            return key.algorithm == name or key.algorithm.startswith(f"{name} ")
    return False
