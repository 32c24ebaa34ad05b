"""The demo's documents are whole and speak of their image."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from controller.demo import predicates
from controller.demo.images import Image, ImageBuilder
from controller.demo.predicates import Component
from controller.demo.registry import EmbeddedRegistry

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.fixture
def image() -> Image:
    return ImageBuilder(EmbeddedRegistry()).image("shop/web", "1.4")


def test_cyclonedx_names_the_image_and_every_component_once(image: Image) -> None:
    document = predicates.cyclonedx(image, NOW)
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    # The schema's patterns for these two.
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", document["serialNumber"])
    subject = document["metadata"]["component"]
    assert subject["hashes"] == [{"alg": "SHA-256", "content": image.digest.hex}]
    assert subject["version"] == str(image.digest)
    references = [component["bom-ref"] for component in document["components"]]
    assert len(set(references)) == len(predicates.COMPONENTS)
    assert document["dependencies"] == [{"ref": subject["bom-ref"], "dependsOn": references}]
    assert [component.get("supplier") for component in document["components"]] == [
        {"name": "OpenJS Foundation"},
        None,
        {"name": "Python Software Foundation"},
    ]


def test_spdx_describes_the_image_and_every_relationship_leads_somewhere(image: Image) -> None:
    document = predicates.spdx(image, NOW, [Component("event-stream", "3.3.6")])
    assert (document["spdxVersion"], document["dataLicense"]) == ("SPDX-2.3", "CC0-1.0")
    packages: dict[str, Any] = {package["SPDXID"]: package for package in document["packages"]}
    assert len(packages) == 2
    for relation in document["relationships"]:
        assert relation["spdxElementId"] in {*packages, "SPDXRef-DOCUMENT"}
        assert relation["relatedSpdxElement"] in packages
    (described,) = [
        relation["relatedSpdxElement"]
        for relation in document["relationships"]
        if relation["relationshipType"] == "DESCRIBES"
    ]
    assert packages[described]["checksums"] == [{"algorithm": "SHA256", "checksumValue": image.digest.hex}]
    assert packages["SPDXRef-Package-0"]["externalRefs"][0]["referenceLocator"] == "pkg:npm/event-stream@3.3.6"
    assert document["creationInfo"]["created"] == "2026-11-22T10:00:00Z"


def test_provenance_says_who_built_it_and_from_what(image: Image) -> None:
    document = predicates.provenance(image, NOW, builder="https://b.example/1", ref="refs/tags/v1")
    assert document["runDetails"]["builder"]["id"] == "https://b.example/1"
    definition = document["buildDefinition"]
    assert definition["externalParameters"]["workflow"]["ref"] == "refs/tags/v1"
    (source,) = definition["resolvedDependencies"]
    assert source["uri"] == "git+https://git.example.com/shop/web@refs/tags/v1"
    assert re.fullmatch(r"[0-9a-f]{40}", source["digest"]["gitCommit"])
