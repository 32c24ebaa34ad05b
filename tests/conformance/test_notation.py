"""The Notary Project's own envelopes (notation-go), each right and each refused for its reason."""

import json
from pathlib import Path
from typing import Final

import pytest

from controller import certificates
from controller.certificates import Certificate
from controller.errors import Code, Refused
from controller.evidence import Claim, Evidence, Format, Material, Needs, NotationEnvelope, Origin, Target, Verified
from controller.formats import cose, jws, notation
from controller.reference import Digest, Repository
from controller.settings import Limits
from controller.verify import subject
from controller.verify.pki import Level, Revocation, Stores, read_store
from controller.verify.x509 import X509Authority

FOLDER: Final = Path(__file__).parents[2].parent / "shared" / "conformance" / "notation"
LIMITS: Final = Limits()
ORIGIN: Final = Origin(Repository("registry.example.com", "net-monitor"), Digest.of(b"manifest"), "referrer sha256:…")
NOW: Final = 1795000000.0  # 2026-11-18
REFUSED: Final = {
    "ca_expired_sig_env.json": Code.SIGNATURE_EXPIRED,
    "ca_invalid_sig_env.json": Code.MALFORMED,
    "ca_plugin_sig_env.json": Code.PLUGIN_REQUIRED,
}
OF_AUTHORITY: Final = frozenset({"sa_valid_sig_env.json"})
ENVELOPES: Final = sorted(path.name for path in FOLDER.glob("*") if path.suffix in {".json", ".sig"})

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the shared conformance data is not here")


def opened(name: str) -> notation.Opened:
    raw = (FOLDER / name).read_bytes()
    return jws.open_envelope(raw, LIMITS) if raw.startswith(b"{") else cose.open_envelope(raw, LIMITS)


def described(name: str) -> tuple[Digest, Target]:
    artifact = json.loads(opened(name if name not in REFUSED else "ca_valid_sig_env.json").payload)["targetArtifact"]
    return Digest.parse(artifact["digest"]), Target(artifact["mediaType"], artifact["size"])


def evidence(name: str, target: Target | None) -> Evidence:
    raw = (FOLDER / name).read_bytes()
    content = NotationEnvelope(notation.JWS if raw.startswith(b"{") else notation.COSE, raw, target)
    return Evidence.of(Format.NOTATION, ORIGIN, content, Material())


def store(file: str) -> tuple[Certificate, ...]:
    return read_store((FOLDER / file).read_bytes(), "stores.ca", LIMITS)


def anchors(name: str) -> tuple[Certificate, ...]:
    """The root of the envelopes ending in `_env.json`; the others are signed by a certificate that is its own root."""
    if name.endswith("_env.json"):
        return store("NotationTestRoot.pem")
    return (certificates.parse(opened(name).chain[-1], "root", limit=LIMITS.certificate_bytes),)


def trusted(name: str) -> Stores:
    found = anchors(name)
    return Stores(signing_authority=found) if name in OF_AUTHORITY else Stores(ca=found, tsa=store("globalsignRoot.cer"))


def authority(
    stores: Stores,
    identity: str = "C=US, ST=WA, O=Notary",
    *,
    level: Level = Level.STRICT,
    revocation: Revocation = Revocation.STRICT,
) -> X509Authority:
    return X509Authority("notary", stores, subject.parse_all([identity]), level=level, revocation=revocation)


def judged(name: str, judge: X509Authority, now: float = NOW) -> Verified:
    digest, target = described(name)
    (fact,) = judge.judge(evidence(name, target), digest, now)
    return fact


def test_all_of_them_are_here() -> None:
    assert len(ENVELOPES) == 9


@pytest.mark.parametrize("name", [name for name in ENVELOPES if name not in REFUSED and "WithTimestamp" not in name])
def test_valid(name: str) -> None:
    fact = judged(name, authority(trusted(name)))
    assert fact.claim is Claim.SIGNATURE
    assert fact.digest == described(name)[0]
    assert fact.warnings == ()
    assert fact.signer.id.startswith("x509:sha256:")


