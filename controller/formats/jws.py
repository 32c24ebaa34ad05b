"""The JWS encoding of Notary Project signatures (RFC 7515 section 7.2.2, flattened; signature-envelope-jws.md)."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Final

from controller.documents import items, members, optional_text, read_object, text
from controller.formats.encoding import decode64
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
    only,
)
from controller.settings import Limits

_MEMBERS: Final = ("payload", "protected", "header", "signature")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
_CRITICAL: Final = 16
_QUANTUM: Final = 4
_MICROSECONDS: Final = 6


def open_envelope(raw: bytes, limits: Limits) -> Opened:
    """Take an envelope apart.

    Raises:
        Refused: `Malformed`, `Ambiguous`, `LimitExceeded`, `NoCertificate`.
    """
    check_size(raw, limits)
    document = read_object(raw, WHAT, limit=limits.signature_bytes)
    only(document, _MEMBERS)
    encoded, payload = text(document, "protected", WHAT), text(document, "payload", WHAT)
    what = f"{WHAT}.protected"
    protected = read_object(_url64(encoded, what), what, limit=limits.signature_bytes)
    header = members(document, "header", WHAT)
    disjoint(protected, header)
    entries = items(header, "x5c", f"{WHAT}.header", limit=len(raw))
    check_chain(len(entries), limits)
    return Opened(
        headers=_headers(protected, what),
        payload=_url64(payload, f"{WHAT}.payload"),
        signed=f"{encoded}.{payload}".encode(),
        signature=_url64(text(document, "signature", WHAT), f"{WHAT}.signature"),
        chain=tuple(_standard64(entry, f"{WHAT}.header.x5c[{index}]") for index, entry in enumerate(entries)),
        timestamp=_standard64(header[TIMESTAMP], f"{WHAT}.header.{TIMESTAMP}") if TIMESTAMP in header else b"",
    )


def _headers(protected: Mapping[str, Any], what: str) -> SignedHeaders:
    critical = items(protected, "crit", what, limit=_CRITICAL)
    if not critical or not all(isinstance(name, str) for name in critical):
        raise malformed("names its critical headers wrongly", expected="texts")
    return SignedHeaders(
        algorithm=text(protected, "alg", what),
        content_type=text(protected, "cty", what),
        scheme=text(protected, SCHEME, what),
        signing_time=_time(protected, SIGNING_TIME, what),
        authentic_time=_time(protected, AUTHENTIC_TIME, what),
        expiry=_time(protected, EXPIRY, what),
        critical=tuple(critical),
        names=frozenset(protected),
    )


def _time(protected: Mapping[str, Any], name: str, what: str) -> float | None:
    """An RFC 3339 time (signature-envelope-jws.md, "ProtectedHeaders")."""
    if name not in protected:
        return None
    value = optional_text(protected, name, what)
    bad = malformed(f"carries a {name} that is no RFC 3339 time", found=repr(value[:40]))
    match = _TIME.fullmatch(value)
    if match is None:
        raise bad
    fraction = match[1] or ""
    exact = value.replace(fraction, fraction[: 1 + _MICROSECONDS]) if fraction else value
    try:
        return dt.datetime.fromisoformat(exact).timestamp()
    except (ValueError, OverflowError):
        raise bad from None


def _url64(encoded: str, what: str) -> bytes:
    """Base64url without padding, the only form of RFC 7515 section 2."""
    if not _BASE64URL.fullmatch(encoded):
        raise malformed("is not base64url without padding", found=f"{what.rpartition('.')[2]} {encoded[-8:]!r}")
    return decode64(encoded, what)


def _standard64(value: Any, what: str) -> bytes:
    """Base64 with padding (RFC 7515 section 4.1.6)."""
    if not isinstance(value, str) or not _BASE64.fullmatch(value) or len(value) % _QUANTUM:
        raise malformed("is not base64 with padding", found=what.rpartition(".")[2])
    return decode64(value, what)
