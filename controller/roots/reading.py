"""Reading a trusted root: JSON in, keys and certificates parsed once, strictly.

An unknown member is an error, because it could be a restriction. A log whose key is of a kind we cannot use is kept without
its key: it is known, so that what only it could prove stays required, and it proves nothing.
"""

import base64
import binascii
import datetime as dt
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from controller import certificates, keys
from controller.certificates import Certificate
from controller.documents import items, optional_text, read_object, text
from controller.errors import Code, Invalid, Refused
from controller.keys import PublicKey
from controller.roots import keydetails
from controller.roots.trusted import Authority, Log, TrustedRoot
from controller.settings import Limits
from controller.validity import Window

MEDIA_TYPES: Final = (
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_ROOT: Final = {"mediaType", "tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities"}
_LOG: Final = {"baseUrl", "hashAlgorithm", "publicKey", "logId", "checkpointKeyId", "operator"}
_KEY: Final = {"rawBytes", "keyDetails", "validFor"}
_AUTHORITY: Final = {"subject", "uri", "certChain", "validFor", "operator"}
_T = TypeVar("_T")
_Object = Mapping[str, Any]


def parse(raw: bytes, name: str, limits: Limits) -> TrustedRoot:
    """Read a trusted root.

    Args:
        raw: The JSON document.
        name: The root's name in policies.
        limits: `trusted_root_bytes`, `trusted_root_entries`, `certificates_per_chain`, `certificate_bytes`.

    Raises:
        Invalid: `InvalidTrustedRoot`, naming the member at fault.
    """
    try:
        return _root(read_object(raw, "trusted root", limit=limits.trusted_root_bytes), name, limits)
    except Refused as error:
        reason = error.reason
        raise Invalid(
            Code.INVALID_ROOT, f"trusted root {name}: {reason.message}", expected=reason.expected, found=reason.found
        ) from None


def _root(document: _Object, name: str, limits: Limits) -> TrustedRoot:
    _only(document, _ROOT, "trusted root")
    kind = text(document, "mediaType", "trusted root")
    if kind not in MEDIA_TYPES:
        raise _bad("mediaType", "is of another version", expected=" or ".join(MEDIA_TYPES), found=kind)
    root = TrustedRoot(
        name=name,
        logs=_list(document, "tlogs", _log, limits),
        ct_logs=_list(document, "ctlogs", _log, limits),
        authorities=_list(document, "certificateAuthorities", _certificate_authority, limits),
        timestamp_authorities=_list(document, "timestampAuthorities", _authority, limits),
        fingerprint=hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest(),
    )
    for logs in (root.logs, root.ct_logs):
        _check_ids(logs)
    if not (root.logs or root.authorities or root.timestamp_authorities):
        raise _bad("trusted root", "vouches for nobody", expected="logs, certificate or timestamp authorities")
    return root


def _check_ids(logs: tuple[Log, ...]) -> None:
    """One identifier is one key; it may stand there for several spans."""
    known: dict[bytes, PublicKey | None] = {}
    for log in logs:
        for key_id in log.ids:
            if known.setdefault(key_id, log.key) != log.key:
                raise _bad(f"log {log.url}", "shares its identifier with a log of another key", found=key_id.hex()[:64])


def _list(document: _Object, name: str, read: Callable[[_Object, str, Limits], _T], limits: Limits) -> tuple[_T, ...]:
    entries = items(document, name, "trusted root", limit=limits.trusted_root_entries)
    return tuple(read(_object(entry, f"{name}[{index}]"), f"{name}[{index}]", limits) for index, entry in enumerate(entries))


def _log(entry: _Object, what: str, limits: Limits) -> Log:  # noqa: ARG001 - one signature for all readers
    _only(entry, _LOG, what)
    algorithm = optional_text(entry, "hashAlgorithm", what)
    if algorithm not in {"", "SHA2_256"}:
        raise _bad(f"{what}.hashAlgorithm", "is not supported", expected="SHA2_256", found=algorithm)
    public = _object(entry.get("publicKey"), f"{what}.publicKey")
    _only(public, _KEY, f"{what}.publicKey")
    key = _key(public, f"{what}.publicKey")
    stated = (_key_id(entry, member, what) for member in ("logId", "checkpointKeyId"))
    computed = bytes.fromhex(key.spki_sha256) if key else b""
    return Log(
        url=optional_text(entry, "baseUrl", what),
        ids=frozenset(value for value in (*stated, computed) if value),
        key=key,
        window=_window(public, f"{what}.publicKey"),
    )


def _key_id(entry: _Object, member: str, what: str) -> bytes:
    if entry.get(member) is None:
        return b""
    value = _object(entry[member], f"{what}.{member}")
    _only(value, {"keyId"}, f"{what}.{member}")
    return _base64(value, "keyId", f"{what}.{member}")


def _key(public: _Object, what: str) -> PublicKey | None:
    details = text(public, "keyDetails", what)
    raw = _base64(public, "rawBytes", what)
    if not keydetails.supported(details):
        return None
    if keydetails.PKCS1.fullmatch(details):
        raw = _from_pkcs1(raw, what)
    try:
        key = keys.parse(raw)
    except Invalid as error:
        raise _bad(what, error.reason.message, expected=error.reason.expected, found=error.reason.found) from None
    if not keydetails.describes(details, key):
        raise _bad(f"{what}.keyDetails", "contradicts the key", expected=key.algorithm, found=details)
    return key


def _from_pkcs1(raw: bytes, what: str) -> bytes:
    try:
        return load_der_public_key(raw).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _bad(what, "is no RSA key", found=str(error)[:80]) from None


def _certificate_authority(entry: _Object, what: str, limits: Limits) -> Authority:
    authority = _authority(entry, what, limits)
    if not all(certificate.is_authority for certificate in authority.chain):
        raise _bad(f"{what}.certChain", "holds a certificate that is no authority's (RFC 5280 section 4.2.1.9)")
    return authority


def _authority(entry: _Object, what: str, limits: Limits) -> Authority:
    _only(entry, _AUTHORITY, what)
    holder = _object(entry.get("certChain"), f"{what}.certChain")
    _only(holder, {"certificates"}, f"{what}.certChain")
    listed = items(holder, "certificates", f"{what}.certChain", limit=limits.certificates_per_chain)
    chain = tuple(_certificate(item, f"{what}.certChain.certificates[{index}]", limits) for index, item in enumerate(listed))
    if not chain:
        raise _bad(f"{what}.certChain", "is empty")
    if not all(issuer.issued(certificate) for certificate, issuer in itertools.pairwise(chain)):
        raise _bad(f"{what}.certChain", "is no chain", expected="each certificate issued by the next")
    return Authority(optional_text(entry, "uri", what), chain, _window(entry, what))


def _certificate(entry: object, what: str, limits: Limits) -> Certificate:
    value = _object(entry, what)
    _only(value, {"rawBytes"}, what)
    return certificates.parse(_base64(value, "rawBytes", what), what, limit=limits.certificate_bytes)


def _window(holder: _Object, what: str) -> Window:
    """`validFor` (TimeRange): absent, or without an end, is open there; both ends belong to it."""
    if holder.get("validFor") is None:
        return Window()
    value = _object(holder["validFor"], f"{what}.validFor")
    _only(value, {"start", "end"}, f"{what}.validFor")
    window = Window(_moment(value, "start", what), _moment(value, "end", what))
    if window.start is not None and window.end is not None and window.end < window.start:
        raise _bad(f"{what}.validFor", "ends before it starts")
    return window


def _moment(value: _Object, name: str, what: str) -> float | None:
    written = optional_text(value, name, f"{what}.validFor")
    if not written:
        return None
    try:
        # What is not RFC 3339 reaches the library as nothing at all, which it does not accept either.
        return dt.datetime.fromisoformat(written.upper() if _TIME.fullmatch(written) else "").timestamp()
    except (ValueError, OverflowError):
        raise _bad(f"{what}.validFor.{name}", "is no time", expected="RFC 3339", found=written[:40]) from None


def _base64(holder: _Object, name: str, what: str) -> bytes:
    try:
        value = base64.b64decode(text(holder, name, what), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad(f"{what}.{name}", "is not base64", found=str(error)[:80]) from None
    if not value:
        raise _bad(f"{what}.{name}", "is empty")
    return value


def _object(value: object, what: str) -> _Object:
    if not isinstance(value, dict):
        raise _bad(what, "must be an object", found=type(value).__name__)
    return value


def _only(document: _Object, allowed: set[str], what: str) -> None:
    unknown = sorted(set(document) - allowed)
    if unknown:
        raise _bad(what, "has a member that is not known", expected=", ".join(sorted(allowed)), found=unknown[0][:64])


def _bad(what: str, why: str, *, expected: str = "", found: str = "") -> Refused:
    return Refused(Code.INVALID_ROOT, f"{what} {why}", expected=expected, found=found)