@pytest.mark.parametrize("name", ["jwsWithTimestamp.sig", "coseWithTimestamp.sig"])
class TestTimestamped:
    def test_valid(self, name: str) -> None:
        fact = judged(name, authority(trusted(name), revocation=Revocation.SKIP))
        assert fact.valid_until == float("inf"), "a proven time holds after the certificate has expired"

    def test_after_the_certificate_expired(self, name: str) -> None:
        later = 2100000000.0  # 2036; the certificate ended in 2033
        assert judged(name, authority(trusted(name), revocation=Revocation.SKIP), later).claim is Claim.SIGNATURE
        with pytest.raises(Refused) as caught:
            judged(name, authority(Stores(ca=anchors(name)), revocation=Revocation.SKIP), later)
        assert caught.value.reason.code is Code.OUTSIDE_VALIDITY

    def test_the_authority_of_time_can_be_revoked(self, name: str) -> None:
        with pytest.raises(Needs) as caught:
            judged(name, authority(trusted(name)))
        assert [question.url for question in caught.value.questions] == [
            "http://ocsp2.globalsign.com/rootr6",
            "http://ocsp.globalsign.com/ca/gstsacasha384g4",
        ], "root first"

    def test_under_another_authority_of_time(self, name: str) -> None:
        stores = Stores(ca=anchors(name), tsa=store("NotationTestRoot.pem"))
        with pytest.raises(Refused) as caught:
            judged(name, authority(stores))
        assert caught.value.reason.code is Code.TIMESTAMP_UNTRUSTED


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    with pytest.raises(Refused) as caught:
        judged(name, authority(trusted(name)))
    assert caught.value.reason.code is REFUSED[name]


def test_expired_counts_before_it_expired() -> None:
    before = 1659100000.0  # 2022-07-29
    fact = judged("ca_expired_sig_env.json", authority(trusted("ca_expired_sig_env.json")), before)
    assert fact.valid_until == 1659139140.0


@pytest.mark.parametrize("name", [name for name in ENVELOPES if name not in REFUSED])
def test_the_other_store_does_not_count(name: str) -> None:
    found = trusted(name)
    swapped = Stores(ca=found.signing_authority, signing_authority=found.ca)
    with pytest.raises(Refused) as caught:
        judged(name, authority(swapped))
    assert caught.value.reason.code is Code.CERTIFICATE_UNTRUSTED


@pytest.mark.parametrize("name", [name for name in ENVELOPES if name not in REFUSED])
def test_another_identity(name: str) -> None:
    with pytest.raises(Refused) as caught:
        judged(name, authority(trusted(name), "C=US, ST=WA, O=Notary, CN=somebody"))
    assert caught.value.reason.code is Code.WRONG_SUBJECT


@pytest.mark.parametrize("name", [name for name in ENVELOPES if name not in REFUSED])
def test_another_manifest(name: str) -> None:
    digest, target = described(name)
    judge = authority(trusted(name))
    others = (
        (Digest.of(b"another"), target),
        (digest, Target(target.media_type, target.size + 1)),
        (digest, Target("application/vnd.oci.image.index.v1+json", target.size)),
    )
    for subject_digest, manifest in others:
        with pytest.raises(Refused) as caught:
            judge.judge(evidence(name, manifest), subject_digest, NOW)
        assert caught.value.reason.code is Code.WRONG_DIGEST


def test_audit_reports_what_strict_refuses() -> None:
    fact = judged("ca_expired_sig_env.json", authority(Stores(ca=store("globalsignRoot.cer")), level=Level.AUDIT))
    assert [reason.code for reason in fact.warnings] == [Code.CERTIFICATE_UNTRUSTED, Code.SIGNATURE_EXPIRED]
    assert fact.signer.id == "x509:unauthenticated"
