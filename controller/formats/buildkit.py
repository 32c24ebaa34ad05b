"""Docker BuildKit's attestations: unsigned documents inside an image index (BuildKit's attestation-storage.md).

They are content of the index, as trustworthy as a signature on the index makes them, and never evidence. Their entries carry
the platform `unknown/unknown`, which no runtime picks, and an annotation that says what they are.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from controller.reference import Digest
from controller.registry.source import Descriptor, Manifest

PREDICATE_TYPE: Final = "in-toto.io/predicate-type"
"""A layer's annotation: what the unsigned statement in it says it is."""

_REFERENCE_TYPE: Final = "vnd.docker.reference.type"
_REFERENCE_DIGEST: Final = "vnd.docker.reference.digest"
_ATTESTATION_MANIFEST: Final = "attestation-manifest"
_NO_PLATFORM: Final = "unknown/unknown"


def is_attestation(entry: Descriptor) -> bool:
    """Whether an entry of an index holds attestations and can never run.

    Both marks are needed: with the annotation alone, an entry for a real platform would run and be judged by nobody.
    """
    return entry.platform == _NO_PLATFORM and entry.annotations.get(_REFERENCE_TYPE) == _ATTESTATION_MANIFEST


def attestations(index: Manifest) -> tuple[Descriptor, ...]:
    """The entries of an index that hold unsigned attestations; none for an image."""
    return tuple(entry for entry in index.manifests if is_attestation(entry))


def about(entry: Descriptor) -> str:
    """The platform manifest that the attestations of `entry` say they are about: a hint, as everything in it."""
    return entry.annotations.get(_REFERENCE_DIGEST, "")


def platforms(entries: Iterable[Descriptor]) -> tuple[tuple[str, Digest], ...]:
    """Everything in an index that could run, by name: its platform, or its digest where it names none.

    One manifest under several names counts once; several manifests under one name get their digests added.
    """
    named: dict[Digest, str] = {}
    for entry in entries:
        if not is_attestation(entry):
            named.setdefault(entry.digest, entry.platform)
    count = Counter(named.values())
    return tuple((_name(platform, digest, count[platform]), digest) for digest, platform in named.items())


def _name(platform: str, digest: Digest, count: int) -> str:
    if not platform:
        return digest.short
    return f"{platform} {digest.short}" if count > 1 else platform
