"""The authority that trusts OpenPGP keys: simple signing as podman, skopeo and Red Hat's registries do it.

What makes a message a signature of an image is containers-signature(5). Unlike cosign's, its claim promises a name: the fact
carries that name, and `decision/` compares it with the image's (docs/adr/0007).
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from controller.documents import read_object, text
from controller.errors import Code, Invalid, Refused
from controller.evidence import Claim, Evidence, OpenPgpMessage, Signer, Verified
from controller.reference import Digest, Reference
from controller.settings import Limits
from controller.verify.keyring import KeyRing, Opened, described

CLAIM_TYPE: Final = "atomic container signature"
"""`critical.type` of a claim; cosign's `cosign container image signature` is another promise."""

_ENGINE: Final = "openpgp 1"
"""Part of every fingerprint: raise it when the same bytes may be judged differently, so that no old verdict is reused."""

_WHAT: Final = "OpenPGP claim"


class OpenPgpAuthority:
    """Judges OpenPGP simple signatures by a key ring alone: there is no web of trust, and no key server is asked."""

    __slots__ = ("_limits", "_ring", "description", "fingerprint", "name")

    def __init__(self, name: str, ring: KeyRing, limits: Limits | None = None) -> None:
        """Trust any one key of `ring`."""
        self._ring = ring
        self._limits = limits or Limits()
        self.name = name
        self.description = described(ring.certificates)
        self.fingerprint = hashlib.sha256(f"{_ENGINE}\n{ring.fingerprint}".encode()).hexdigest()

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        """Judge one piece: the one fact that its signer says, about the name it was signed for.

        Raises:
            Refused: Always, when anything is not as it must be; also for an error nobody foresaw, panics of native code
                included (CVE-2026-44310): what could not be verified is not verified.
        """
        try:
            return (self._judge(evidence, subject, now),)
        except (Refused, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # not only Exception: a native library's panic is none
            raise Refused(Code.INTERNAL, "verification broke off", found=type(error).__name__) from error

    def _judge(self, evidence: Evidence, subject: Digest, now: float) -> Verified:
        content = evidence.content
        if not isinstance(content, OpenPgpMessage):
            raise Refused(Code.WRONG_FORMAT, "not a format that is verified by an OpenPGP key", found=evidence.format)
        opened = self._ring.open(content.message, now, self._limits.clock_skew)
        identity, annotations = _read(opened.content, subject, self._limits)
        return Verified(
            digest=subject,
            authority=self.name,
            signer=_signer(opened),
            claim=Claim.SIGNATURE,
            evidence=evidence.id,
            origin=evidence.origin,
            format=evidence.format,
            annotations=annotations,
            valid_until=opened.until,
            identity=identity,
            rests_on=frozenset({f"key:sha256:{opened.key}"} if opened.key else ()),
        )


def _signer(opened: Opened) -> Signer:
    return Signer(f"openpgp:{opened.signer.fingerprint}", opened.signer.name, opened.key)


def _read(content: bytes, subject: Digest, limits: Limits) -> tuple[Reference, Mapping[str, str]]:
    """What a claim says about `subject`: the name it is for, and its optional texts.

    Everything under `critical` must be known ("JSON processing and forward compatibility"): a member that a later version
    adds there may say that this is no yes.

    Raises:
        Refused: `Malformed`, `Ambiguous`, `LimitExceeded`, `WrongPayloadType`, `WrongDigest`.
    """
    document = read_object(content, _WHAT, limit=limits.signature_bytes, fold_names=False)
    _members_are(document, {"critical", "optional"}, _WHAT)
    critical, optional = _object(document, "critical"), _object(document, "optional")
    kind = text(critical, "type", f"{_WHAT}.critical")
    if kind != CLAIM_TYPE:
        raise Refused(
            Code.WRONG_PAYLOAD_TYPE, f"{_WHAT} is no image signature", expected=repr(CLAIM_TYPE), found=repr(kind[:80])
        )
    _members_are(critical, {"type", "image", "identity"}, f"{_WHAT}.critical")
    image, identity = _object(critical, "image"), _object(critical, "identity")
    _members_are(image, {"docker-manifest-digest"}, f"{_WHAT}.critical.image")
    _members_are(identity, {"docker-reference"}, f"{_WHAT}.critical.identity")
    digest = text(image, "docker-manifest-digest", f"{_WHAT}.critical.image")
    if digest != str(subject):
        raise Refused(
            Code.WRONG_DIGEST, "the signature is about another image", expected=str(subject), found=repr(digest[:160])
        )
    return _reference(identity), {name: value for name, value in optional.items() if isinstance(value, str)}


def _reference(identity: Mapping[str, Any]) -> Reference:
    name = text(identity, "docker-reference", f"{_WHAT}.critical.identity")
    try:
        return Reference.parse(name)
    except Invalid as error:
        raise Refused(Code.MALFORMED, f"{_WHAT} names no image", found=str(error)[:160]) from None


def _object(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    if not isinstance(value, dict):
        raise Refused(Code.MALFORMED, f"{_WHAT}: {name} must be an object", found=type(value).__name__)
    return value


def _members_are(document: Mapping[str, Any], names: set[str], what: str) -> None:
    if set(document) != names:
        found = ", ".join(sorted(repr(name[:40]) for name in set(document) ^ names)[:4])
        raise Refused(
            Code.MALFORMED, f"{what} has other members than it must", expected=", ".join(sorted(names)), found=found
        )
