"""A signer that writes Notary Project envelopes, JWS and COSE, and wrong ones where a test asks for it."""

import base64
import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from controller.evidence import Evidence, Format, Material, NotationEnvelope, Target
from controller.formats import cbor, notation
from controller.formats.notation import (
    AUTHENTIC_TIME,
    EXPIRY,
    PLUGIN,
    SCHEME,
    SIGNING_AUTHORITY,
    SIGNING_TIME,
    TIMESTAMP,
    X509,
)
from controller.reference import Digest
from tests.fakes.evidence import MANIFEST, ORIGIN
from tests.fakes.pki import NOW, Issued

MEDIA_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
TARGET: Final = Target(MEDIA_TYPE, len(MANIFEST))
COSE_ALGORITHMS: Final = {"PS256": -37, "PS384": -38, "PS512": -39, "ES256": -7, "ES384": -35, "ES512": -36}
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_LABELS: Final[Mapping[str, int]] = {"alg": 1, "crit": 2, "cty": 3}

FORMATS: Final = (notation.JWS, notation.COSE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an envelope shall say; the defaults are what notation writes.

    `headers` replace or add protected headers by JWS name, None leaves one out; `critical` replaces the list. `stamp` makes
    a timestamp token of the signature. `payload` replaces the payload's bytes, `artifact` members of its target.
    """

    scheme: str = X509
    time: float = NOW - 3600
    expiry: float | None = None
    headers: Mapping[str, Any] = field(default_factory=dict)
    critical: Sequence[str] | None = None
    artifact: Mapping[str, Any] = field(default_factory=dict)
    payload: bytes | None = None
    chain: Sequence[bytes] | None = None
    stamp: Callable[[bytes], bytes] | None = None
    algorithm: str = ""
    unprotected: Mapping[str, Any] = field(default_factory=dict)
    spoil: Callable[[bytes], bytes] = bytes


def payload(digest: Digest | None = None, **changes: Any) -> bytes:
    artifact = {"mediaType": MEDIA_TYPE, "digest": str(digest or Digest.of(MANIFEST)), "size": len(MANIFEST), **changes}
    return json.dumps({"targetArtifact": {key: value for key, value in artifact.items() if value is not None}}).encode()


def algorithm(signer: Issued) -> str:
    """The one that belongs to the key."""
    match signer.key:
        case rsa.RSAPrivateKey() as key:
            return {2048: "PS256", 3072: "PS384", 4096: "PS512"}.get(key.key_size, "PS256")
        case ec.EllipticCurvePrivateKey() as key:
            return {256: "ES256", 384: "ES384", 521: "ES512"}[key.curve.key_size]
        case _:
            return "EdDSA"


def sign(signer: Issued, signed: bytes, name: str) -> bytes:
    sha = _HASHES.get(name[2:], hashes.SHA256())
    match signer.key:
        case rsa.RSAPrivateKey() as key:
            return key.sign(signed, padding.PSS(padding.MGF1(sha), padding.PSS.DIGEST_LENGTH), sha)
        case ec.EllipticCurvePrivateKey() as key:
            width = (key.curve.key_size + 7) // 8
            return b"".join(
                number.to_bytes(width, "big") for number in decode_dss_signature(key.sign(signed, ec.ECDSA(sha)))
            )
        case key:
            return key.sign(signed)


def envelope(form: str, signer: Issued, wanted: Wanted | None = None) -> bytes:
    """An envelope in either encoding."""
    what = wanted or Wanted()
    return _jws(signer, what) if form == notation.JWS else _cose(signer, what)


def evidence(form: str, signer: Issued, wanted: Wanted | None = None, *, target: Target | None = TARGET) -> Evidence:
    """The same as the pipeline hands it to a judge."""
    return wrapped(form, envelope(form, signer, wanted), target)


def wrapped(form: str, raw: bytes, target: Target | None = TARGET) -> Evidence:
    return Evidence.of(Format.NOTATION, ORIGIN, NotationEnvelope(form, raw, target), Material())


def _headers(signer: Issued, what: Wanted, time: Callable[[float], Any]) -> dict[str, Any]:
    headers: dict[str, Any] = {"alg": what.algorithm or algorithm(signer), "cty": notation.PAYLOAD, SCHEME: what.scheme}
    headers[AUTHENTIC_TIME if what.scheme == SIGNING_AUTHORITY else SIGNING_TIME] = time(what.time)
    if what.expiry is not None:
        headers[EXPIRY] = time(what.expiry)
    found = [name for name in (SCHEME, AUTHENTIC_TIME, EXPIRY) if name in headers]
    headers["crit"] = list(found if what.critical is None else what.critical)
    return {key: value for key, value in {**headers, **what.headers}.items() if value is not None}


def _chain(signer: Issued, what: Wanted) -> Sequence[bytes]:
    return [one.der for one in signer.chain] if what.chain is None else what.chain


def _jws(signer: Issued, what: Wanted) -> bytes:
    def written(time: float) -> str:
        return dt.datetime.fromtimestamp(time, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    headers = _headers(signer, what, written)
    encoded = url64(json.dumps(headers).encode())
    content = url64(payload(**what.artifact) if what.payload is None else what.payload)
    signature = what.spoil(sign(signer, f"{encoded}.{content}".encode(), str(headers.get("alg", ""))))
    header: dict[str, Any] = {"x5c": [base64.b64encode(raw).decode() for raw in _chain(signer, what)]}
    if what.stamp:
        header[TIMESTAMP] = base64.b64encode(what.stamp(signature)).decode()
    document = {
        "payload": content,
        "protected": encoded,
        "header": {**header, "io.cncf.notary.signingAgent": "test/1", **what.unprotected},
        "signature": url64(signature),
    }
    return json.dumps(document).encode()


def url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _cose(signer: Issued, what: Wanted) -> bytes:
    def written(time: float) -> bytes:
        return cbor.encode_tag(1, cbor.encode_integer(int(time)))

    headers = _headers(signer, what, written)
    name = str(headers.get("alg", ""))
    protected = cbor.encode_map(*((_label(key), _value(key, value)) for key, value in headers.items()))
    content = payload(**what.artifact) if what.payload is None else what.payload
    parts = (cbor.encode_text("Signature1"), *map(cbor.encode_bytes, (protected, b"", content)))
    signature = what.spoil(sign(signer, cbor.encode_array(*parts), name))
    unprotected = [
        (cbor.encode_integer(33), cbor.encode_array(*map(cbor.encode_bytes, _chain(signer, what)))),
        (cbor.encode_text("io.cncf.notary.signingAgent"), cbor.encode_text("test/1")),
        *((_label(key), _value(key, value)) for key, value in what.unprotected.items()),
    ]
    if what.stamp:
        unprotected.append((cbor.encode_text(TIMESTAMP), cbor.encode_bytes(what.stamp(signature))))
    message = cbor.encode_array(
        cbor.encode_bytes(protected), cbor.encode_map(*unprotected), cbor.encode_bytes(content), cbor.encode_bytes(signature)
    )
    return cbor.encode_tag(18, message)


def _label(name: str) -> bytes:
    return cbor.encode_integer(_LABELS[name]) if name in _LABELS else cbor.encode_text(name)


def _value(name: str, value: Any) -> bytes:
    match value:
        case bytes():  # encoded already
            return value
        case list():
            return cbor.encode_array(*(_label(item) for item in value))
        case str() if name == "alg":
            return cbor.encode_integer(COSE_ALGORITHMS.get(value, -8))
        case int():
            return cbor.encode_integer(value)
        case _:
            return cbor.encode_text(str(value))


PLUGIN_HEADERS: Final = {PLUGIN: "com.example.plugin"}
