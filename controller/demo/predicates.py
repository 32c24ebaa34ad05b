"""Small real documents to attest: a CycloneDX 1.6 and an SPDX 2.3 bill of materials, and SLSA provenance v1."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from controller.demo.images import Image

_BUILD_TYPE: Final = "https://sigward.dev/demo/build/v1"
_TOOL: Final = "sigward-demo"


@dataclass(frozen=True, slots=True)
class Component:
    """One package in the image: name, version, ecosystem (`npm`, `pypi`, `golang`), SPDX licence and supplier, if known."""

    name: str
    version: str
    ecosystem: str = "npm"
    license: str = "MIT"
    supplier: str = ""

    @property
    def purl(self) -> str:
        """The package URL."""
        return f"pkg:{self.ecosystem}/{self.name}@{self.version}"


COMPONENTS: Final = (
    Component("express", "4.21.2", supplier="OpenJS Foundation"),
    Component("left-pad", "1.3.0", license="WTFPL"),
    Component("requests", "2.32.5", "pypi", "Apache-2.0", "Python Software Foundation"),
)


def cyclonedx(image: Image, created: datetime, components: Sequence[Component] = COMPONENTS) -> dict[str, Any]:
    """A CycloneDX 1.6 document about `image` (ECMA-424); the subject is `metadata.component`."""
    own = _purl(image)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{_identifier(image, 'cyclonedx')}",
        "version": 1,
        "metadata": {
            "timestamp": _time(created),
            "tools": {"components": [{"type": "application", "name": _TOOL}]},
            "component": {
                "type": "container",
                "bom-ref": own,
                "name": str(image.repository),
                "version": str(image.digest),
                "purl": own,
                "hashes": [{"alg": "SHA-256", "content": image.digest.hex}],
            },
        },
        "components": [_cyclonedx_component(component) for component in components],
        "dependencies": [{"ref": own, "dependsOn": [component.purl for component in components]}],
    }


def spdx(image: Image, created: datetime, components: Sequence[Component] = COMPONENTS) -> dict[str, Any]:
    """An SPDX 2.3 document about `image`; the subject is the package that the document describes."""
    root = "SPDXRef-Image"
    names = [f"SPDXRef-Package-{number}" for number in range(len(components))]
    own = _spdx_package(root, str(image.repository), str(image.digest), _purl(image), "NOASSERTION", "")
    own["checksums"] = [{"algorithm": "SHA256", "checksumValue": image.digest.hex}]
    own["primaryPackagePurpose"] = "CONTAINER"
    packages = [
        _spdx_package(name, item.name, item.version, item.purl, item.license, item.supplier)
        for name, item in zip(names, components, strict=True)
    ]
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", root), *((root, "CONTAINS", name) for name in names)]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": str(image.repository),
        "documentNamespace": f"https://sigward.dev/demo/spdx/{_identifier(image, 'spdx')}",
        "creationInfo": {"created": _time(created), "creators": [f"Tool: {_TOOL}"]},
        "packages": [own, *packages],
        "relationships": [
            {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other} for one, kind, other in relations
        ],
    }


def provenance(
    image: Image,
    created: datetime,
    *,
    builder: str = "https://sigward.dev/demo/builder",
    repository: str = "https://git.example.com/shop/web",
    ref: str = "refs/heads/main",
    build_type: str = _BUILD_TYPE,
) -> dict[str, Any]:
    """SLSA provenance v1 of `image`: who built it (`builder`), and from which source (`repository` at `ref`)."""
    commit = image.digest.hex[:40]
    source = {"uri": f"git+{repository}@{ref}", "digest": {"gitCommit": commit}}
    return {
        "buildDefinition": {
            "buildType": build_type,
            "externalParameters": {"workflow": {"repository": repository, "ref": ref, "path": "build.yaml"}},
            "internalParameters": {},
            "resolvedDependencies": [source],
        },
        "runDetails": {
            "builder": {"id": builder},
            "metadata": {
                "invocationId": f"{repository}/runs/{_identifier(image, 'run')}",
                "startedOn": _time(created),
                "finishedOn": _time(created),
            },
        },
    }


def _cyclonedx_component(component: Component) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": "library",
        "bom-ref": component.purl,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
        "licenses": [{"license": {"id": component.license}}],
    }
    return {**document, "supplier": {"name": component.supplier}} if component.supplier else document


def _spdx_package(identifier: str, name: str, version: str, purl: str, licence: str, supplier: str) -> dict[str, Any]:
    return {
        "SPDXID": identifier,
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "supplier": f"Organization: {supplier}" if supplier else "NOASSERTION",
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl},
        ],
    }


def _purl(image: Image) -> str:
    """The package URL of an image (purl-spec, type `oci`): the last path segment, the digest, the repository."""
    name = image.path.rpartition("/")[2]
    digest = str(image.digest).replace(":", "%3A")
    return f"pkg:oci/{name}@{digest}?repository_url={str(image.repository).replace(':', '%3A').replace('/', '%2F')}"


def _identifier(image: Image, kind: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}:{image.pinned}")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
