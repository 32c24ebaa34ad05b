"""What an authority of OpenPGP keys says yes to, and why it says no. The library has a clock of its own: now is now."""

import json
import math
import sys
import time

import pytest
from pysequoia import Tsk

from controller.compile import compile_one
from controller.decision.report import Verdict
from controller.errors import Code, Invalid, Refused
from controller.evidence import Claim, Evidence, Format, Verified
from controller.reference import Digest, Reference
from controller.registry.discovery import Want
from controller.settings import Limits
from controller.verify.keyring import KeyRing
from controller.verify.openpgp import OpenPgpAuthority
from tests.fakes import evidence as cosign
from tests.fakes import keys
from tests.fakes.evidence import IMAGE, LIMITS, OTHER
from tests.fakes.openpgp import (
    NAME,
    armored,
    authority,
    claim,
    compressed,
    evidence,
    gnupg,
    key,
    revoked,
    ring,
    signature,
    signed,
)
from tests.fakes.policies import IMAGE_NAME, policy, reason_codes, spec, verdict, without
from tests.fakes.policies import authority as key_authority

DAY = 86400


def judged(judge: OpenPgpAuthority, piece: Evidence, subject: Digest = IMAGE, now: float | None = None) -> Verified:
    (fact,) = judge.judge(piece, subject, time.time() if now is None else now)
    return fact


def code(judge: OpenPgpAuthority, piece: Evidence, subject: Digest = IMAGE, now: float | None = None) -> Code:
    with pytest.raises(Refused) as caught:
        judge.judge(piece, subject, time.time() if now is None else now)
    return caught.value.reason.code


def test_signature_is_a_fact_about_digest_and_name() -> None:
    signer = key()
    fact = judged(authority(signer), signature(signer))
    assert (fact.digest, fact.claim, fact.format) == (IMAGE, Claim.SIGNATURE, Format.SIMPLE_SIGNING)
    assert fact.identity == Reference.parse(NAME)
    assert fact.signer.id == f"openpgp:{signer.extract_certificate().fingerprint}", "the primary's, not the subkey's"
    assert dict(fact.annotations) == {"creator": "podman 5"}
    assert fact.valid_until == math.inf


@pytest.mark.parametrize("version", [4, 6])
def test_any_one_key_of_the_ring_suffices(version: int) -> None:
    signers = [key(str(number), version=version) for number in range(5)]
    fact = judged(authority(*signers), signature(signers[3]))
    assert fact.signer.id == f"openpgp:{signers[3].extract_certificate().fingerprint}"


def test_wrong_key_says_whom_was_expected() -> None:
    judge = authority(key("a"), key("b"))
    with pytest.raises(Refused) as caught:
        judge.judge(signature(key("stranger")), IMAGE, time.time())
    reason = caught.value.reason
    assert reason.code is Code.WRONG_KEY
    assert reason.expected == judge.description
    assert judge.description.count("OpenPGP key") == 2


class TestClaim:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (claim(OTHER), Code.WRONG_DIGEST),
            (claim("sha256:" + "A" * 64), Code.WRONG_DIGEST),
            (claim(type="cosign container image signature"), Code.WRONG_PAYLOAD_TYPE),
            (claim(name="registry.example.com/UPPER"), Code.MALFORMED),
            (claim(name=""), Code.MALFORMED),
            (claim(extra=1), Code.MALFORMED),
            (claim(image={"docker-manifest-digest": str(IMAGE), "also": 1}), Code.MALFORMED),
            (claim(identity={"docker-reference": NAME, "also": 1}), Code.MALFORMED),
            (claim(identity={}), Code.MALFORMED),
            (claim(identity=[NAME]), Code.MALFORMED),
            ({**claim(), "more": {}}, Code.MALFORMED),
            ({"critical": claim()["critical"]}, Code.MALFORMED),
            ({**claim(), "optional": None}, Code.MALFORMED),
            (b"{", Code.MALFORMED),
            (b"[]", Code.MALFORMED),
            (json.dumps(claim()).encode()[:-1] + b',"optional":{}}', Code.AMBIGUOUS),
        ],
    )
    def test_each_deviation_alone_is_refused(self, content: dict[str, object] | bytes, expected: Code) -> None:
        assert code(authority(key()), evidence(signed(content, key()))) is expected

    def test_cosign_claim_signed_with_openpgp_is_none(self) -> None:
        piece = evidence(signed({**claim(), "critical": {**claim()["critical"], "type": 7}}, key()))
        assert code(authority(key()), piece) is Code.MALFORMED

    def test_other_formats_are_not_judged(self) -> None:
        assert code(authority(key()), cosign.signature(keys.signing_key())) is Code.WRONG_FORMAT
        with pytest.raises(Refused) as caught:
            cosign.authority(keys.signing_key()).judge(signature(key()), IMAGE, time.time())
        assert caught.value.reason.code is Code.WRONG_FORMAT


