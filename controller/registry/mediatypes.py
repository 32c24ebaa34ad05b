"""Media types that this room knows, by where they stand."""

from typing import Final

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"

IMAGES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})

SCHEMA1: Final = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
"""Docker's first manifest: signed inside, converted by registries on the way, so without one stable digest. Refused."""

ACCEPT_MANIFEST: Final = f"{OCI_INDEX}, {OCI_MANIFEST}, {DOCKER_LIST}, {DOCKER_MANIFEST}"

SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE: Final = "application/vnd.dsse.envelope.v1+json"
IN_TOTO: Final = "application/vnd.in-toto+json"
COSIGN_SIGNATURE_ARTIFACT: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
BUNDLE_PREFIX: Final = "application/vnd.dev.sigstore.bundle"
"""How the media types of all Sigstore bundles begin: `….v0.3+json`, `…+json;version=0.1`. A version we do not know is read
too, so that it is refused with a reason and not passed over."""

NOTATION: Final = "application/vnd.cncf.notary.signature"
JOSE: Final = "application/jose+json"
COSE: Final = "application/cose"

UNTELLING: Final = frozenset(
    {
        "",
        "application/vnd.oci.empty.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.unknown.config.v1+json",
    }
)
"""What stands as `artifactType` where a registry or client put the config's media type there, or nothing.

go-containerregistry writes such descriptors into fallback tags (sigstore/cosign issue 4641), so the manifest itself
must be looked at.
"""

OPENPGP_MESSAGE: Final = "application/x-openpgp-message"
"""A name of our own for what lookaside servers and signature extensions hold: it has none there, and no layer goes by it."""
