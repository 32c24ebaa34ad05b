"""Keys and company certificates with logs and timestamps through the webhook: admitted, and refused after one change.

The keyless shapes are in `test_keyless.py`, the Notary Project in `test_webhook_certificates.py`, OpenPGP in
`test_webhook_openpgp.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.settings import Limits
from tests.fakes.gates import local, policy
from tests.fakes.keyless import trust_root
from tests.fakes.keys import signing_key
from tests.fakes.logged import PLACES, By
from tests.fakes.pki import DAY, NOW, Issued, intermediate, issue, root
from tests.fakes.pki import authority as company
from tests.fakes.pki import signer as holder
from tests.fakes.reviews import pod, review
from tests.fakes.sigstore import PrivateSigstore, written
from tests.fakes.webhook import Webhook, reasons

PRIVATE, SPARE = PrivateSigstore("private"), PrivateSigstore("spare")
RELEASE, OTHER = signing_key("release"), signing_key("other")
SIGNED_AT: Final = NOW - DAY
REQUIRED: Final = {"trustRoot": "private", "transparencyLog": "Required"}


def keyed(**changes: Any) -> dict[str, Any]:
    return {"name": "release", "keys": [{"pem": RELEASE.public_pem, **changes}]}


def certified(anchor: Issued | None = None, **stores: Any) -> dict[str, Any]:
    ca = {"pem": (anchor or root()).pem.decode()}
    return {
        "name": "release",
        "x509": {"stores": {"ca": ca, **stores}, "identities": ["C=DE, ST=Berlin, O=Acme, CN=release"]},
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """A registry and a place in it; `judge` gives the answer of a webhook whose one policy has the authority."""

    folder: Path
    registry: EmbeddedRegistry
    images: ImageBuilder
    place: str

    def image(self, by: By, content: str = "") -> Image:
        image = self.images.image("shop/web", "1", content=content.encode())
        PLACES[self.place][0](Signer(self.registry), image, by)
        return image

    async def judge(
        self, image: Image, authority: Mapping[str, Any], trusted: PrivateSigstore = PRIVATE
    ) -> tuple[bool, list[str]]:
        documents = {
            "corp": policy(authorities=[authority], require=[PLACES[self.place][1]]),
            "private": trust_root(trusted),
        }
        async with Webhook(self.folder / "app", documents, local(self.registry.host, limits=Limits(lame_duck=0))) as webhook:
            answer = await webhook.validate(review(pod(str(image.reference))))
            return answer.allowed, reasons(webhook, answer)


@pytest.fixture(params=PLACES)
def asked(request: pytest.FixtureRequest, tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder) -> Asked:
    return Asked(tmp_path, registry, images, request.param)


class TestKey:
    good = By(RELEASE, SIGNED_AT, PRIVATE.rekor1, PRIVATE.tsa)
    trust: Final = {**keyed(), **REQUIRED}

    async def test_admitted(self, asked: Asked) -> None:
        assert await asked.judge(asked.image(self.good), self.trust) == (True, [])

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"who": OTHER}, "WrongKey"),
            ({"log": None}, "LogRequired"),
            ({"log": SPARE.rekor1}, "LogUntrusted"),
            ({"time": NOW + 3650 * DAY}, "OutsideValidity"),
        ],
        ids=["identity", "no log", "another log", "time"],
    )
    async def test_signed_otherwise(self, asked: Asked, change: dict[str, Any], code: str) -> None:
        assert await asked.judge(asked.image(replace(self.good, **change)), self.trust) == (False, [code])

    @pytest.mark.parametrize("window", [{"notAfter": SIGNED_AT - 1}, {"notBefore": SIGNED_AT + 1}], ids=str)
    async def test_outside_the_keys_window(self, asked: Asked, window: dict[str, float]) -> None:
        trust = {**keyed(**{end: written(time) for end, time in window.items()}), **REQUIRED}
        assert await asked.judge(asked.image(self.good), trust) == (False, ["OutsideValidity"])

    async def test_another_root(self, asked: Asked) -> None:
        assert await asked.judge(asked.image(self.good), self.trust, SPARE) == (False, ["LogUntrusted"])

    async def test_another_digest(self, asked: Asked) -> None:
        good, bad = asked.image(self.good, "good"), asked.images.image("shop/web", "2", content=b"bad")
        Signer(asked.registry).copy(good, bad)
        assert await asked.judge(bad, self.trust) == (False, ["WrongDigest"])

    async def test_no_log_where_none_is_asked_for(self, asked: Asked) -> None:
        """A keyed bundle without any log entry, as other admission controllers cannot read it."""
        assert await asked.judge(asked.image(By(RELEASE, SIGNED_AT)), keyed()) == (True, [])


class TestCertificate:
    good = By(holder(), SIGNED_AT, PRIVATE.rekor1)
    trust: Final = {**certified(), **REQUIRED}

    async def test_admitted(self, asked: Asked) -> None:
        assert await asked.judge(asked.image(self.good), self.trust) == (True, [])

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"who": holder("other")}, "WrongSubject"),
            ({"who": holder(end=SIGNED_AT - 1)}, "OutsideValidity"),
            (
                {"who": holder(issuer=issue(company("C=DE, ST=Berlin, O=Acme, CN=Old", end=SIGNED_AT - 1), root()))},
                "OutsideValidity",
            ),
            ({"who": holder(issuer=intermediate("Evil"))}, "CertificateUntrusted"),
            ({"log": None}, "LogRequired"),
            ({"log": SPARE.rekor1}, "LogUntrusted"),
        ],
        ids=["identity", "time", "time of the issuer", "root", "no log", "another log"],
    )
    async def test_signed_otherwise(self, asked: Asked, change: dict[str, Any], code: str) -> None:
        assert await asked.judge(asked.image(replace(self.good, **change)), self.trust) == (False, [code])

    async def test_another_root(self, asked: Asked) -> None:
        trust = {**certified(root("Evil")), **REQUIRED}
        assert await asked.judge(asked.image(self.good), trust) == (False, ["CertificateUntrusted"])

    async def test_another_trust_root(self, asked: Asked) -> None:
        assert await asked.judge(asked.image(self.good), self.trust, SPARE) == (False, ["LogUntrusted"])

    async def test_another_digest(self, asked: Asked) -> None:
        good, bad = asked.image(self.good, "good"), asked.images.image("shop/web", "2", content=b"bad")
        Signer(asked.registry).copy(good, bad)
        assert await asked.judge(bad, self.trust) == (False, ["WrongDigest"])

    @pytest.mark.parametrize(("clock", "expected"), [(PRIVATE.tsa, (True, [])), (SPARE.tsa, (False, ["OutsideValidity"]))])
    async def test_expired_since_and_stamped(self, asked: Asked, clock: Any, expected: tuple[bool, list[str]]) -> None:
        image = asked.image(By(holder(end=SIGNED_AT + 1), SIGNED_AT, clock=clock))
        trust = certified(tsa={"pem": PRIVATE.tsa.signer.pem.decode()})
        assert await asked.judge(image, trust) == expected