class TestTime:
    def test_expired_key(self) -> None:
        signer = key("brief", days=10)
        judge, piece = authority(signer), signature(signer)
        fact = judged(judge, piece)
        assert time.time() + 9 * DAY < fact.valid_until <= time.time() + 10 * DAY
        assert code(judge, piece, now=fact.valid_until) is Code.OUTSIDE_VALIDITY
        assert judged(judge, piece, now=fact.valid_until - 1).identity

    def test_signature_from_the_future(self) -> None:
        judge, piece = authority(key()), signature(key())
        assert judged(judge, piece, now=time.time() - LIMITS.clock_skew / 2).identity
        assert code(judge, piece, now=time.time() - DAY) is Code.OUTSIDE_VALIDITY

    def test_revoked_key(self) -> None:
        signer = key("left")
        piece = signature(signer)
        assert judged(authority(signer), piece).identity
        assert code(authority(revoked(signer)), piece) is Code.REVOKED

    def test_a_revocation_in_either_copy_counts(self) -> None:
        signer = key("left")
        for copies in ((signer, revoked(signer)), (revoked(signer), signer)):
            assert code(authority(*copies), signature(signer)) is Code.REVOKED
            assert authority(*copies).description == authority(signer).description

    def test_one_revoked_key_leaves_the_others(self) -> None:
        assert judged(authority(revoked(key("left")), key()), signature(key())).identity


class TestGnuPG:
    @pytest.mark.parametrize("name", ["zip", "piped", "zlib", "bzip2", "bare", "text", "rsa", "brief"])
    def test_what_it_signs_is_verified(self, name: str) -> None:
        fact = judged(authority(gnupg("release.ring")), evidence(gnupg(f"{name}.sig")), now=_made())
        assert fact.identity == Reference.parse(NAME)
        assert fact.signer.id == judged(authority(gnupg("release.ring")), evidence(gnupg("zip.sig"))).signer.id

    @pytest.mark.parametrize("name", ["armored", "clear", "detached", "unsigned", "two"])
    def test_what_is_no_message_with_one_signature_is_refused(self, name: str) -> None:
        with pytest.raises(Refused) as caught:
            evidence(gnupg(f"{name}.sig"))
        assert caught.value.reason.code is Code.MALFORMED

    @pytest.mark.parametrize(
        ("name", "expected"),
        [("left", Code.REVOKED), ("rotated", Code.REVOKED), ("old", Code.OUTSIDE_VALIDITY)],
    )
    def test_keys_that_are_no_longer_good(self, name: str, expected: Code) -> None:
        """Revoked altogether, a revoked subkey, a key that expired in 2021 and signed in 2020."""
        assert code(authority(gnupg(f"{name}.ring")), evidence(gnupg(f"{name}.sig"))) is expected

    def test_expired_signature(self) -> None:
        judge, piece = authority(gnupg("release.ring")), evidence(gnupg("brief.sig"))
        assert code(judge, piece, now=_made() + 2 * DAY) is Code.SIGNATURE_EXPIRED

    def test_sha1_is_not_believed(self) -> None:
        assert code(authority(gnupg("release.ring")), evidence(gnupg("sha1.sig"))) is Code.SIGNATURE_INVALID


def _made() -> float:
    """When GnuPG wrote its files, give or take an hour."""
    return 1_795_390_000.0


class TestCompression:
    @pytest.mark.parametrize("algorithm", [0, 1, 2, 3])
    def test_each_algorithm(self, algorithm: int) -> None:
        assert judged(authority(key()), evidence(compressed(signed(claim(), key()), algorithm))).identity

    def test_twice_is_refused(self) -> None:
        with pytest.raises(Refused) as caught:
            evidence(compressed(compressed(signed(claim(), key()))))
        assert caught.value.reason.code is Code.MALFORMED

    @pytest.mark.parametrize("tail", [b"x", b"\x00" * 9])
    def test_bytes_behind_it_are_refused(self, tail: bytes) -> None:
        with pytest.raises(Refused) as caught:
            evidence(compressed(signed(claim(), key())) + tail)
        assert caught.value.reason.code is Code.MALFORMED


