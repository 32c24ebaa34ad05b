"""Bytes in, `Evidence` out: one module per container format. Nothing is believed here."""

from dataclasses import replace
from typing import Final

from controller.evidence import Evidence, MessageSignature
from controller.formats import bundle, cosign, dsse, statement
from controller.registry.discovery import Attachment
from controller.settings import Limits

__all__ = ["read", "with_artifact"]

_ENVELOPE_MEMBER: Final = b'"payloadType"'


def read(attachment: Attachment, limits: Limits) -> tuple[Evidence, ...]:
    """Take one stored piece apart, by what its layer (for a bundle, also its manifest) says it is.

    Returns:
        The evidence in it; empty where it is no container of evidence (an SBOM, an unsigned statement).

    Raises:
        Refused: `Malformed`, `Ambiguous` or `LimitExceeded`: it says it is one of ours and is not.
    """
    match attachment.media_type:
        case cosign.SIMPLE_SIGNING:
            return (cosign.signature(attachment, limits),)
        case dsse.MEDIA_TYPE:
            return (cosign.attestation(attachment, limits),)
        case statement.PAYLOAD_TYPE:
            # Signed by some tools, whose envelope goes by its payload's name; unsigned from BuildKit, and then no evidence.
            return (cosign.attestation(attachment, limits),) if _ENVELOPE_MEMBER in attachment.payload else ()
        case kind if kind.startswith(bundle.MEDIA_TYPE_PREFIX) or attachment.artifact_type.startswith(
            bundle.MEDIA_TYPE_PREFIX
        ):
            return (bundle.parse(attachment, limits),)
        case _:
            return ()


def with_artifact(evidence: Evidence, manifest: bytes) -> Evidence:
    """The same evidence with the image manifest's bytes, where a signature over them cannot be judged by a digest alone.

    Args:
        evidence: Any piece; only a message signature changes (and so does its `id`: a verdict rests on the bytes, too).
        manifest: The bytes whose digest is being judged.
    """
    if not isinstance(evidence.content, MessageSignature):
        return evidence
    content = replace(evidence.content, artifact=manifest)
    return Evidence.of(evidence.format, evidence.origin, content, evidence.material, evidence.annotations)
