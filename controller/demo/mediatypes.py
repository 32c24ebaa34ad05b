"""Media types, annotation names and predicate types that the demo room writes, as their specifications spell them."""

from typing import Final

# OCI image specification 1.1, media types.
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
CREATED: Final = "org.opencontainers.image.created"
TITLE: Final = "org.opencontainers.image.title"

# Docker image manifest version 2, schema 2.
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"

# cosign, SIGNATURE_SPEC.md and the attestation layers beside it.
SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE: Final = "application/vnd.dsse.envelope.v1+json"
COSIGN_SIGNATURE: Final = "dev.cosignproject.cosign/signature"
PREDICATE_TYPE: Final = "predicateType"
CLAIM_TYPE: Final = "cosign container image signature"

# Sigstore bundle, cosign BUNDLE_SPEC.md.
SIGSTORE_BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
BUNDLE_CONTENT: Final = "dev.sigstore.bundle.content"
BUNDLE_PREDICATE_TYPE: Final = "dev.sigstore.bundle.predicateType"

# in-toto attestation framework.
IN_TOTO: Final = "application/vnd.in-toto+json"
STATEMENT_V01: Final = "https://in-toto.io/Statement/v0.1"
STATEMENT_V1: Final = "https://in-toto.io/Statement/v1"

# Predicate types.
COSIGN_SIGN: Final = "https://sigstore.dev/cosign/sign/v1"
COSIGN_CUSTOM: Final = "https://cosign.sigstore.dev/attestation/v1"
CYCLONEDX: Final = "https://cyclonedx.org/bom"
SPDX: Final = "https://spdx.dev/Document"
SLSA_V1: Final = "https://slsa.dev/provenance/v1"
