"""From what a person pasted to the bytes of one SubjectPublicKeyInfo, with a hint for everything else they may have pasted.

PEM is read after RFC 7468 section 3, strict: one block, nothing around it but white space, no headers, canonical base64.
What two programs could read as two different keys is no key.
"""

import base64
import binascii
import re
from typing import Final

from controller.errors import Code, Invalid

_BEGIN: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----", re.ASCII)
_EXPORT: Final = "export its public half, for instance with `openssl pkey -in key.pem -pubout`"
_HINTS: Final[dict[str, str]] = {
    "CERTIFICATE": "this is a certificate, and a key authority trusts keys: take its key with"
    " `openssl x509 -in cert.pem -noout -pubkey`, or use an x509 authority",
    "RSA PUBLIC KEY": "this is a PKCS#1 key: convert it with `openssl rsa -RSAPublicKey_in -in key.pem -pubout`",
    "PGP PUBLIC KEY BLOCK": "this is an OpenPGP key: use an openpgp authority",
    "SSH2 PUBLIC KEY": "this is an SSH key: convert it with `ssh-keygen -e -m PKCS8 -f key.pub`",
    "CERTIFICATE REQUEST": "this is a certificate request",
}


def invalid(field: str, why: str, *, expected: str = "", found: str = "") -> Invalid:
    """The one error of this room: `InvalidKey` with the field it stands in."""
    return Invalid(Code.INVALID_KEY, why, field=field, expected=expected, found=found)


def unwrap(data: bytes, field: str, limit: int) -> bytes:
    """The DER bytes in `data`, which is one PEM `PUBLIC KEY` block or already DER.

    Raises:
        Invalid: `InvalidKey` for an empty or too long text, another PEM label, several blocks, text around the block,
            headers inside it, or base64 that is not canonical.
    """
    if len(data) > limit:
        raise invalid(field, "is too long for a public key", expected=f"at most {limit} bytes", found=str(len(data)))
    text = data.strip()
    if not text:
        raise invalid(field, "is empty", expected="a PEM public key")
    if data[:1] == b"\x30" and not text.startswith(b"-----"):
        return data
    return _pem(text, field)


def _pem(text: bytes, field: str) -> bytes:
    begins = _BEGIN.findall(text)
    if not begins:
        raise _unarmoured(text, field)
    label = begins[0].decode("ascii")
    if label.endswith("PRIVATE KEY"):
        raise invalid(field, f"this is a private key: {_EXPORT}, keep the rest secret")
    if label != "PUBLIC KEY":
        hint = _HINTS.get(label, f"this is a PEM block of type {label}")
        raise invalid(field, hint, expected="a PEM block of type PUBLIC KEY")
    if len(begins) > 1:
        raise invalid(field, "holds several PEM blocks", expected="one key", found=str(len(begins)))
    head, tail = b"-----BEGIN PUBLIC KEY-----", b"-----END PUBLIC KEY-----"
    if not text.startswith(head) or not text.endswith(tail):
        raise invalid(field, "has text before or after the PEM block", expected="the block alone")
    return _base64(text[len(head) : -len(tail)], field)


def _base64(body: bytes, field: str) -> bytes:
    packed = b"".join(body.split())
    try:
        raw = binascii.a2b_base64(packed, strict_mode=True)
    except binascii.Error:
        raise invalid(field, "the PEM block is not base64 (RFC 7468 section 3)") from None
    if base64.b64encode(raw) != packed:
        raise invalid(field, "the PEM block is not canonical base64 (RFC 4648 section 3.5)")
    return raw


def _unarmoured(text: bytes, field: str) -> Invalid:
    if text.startswith((b"ssh-", b"ecdsa-sha2-", b"sk-")):
        return invalid(field, "this is an SSH key: convert it with `ssh-keygen -e -m PKCS8 -f key.pub`")
    if b"://" in text[:64]:
        return invalid(
            field, "this is a key reference: key services are not called on the request path, export the public key"
        )
    return invalid(field, "is no public key", expected="-----BEGIN PUBLIC KEY-----", found=repr(text[:24])[1:])
