"""Every format, every element, counted: whatever is changed ends in a fact, a refusal, "not decided" or "invalid".

And a fact is only ever the one that was signed. `make test` hits every element of every specimen at least once; with
SIGWARD_LONG (`make test-long`) it makes 100,000 mutations in all.
"""

import base64
import json
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pytest

from controller import certificates, roots
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGNATURE, DSSE, SIGSTORE_BUNDLE, SIMPLE_SIGNING
from controller.errors import Code, Invalid, Refused, SigwardError, Undecided
from controller.evidence import Evidence, Judge, Needs, Verified
from controller.formats import notation
from controller.roots import TrustedRoot
from controller.verify import subject
from controller.verify.keyless import KeylessAuthority
from controller.verify.pki import Stores
from controller.verify.x509 import X509Authority
from tests.fakes import mutations, openpgp
from tests.fakes.authorities import b64
from tests.fakes.evidence import IMAGE, LIMITS, attachment, authority, one, statement
from tests.fakes.keys import signing_key
from tests.fakes.notation import Wanted, envelope, wrapped
from tests.fakes.pki import NOW, Says, ocsp_answer, revocation_list, root, signer
from tests.fakes.sigstore import CERTIFICATE, CHAIN, ENTRY, PrivateSigstore, signature_layer, trusted
from tests.fakes.sigstore import NOW as LATER
from tests.fakes.timestamps import Odd, TimestampAuthority
from tests.unit import test_company_pki as company

pytestmark = pytest.mark.filterwarnings("ignore:.*:cryptography.utils.CryptographyDeprecationWarning")

ALL: Final = 100_000
LONG: Final = bool(os.environ.get("SIGWARD_LONG"))
Outcome = Verified | TrustedRoot | Code
Mutate = Callable[[bytes, random.Random], Iterator[tuple[int, bytes]]]

KEY: Final = signing_key()
SIGSTORE: Final = PrivateSigstore()
CLOCK: Final = TimestampAuthority("counted")
PGP: Final = openpgp.key()
CONTENT: Final = statement("https://example.com/predicate", {"a": [1, {"b": "c"}]})
REKOR_1: Final = SIGSTORE.sign_statement(["dsse"], content=CONTENT)
REKOR_2: Final = SIGSTORE.sign_statement(["hashedrekord 2"], stamps=1, content=CONTENT)
LAYER: Final = SIGSTORE.sign_layer()
STAMP_PATH: Final = ("verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", 0, "signedTimestamp")
OCSP: Final = "http://ocsp.acme.example/"
LIST: Final = "http://crl.acme.example/"


@dataclass(frozen=True, slots=True)
class Specimen:
    """Bytes of one format, how they are changed, and who judges what comes out; `least` elements it has for sure."""

    original: bytes
    mutate: Mutate
    outcome: Callable[[bytes], Outcome]
    least: int


def judged(judge: Judge, now: float, evidence: Callable[[bytes], Evidence], raw: bytes, answer: bytes = b"") -> Outcome:
    """The fact, or the code of what was said instead; anything else that is raised fails the test."""
    try:
        ask: Callable[[], tuple[Verified, ...]] = partial(judge.judge, evidence(raw), IMAGE, now)
        for _ in range(3):
            try:
                return ask()[0]
            except Needs as needs:
                ask = partial(needs.resume, dict.fromkeys(needs.questions, answer))
    except (Refused, Invalid, Undecided) as error:
        return code_of(error)
    return Code.REVOCATION_UNKNOWN


def code_of(error: SigwardError) -> Code:
    """Its code; the catch-all for faults of ours is one."""
    assert error.reason.code is not Code.INTERNAL, error
    return error.reason.code


def at(document: Any, path: Iterable[Any]) -> Any:
    for step in path:
        document = document[step]
    return document


def inside(document: dict[str, Any], path: tuple[Any, ...]) -> Callable[[bytes], Evidence]:
    """A bundle with other bytes at `path`."""
    return lambda raw: one(
        attachment(SIGSTORE_BUNDLE, json.dumps(mutations.changed(document, path, lambda _: b64(raw))).encode())
    )


