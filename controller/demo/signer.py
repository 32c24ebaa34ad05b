"""Signs and attests images the way cosign 2 and cosign 3 leave them in a registry.

`Style.TAG` is cosign 2: a manifest under the tag `sha256-<hex>.sig` (`.att`), one layer for each signature, appended.
`Style.BUNDLE` is cosign 3 and GitHub: a Sigstore bundle in a manifest whose `subject` is the image; where the registry has
no referrers API the signer keeps the fallback tag, as clients must (distribution specification, "Referrers Tag Schema").
`Style.MESSAGE` is the same bundle holding a bare signature over the manifest's bytes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, assert_never

from controller.demo import payloads
from controller.demo.images import Image
from controller.demo.mediatypes import (
    BUNDLE_CONTENT,
    BUNDLE_PREDICATE_TYPE,
    COSIGN_SIGN,
    COSIGN_SIGNATURE,
    CREATED,
    DSSE,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_MANIFEST,
    PREDICATE_TYPE,
    SIGSTORE_BUNDLE,
    SIMPLE_SIGNING,
    STATEMENT_V01,
    STATEMENT_V1,
    TITLE,
)
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signingkeys import SigningKey
from controller.demo.store import StoredManifest, fallback_tag
from controller.errors import Code, Invalid
from controller.reference import Digest

_NEVER: Final = "0001-01-01T00:00:00Z"
"""Go's zero time: what cosign 2 writes where nobody asked it to record the time."""


class Style(StrEnum):
    """How a signature is stored."""

    TAG = "tag"
    BUNDLE = "bundle"
    MESSAGE = "message"


