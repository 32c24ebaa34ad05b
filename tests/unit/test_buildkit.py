"""Which entries of an index are BuildKit's attestations, and which could run."""

import pytest

from controller.formats import buildkit
from controller.reference import Digest
from controller.registry.source import Descriptor

MARK = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": "sha256:about"}


def entry(platform: str, name: str = "", annotations: dict[str, str] | None = None) -> Descriptor:
    media_type = "application/vnd.oci.image.manifest.v1+json"
    return Descriptor(media_type, Digest.of((name or platform).encode()), 2, "", annotations or {}, platform)


def test_an_attestation_manifest_is_no_platform() -> None:
    attested = entry("unknown/unknown", annotations=MARK)
    assert buildkit.is_attestation(attested)
    assert buildkit.about(attested) == "sha256:about"
    assert buildkit.platforms([entry("linux/amd64"), attested]) == (("linux/amd64", entry("linux/amd64").digest),)


@pytest.mark.parametrize(
    "disguised",
    [
        entry("linux/amd64", annotations=MARK),
        entry("", "no platform", MARK),
        entry("unknown/unknown"),
        entry("unknown/unknown/v8", annotations=MARK),
        entry("unknown/unknown", annotations={**MARK, "vnd.docker.reference.type": "attestation"}),
    ],
    ids=["real platform", "no platform", "no mark", "variant", "another mark"],
)
def test_one_mark_alone_hides_nothing(disguised: Descriptor) -> None:
    assert not buildkit.is_attestation(disguised)
    assert [digest for _, digest in buildkit.platforms([disguised])] == [disguised.digest]


def test_names_are_unique() -> None:
    first, second, nameless = entry("windows/amd64", "1"), entry("windows/amd64", "2"), entry("", "3")
    names = [name for name, _ in buildkit.platforms([first, second, nameless, first])]
    assert names == [f"windows/amd64 {first.digest.short}", f"windows/amd64 {second.digest.short}", nameless.digest.short]
