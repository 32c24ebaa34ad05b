"""The Notary Project's own library against Sigward, both ways, over every registry product and with every kind of key."""

import asyncio
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from controller.decision.report import Report, Verdict
from controller.demo.images import ImageBuilder
from controller.demo.mediatypes import OCI_EMPTY, OCI_MANIFEST
from controller.demo.notary import Notary
from controller.demo.payloads import encode
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.demo.stage import COMPANY
from controller.formats import notation
from tests.fakes.gates import Clock, House, local, policy, snapshot
from tests.fakes.notation import FORMATS, Wanted, envelope
from tests.fakes.pki import Issued, intermediate, root, signer
from tests.interop import tools
from tests.interop.door import ask
from tests.interop.tools import Product, RunningRegistry
from tests.interop.wire import PushedImage, Repository, mirror, push_image

pytestmark = pytest.mark.interop

KINDS = ["P-256", "P-384", "P-521", "RSA 2048", "RSA 3072"]
IDENTITY = "x509.subject: C=DE, ST=Berlin, O=Acme"


def run(folder: Path, command: str, reference: str, **flags: str) -> subprocess.CompletedProcess[str]:
    arguments = [part for name, value in flags.items() for part in (f"-{name}", value)]
    return subprocess.run(
        [str(tools.find("notation")), *arguments, command, reference],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=40,
        env=tools.environment(folder),
    )


def sign(folder: Path, image: PushedImage, by: Issued, form: str, **flags: str) -> None:
    key, chain = folder / "signer.key", folder / "signer.pem"
    key.write_bytes(by.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    chain.write_bytes(b"".join(one.pem for one in by.chain))
    done = run(folder, "sign", image.by_digest, key=str(key), chain=str(chain), format=form, **flags)
    assert done.returncode == 0, done.stderr


def accepts(folder: Path, image: PushedImage, anchor: Issued, identity: str = IDENTITY) -> bool:
    store = folder / "store.pem"
    store.write_bytes(anchor.pem)
    return run(folder, "verify", image.by_digest, store=str(store), identity=identity).returncode == 0


def trust(anchor: Issued | None = None, **fields: Any) -> dict[str, Any]:
    x509 = {"stores": {"ca": {"pem": (anchor or root()).pem.decode()}}, "identities": [IDENTITY], **fields}
    return {"name": "pki", "x509": x509}


async def judged(image: PushedImage) -> Report:
    policies = snapshot(policy(authorities=[trust()]))
    async with House(local(image.repository.host), Clock(time.time())) as house:
        return await house.judge(image.by_digest, policies)


def pushed(registry: RunningRegistry, request: pytest.FixtureRequest) -> PushedImage:
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.lower())
    return push_image(Repository(registry.host, f"notation/{name.strip('-').replace('--', '-').replace('--', '-')}"))


def attach(image: PushedImage, form: str, raw: bytes) -> None:
    """What a signer pushes, fallback tag included."""

    def blob(media_type: str, content: bytes) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": image.repository.put_blob(content), "size": len(content)}

    stored = image.repository.manifest(image.digest)
    subject = {"mediaType": OCI_MANIFEST, "digest": image.digest, "size": len(stored.content)}
    manifest = encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": notation.ARTIFACT,
            "config": blob(OCI_EMPTY, b"{}"),
            "layers": [blob(form, raw)],
            "subject": subject,
        }
    )
    digest = image.repository.put_manifest(manifest)
    listed = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(manifest), "artifactType": notation.ARTIFACT}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [listed]}
    image.repository.put_manifest(encode(index), image.digest.replace(":", "-"))


@pytest.mark.parametrize("form", FORMATS)
class TestNotationSigns:
    async def test_over_every_registry(
        self, peer: RunningRegistry, form: str, tmp_path: Path, request: pytest.FixtureRequest
    ) -> None:
        image = pushed(peer, request)
        assert (await judged(image)).verdict is Verdict.DENY
        sign(tmp_path, image, signer(), form)
        assert (await judged(image)).verdict is Verdict.ALLOW
        for trusted, expected in (
            (trust(), {}),
            (trust(root("Evil")), {"signed": "CertificateUntrusted"}),
            (trust(identities=[f"{IDENTITY}, CN=other"]), {"signed": "WrongSubject"}),
        ):
            verdict = await ask(tmp_path, image, [trusted])
            assert (verdict.allowed, verdict.codes) == (not expected, expected)

    @pytest.mark.parametrize("kind", KINDS)
    async def test_every_key(
        self,
        registries: dict[Product, RunningRegistry],
        form: str,
        kind: str,
        tmp_path: Path,
        request: pytest.FixtureRequest,
    ) -> None:
        image = pushed(registries[Product.REFERRERS], request)
        sign(tmp_path, image, signer(key=kind, kind=kind), form, expiry="1h")
        assert (await judged(image)).verdict is Verdict.ALLOW


