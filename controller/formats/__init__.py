"""Bytes in, `Evidence` out: one module per container format. Nothing is believed here."""

from controller.evidence import Evidence
from controller.formats import cosign, dsse
from controller.registry.discovery import Attachment
from controller.settings import Limits

__all__ = ["read"]


def read(attachment: Attachment, limits: Limits) -> tuple[Evidence, ...]:
    """Take one stored piece apart, by what its layer says it is.

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
        case _:
            return ()
