"""What the demonstration plays on: two registries, the people who sign, and the policies of a small company."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from controller.demo.images import Image, ImageBuilder
from controller.demo.notary import Notary
from controller.demo.openpgp import ExtensionRegistry, Vendor, installed
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.demo.signingkeys import SigningKey
from controller.demo.sigstore import Identity, Sigstore

Document = dict[str, Any]

_GITHUB: Final = "https://token.actions.githubusercontent.com"
RELEASE_WORKFLOW: Final = Identity("https://github.com/acme/platform/.github/workflows/release.yml@refs/heads/main", _GITHUB)
"""Who signs for the platform."""
OTHER_WORKFLOW: Final = Identity("https://github.com/acme/platform/.github/workflows/try.yml@refs/heads/experiment", _GITHUB)
"""Another workflow of the same repository."""
COMPANY: Final = "C=DE, ST=Berlin, O=Acme"
"""Whose certificates sign the tools."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The registry in use, the one that went away, and private keys by their owner.

    `release` signs for the shop, `alice`, `bob` and `carol` for payments, `scanner` attests SBOMs; `intern` is nobody.
    `sigstore` is the company's own, with which workflows sign for the platform without any key; `notary` signs for its tools
    with a certificate. `vendor` signs with OpenPGP, None where the extra is not installed.
    """

    registry: ExtensionRegistry
    away: EmbeddedRegistry
    release: SigningKey
    intern: SigningKey
    alice: SigningKey
    bob: SigningKey
    carol: SigningKey
    scanner: SigningKey
    sigstore: Sigstore
    notary: Notary
    vendor: Vendor | None

    @property
    def images(self) -> ImageBuilder:
        """Pushes to the registry in use."""
        return ImageBuilder(self.registry)

    @property
    def signer(self) -> Signer:
        """Signs in the registry in use."""
        return Signer(self.registry)

    def image(self, name: str, content: str = "") -> Image:
        """Push `shop/web:1.0`."""
        path, _, tag = name.partition(":")
        return self.images.image(path, tag, content=content.encode())

    def name(self, image: str) -> str:
        """The image's full name in the registry in use."""
        return f"{self.registry.host}/{image}"


@asynccontextmanager
async def staged(port: int) -> AsyncIterator[Stage]:
    """Start the registry, at `port` if it is free (0: any); the other one was here a moment ago and is gone."""
    registry = await _started(ExtensionRegistry, port)
    away = await _started(EmbeddedRegistry, port + 1 if port else 0)
    release, intern, alice, bob, carol, scanner = (SigningKey.generate() for _ in range(6))
    people = (release, intern, alice, bob, carol, scanner)
    vendor = Vendor("tools") if installed() else None
    stage = Stage(registry, away, *people, Sigstore(), Notary(f"{COMPANY}, CN=release"), vendor)
    try:
        far = ImageBuilder(away).image("partner/api", "1.0")
        Signer(away).sign(far, stage.release)
        await away.stop()
        yield stage
    finally:
        await asyncio.gather(registry.stop(), away.stop())


_Registry = TypeVar("_Registry", bound=EmbeddedRegistry)


async def _started(kind: type[_Registry], port: int) -> _Registry:
    """A fixed port makes the output the same each time; where somebody has it already, any other will do."""
    registry = kind(port=port)
    try:
        await registry.start()
    except OSError:
        registry = kind()
        await registry.start()
    return registry


def policies(stage: Stage) -> dict[str, Document]:
    """The trust policies, and the trust root that one of them names, by file name."""
    host, away = stage.registry.host, stage.away.host
    release = _authority("release", stage.release)
    approvers = [_authority(name, key) for name, key in _approvers(stage).items()]
    approved = {"name": "approved", "signature": {"threshold": 2, "of": ["alice", "bob", "carol"]}}
    signed = {"name": "signed", "signature": {"of": ["release"]}}
    bill = {"name": "bill-of-materials", "sbom": {"of": ["scanner"], "formats": ["CycloneDX"]}}
    return {
        "corp": _policy("corp", [f"{host}/shop/**", f"{away}/**"], [release], None),
        "payments": _policy("payments", [f"{host}/payments/**"], approvers, [approved]),
        "catalog": _policy(
            "catalog", [f"{host}/catalog/**"], [release, _authority("scanner", stage.scanner)], [signed, bill]
        ),
        "platform": _policy("platform", [f"{host}/platform/**"], [_workflow(RELEASE_WORKFLOW)], None),
        "own-sigstore": _own_root(stage.sigstore),
        "tools": _policy("tools", [f"{host}/tools/**"], [_certified(stage.notary)], None),
        **({"vendor": _policy("vendor", [f"{host}/vendor/**"], [_openpgp(stage.vendor)], None)} if stage.vendor else {}),
    }


def _approvers(stage: Stage) -> dict[str, SigningKey]:
    return {"alice": stage.alice, "bob": stage.bob, "carol": stage.carol}


def _authority(name: str, key: SigningKey) -> Document:
    return {"name": name, "keys": [{"pem": key.public_pem}]}


def _workflow(trusted: Identity) -> Document:
    identity = {"issuer": {"exact": trusted.issuer}, "subject": {"exact": trusted.subject}}
    return {"name": "workflow", "keyless": {"trustRoot": "own-sigstore", "identities": [identity]}}


def _certified(notary: Notary) -> Document:
    store = {"ca": {"pem": notary.root_pem}}
    return {"name": "pki", "x509": {"stores": store, "identities": [f"{COMPANY}, CN=release"], "revocation": "Skip"}}


def _openpgp(vendor: Vendor) -> Document:
    return {"name": "vendor", "openpgp": {"keyring": {"armored": vendor.keyring}}}


def _own_root(sigstore: Sigstore) -> Document:
    spec = {"inline": json.dumps(sigstore.trusted_root(), indent=2)}
    return {"apiVersion": "sigward.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "own-sigstore"}, "spec": spec}


def _policy(name: str, images: list[str], authorities: list[Document], require: list[Document] | None) -> Document:
    spec: Document = {"match": {"images": images}, "authorities": authorities}
    if require:
        spec["require"] = require
    return {
        "apiVersion": "sigward.dev/v1alpha1",
        "kind": "ClusterTrustPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
