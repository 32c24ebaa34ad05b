"""OpenPGP simple signing: a signer for tests, and what GnuPG itself wrote (`gnupg/make.sh`)."""

import bz2
import functools
import json
import zlib
from pathlib import Path
from typing import Any, Final

from pysequoia import ArmorKind, Cert, Profile, SignatureMode, Tsk, armor, sign

from controller.evidence import Evidence
from controller.reference import Digest
from controller.registry.mediatypes import OPENPGP_MESSAGE
from controller.settings import Limits
from controller.verify.keyring import KeyRing
from controller.verify.openpgp import OpenPgpAuthority
from tests.fakes.evidence import IMAGE, LIMITS, attachment, one

NAME: Final = "registry.example.com/shop/web:1.4"
"""The name that GnuPG's claims are for; their digest is `evidence.IMAGE`."""

_GNUPG: Final = Path(__file__).parent / "gnupg"


def key(name: str = "release", *, days: int | None = None, version: int = 4) -> Tsk:
    """A key by name: a certifying primary, a signing and an encrypting subkey; `days` until it expires."""
    return _key(name, days, version)


@functools.cache
def _key(name: str, days: int | None, version: int) -> Tsk:
    profile = Profile.RFC4880 if version == 4 else Profile.RFC9580
    seconds = None if days is None else days * 86400
    return Tsk.generate(f"{name} <{name}@corp.example>", profile=profile, validity_seconds=seconds)


def revoked(signer: Tsk) -> bytes:
    """The key with a revocation by itself."""
    public = signer.extract_certificate()
    return bytes(Cert.from_bytes(bytes(public) + bytes(public.revoke(signer.certifier()))))


def ring(*keys: Tsk | bytes) -> bytes:
    """A binary key ring."""
    return b"".join(entry if isinstance(entry, bytes) else bytes(entry.extract_certificate()) for entry in keys)


def armored(*keys: Tsk | bytes) -> str:
    """The same as a policy writes it, one block for each key."""
    return "".join(armor(ring(entry), ArmorKind.PublicKey) for entry in keys)


def authority(*keys: Tsk | bytes, name: str = "vendor", limits: Limits = LIMITS) -> OpenPgpAuthority:
    """An authority that trusts `keys`, made as a policy makes it."""
    return OpenPgpAuthority(name, KeyRing.parse(ring(*keys), "keyring", limits), limits)


def claim(digest: Digest | str = IMAGE, name: str = NAME, **changes: Any) -> dict[str, Any]:
    """A claim as podman writes it; `changes` replace members of `critical`."""
    critical = {
        "identity": {"docker-reference": name},
        "image": {"docker-manifest-digest": str(digest)},
        "type": "atomic container signature",
        **changes,
    }
    return {"critical": critical, "optional": {"creator": "podman 5", "timestamp": 1_790_000_000}}


def signed(content: dict[str, Any] | bytes, signer: Tsk) -> bytes:
    """The signed message, uncompressed."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return sign(signer.signer(), raw, mode=SignatureMode.INLINE, armor=False)


def compressed(message: bytes, algorithm: int = 1) -> bytes:
    """The message inside a compressed data packet of indeterminate length, as gpg writes it by default."""
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = {0: message, 1: raw.compress(message) + raw.flush(), 2: zlib.compress(message), 3: bz2.compress(message)}
    return bytes([0xA3, algorithm]) + packed[algorithm]


def evidence(message: bytes) -> Evidence:
    """A signature as the lookaside server hands it over."""
    return one(attachment(OPENPGP_MESSAGE, message))


def signature(signer: Tsk, digest: Digest | str = IMAGE, name: str = NAME, **changes: Any) -> Evidence:
    """One signature over a claim."""
    return evidence(signed(claim(digest, name, **changes), signer))


def gnupg(name: str) -> bytes:
    """A file that GnuPG wrote."""
    return (_GNUPG / name).read_bytes()
