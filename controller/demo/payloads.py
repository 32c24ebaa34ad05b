"""The bytes that signatures are over, and the envelopes they stand in: pure functions, every field a parameter.

Tests write odd payloads with them too, so nothing here checks that what it is given makes sense.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from controller.demo.mediatypes import CLAIM_TYPE, IN_TOTO, SIGSTORE_BUNDLE, STATEMENT_V01
from controller.demo.signingkeys import Hash, SigningKey
from controller.reference import Digest

_BUNDLE_HASHES: Final = {Hash.SHA256: "SHA2_256", Hash.SHA384: "SHA2_384", Hash.SHA512: "SHA2_512"}


def encode(document: object) -> bytes:
    """JSON without spaces, names in the order given, as Go writes it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def claim(
    digest: Digest | str, docker_reference: str, optional: Mapping[str, Any] | None = None, *, kind: str = CLAIM_TYPE
) -> bytes:
    """The simple signing claim that cosign 2 signs (cosign SIGNATURE_SPEC.md).

    Args:
        digest: Of the signed manifest.
        docker_reference: The repository, by which the signer claims to know the image.
        optional: The annotations; None is written as null, as cosign does without any.
        kind: `critical.type`.
    """
    return encode(
        {
            "critical": {
                "identity": {"docker-reference": docker_reference},
                "image": {"docker-manifest-digest": str(digest)},
                "type": kind,
            },
            "optional": dict(optional) if optional is not None else None,
        }
    )


def subject(digest: Digest, name: str = "", annotations: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A subject of a statement (in-toto ResourceDescriptor); without `name` or annotations where they are empty."""
    document: dict[str, Any] = {"name": name} if name else {}
    document["digest"] = {digest.algorithm: digest.hex}
    if annotations:
        document["annotations"] = dict(annotations)
    return document


def statement(
    subjects: Sequence[Mapping[str, Any]], predicate_type: str, predicate: object, *, kind: str = STATEMENT_V01
) -> bytes:
    """An in-toto statement; `predicate` is any JSON value, `kind` its `_type`."""
    return encode(
        {"_type": kind, "subject": list(subjects), "predicateType": predicate_type, "predicate": predicate},
    )


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What a DSSE signature is over (DSSE protocol v1, "Signature Definition"); lengths are in bytes, decimal."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def envelope(payload: bytes, *keys: SigningKey, payload_type: str = IN_TOTO, key_ids: Sequence[str] = ()) -> dict[str, Any]:
    """A DSSE envelope with one signature by each key (DSSE envelope v1).

    `key_ids` go to the signatures in turn; those beyond its end have an empty one, as cosign 2 writes it.
    """
    encoding = pre_authentication_encoding(payload_type, payload)
    identifiers = [*key_ids, *[""] * len(keys)]
    return {
        "payloadType": payload_type,
        "payload": _base64(payload),
        "signatures": [
            {"keyid": identifier, "sig": _base64(key.sign(encoding))}
            for key, identifier in zip(keys, identifiers, strict=False)
        ],
    }


def bundle(content: Mapping[str, Any], hint: str, *, media_type: str = SIGSTORE_BUNDLE, **material: object) -> bytes:
    """A Sigstore bundle with a public key (sigstore_bundle.proto).

    Args:
        content: `dsseEnvelope` or `messageSignature`, by that name.
        hint: Names the key; proves nothing.
        media_type: The bundle's version.
        material: Further members of `verificationMaterial` (`tlogEntries`, `certificate`).
    """
    return encode(
        {"mediaType": media_type, "verificationMaterial": {"publicKey": {"hint": hint}, **material}, **content},
    )


def bundle_envelope(dsse: Mapping[str, Any]) -> dict[str, Any]:
    """An envelope as protobuf JSON writes it: empty key identifiers are left out."""
    signatures = [{name: value for name, value in entry.items() if value} for entry in dsse["signatures"]]
    return {"dsseEnvelope": {**dsse, "signatures": signatures}}


def message_signature(message: bytes, key: SigningKey) -> dict[str, Any]:
    """A signature over `message` itself, and its digest as a hint (sigstore_common.proto, MessageSignature)."""
    digest = {"algorithm": _BUNDLE_HASHES[key.hash], "digest": _base64(hashlib.new(key.hash, message).digest())}
    return {"messageSignature": {"messageDigest": digest, "signature": _base64(key.sign(message))}}


def signature(payload: bytes, key: SigningKey) -> str:
    """A plain signature in base64, as cosign 2 writes it into an annotation."""
    return _base64(key.sign(payload))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
