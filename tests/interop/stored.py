"""What a signer left beside an image, stored again beside an image, changed on the way."""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from controller.demo.mediatypes import (
    COSIGN_SIGN,
    COSIGN_SIGNATURE,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    SIGSTORE_BUNDLE,
    SIMPLE_SIGNING,
)
from tests.interop.wire import PushedImage, Repository, sha256

BUNDLE: Final = SIGSTORE_BUNDLE
EMPTY: Final = sha256(b"{}")
"""The empty descriptor's (image specification, "Guidance for an Empty Descriptor")."""

_TAGS: Final = ("sig", "att")


@dataclass(frozen=True, slots=True)
class Piece:
    """One signature or statement: a layer of a cosign tag, or a Sigstore bundle."""

    media_type: str
    content: bytes
    annotations: dict[str, Any]

    @property
    def in_bundle(self) -> bool:
        """Whether it is a Sigstore bundle."""
        return self.media_type == SIGSTORE_BUNDLE

    @property
    def envelope(self) -> dict[str, Any]:
        """The DSSE envelope in it; a claim of cosign 2 has none."""
        document: dict[str, Any] = json.loads(self.content)
        return document["dsseEnvelope"] if self.in_bundle else document

    @property
    def predicate_type(self) -> str:
        """Of the statement in it; for a claim of cosign 2 that of a signature."""
        if self.media_type == SIMPLE_SIGNING:
            return COSIGN_SIGN
        statement = json.loads(base64.b64decode(self.envelope["payload"]))
        return str(statement["predicateType"])

    def with_envelope(self, **changes: object) -> "Piece":
        """The same with another envelope."""
        envelope = {**self.envelope, **changes}
        document = {**json.loads(self.content), "dsseEnvelope": envelope} if self.in_bundle else envelope
        return replace(self, content=json.dumps(document).encode())


Edit = Callable[[Piece], Piece | None]
"""What becomes of a piece on the way; None leaves it out."""


def as_it_is(piece: Piece) -> Piece:
    """Change nothing."""
    return piece


def only(*predicate_types: str) -> Edit:
    """Keep what is of these types; a signature is of cosign's."""
    return lambda piece: piece if piece.predicate_type in predicate_types else None


def without(*predicate_types: str) -> Edit:
    """Leave out what is of these types."""
    return lambda piece: None if piece.predicate_type in predicate_types else piece


def flip_signature(piece: Piece) -> Piece:
    """Change the lowest bit of the signature's last byte: its encoding stays whole."""
    if piece.media_type == SIMPLE_SIGNING:
        return replace(piece, annotations={COSIGN_SIGNATURE: _flipped_base64(piece.annotations[COSIGN_SIGNATURE])})
    [signature] = piece.envelope["signatures"]
    return piece.with_envelope(signatures=[{**signature, "sig": _flipped_base64(signature["sig"])}])


def flip_payload(piece: Piece) -> Piece:
    """Change a byte of what was signed so that it stays JSON and goes on naming the image: the first letter of a name."""
    if piece.media_type == SIMPLE_SIGNING:
        return replace(piece, content=_renamed(piece.content))
    return piece.with_envelope(payload=base64.b64encode(_renamed(base64.b64decode(piece.envelope["payload"]))).decode())


def flip_container(piece: Piece) -> Piece:
    """Change the first byte of the blob: no longer JSON."""
    return replace(piece, content=bytes([piece.content[0] ^ 1]) + piece.content[1:])


def copy(source: PushedImage, target: PushedImage, edit: Edit = as_it_is, *, subject: PushedImage | None = None) -> None:
    """Store beside `target` what lies beside `source`.

    Args:
        source: Signed and attested.
        target: Of the same digest (then it is the same evidence elsewhere), or of another.
        edit: What becomes of each piece.
        subject: The image that referrers say they are about, by default `target`.
    """
    for suffix in _TAGS:
        _copy_tag(source, target, suffix, edit)
    for entry in source.repository.referrers(source.digest):
        manifest = json.loads(source.repository.manifest(entry["digest"]).content)
        [layer] = manifest["layers"]
        content = source.repository.blob(layer["digest"])
        piece = edit(Piece(layer["mediaType"], content, layer.get("annotations", {})))
        if piece is None:
            continue
        target.repository.put_blob(source.repository.blob(manifest["config"]["digest"]))
        manifest["layers"] = [_stored(target.repository, piece)]
        _refer(target, manifest, subject or target)