class TestKeyRing:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"not a key",
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
            bytes(key()),
            str(key()).encode(),
            bytes(key().extract_certificate())[:-10],
            signed(claim(), key()),
        ],
        ids=["empty", "text", "no packets", "private", "private armored", "cut", "message"],
    )
    def test_what_is_no_ring_of_public_keys_is_invalid(self, data: bytes) -> None:
        with pytest.raises(Invalid) as caught:
            KeyRing.parse(data, "spec.authorities[0].openpgp.keyring.armored", LIMITS)
        assert caught.value.reason.code is Code.INVALID_KEY
        assert caught.value.field.startswith("spec.authorities[0].openpgp")

    def test_armor_in_one_block_and_in_many(self) -> None:
        several = "\n".join(str(key(name).extract_certificate()) for name in "ab").encode()
        assert len(KeyRing.parse(several, "f", LIMITS).certificates) == 2
        assert (
            KeyRing.parse(several, "f", LIMITS).fingerprint
            == KeyRing.parse(ring(key("b"), key("a")), "f", LIMITS).fingerprint
        )

    def test_fingerprint_changes_with_what_is_believed(self) -> None:
        rings = [ring(key("a")), ring(key("b")), ring(key("a"), key("b")), revoked(key("a"))]
        assert len({authority(one).fingerprint for one in rings}) == len(rings)

    @pytest.mark.parametrize("limits", [Limits(keyring_keys=1), Limits(keyring_bytes=100)])
    def test_limits(self, limits: Limits) -> None:
        with pytest.raises(Invalid) as caught:
            KeyRing.parse(ring(key("a"), key("b")), "f", limits)
        assert caught.value.reason.code is Code.INVALID_KEY

    def test_without_the_library_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pysequoia", None)
        with pytest.raises(Invalid) as caught:
            KeyRing.parse(ring(_fresh()), "spec.authorities[0].openpgp", LIMITS)
        assert caught.value.reason.code is Code.NOT_INSTALLED
        assert "sigward[openpgp]" in caught.value.reason.expected


def _fresh() -> Tsk:
    return key("release")


class TestPolicy:
    def written(self, **fields: object) -> dict[str, object]:
        return {"name": "vendor", "openpgp": {"keyring": {"armored": armored(key())}}, **fields}

    @pytest.mark.parametrize("kind", ["attestation", "sbom"])
    def test_a_requirement_that_it_can_never_meet_is_invalid(self, kind: str) -> None:
        rule = {"of": ["vendor"], **({"predicateType": "vuln"} if kind == "attestation" else {})}
        error = refused(spec(self.written(), require=[{"name": "a", kind: rule}]))
        assert (error.field, error.reason.code) == (f"spec.require[0].{kind}.of[0]", Code.INVALID_POLICY)

    def test_no_log_holds_its_signatures(self) -> None:
        error = refused(spec(self.written(transparencyLog="Required")))
        assert (error.field, error.reason.code) == ("spec.authorities[0].transparencyLog", Code.INVALID_POLICY)

    def test_a_bad_key_ring_is_named(self) -> None:
        error = refused(spec({"name": "vendor", "openpgp": {"keyring": {"armored": "x"}}}))
        assert (error.field, error.reason.code) == ("spec.authorities[0].openpgp.keyring.armored", Code.INVALID_KEY)

    def test_a_revoked_primary_key_is_not_believed_whoever_trusts_it(self) -> None:
        signed_by = key().extract_certificate().fingerprint
        trusting = policy(spec(self.written()))
        piece = signature(key(), name=f"{IMAGE_NAME}:latest")
        assert verdict(trusting, piece).verdict is Verdict.ALLOW
        revoking = policy(without(spec(revoked={"keys": [f"openpgp:{signed_by}"]}), "authorities"), "revoking")
        report = verdict([trusting, revoking], piece)
        assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.REVOKED})
        another = policy(without(spec(revoked={"keys": [f"openpgp:{'0' * 40}"]}), "authorities"), "revoking")
        assert verdict([trusting, another], piece).verdict is Verdict.ALLOW

    @pytest.mark.parametrize("mark", ["openpgp:" + "A" * 40, "openpgp:" + "0" * 16, "OPENPGP:" + "0" * 40, "0" * 40])
    def test_revoked_keys_are_named_in_full(self, mark: str) -> None:
        assert refused(spec(revoked={"keys": [mark]})).field == "spec.revoked.keys[0]"

    def test_only_what_it_can_use_is_fetched(self) -> None:
        one = compile_one(policy(spec(self.written())), LIMITS)
        assert one.wants == {Want.SIMPLE_SIGNING}
        signature = {"name": "a", "signature": {"of": ["vendor", "release"]}}
        two = compile_one(policy(spec(self.written(), key_authority(), require=[signature])), LIMITS)
        assert two.wants == {Want.SIMPLE_SIGNING, Want.SIGNATURES}
        bill = {"name": "b", "sbom": {"of": ["release"]}}
        both = compile_one(policy(spec(self.written(), key_authority(), require=[bill])), LIMITS)
        assert both.wants == {Want.ATTESTATIONS}

    def test_without_the_library_the_policy_is_broken_and_refuses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written = spec(self.written())
        monkeypatch.setitem(sys.modules, "pysequoia", None)
        assert refused(written).reason.code is Code.NOT_INSTALLED
        report = verdict(policy(written), signature(key()))
        assert report.verdict is Verdict.DENY
        assert reason_codes(report) == {Code.NOT_INSTALLED}


def refused(written: dict[str, object]) -> Invalid:
    with pytest.raises(Invalid) as caught:
        compile_one(policy(written), LIMITS)
    return caught.value
