"""Signatures by a key or a company's certificate as cosign leaves them in a registry, with log entry and timestamp."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.demo import payloads
from controller.demo.images import Image
from controller.demo.mediatypes import COSIGN_SIGN, COSIGN_SIGNATURE, DSSE, SIGSTORE_BUNDLE, SIMPLE_SIGNING, SPDX
from controller.demo.signer import Signer
from controller.demo.signingkeys import SigningKey
from tests.fakes import rekor
from tests.fakes.authorities import b64
from tests.fakes.evidence import statement
from tests.fakes.pki import Issued
from tests.fakes.rekor import RekorV1
from tests.fakes.sigstore import CERTIFICATE, CHAIN, ENTRY, STAMP, certificates, raw_signature
from tests.fakes.timestamps import TimestampAuthority


@dataclass(frozen=True, slots=True)
class By:
    """Who signs, and who proves when.

    `who` is a key, or the holder of a company's certificate, whose chain goes along but for the root. `log` takes the
    signature in at `time`, `clock` stamps it then; None leaves one out.
    """

    who: SigningKey | Issued
    time: float
    log: RekorV1 | None = None
    clock: TimestampAuthority | None = None

    @property
    def key(self) -> SigningKey:
        return SigningKey(self.who.key) if isinstance(self.who, Issued) else self.who

    @property
    def chain(self) -> tuple[Issued, ...]:
        return self.who.chain[:-1] if isinstance(self.who, Issued) else ()

    @property
    def verifier(self) -> bytes:
        return self.who.pem if isinstance(self.who, Issued) else self.who.public_pem.encode()


def _annotations(by: By, entry: Mapping[str, Any], stamped: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    if by.chain:
        pem = [one.pem.decode() for one in by.chain]
        found = {CERTIFICATE: pem[0], CHAIN: "".join(pem[1:])}
    if by.log:
        found[ENTRY] = by.log.annotation(entry, int(by.time))
    if by.clock:
        found[STAMP] = json.dumps({"SignedRFC3161Timestamp": b64(by.clock.stamp(stamped, by.time))})
    return found


def _bundle(by: By, content: bytes) -> bytes:
    envelope = payloads.envelope(content, by.key)
    material: dict[str, Any] = {"publicKey": {"hint": by.key.hint}}
    if by.chain:
        material = {"x509CertificateChain": certificates(*(one.der for one in by.chain))}
    if by.log:
        material["tlogEntries"] = [by.log.entry(rekor.dsse(b"", envelope, by.verifier), int(by.time))]
    if by.clock:
        stamp = by.clock.stamp(raw_signature(envelope), by.time)
        material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": b64(stamp)}]}
    return payloads.encode(
        {"mediaType": SIGSTORE_BUNDLE, "verificationMaterial": material, **payloads.bundle_envelope(envelope)}
    )


def signature_tag(signer: Signer, image: Image, by: By) -> None:
    claim = payloads.claim(image.digest, str(image.repository))
    signature = by.key.sign(claim)
    entry = rekor.hashedrekord(claim, signature, by.verifier)
    hints = {COSIGN_SIGNATURE: b64(signature), **_annotations(by, entry, signature)}
    signer.append(image, "sig", SIMPLE_SIGNING, claim, hints)


def signature_bundle(signer: Signer, image: Image, by: By) -> None:
    signer.refer(image, SIGSTORE_BUNDLE, _bundle(by, statement(COSIGN_SIGN, {}, image.digest)), {})


def attestation_tag(signer: Signer, image: Image, by: By) -> None:
    """The timestamp of a stored envelope is over all of its bytes, not over its signature."""
    envelope = payloads.envelope(statement(SPDX, {}, image.digest), by.key)
    stored = payloads.encode(envelope)
    signer.append(image, "att", DSSE, stored, _annotations(by, rekor.dsse(stored, envelope, by.verifier), stored))


def attestation_bundle(signer: Signer, image: Image, by: By) -> None:
    signer.refer(image, SIGSTORE_BUNDLE, _bundle(by, statement(SPDX, {}, image.digest)), {})


_SIGNED: Final = {"name": "proof", "signature": {}}
_ATTESTED: Final = {"name": "proof", "attestation": {"predicateType": SPDX}}

PLACES: Final[Mapping[str, tuple[Callable[[Signer, Image, By], None], dict[str, Any]]]] = {
    "signature in a tag": (signature_tag, _SIGNED),
    "signature in a bundle": (signature_bundle, _SIGNED),
    "attestation in a tag": (attestation_tag, _ATTESTED),
    "attestation in a bundle": (attestation_bundle, _ATTESTED),
}
"""Who writes it, and the requirement that it meets."""
