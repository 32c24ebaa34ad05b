"""The COSE encoding of Notary Project signatures (RFC 9052 section 4.2, COSE_Sign1; signature-envelope-cose.md)."""

from collections.abc import Mapping
from typing import Final

from controller.formats import cbor
from controller.formats.cbor import Tagged, Value
from controller.formats.notation import (
    AUTHENTIC_TIME,
    EXPIRY,
    SCHEME,
    SIGNING_TIME,
    TIMESTAMP,
    WHAT,
    Opened,
    SignedHeaders,
    check_chain,
    check_size,
    disjoint,
    malformed,
)
from controller.settings import Limits

SIGN1: Final = 18
ALGORITHMS: Final[Mapping[int, str]] = {-37: "PS256", -38: "PS384", -39: "PS512", -7: "ES256", -35: "ES384", -36: "ES512"}
ALGORITHM, CRITICAL, CONTENT_TYPE, X5CHAIN = 1, 2, 3, 33
EPOCH: Final = 1
_CRITICAL: Final = 16
_LATEST: Final = 253402300799  # the end of the year 9999

_Headers = Mapping[int | str, Value]


def open_envelope(raw: bytes, limits: Limits) -> Opened:
    """Take an envelope apart.

    Raises:
        Refused: `Malformed`, `Ambiguous`, `LimitExceeded`, `NoCertificate`.
    """
    check_size(raw, limits)
    match cbor.read(raw, WHAT):
        case Tagged(18, [bytes(encoded), dict(unprotected), bytes(payload), bytes(signature)]):
            pass
        case _:
            raise malformed("is no COSE_Sign1", expected="tag 18 over protected, unprotected, payload, signature")
    protected = cbor.read(encoded, f"{WHAT}, protected header")
    if not isinstance(protected, dict):
        raise malformed("has a protected header that is no map")
    disjoint(protected, unprotected)
    stamp = unprotected.get(TIMESTAMP, b"")
    if not isinstance(stamp, bytes):
        raise malformed("carries a timestamp that is no byte string")
    parts = (cbor.encode_text("Signature1"), *map(cbor.encode_bytes, (encoded, b"", payload)))
    # The chain may stand in either header; `disjoint` saw to it that it stands in one.
    chain = _chain(protected.get(X5CHAIN, unprotected.get(X5CHAIN)), limits)
    return Opened(_signed_headers(protected), payload, cbor.encode_array(*parts), signature, chain, stamp)


def _chain(value: Value, limits: Limits) -> tuple[bytes, ...]:
    """RFC 9360 section 2: one certificate is a byte string, several are an array of them."""
    entries = value if isinstance(value, list) else [] if value is None else [value]
    check_chain(len(entries), limits)
    chain = tuple(entry for entry in entries if isinstance(entry, bytes))
    if len(chain) != len(entries):
        raise malformed("carries a chain of something else than byte strings")
    return chain


def _signed_headers(protected: _Headers) -> SignedHeaders:
    critical = protected.get(CRITICAL)
    if not isinstance(critical, list) or not 0 < len(critical) <= _CRITICAL:
        raise malformed("names its critical headers wrongly", expected="an array of labels")
    algorithm = protected.get(ALGORITHM)
    return SignedHeaders(
        algorithm=ALGORITHMS.get(algorithm, str(algorithm)) if isinstance(algorithm, int) else repr(algorithm)[:40],
        content_type=_text(protected, CONTENT_TYPE),
        scheme=_text(protected, SCHEME),
        signing_time=_time(protected, SIGNING_TIME),
        authentic_time=_time(protected, AUTHENTIC_TIME),
        expiry=_time(protected, EXPIRY),
        critical=tuple(label if isinstance(label, str) else repr(label)[:80] for label in critical),
        names=frozenset(label for label in protected if isinstance(label, str)),
    )


def _text(protected: _Headers, label: int | str) -> str:
    value = protected.get(label)
    if not isinstance(value, str):
        raise malformed("lacks a header, or it is no text", expected=str(label))
    return value


def _time(protected: _Headers, label: str) -> float | None:
    """Seconds since 1970 under tag 1 (RFC 8949 section 3.4.2); fractions, which no signer writes, are not read."""
    if label not in protected:
        return None
    match protected[label]:
        case Tagged(1, int(seconds)) if not isinstance(seconds, bool) and 0 <= seconds <= _LATEST:
            return float(seconds)
        case _:
            raise malformed(f"carries a {label} that is no time", expected="whole seconds under tag 1")