@pytest.mark.parametrize("form", FORMATS)
class TestNotationReadsTheDemo:
    """What `sigward demo` shows as the Notary Project's is the Notary Project's."""

    @staticmethod
    def verify(folder: Path, reference: str, by: Notary) -> subprocess.CompletedProcess[str]:
        store = folder / "store.pem"
        store.write_text(by.root_pem, encoding="utf-8")
        return run(folder, "verify", reference, store=str(store), identity=f"x509.subject: {COMPANY}, CN=release")

    @pytest.mark.parametrize("valid", [None, timedelta(hours=1)], ids=["for ever", "for an hour"])
    async def test_from_the_embedded_registry(
        self, images: ImageBuilder, signer: Signer, form: str, valid: timedelta | None, tmp_path: Path
    ) -> None:
        notary, other = Notary(f"{COMPANY}, CN=release"), Notary(f"{COMPANY}, CN=release")
        image = images.image("tools/lint", "1")
        notary.sign(signer, image, form, valid=valid)
        done = await asyncio.to_thread(self.verify, tmp_path, str(image.pinned), notary)
        assert done.returncode == 0, done.stderr
        refused = await asyncio.to_thread(self.verify, tmp_path, str(image.pinned), other)
        assert refused.returncode != 0
        assert "trusted" in refused.stderr

    async def test_from_every_registry(self, peer: RunningRegistry, form: str, tmp_path: Path) -> None:
        """Over the fallback tag where the registry has no referrers API; the signer keeps it then."""
        notary = Notary(f"{COMPANY}, CN=release")
        async with EmbeddedRegistry(referrers_api=peer.referrers_api) as registry:
            image = ImageBuilder(registry).image("tools/lint", f"demo-{form.rpartition('/')[2].replace('+', '-')}")
            notary.sign(Signer(registry), image, form)
            target = Repository(peer.host, "tools/lint")
            await asyncio.to_thread(mirror, Repository(registry.host, "tools/lint"), target)
        done = await asyncio.to_thread(self.verify, tmp_path, target.named(str(image.digest)), notary)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("form", FORMATS)
class TestNotationReadsOurFakes:
    """So that the fake signer does not merely agree with ourselves."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_every_key(
        self,
        registries: dict[Product, RunningRegistry],
        form: str,
        kind: str,
        tmp_path: Path,
        request: pytest.FixtureRequest,
    ) -> None:
        image = pushed(registries[Product.DISTRIBUTION], request)
        size = len(image.repository.manifest(image.digest).content)
        artifact = {"digest": image.digest, "size": size}
        by = signer(key=kind, kind=kind)
        attach(image, form, envelope(form, by, Wanted(artifact=artifact, expiry=time.time() + 3600)))
        assert accepts(tmp_path, image, root())
        assert (await judged(image)).verdict is Verdict.ALLOW

    @pytest.mark.parametrize(
        ("by", "wanted"),
        [
            (signer(issuer=intermediate("Evil")), {}),
            (signer(), {"size": 1}),
            (signer(usage=("digital_signature", "key_cert_sign")), {}),
            (signer(end=1_795_000_000.0), {}),
        ],
    )
    async def test_both_refuse(
        self,
        registries: dict[Product, RunningRegistry],
        form: str,
        by: Issued,
        wanted: dict[str, Any],
        tmp_path: Path,
        request: pytest.FixtureRequest,
    ) -> None:
        image = pushed(registries[Product.DISTRIBUTION], request)
        size = len(image.repository.manifest(image.digest).content)
        artifact = {"digest": image.digest, "size": size, **wanted}
        attach(image, form, envelope(form, by, Wanted(artifact=artifact)))
        assert not accepts(tmp_path, image, root())
        assert (await judged(image)).verdict is Verdict.DENY
