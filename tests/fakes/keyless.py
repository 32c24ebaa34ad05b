"""Images signed without a key by a private Sigstore, in each shape that signers leave in a registry."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.demo import payloads
from controller.demo.images import Image
from controller.demo.mediatypes import COSIGN_SIGN, SIGSTORE_BUNDLE, SIMPLE_SIGNING
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from tests.fakes.authorities import ISSUER, SUBJECT, Holder
from tests.fakes.evidence import statement
from tests.fakes.sigstore import PrivateSigstore

Attach = Callable[[EmbeddedRegistry, Image, PrivateSigstore, Holder], None]


def _layer(registry: EmbeddedRegistry, image: Image, by: PrivateSigstore, holder: Holder) -> None:
    claim, annotations = by.sign_layer(holder, image.digest)
    Signer(registry).append(image, "sig", SIMPLE_SIGNING, claim, annotations)


def _bundle(logs: tuple[str, ...], stamps: int) -> Attach:
    def attach(registry: EmbeddedRegistry, image: Image, by: PrivateSigstore, holder: Holder) -> None:
        content = statement(COSIGN_SIGN, None, image.digest)
        document = by.sign_statement(logs, stamps=stamps, holder=holder, content=content)
        Signer(registry).refer(image, SIGSTORE_BUNDLE, payloads.encode(document), {})

    return attach


def _message(registry: EmbeddedRegistry, image: Image, by: PrivateSigstore, holder: Holder) -> None:
    stored = registry.manifest(image.path, image.digest)
    assert stored is not None
    document = by.sign_message(holder=holder, content=stored.content)
    Signer(registry).refer(image, SIGSTORE_BUNDLE, payloads.encode(document), {})


SHAPES: Final[Mapping[str, Attach]] = {
    "cosign 2, annotations": _layer,
    "bundle, Rekor 1": _bundle(("dsse",), 0),
    "bundle, Rekor 1 intoto": _bundle(("intoto",), 0),
    "bundle, Rekor 2": _bundle(("dsse 2",), 1),
    "bundle over the manifest": _message,
}
"""Those that stand in a log; the timestamp alone is `PRIVATE_REPOSITORY`."""

PRIVATE_REPOSITORY: Final = _bundle((), 1)
"""As GitHub signs for private repositories: a timestamp and no log entry."""


def trusting(**changes: Any) -> dict[str, Any]:
    """A keyless authority of TrustRoot `private`; `changes` go to its one identity."""
    identity = {"issuer": {"exact": ISSUER}, "subject": {"exact": SUBJECT}, **changes}
    return {"name": "ci", "keyless": {"trustRoot": "private", "identities": [identity]}}


def trust_root(by: PrivateSigstore, name: str = "private") -> dict[str, Any]:
    """The TrustRoot of an instance, as a document."""
    spec = {"inline": json.dumps(by.document(), indent=2)}
    return {"apiVersion": "sigward.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": name}, "spec": spec}
