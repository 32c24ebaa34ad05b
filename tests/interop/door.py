"""Images that real cosign signed, taken to the real webhook: a Pod in an AdmissionReview over TLS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from controller.demo.signingkeys import KeyType
from controller.settings import Limits
from tests.fakes.gates import local, policy
from tests.fakes.keys import signing_key
from tests.fakes.reviews import pod, review
from tests.fakes.webhook import Webhook
from tests.interop.cosign import Cosign, KeyFiles, Storage
from tests.interop.tools import RunningRegistry
from tests.interop.wire import PushedImage, Repository, push_image

SBOM: Final = {"spdxVersion": "SPDX-2.3", "name": "web"}
SIGNED: Final = {"name": "signed", "signature": {}}
ATTESTED: Final = {"name": "attested", "attestation": {"predicateType": "spdxjson"}}

_NUMBERS: Final = count()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the webhook answered, and each requirement's reason as code and as text, from the audit line."""

    allowed: bool
    codes: Mapping[str, str]
    reasons: Mapping[str, str]
    message: str


@dataclass(frozen=True, slots=True)
class SignedImage:
    """An image signed, and its SPDX document attested, by one key and one cosign."""

    image: PushedImage
    content: str
    key: KeyFiles

    def elsewhere(self, *, content: str = "") -> PushedImage:
        """An image in a repository of its own, with nothing beside it: the same, or one of another content and digest."""
        repository = Repository(self.image.repository.host, f"{self.image.repository.path}/{next(_NUMBERS)}")
        return push_image(repository, content=content or self.content)


class Stock:
    """Makes each key and signs each image once, and keeps them for all tests."""

    def __init__(self) -> None:
        self._images: dict[str, SignedImage] = {}
        self._keys: dict[str, KeyFiles] = {}

    def signed(
        self, cosign: Cosign, storage: Storage, registry: RunningRegistry, kind: KeyType = KeyType.P256
    ) -> SignedImage:
        """An image that this cosign signed and attested with the key `release`."""
        path = f"door/{cosign}/{storage}/{kind}"
        name = f"{registry.product} {path}"
        if name not in self._images:
            image, key = push_image(Repository(registry.host, path), content=name), self.key(cosign, "release", kind)
            cosign.sign(image.by_digest, key, storage)
            cosign.attest(image.by_digest, key, storage, "spdxjson", SBOM)
            self._images[name] = SignedImage(image, name, key)
        return self._images[name]

    def key(self, cosign: Cosign, name: str, kind: KeyType = KeyType.P256) -> KeyFiles:
        """A key that cosign made (it makes P-256 only), or imported."""
        full = f"{cosign} {name} {kind}"
        if full not in self._keys:
            file = f"{name}-{kind}"
            own = kind is KeyType.P256
            self._keys[full] = cosign.generate_key(file) if own else cosign.import_key(file, signing_key(name, kind))
        return self._keys[full]


def authority(name: str, *keys: KeyFiles) -> dict[str, Any]:
    """An authority with cosign's public keys."""
    return {"name": name, "keys": [{"pem": key.public_pem} for key in keys]}


async def ask(
    folder: Path, image: PushedImage, trusted: KeyFiles | Sequence[dict[str, Any]], *require: dict[str, Any]
) -> Verdict:
    """Start a webhook whose one policy trusts a key (or has these authorities), and send it a Pod with the image by tag."""
    authorities = trusted if isinstance(trusted, Sequence) else [authority("release", trusted)]
    document = policy(authorities=list(authorities), require=list(require or (SIGNED,)))
    settings = local(image.repository.host, limits=Limits(lame_duck=0, drain=5))
    async with Webhook(folder / f"webhook{next(_NUMBERS)}", {"policy": document}, settings) as webhook:
        answer = await webhook.validate(review(pod(image.by_tag)))
        [line] = webhook.audit_lines
    [judged] = line["images"]
    assert "reason" not in judged, judged
    [by_policy] = judged["policies"]
    told = {reason["requirement"]: reason for reason in by_policy.get("reasons", ())}
    codes, reasons = ({name: reason[part] for name, reason in told.items()} for part in ("code", "reason"))
    assert judged["digest"] == image.digest
    assert bool(answer.message) is not answer.allowed
    return Verdict(answer.allowed, codes, reasons, answer.message)
