"""OpenPGP key rings: the only room of `pysequoia`, which is an extra and loaded when the first key ring is.

The library verifies by its own clock and believes a signature that was *said* to be made while its key was good. Nothing
proves when an OpenPGP signature was made, so what expired or was revoked is not believed any more, and that is judged here,
at the time the judge is given.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from controller.errors import Code, Invalid, Refused
from controller.keys import openpgp
from controller.settings import Limits

if TYPE_CHECKING:
    from pysequoia import Cert
    from pysequoia.packet import Packet

_V4_FINGERPRINT: Final = 40
_KEY_ID: Final = 16
_PRIVATE: Final = "private key material; give the public half (gpg --export)"


@dataclass(frozen=True, slots=True)
class _Life:
    """Until when a key may sign (POSIX seconds), and whether it was revoked."""

    ends: float = math.inf
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Certificate:
    """One OpenPGP key: `fingerprint` is its primary's, in lower-case hex; `lives` those of the primary and each subkey.

    `public` holds the SHA-256 (hex) of their SubjectPublicKeyInfo, for those that can be written so.
    """

    fingerprint: str
    name: str
    library: "Cert"
    lives: Mapping[str, _Life]
    public: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Opened:
    """A message whose one signature held, by the key `key` of `signer` (see `Certificate.public`; may be empty).

    `until` (POSIX seconds) is when key or signature expires.
    """

    content: bytes
    signer: Certificate
    until: float
    key: str


class KeyRing:
    """Keys that are believed; any one suffices."""

    __slots__ = ("_by_handle", "_library", "certificates", "fingerprint")

    def __init__(self, library: Any, certificates: Sequence[Certificate]) -> None:
        """Trust `certificates`, distinct ones, with `library` to verify by."""
        self._library = library
        self.certificates = tuple(certificates)
        self._by_handle: dict[str, list[Certificate]] = {}
        for certificate in certificates:
            for key in certificate.lives:
                for handle in {key, key_id(key)}:
                    self._by_handle.setdefault(handle, []).append(certificate)
        state = hashlib.sha256()
        for certificate in sorted(certificates, key=lambda entry: entry.fingerprint):
            state.update(hashlib.sha256(bytes(certificate.library)).digest())
        self.fingerprint = state.hexdigest()

    @classmethod
    def parse(cls, data: bytes, field: str, limits: Limits) -> "KeyRing":
        """Read a key ring: one key or several, armored (in one block or many) or binary.

        Raises:
            Invalid: `NotInstalled` without the library; `InvalidKey` for anything that is not public keys, or too many.
        """
        library = _load(field)
        if len(data) > limits.keyring_bytes:
            raise _invalid(field, f"longer than {limits.keyring_bytes} bytes")
        if b"PRIVATE KEY BLOCK" in data:
            raise _invalid(field, _PRIVATE)
        try:
            packets = list(library.packet.PacketPile.from_bytes(data))
            found = library.Cert.split_bytes(data)
            if any(str(packet.tag) in {"Tag.SecretKey", "Tag.SecretSubkey"} for packet in packets):
                raise _invalid(field, _PRIVATE)
            if not 0 < len(found) <= limits.keyring_keys:
                raise _invalid(field, f"{len(found)} keys", expected=f"1 to {limits.keyring_keys} OpenPGP public keys")
            distinct: dict[str, Cert] = {}
            for entry in found:
                known = distinct.get(entry.fingerprint)
                distinct[entry.fingerprint] = known.merge(entry) if known else entry  # a revocation in either copy counts
            return cls(library, [_certificate(library, entry) for entry in distinct.values()])
        except (RuntimeError, ValueError) as error:
            raise _invalid(field, _first_line(error)) from None

    def open(self, message: bytes, now: float, skew: float) -> Opened:
        """Verify a signed message with exactly one signature (`formats.simplesigning` saw to that).

        Args:
            message: The packets, uncompressed.
            now: POSIX seconds.
            skew: How far ahead of `now`, in seconds, a signature may say it was made.

        Raises:
            Refused: `WrongKey`, `SignatureInvalid`, `SignatureExpired`, `Revoked`, `OutsideValidity`.
        """
        signature = self._signature(message)
        if not self._candidates(_issuers(signature)):
            raise self._why(signature, now, "nobody here made it")
        try:
            result = self._library.verify(message, store=self._candidates)
        except (RuntimeError, ValueError) as error:
            raise self._why(signature, now, _first_line(error)) from None
        if len(result.valid_sigs) != 1 or result.bytes is None:
            raise Refused(Code.MALFORMED, "OpenPGP message has not one signature", found=str(len(result.valid_sigs)))
        valid = result.valid_sigs[0]
        signer = next(entry for entry in self.certificates if entry.fingerprint == valid.certificate)
        until = _still_good(signer, valid.signing_key, signature, now, skew)
        return Opened(result.bytes, signer, until, signer.public.get(valid.signing_key, ""))

    def _signature(self, message: bytes) -> "Packet":
        try:
            packets: list[Packet] = list(self._library.packet.PacketPile.from_bytes(message))
        except (RuntimeError, ValueError) as error:
            raise Refused(Code.MALFORMED, "OpenPGP message cannot be read", found=_first_line(error)) from None
        found = [packet for packet in packets if _is(packet, "Signature")]
        if len(found) != 1:
            raise Refused(Code.MALFORMED, "OpenPGP message has not one signature", found=str(len(found)))
        return found[0]

    def _candidates(self, handles: Sequence[str]) -> list["Cert"]:
        found = {entry.fingerprint: entry.library for handle in handles for entry in self._by_handle.get(handle.lower(), ())}
        return list(found.values())

    def _why(self, signature: "Packet", now: float, said: str) -> Refused:
        """Why the library believed nothing: the same no, told by what has to be done about it."""
        issuers = _issuers(signature)
        expected = described(self.certificates)
        issuer = next((issuer for issuer in issuers if issuer in self._by_handle), "")
        if not issuer:
            found = key_name(issuers[0]) if issuers else "a signature that names no key"
            return Refused(Code.WRONG_KEY, "no trusted key made this signature", expected=expected, found=found)
        holder = self._by_handle[issuer][0]
        life = next(life for key, life in holder.lives.items() if issuer in {key, key_id(key)})
        if life.revoked:
            return _revoked(holder)
        expired = _expired(signature, holder, life, now)
        if expired:
            return expired
        return Refused(Code.SIGNATURE_INVALID, f"the signature by {holder.name} does not hold", found=said)


def _issuers(signature: "Packet") -> list[str]:
    """Who made a signature, as it says itself: fingerprint or key ID, whichever it names."""
    return [handle.lower() for handle in (signature.issuer_fingerprint, signature.issuer_key_id) if handle]


def described(certificates: Sequence[Certificate], shown: int = 3) -> str:
    """Keys for people."""
    names = [certificate.name for certificate in certificates]
    return ", ".join(names[:shown]) + (f" or {len(names) - shown} more" if len(names) > shown else "")


def key_id(fingerprint: str) -> str:
    """The key ID: the last 64 bits of a version 4 fingerprint, the first of a later one (RFC 9580, section 5.5.4)."""
    return fingerprint[-_KEY_ID:] if len(fingerprint) <= _V4_FINGERPRINT else fingerprint[:_KEY_ID]


def key_name(fingerprint: str) -> str:
    """A key for people, by its ID."""
    return f"OpenPGP key {key_id(fingerprint).upper()}"


def _load(field: str) -> Any:
    try:
        import pysequoia  # noqa: PLC0415 - an extra: the product works without it until a policy asks
    except ImportError:
        raise Invalid(
            Code.NOT_INSTALLED,
            "OpenPGP is judged with the library pysequoia, which is not installed here",
            field=field,
            expected="the extra sigward[openpgp]",
        ) from None
    return pysequoia


def _certificate(library: Any, entry: "Cert") -> Certificate:
    """Read the lives of the primary key and of each subkey.

    A subkey's is that of its newest binding signature. A revocation counts whatever its reason says: a key that was merely
    retired may have signed before, but nothing here proves when it did.
    """
    primary = _Life(_seconds(entry.expiration), entry.is_revoked)
    lives = {entry.fingerprint: primary}
    bindings: dict[str, tuple[float, _Life]] = {}
    public: dict[str, str] = {}
    current = created = None
    for packet in library.packet.PacketPile.from_bytes(bytes(entry)):
        if _is(packet, "PublicSubkey") or _is(packet, "PublicKey"):
            public[packet.fingerprint] = openpgp.spki_sha256(packet.body)
        if _is(packet, "PublicSubkey"):
            current, created = packet.fingerprint, packet.key_created
            bindings[current] = (-math.inf, _Life(-math.inf))  # bound by nothing
        elif current and created and _is(packet, "Signature"):
            bindings[current] = _bound(bindings[current], packet, created)
    for key, (_, life) in bindings.items():
        lives[key] = _Life(min(life.ends, primary.ends), life.revoked or primary.revoked)
    return Certificate(entry.fingerprint, key_name(entry.fingerprint), entry, lives, public)


def _bound(known: tuple[float, _Life], packet: "Packet", created: datetime) -> tuple[float, _Life]:
    since, life = known
    kind = str(packet.signature_type)
    if kind.endswith("SubkeyRevocation"):
        return since, _Life(life.ends, revoked=True)
    bound = _seconds(packet.signature_created, -math.inf)
    if not kind.endswith("SubkeyBinding") or bound < since:
        return known
    period = packet.key_validity_period
    return bound, _Life(_seconds(created + period) if period else math.inf, life.revoked)


def _still_good(signer: Certificate, key: str, signature: "Packet", now: float, skew: float) -> float:
    """Until when key and signature are good, which they are now.

    Raises:
        Refused: `Revoked`, `OutsideValidity`, `SignatureExpired`.
    """
    life = signer.lives.get(key, _Life(-math.inf))
    if life.revoked:
        raise _revoked(signer)
    expired = _expired(signature, signer, life, now)
    if expired:
        raise expired
    made = _seconds(signature.signature_created, math.inf)
    if made > now + skew:
        raise Refused(Code.OUTSIDE_VALIDITY, "the signature says it was made in the future", found=_date(made))
    return min(_seconds(signature.signature_expiration_time), life.ends)


def _revoked(signer: Certificate) -> Refused:
    return Refused(Code.REVOKED, "the key that signed is revoked in the key ring", found=signer.name)


def _expired(signature: "Packet", signer: Certificate, life: _Life, now: float) -> Refused | None:
    ends = _seconds(signature.signature_expiration_time)
    if now >= ends:
        return Refused(Code.SIGNATURE_EXPIRED, "the signature has expired", found=_date(ends))
    if now >= life.ends:
        return Refused(Code.OUTSIDE_VALIDITY, f"{signer.name} has expired", found=_date(life.ends))
    return None


def _is(packet: "Packet", tag: str) -> bool:
    return str(packet.tag) == f"Tag.{tag}"


def _seconds(moment: datetime | None, never: float = math.inf) -> float:
    return moment.timestamp() if moment else never


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S%z}" if math.isfinite(seconds) else "never valid"


def _first_line(error: Exception) -> str:
    """What the library says, without its backtrace."""
    return str(error).partition("\n")[0][:120]


def _invalid(field: str, found: str, expected: str = "OpenPGP public keys, armored or binary") -> Invalid:
    return Invalid(Code.INVALID_KEY, "not an OpenPGP key ring", field=field, expected=expected, found=found)
