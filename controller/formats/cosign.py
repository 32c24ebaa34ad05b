"""What cosign 1 and 2 store under the tags `sha256-….sig` and `.att`, and the same layers when they come as referrers.

Clauses: cosign, specs/SIGNATURE_SPEC.md and specs/ATTESTATION_SPEC.md.
"""

from collections.abc import Mapping
from typing import Final

from controller.documents import read_object, text
from controller.errors import Code, Refused
from controller.evidence import Evidence, Format, Material, SimpleSigning
from controller.formats import dsse
from controller.formats.encoding import decode64
from controller.registry.discovery import Attachment
from controller.settings import Limits

SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
_SIGNATURE: Final = "dev.cosignproject.cosign/signature"
_CERTIFICATE: Final = "dev.sigstore.cosign/certificate"
_CHAIN: Final = "dev.sigstore.cosign/chain"
_BUNDLE: Final = "dev.sigstore.cosign/bundle"
_TIMESTAMP: Final = "dev.sigstore.cosign/rfc3161timestamp"
_BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


def signature(attachment: Attachment, limits: Limits) -> Evidence:
    """Read a `.sig` layer: the claim is the blob, the signature an annotation of the layer.

    Raises:
        Refused: `Malformed` or `LimitExceeded`.
    """
    if len(attachment.payload) > limits.signature_bytes:
        raise Refused(
            Code.LIMIT_EXCEEDED,
            "signature payload is too long",
            expected=f"at most {limits.signature_bytes} bytes",
            found=str(len(attachment.payload)),
        )
    encoded = _annotation(attachment.annotations, _SIGNATURE, limits)
    if not encoded:
        raise Refused(Code.MALFORMED, f"the signature layer has no annotation {_SIGNATURE}")
    content = SimpleSigning(attachment.payload, decode64(encoded, f"annotation {_SIGNATURE}"))
    return Evidence.of(
        Format.COSIGN_SIGNATURE,
        attachment.origin,
        content,
        _material(attachment.annotations, limits),
        attachment.annotations,
    )


def attestation(attachment: Attachment, limits: Limits) -> Evidence:
    """Read an `.att` layer: the blob is a DSSE envelope; annotations only hint at what is in it.

    Raises:
        Refused: `Malformed`, `Ambiguous` or `LimitExceeded`.
    """
    content = dsse.parse(attachment.payload, limits)
    return Evidence.of(
        Format.COSIGN_ATTESTATION,
        attachment.origin,
        content,
        _material(attachment.annotations, limits),
        attachment.annotations,
    )


def _material(annotations: Mapping[str, str], limits: Limits) -> Material:
    """What the annotations bring; cosign writes empty ones beside keyed signatures, which count as absent."""
    chain = _chain(_annotation(annotations, _CHAIN, limits), limits)
    entry = _annotation(annotations, _BUNDLE, limits)
    stamp = _annotation(annotations, _TIMESTAMP, limits)
    return Material(
        certificate=_annotation(annotations, _CERTIFICATE, limits).encode(),
        chain=chain,
        log_entries=(entry.encode(),) if entry else (),
        timestamps=(_timestamp(stamp),) if stamp else (),
    )


def _annotation(annotations: Mapping[str, str], name: str, limits: Limits) -> str:
    value = annotations.get(name, "")
    if len(value) > limits.annotation_bytes:
        raise Refused(
            Code.LIMIT_EXCEEDED,
            f"annotation {name} is too long",
            expected=f"at most {limits.annotation_bytes} bytes",
            found=str(len(value)),
        )
    return value


def _chain(pem: str, limits: Limits) -> tuple[bytes, ...]:
    parts = pem.encode().split(_BEGIN)[1:]
    if len(parts) > limits.certificates_per_chain:
        raise Refused(
            Code.LIMIT_EXCEEDED,
            f"annotation {_CHAIN} holds too many certificates",
            expected=f"at most {limits.certificates_per_chain}",
            found=str(len(parts)),
        )
    return tuple(_BEGIN + part for part in parts)


def _timestamp(annotation: str) -> bytes:
    what = f"annotation {_TIMESTAMP}"
    document = read_object(annotation.encode(), what, limit=len(annotation.encode()))
    return decode64(text(document, "SignedRFC3161Timestamp", what), what)
