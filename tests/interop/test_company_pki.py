"""Real cosign signs under a company's certificates; the real webhook judges by the company's root and subjects.

cosign 2 leaves the chain out of its bundles, so that they prove something only to whoever trusts the issuer itself. cosign 3
does not ask a timestamp authority for its certificate, so that store `tsa` must hold that one and not only its root.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from controller.demo.mediatypes import COSIGN_SIGN
from controller.demo.signingkeys import SigningKey
from tests.fakes.authorities import Holder
from tests.fakes.pki import Issued, intermediate, root, signer
from tests.fakes.timestamps import TimestampAuthority
from tests.interop import stored
from tests.interop.cosign import Cosign, Storage
from tests.interop.door import ATTESTED, SBOM, SIGNED, Verdict, ask
from tests.interop.timestamping import TimeService, time_service
from tests.interop.tools import Product, RunningRegistry
from tests.interop.wire import PushedImage, Repository, push_image

pytestmark = pytest.mark.interop

IDENTITY: Final = "C=DE, ST=Berlin, O=Acme, CN=release"
HOUR: Final = 3600.0
STARTED: Final = float(int(time.time()))


@pytest.fixture(scope="module")
def clock() -> Iterator[TimeService]:
    """Its time is ninety minutes ago: while `expired` below was valid."""
    with time_service(TimestampAuthority("company tsa"), STARTED - 1.5 * HOUR) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Desk:
    """Who signs, with which cosign, and where it stores what."""

    cosign: Cosign
    storage: Storage
    registry: RunningRegistry
    folder: Path

    @property
    def leaves_chain_out(self) -> bool:
        return self.cosign.major == 2 and self.storage is Storage.BUNDLE

    @property
    def anchor(self) -> Issued:
        """The highest certificate that what it writes leads to."""
        return intermediate() if self.leaves_chain_out else root()

    @property
    def untrusted(self) -> str:
        """The code where the chain leads to nobody who is trusted; only in a tag of cosign 2 it brings its root."""
        brings_root = self.cosign.major == 2 and self.storage is Storage.TAG
        return "RootInChain" if brings_root else "CertificateUntrusted"

    def clock(self, authority: TimestampAuthority) -> Holder:
        """The certificate that its timestamps lead to."""
        return authority.root if self.cosign.major == 2 else authority.signer

    def sign(self, name: str, by: Issued, *more: str, attest: bool = False) -> PushedImage:
        path = f"company/{self.cosign}/{self.storage}/{name}"
        image, key = push_image(Repository(self.registry.host, path), content=path), SigningKey(by.key)
        files = self.cosign.import_key(f"company-{key.fingerprint.removeprefix('SHA256:')[:12]}", key)
        end, chain = self.folder / "end.pem", self.folder / "chain.pem"
        end.write_bytes(by.pem)
        chain.write_bytes(b"".join(one.pem for one in by.chain[1:]))
        more = ("--certificate", str(end), "--certificate-chain", str(chain), *more)
        self.cosign.sign(image.by_digest, files, self.storage, None, *more)
        if attest:
            self.cosign.attest(image.by_digest, files, self.storage, "spdxjson", SBOM, *more)
        return image


@pytest.fixture(params=list(Storage))
def desk(cosign: Cosign, registries: dict[Product, RunningRegistry], tmp_path: Path, request: pytest.FixtureRequest) -> Desk:
    return Desk(cosign, request.param, registries[Product.DISTRIBUTION], tmp_path)


def trust(anchor: Issued, *, tsa: Holder | None = None, identity: str = IDENTITY) -> list[dict[str, Any]]:
    stores = {"ca": {"pem": anchor.pem.decode()}}
    if tsa:
        stores["tsa"] = {"pem": tsa.pem.decode()}
    return [{"name": "pki", "x509": {"stores": stores, "identities": [identity]}}]


def reason(verdict: Verdict) -> str:
    assert not verdict.allowed
    return verdict.codes["signed"]


async def test_admitted_and_refused_after_one_change(desk: Desk) -> None:
    image = desk.sign("usual", signer(), attest=True)
    verdict = await ask(desk.folder, image, trust(desk.anchor), SIGNED, ATTESTED)
    assert verdict.allowed, verdict.message
    assert reason(await ask(desk.folder, image, trust(desk.anchor, identity=f"{IDENTITY}s"))) == "WrongSubject"
    assert reason(await ask(desk.folder, image, trust(root("Evil")))) == desk.untrusted


async def test_the_chain_is_in_what_was_stored_or_the_root_is_not_reached(desk: Desk) -> None:
    verdict = await ask(desk.folder, desk.sign("chain", signer()), trust(root()))
    if desk.leaves_chain_out:
        assert reason(verdict) == "CertificateUntrusted"
    else:
        assert verdict.allowed, verdict.message


async def test_altered(desk: Desk) -> None:
    image = desk.sign("altered", signer())
    target = push_image(
        Repository(image.repository.host, f"{image.repository.path}/elsewhere"), content=image.repository.path
    )
    assert target.digest == image.digest
    stored.copy(image, target, stored.flip_payload)
    assert reason(await ask(desk.folder, target, trust(desk.anchor))) == "SignatureInvalid"


async def test_about_another_image(desk: Desk) -> None:
    image = desk.sign("another", signer())
    target = push_image(Repository(image.repository.host, f"{image.repository.path}/elsewhere"), content="another")
    stored.copy(image, target, stored.only(COSIGN_SIGN))
    assert reason(await ask(desk.folder, target, trust(desk.anchor))) == "WrongDigest"


async def test_another_company_of_the_same_names(desk: Desk) -> None:
    image = desk.sign("evil", signer("release", issuer=intermediate("Evil")))
    assert reason(await ask(desk.folder, image, trust(desk.anchor))) == desk.untrusted


class TestTime:
    """A certificate that is past its end by now proves something only with a timestamp from when it was valid."""

    def expired(self) -> Issued:
        return signer(start=STARTED - 2 * HOUR, end=STARTED - HOUR)

    async def test_expired(self, desk: Desk) -> None:
        image = desk.sign("expired", self.expired())
        assert reason(await ask(desk.folder, image, trust(desk.anchor))) == "OutsideValidity"

    async def test_expired_after_its_timestamp(self, desk: Desk, clock: TimeService) -> None:
        before = clock.asked
        image = desk.sign("stamped", self.expired(), "--timestamp-server-url", clock.url)
        assert clock.asked == before + 1
        verdict = await ask(desk.folder, image, trust(desk.anchor, tsa=desk.clock(clock.authority)))
        assert verdict.allowed, verdict.message
        nobody = TimestampAuthority("company tsa that nobody asked")
        assert reason(await ask(desk.folder, image, trust(desk.anchor, tsa=desk.clock(nobody)))) == "OutsideValidity"
        assert reason(await ask(desk.folder, image, trust(desk.anchor))) == "OutsideValidity"

    async def test_timestamp_from_before_the_certificate(self, desk: Desk, clock: TimeService) -> None:
        late = signer(start=STARTED - HOUR, end=STARTED + 24 * HOUR)
        image = desk.sign("early", late, "--timestamp-server-url", clock.url)
        assert (
            reason(await ask(desk.folder, image, trust(desk.anchor, tsa=desk.clock(clock.authority)))) == "OutsideValidity"
        )
        verdict = await ask(desk.folder, image, trust(desk.anchor))
        assert verdict.allowed, verdict.message
