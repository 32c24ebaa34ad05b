"""What one judgement costs for each format: evidence in memory, keys, certificates and roots parsed once, no I/O."""

import statistics
import time
from collections.abc import AsyncIterator, Callable

from bench.table import Row
from controller.demo.signingkeys import KeyType
from controller.evidence import Evidence, Judge
from controller.policy.predicate_types import CYCLONEDX
from controller.verify import subject
from controller.verify.pki import Stores
from controller.verify.x509 import X509Authority
from tests.fakes import evidence as keyed
from tests.fakes import notation, openpgp, pki, sigstore
from tests.fakes.evidence import IMAGE
from tests.fakes.keys import signing_key

_RUNS = 200


async def rows() -> AsyncIterator[Row]:
    """Every format; the first row is what the others are compared with."""
    first = 0.0
    for name, judge, found, now in _cases():
        taken = _median(lambda judge=judge, found=found, now=now: judge.judge(found, IMAGE, now))  # type: ignore[misc]
        first = first or taken
        yield Row(f"verification, {name}", f"{1e3 * taken:.2f} ms, {taken / first:.1f} x the first", "", None)


def _cases() -> list[tuple[str, Judge, Evidence, float]]:
    now = 0.0
    cases: list[tuple[str, Judge, Evidence, float]] = []
    for kind in (KeyType.P256, KeyType.ED25519, KeyType.RSA2048, KeyType.ML_DSA_65):
        key = signing_key("bench", kind)
        cases.append((f"cosign signature, key {kind}", keyed.authority(key), keyed.signature(key), now))
    key = signing_key("bench")
    cases.append(("bundle, key ecdsa-p256", keyed.authority(key), keyed.image_bundle(key), now))
    parts = [
        {"type": "library", "name": f"part-{number}", "version": "1.0", "purl": f"pkg:generic/part-{number}@1.0"}
        for number in range(2000)
    ]
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": parts}
    signed = keyed.attestation(keyed.statement(CYCLONEDX, bill), key)
    cases.append(
        (f"SBOM of 2,000 components ({signed.size // 1024} KiB), key ecdsa-p256", keyed.authority(key), signed, now)
    )
    private = sigstore.PrivateSigstore()
    ci = private.authority()
    for name, document in (
        ("bundle, keyless, Rekor 1", private.sign_statement()),
        ("bundle, keyless, Rekor 2 and a timestamp", private.sign_statement(("dsse 2",), stamps=1)),
    ):
        cases.append((name, ci, sigstore.evidence(document), sigstore.NOW))
    layer = sigstore.signature_layer(*private.sign_layer())
    cases.append(("cosign signature, keyless, signed entry and a timestamp", ci, layer, sigstore.NOW))
    company = X509Authority("pki", Stores(ca=(pki.root().read,)), subject.parse_all(("C=DE, ST=Berlin, O=Acme",)))
    cases += [
        (f"Notary Project, {form}", company, notation.evidence(form, pki.signer()), pki.NOW) for form in notation.FORMATS
    ]
    vendor = openpgp.key("bench")
    cases.append(("OpenPGP simple signing", openpgp.authority(vendor), openpgp.signature(vendor), time.time()))
    return cases


def _median(judge: Callable[[], object]) -> float:
    taken = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        judge()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