def claim(raw: bytes) -> Evidence:
    good = payloads.signature(payloads.claim(IMAGE, "registry.example.com/shop/web"), KEY)
    return one(attachment(SIMPLE_SIGNING, raw, {COSIGN_SIGNATURE: good}))


def dsse(raw: bytes) -> Evidence:
    return one(attachment(DSSE, raw))


def bundled(raw: bytes) -> Evidence:
    return one(attachment(SIGSTORE_BUNDLE, raw))


def logged(raw: bytes) -> Evidence:
    payload, annotations = LAYER
    return signature_layer(payload, {**annotations, ENTRY: raw.decode(errors="surrogateescape")})


def bundle_of(version: str) -> bytes:
    document = json.loads(payloads.bundle(payloads.bundle_envelope(payloads.envelope(CONTENT, KEY)), KEY.hint))
    document["mediaType"] = f"application/vnd.dev.sigstore.bundle+json;version={version}"
    return json.dumps(document).encode()


def company_layer(hint: str, of: bytes, raw: bytes) -> Evidence:
    """A cosign signature whose certificate or chain annotation holds other DER."""
    content = payloads.claim(IMAGE, "registry.example.com/shop/web")
    by = signer()
    hints = {**company.beside(by, *by.chain[1:]), COSIGN_SIGNATURE: payloads.signature(content, company.key(by))}
    written = base64.encodebytes(raw).decode()
    hints[hint] = hints[hint].replace(
        certificates_pem(of), f"-----BEGIN CERTIFICATE-----\n{written}-----END CERTIFICATE-----\n"
    )
    return one(attachment(SIMPLE_SIGNING, content, hints))


def certificates_pem(raw: bytes) -> str:
    return next(one.pem.decode() for one in signer().chain if one.der == raw)


def chained(raw: bytes) -> Evidence:
    chain = [raw, *(one.der for one in signer().chain[1:])]
    return wrapped(notation.JWS, envelope(notation.JWS, signer(), Wanted(chain=chain)))


def answered(place: str) -> tuple[Evidence, bytes]:
    by = signer(ocsp=(OCSP,)) if place == "ocsp" else signer(lists=(LIST,))
    found = wrapped(notation.JWS, envelope(notation.JWS, by))
    return found, ocsp_answer(by, Says("good")) if place == "ocsp" else revocation_list(by, Says("good"))


def replied(judge: Judge, found: Evidence, raw: bytes) -> Outcome:
    """What the responder's answer makes of a signature."""
    return judged(judge, NOW, lambda _: found, b"", raw)


def rooted(raw: bytes) -> Outcome:
    """A trusted root that can be read is asked to judge, too."""
    try:
        read = roots.parse(raw, "private", LIMITS)
        judge = KeylessAuthority("ci", read, [trusted()], log_required=True, limits=LIMITS)
    except Invalid as error:
        return code_of(error)
    return judged(judge, LATER, bundled, json.dumps(REKOR_1).encode())


def company_judge() -> X509Authority:
    clock = certificates.parse(CLOCK.root.der, "clock", limit=LIMITS.certificate_bytes)
    return X509Authority("pki", Stores(ca=(root().read,), tsa=(clock,)), subject.parse_all(["C=DE, ST=Berlin, O=Acme"]))