class Signer:
    """Writes signatures and attestations into a registry.

    Args:
        registry: Where the images are, and where the signatures go.
        clock: The time written into annotations; nothing trusts it.
    """

    def __init__(self, registry: EmbeddedRegistry, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._registry = registry
        self._clock = clock

    def sign(
        self,
        image: Image,
        *keys: SigningKey,
        style: Style = Style.TAG,
        annotations: Mapping[str, Any] | None = None,
        docker_reference: str = "",
    ) -> tuple[StoredManifest, ...]:
        """Add one signature by each key, as `cosign sign --key` does.

        Args:
            image: What is signed: an image, or an index (its images are not signed with it).
            keys: One signature each.
            style: How they are stored.
            annotations: Signed with it (`cosign sign -a`); a message signature can carry none.
            docker_reference: The claimed name in the claim; by default the repository.

        Returns:
            The manifest written for each key.
        """
        return tuple(self._sign(image, key, style, annotations, docker_reference or str(image.repository)) for key in keys)

    def attest(
        self,
        image: Image,
        *keys: SigningKey,
        predicate_type: str,
        predicate: object,
        style: Style = Style.TAG,
        statement_type: str = STATEMENT_V01,
        subjects: Sequence[Mapping[str, Any]] | None = None,
    ) -> tuple[StoredManifest, ...]:
        """Add one attestation by each key, as `cosign attest --key` does.

        Args:
            image: What it is attached to.
            keys: One attestation each.
            predicate_type: The statement's predicate type, and the unsigned hint beside it.
            predicate: Any JSON value.
            style: `TAG` or `BUNDLE`.
            statement_type: cosign writes Statement v0.1 in both styles, GitHub writes v1.
            subjects: What it is about; by default the image, named by its repository.

        Returns:
            The manifest written for each key.
        """
        about = [payloads.subject(image.digest, str(image.repository))] if subjects is None else subjects
        content = payloads.statement(about, predicate_type, predicate, kind=statement_type)
        if style is Style.MESSAGE:
            raise Invalid(Code.WRONG_FORMAT, "a message signature carries no statement", found=style)
        if style is Style.TAG:
            return tuple(self.add_attestation(image, payloads.envelope(content, key), predicate_type) for key in keys)
        return tuple(self.add_bundle(image, payloads.envelope(content, key), key, predicate_type) for key in keys)

    def add_signature(
        self, image: Image, payload: bytes, key: SigningKey, annotations: Mapping[str, str] | None = None
    ) -> StoredManifest:
        """Sign any payload and append it to the `.sig` tag; `annotations` go to its layer, over the signature's own."""
        layer = {COSIGN_SIGNATURE: payloads.signature(payload, key), **(annotations or {})}
        return self.append(image, "sig", SIMPLE_SIGNING, payload, layer)

    def add_attestation(self, image: Image, envelope: Mapping[str, Any], predicate_type: str) -> StoredManifest:
        """Append any envelope to the `.att` tag, under the hint `predicate_type`."""
        annotations = {COSIGN_SIGNATURE: "", PREDICATE_TYPE: predicate_type}
        return self.append(image, "att", DSSE, payloads.encode(envelope), annotations)

    def add_bundle(self, image: Image, envelope: Mapping[str, Any], key: SigningKey, predicate_type: str) -> StoredManifest:
        """Attach a bundle of any envelope as a referrer, under the hints `key` and `predicate_type`."""
        content = payloads.bundle(payloads.bundle_envelope(envelope), key.hint)
        hints = {BUNDLE_CONTENT: "dsse-envelope", BUNDLE_PREDICATE_TYPE: predicate_type}
        return self.refer(image, SIGSTORE_BUNDLE, content, hints)

    def append(
        self, image: Image, suffix: str, media_type: str, content: bytes, annotations: Mapping[str, str]
    ) -> StoredManifest:
        """Append a layer to the image's cosign tag (`sha256-<hex>.<suffix>`), making the manifest where there is none."""
        path, tag = image.path, cosign_tag(image.digest, suffix)
        known = self._registry.manifest(path, tag)
        layers = json.loads(known.content)["layers"] if known else []
        layers.append({**self._blob(path, media_type, content), "annotations": dict(annotations)})
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self._blob(path, OCI_CONFIG, _signatures_config(layers)),
            "layers": layers,
        }
        return self._registry.put_manifest(path, payloads.encode(manifest), tag=tag)

    def refer(
        self,
        image: Image,
        artifact_type: str,
        content: bytes,
        annotations: Mapping[str, str],
        *,
        layer_type: str = "",
        config_type: str = OCI_EMPTY,
        path: str = "",
    ) -> StoredManifest:
        """Attach one blob to an image as a referrer (image specification, "Guidelines for Artifact Usage").

        Args:
            image: The subject.
            artifact_type: Of the manifest.
            content: The blob.
            annotations: Of the manifest; the time is added as cosign adds it.
            layer_type: The blob's media type; by default the artifact type.
            config_type: Media type of the empty configuration, from which older registries read the artifact type.
            path: The repository to put it in; by default the image's.
        """
        path = path or image.path
        layer = self._blob(path, layer_type or artifact_type, content)
        layer["annotations"] = {TITLE: f"{layer['digest'].replace(':', '-')}.sigstore.json"}
        created = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {**self._blob(path, config_type, b"{}"), "artifactType": artifact_type},
            "layers": [layer],
            "annotations": {**annotations, CREATED: created},
            "subject": image.descriptor(),
            "artifactType": artifact_type,
        }
        stored = self._registry.put_manifest(path, payloads.encode(manifest))
        self._keep_fallback_tag(path, image.digest, stored)
        return stored

    def copy(self, source: Image, target: Image) -> None:
        """Attach everything attached to one image to another, signatures untouched: what a thief of signatures does."""
        for suffix in ("sig", "att"):
            known = self._registry.manifest(source.path, cosign_tag(source.digest, suffix))
            for layer in json.loads(known.content)["layers"] if known else []:
                content = self._content(source.path, layer)
                self.append(target, suffix, layer["mediaType"], content, layer.get("annotations", {}))
        for referrer in self._registry.referrers(source.path, source.digest):
            for layer in json.loads(referrer.content)["layers"]:
                content = self._content(source.path, layer)
                hints = {name: value for name, value in referrer.annotations.items() if name != CREATED}
                self.refer(target, referrer.artifact_type, content, hints, layer_type=layer["mediaType"])

    def _sign(
        self, image: Image, key: SigningKey, style: Style, annotations: Mapping[str, Any] | None, name: str
    ) -> StoredManifest:
        match style:
            case Style.TAG:
                return self.add_signature(image, payloads.claim(image.digest, name, annotations), key)
            case Style.BUNDLE:
                about = payloads.subject(image.digest, annotations=annotations)
                content = payloads.statement([about], COSIGN_SIGN, {}, kind=STATEMENT_V1)
                return self.add_bundle(image, payloads.envelope(content, key), key, COSIGN_SIGN)
            case Style.MESSAGE:
                return self._add_message_signature(image, key)
            case _:
                assert_never(style)

    def _add_message_signature(self, image: Image, key: SigningKey) -> StoredManifest:
        stored = self._registry.manifest(image.path, image.digest)
        if stored is None:
            raise Invalid(Code.NOT_FOUND, "the image is not in this registry", found=str(image.pinned))
        content = payloads.bundle(payloads.message_signature(stored.content, key), key.hint)
        return self.refer(image, SIGSTORE_BUNDLE, content, {BUNDLE_CONTENT: "message-signature"})

    def _keep_fallback_tag(self, path: str, subject: Digest, referrer: StoredManifest) -> None:
        """Add the referrer to the index that stands in for the referrers API, sorted by digest as cosign's library does."""
        if self._registry.referrers_api:
            return
        tag = fallback_tag(subject)
        known = self._registry.manifest(path, tag)
        entries = json.loads(known.content)["manifests"] if known else []
        entries = [entry for entry in entries if entry["digest"] != str(referrer.digest)]
        entries = sorted([*entries, referrer.descriptor()], key=lambda entry: str(entry["digest"]))
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
        self._registry.put_manifest(path, payloads.encode(index), tag=tag)

    def _blob(self, path: str, media_type: str, content: bytes) -> dict[str, Any]:
        digest = self._registry.put_blob(path, content)
        return {"mediaType": media_type, "size": len(content), "digest": str(digest)}

    def _content(self, path: str, layer: Mapping[str, Any]) -> bytes:
        digest = Digest.parse(layer["digest"])
        content = self._registry.blob(path, digest)
        if content is None:
            raise Invalid(Code.NOT_FOUND, "a layer is not in this registry", found=str(digest))
        return content


def cosign_tag(digest: Digest, suffix: str) -> str:
    """The tag under which cosign 2 keeps what belongs to a digest; `suffix` is `sig`, `att` or `sbom`."""
    return f"{digest.algorithm}-{digest.hex}.{suffix}"


def _signatures_config(layers: Sequence[Mapping[str, Any]]) -> bytes:
    """The configuration of a manifest of signatures: an image that never runs, its layers listed."""
    config = {
        "architecture": "",
        "created": _NEVER,
        "history": [{"created": _NEVER}] * len(layers),
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        "config": {},
    }
    return payloads.encode(config)