def pieces(image: PushedImage) -> Iterator[Piece]:
    """Everything beside an image that cosign wrote."""
    repository = image.repository
    manifests = [repository.manifest(_tag(image, suffix)) for suffix in _TAGS]
    manifests += [repository.manifest(entry["digest"]) for entry in repository.referrers(image.digest)]
    for answer in manifests:
        for layer in json.loads(answer.content)["layers"] if answer.status == HTTPStatus.OK else ():
            yield Piece(layer["mediaType"], repository.blob(layer["digest"]), layer.get("annotations", {}))


def attach(image: PushedImage, artifact_type: str, layer_type: str, content: bytes, **changes: object) -> None:
    """Attach a file as ORAS does: a manifest of that artifact type, an empty config, one layer with a title.

    `changes` replace members of the manifest.
    """
    repository = image.repository
    title = {"org.opencontainers.image.title": "file"}
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": {"mediaType": OCI_EMPTY, "digest": repository.put_blob(b"{}"), "size": 2},
        "layers": [_stored(repository, Piece(layer_type, content, title))],
        "annotations": {"org.opencontainers.image.created": "2026-01-01T00:00:00Z"},
        **changes,
    }
    _refer(image, manifest, image)


def _copy_tag(source: PushedImage, target: PushedImage, suffix: str, edit: Edit) -> None:
    answer = source.repository.manifest(_tag(source, suffix))
    if answer.status == HTTPStatus.NOT_FOUND:
        return
    manifest = json.loads(answer.content)
    found = (Piece(i["mediaType"], source.repository.blob(i["digest"]), i["annotations"]) for i in manifest["layers"])
    kept = [piece for piece in map(edit, found) if piece]
    if kept:
        put_tag(target, suffix, kept, manifest)


def put_tag(image: PushedImage, suffix: str, kept: Sequence[Piece], like: Mapping[str, Any] | None = None) -> None:
    """Store pieces beside an image under a tag of cosign's, in a manifest like another where one is given."""
    manifest = dict(like or {"schemaVersion": 2, "mediaType": OCI_MANIFEST})
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": [sha256(piece.content) for piece in kept]}}).encode()
    manifest["config"] = _stored(image.repository, Piece(OCI_CONFIG, config, {}))
    manifest["layers"] = [_stored(image.repository, piece) for piece in kept]
    image.repository.put_manifest(json.dumps(manifest).encode(), _tag(image, suffix))


def _refer(image: PushedImage, manifest: dict[str, Any], subject: PushedImage) -> None:
    """Push a referrer, and list it under the fallback tag where the registry does not (Distribution Specification 1.1)."""
    size = len(subject.repository.manifest(subject.digest).content)
    manifest["subject"] = {"mediaType": OCI_MANIFEST, "digest": subject.digest, "size": size}
    content = json.dumps(manifest).encode()
    repository = image.repository
    repository.put_manifest(content)
    listed = repository.referrers(image.digest)
    if any(entry["digest"] == sha256(content) for entry in listed):
        return
    entry = {
        "mediaType": manifest["mediaType"],
        "digest": sha256(content),
        "size": len(content),
        "artifactType": manifest["artifactType"],
    }
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*listed, entry]}
    repository.put_manifest(json.dumps(index).encode(), image.digest.replace(":", "-"))


def _stored(repository: Repository, piece: Piece) -> dict[str, Any]:
    digest = repository.put_blob(piece.content)
    layer = {"mediaType": piece.media_type, "digest": digest, "size": len(piece.content)}
    return {**layer, "annotations": piece.annotations} if piece.annotations else layer


def _tag(image: PushedImage, suffix: str) -> str:
    return f"{image.digest.replace(':', '-')}.{suffix}"


def _flipped_base64(text: str) -> str:
    content = base64.b64decode(text)
    return base64.b64encode(content[:-1] + bytes([content[-1] ^ 1])).decode()


def _renamed(content: bytes) -> bytes:
    place = content.index(b'"') + 1
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
