"""Bytes in, `Evidence` out: one module per container format. Nothing is believed here."""

from dataclasses import replace
from typing import Final

from controller.evidence import Evidence, MessageSignature, NotationEnvelope, Target
from controller.formats import bundle, cosign, dsse, notation, simplesigning, statement
from controller.registry import mediatypes
from controller.registry.discovery import Attachment
from controller.settings import Limits

__all__ = ["needs_artifact", "read", "with_artifact"]

_ENVELOPE_MEMBER: Final = b'"payloadType"'


def read(attachment: Attachment, limits: Limits) -> tuple[Evidence, ...]:
    """Take one stored piece apart, by what its layer (for a bundle, also its manifest) says it is.

    Returns:
        The evidence in it; empty where it is no container of evidence (an SBOM, an unsigned statement).

    Raises:
        Refused: `Malformed`, `Ambiguous` or `LimitExceeded`: it says it is one of ours and is not.
    """
    piece: Evidence | None = None
    match attachment.media_type:
        case cosign.SIMPLE_SIGNING:
            piece = cosign.signature(attachment, limits)
        case dsse.MEDIA_TYPE:
            piece = cosign.attestation(attachment, limits)
        case statement.PAYLOAD_TYPE if _ENVELOPE_MEMBER in attachment.payload:
            # Signed by some tools, whose envelope goes by its payload's name; unsigned from BuildKit, and then no evidence.
            piece = cosign.attestation(attachment, limits)
        case notation.JWS | notation.COSE if attachment.artifact_type == notation.ARTIFACT:
            piece = notation.signature(attachment, limits)
        case mediatypes.OPENPGP_MESSAGE:
            piece = simplesigning.read(attachment, limits)
        case statement.PAYLOAD_TYPE:
            pass
        case kind if kind.startswith(bundle.MEDIA_TYPE_PREFIX) or attachment.artifact_type.startswith(
            bundle.MEDIA_TYPE_PREFIX
        ):
            piece = bundle.parse(attachment, limits)
        case _:
            pass
    return (piece,) if piece else ()


def needs_artifact(evidence: Evidence) -> bool:
    """Whether the piece cannot be judged by the image's digest alone."""
    return isinstance(evidence.content, MessageSignature | NotationEnvelope)


def with_artifact(evidence: Evidence, manifest: bytes, media_type: str = "") -> Evidence:
    """The same evidence with what it says something about, where a digest alone is not enough to judge it.

    A verdict rests on that, too, so the piece's `id` changes; pieces of other kinds are returned as they are.

    Args:
        evidence: Any piece.
        manifest: The bytes whose digest is being judged.
        media_type: What they say they are; a Notary Project signature is about nothing without it.
    """
    content: MessageSignature | NotationEnvelope
    match evidence.content:
        case MessageSignature():
            content = replace(evidence.content, artifact=manifest)
        case NotationEnvelope():
            content = replace(evidence.content, target=Target(media_type, len(manifest)))
        case _:
            return evidence
    return Evidence.of(evidence.format, evidence.origin, content, evidence.material, evidence.annotations)
