"""What signed bytes say about an image. Called only once a trusted signature over them held.

Two kinds of fact leave this module and never meet each other's requirement (design, rule 6): a *signature* ("this image is
ours") and an *attestation* (a statement of any other predicate type). The signed bytes alone say which of the two it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from controller.documents import members, read_object, text, unfolded
from controller.errors import Code, Refused
from controller.evidence import (
    COSIGN_SIGN_PREDICATE,
    Claim,
    Content,
    Envelope,
    Format,
    MessageSignature,
    NotationEnvelope,
    OpenPgpMessage,
    SimpleSigning,
)
from controller.formats import dsse, statement
from controller.keys import Message
from controller.reference import Digest
from controller.settings import Limits

CLAIM_TYPE: Final = "cosign container image signature"
"""`critical.type` of a claim (cosign, SIGNATURE_SPEC.md). OpenPGP's `atomic container signature` is another promise."""

_WHAT: Final = "signature payload"
_HASHES: Final = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}
_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Said:
    """What the bytes say about the digest they were asked about. `annotations` are the signed ones with string values."""

    claim: Claim
    predicate_type: str = ""
    predicate: Any = None
    annotations: Mapping[str, str] = field(default_factory=lambda: _NONE)


def signed_message(content: Content, subject: Digest) -> Message:
    """The message a signature in `content` must be over, if it is about `subject`.

    Raises:
        Refused: `DigestMismatch` where the bytes given as the image manifest are not `subject`.
    """
    match content:
        case SimpleSigning():
            return Message(content.payload)
        case Envelope():
            return Message(dsse.pae(content.payload_type, content.payload))
        case MessageSignature(artifact=None):
            return Message(None, {subject.algorithm: bytes.fromhex(subject.hex)})
        case MessageSignature():
            subject.check(content.artifact or b"", "image manifest")
            return Message(content.artifact)
        case OpenPgpMessage():
            raise _openpgp()
        case NotationEnvelope():
            raise _notation()


def read(content: Content, subject: Digest, limits: Limits) -> Said:
    """Read what `content`, whose signature held, says about `subject`.

    Raises:
        Refused: `Malformed`, `Ambiguous`, `LimitExceeded`, `WrongPayloadType`; `WrongDigest` where it is about other images,
            with `predicate_type` set for a statement.
    """
    match content:
        case SimpleSigning():
            return _simple_signing(content.payload, subject, limits)
        case Envelope():
            return _statement(content, subject, limits)
        case MessageSignature():
            return _message(content, subject)
        case OpenPgpMessage():
            raise _openpgp()
        case NotationEnvelope():
            raise _notation()


def _openpgp() -> Refused:
    """An OpenPGP message is verified by a key ring only (`verify/openpgp.py`): its claim is inside the signature."""
    return Refused(Code.WRONG_FORMAT, "not a format that is verified by a public key", found=Format.SIMPLE_SIGNING)


def _simple_signing(payload: bytes, subject: Digest, limits: Limits) -> Said:
    document = read_object(payload, _WHAT, limit=limits.signature_bytes, fold_names=False)
    critical = members(document, "critical", _WHAT)
    image = members(critical, "image", f"{_WHAT}.critical")
    for part in (document, critical, image):
        unfolded(part, _WHAT)
    kind = text(critical, "type", f"{_WHAT}.critical")
    if kind != CLAIM_TYPE:
        raise Refused(
            Code.WRONG_PAYLOAD_TYPE, f"{_WHAT} is no image signature", expected=repr(CLAIM_TYPE), found=repr(kind[:80])
        )
    found = text(image, "docker-manifest-digest", f"{_WHAT}.critical.image")
    if found != str(subject):
        raise _wrong_digest("signature", subject, (found,))
    # `identity.docker-reference` is not compared on purpose: anybody may copy an image, and rule 7 calls it a hint.
    optional = members(document, "optional", _WHAT)
    return Said(Claim.SIGNATURE, annotations={name: value for name, value in optional.items() if isinstance(value, str)})


def _statement(envelope: Envelope, subject: Digest, limits: Limits) -> Said:
    if envelope.payload_type != statement.PAYLOAD_TYPE:
        raise Refused(
            Code.WRONG_PAYLOAD_TYPE,
            "the envelope holds no in-toto statement",
            expected=statement.PAYLOAD_TYPE,
            found=repr(envelope.payload_type[:80]),
        )
    said = statement.parse(envelope.payload, limits)
    about = [entry for entry in said.subjects if entry.is_about(subject)]
    if not about:
        raise _wrong_digest("statement", subject, _digests(said), predicate_type=said.predicate_type)
    if said.predicate_type == COSIGN_SIGN_PREDICATE:
        return Said(Claim.SIGNATURE, said.predicate_type, None, _common([entry.annotations for entry in about]))
    return Said(Claim.ATTESTATION, said.predicate_type, said.predicate)


def _message(content: MessageSignature, subject: Digest) -> Said:
    """A signature straight over the manifest; the digest named beside it identifies only, but must not contradict."""
    other = message_of_another_image(content, signed_message(content, subject))
    if other:
        raise _wrong_digest("message signature", subject, (other.found,))
    return Said(Claim.SIGNATURE)


@dataclass(frozen=True, slots=True)
class OtherImage:
    """What a message signature says it is about, where that is not the image asked about. Digests are for people."""

    message: Message
    expected: str
    found: str


def message_of_another_image(content: Content, message: Message) -> OtherImage | None:
    """Read the digest beside a message signature (a hint), and return it where it contradicts `message`."""
    if not isinstance(content, MessageSignature) or not content.digest:
        return None
    hash_name = _HASHES.get(content.algorithm, "")
    known = message.digest(hash_name) if hash_name else None
    if known is None or known == content.digest:
        return None
    named = Message(None, {hash_name: content.digest})
    return OtherImage(named, f"{hash_name}:{known.hex()}", f"{hash_name}:{content.digest.hex()}")


def _notation() -> Refused:
    """A Notary Project envelope says who signed it in what it signs; `verify/notation.py` reads it whole."""
    return Refused(Code.WRONG_FORMAT, "a Notary Project signature is judged by x509 authorities only")


def _digests(said: statement.Statement) -> tuple[str, ...]:
    return tuple(
        f"{algorithm}:{value}"
        for entry in said.subjects
        for algorithm, value in entry.digests.items()
        if algorithm in {"sha256", "sha512"}
    )


def _common(annotations: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """Annotations that every subject with this digest carries alike: two that differ are two readings, so neither counts."""
    first, *others = annotations
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


def _wrong_digest(what: str, subject: Digest, found: Sequence[str], predicate_type: str | None = None) -> Refused:
    shown = ", ".join(value[:80] for value in found[:2]) or "no sha256 or sha512 digest"
    more = f" and {len(found) - 2} more" if len(found) > 2 else ""  # noqa: PLR2004 - two are shown
    return Refused(
        Code.WRONG_DIGEST,
        f"the {what} is about another image",
        expected=str(subject),
        found=shown + more,
        predicate_type=predicate_type,
    )