def specimens() -> dict[str, Specimen]:
    keyed, keyless, pki = authority(KEY), SIGSTORE.authority(), company_judge()
    stamped = Wanted(expiry=NOW + 3600, stamp=lambda raw: CLOCK.token(raw, NOW - 60, Odd(embedded=(CLOCK.signer.der,))))
    leaf = ("verificationMaterial", "certificate", "rawBytes")
    token, certificate = (base64.b64decode(at(*place)) for place in ((REKOR_2, STAMP_PATH), (REKOR_1, leaf)))
    by_key, by_identity, by_company = (partial(judged, *who) for who in ((keyed, LATER), (keyless, LATER), (pki, NOW)))
    envelope_ = payloads.encode(payloads.envelope(CONTENT, KEY))
    text, binary = (envelope(form, signer(), stamped) for form in (notation.JWS, notation.COSE))
    own, above = signer().chain[0].der, signer().chain[1].der
    pgp = openpgp.authority(PGP)
    octets, der_, json_ = mutations.of_octets, mutations.of_der, mutations.of_json
    answers = {place: answered(place) for place in ("ocsp", "list")}
    return {
        "cosign claim": Specimen(payloads.claim(IMAGE, "registry.example.com/shop/web"), json_, partial(by_key, claim), 7),
        "DSSE": Specimen(envelope_, json_, partial(by_key, dsse), 6),
        **{
            f"bundle {version}": Specimen(bundle_of(version), json_, partial(by_key, bundled), 9)
            for version in ("0.1", "0.2", "0.3")
        },
        "keyless, Rekor 1": Specimen(json.dumps(REKOR_1).encode(), json_, partial(by_identity, bundled), 25),
        "keyless, Rekor 2": Specimen(json.dumps(REKOR_2).encode(), json_, partial(by_identity, bundled), 25),
        "log entry beside a cosign signature": Specimen(LAYER[1][ENTRY].encode(), json_, partial(by_identity, logged), 7),
        "signing certificate": Specimen(certificate, der_, partial(by_identity, inside(REKOR_1, leaf)), 60),
        "timestamp": Specimen(token, der_, partial(by_identity, inside(REKOR_2, STAMP_PATH)), 60),
        "trusted root": Specimen(json.dumps(SIGSTORE.document()).encode(), json_, rooted, 60),
        "company certificate": Specimen(own, der_, partial(by_company, partial(company_layer, CERTIFICATE, own)), 40),
        "company chain": Specimen(above, der_, partial(by_company, partial(company_layer, CHAIN, above)), 40),
        "Notary JWS": Specimen(text, json_, partial(by_company, partial(wrapped, notation.JWS)), 9),
        "Notary COSE": Specimen(binary, mutations.of_cbor, partial(by_company, partial(wrapped, notation.COSE)), 9),
        "Notary certificate": Specimen(own, der_, partial(by_company, chained), 40),
        **{
            f"answer about a certificate ({place})": Specimen(answer, der_, partial(replied, pki, found), 25)
            for place, (found, answer) in answers.items()
        },
        "OpenPGP message": Specimen(
            openpgp.signed(openpgp.claim(), PGP), octets, partial(judged, pgp, time.time() + 60, openpgp.evidence), 300
        ),
        "OpenPGP message, compressed": Specimen(
            openpgp.compressed(openpgp.signed(openpgp.claim(), PGP)),
            octets,
            partial(judged, pgp, time.time() + 60, openpgp.evidence),
            200,
        ),
    }


SPECIMENS: Final = specimens()


def same(one: Outcome, other: Outcome) -> bool:
    """Whether two facts say the same of the same image by the same signer."""
    if not isinstance(one, Verified) or not isinstance(other, Verified):
        return False
    parts = ("digest", "authority", "signer", "claim", "predicate_type", "predicate", "annotations", "identity")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


@pytest.mark.parametrize("name", SPECIMENS)
def test_every_element_is_hit_and_nothing_but_what_was_signed_is_believed(name: str) -> None:
    specimen = SPECIMENS[name]
    genuine = specimen.outcome(specimen.original)
    assert isinstance(genuine, Verified)
    elements = mutations.count(specimen.mutate, specimen.original)
    assert elements >= specimen.least
    rounds = max(2 * elements, ALL // len(SPECIMENS) + 1 if LONG else 0)
    hit: set[int] = set()
    believed = made = 0
    for number, changed in specimen.mutate(specimen.original, random.Random(name)):
        if made == rounds:
            break
        made += 1
        hit.add(number)
        outcome = specimen.outcome(changed)
        if not isinstance(outcome, Code):
            believed += 1
            assert same(outcome, genuine), changed
    assert len(hit) == elements
    assert believed < made / 2  # a judge that believes anything would pass the comparison above


def test_the_long_search_is_as_long_as_it_says() -> None:
    assert len(SPECIMENS) * (ALL // len(SPECIMENS) + 1) >= ALL
