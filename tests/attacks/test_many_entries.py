"""Attack 9: thousands of log entries or timestamps in one bundle (CVE-2024-45395)."""

import dataclasses

import pytest

from controller.errors import Code, Refused
from controller.evidence import Evidence
from controller.settings import Limits
from controller.verify import merkle
from tests.fakes.evidence import IMAGE
from tests.fakes.sigstore import NOW, PrivateSigstore, evidence

MANY = 10_000


def with_material(piece: Evidence, **changes: object) -> Evidence:
    return dataclasses.replace(piece, material=dataclasses.replace(piece.material, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("what", ["tlogEntries", "rfc3161Timestamps"])
def test_they_are_counted_before_any_is_read(what: str) -> None:
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement(stamps=1)
    material = bundle["verificationMaterial"]
    if what == "tlogEntries":
        material[what] *= MANY
    else:
        material["timestampVerificationData"][what] *= MANY
    with pytest.raises(Refused) as caught:
        evidence(bundle)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED
    assert (what in caught.value.reason.message, caught.value.reason.found) == (True, str(MANY))


@pytest.mark.parametrize("what", ["log_entries", "timestamps"])
def test_the_judge_counts_for_itself(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sigstore = PrivateSigstore()
    piece = evidence(sigstore.sign_statement(stamps=1))
    many = with_material(piece, **{what: getattr(piece.material, what) * MANY})
    monkeypatch.setattr(merkle, "check_inclusion", None)  # reading the first entry would break off
    with pytest.raises(Refused) as caught:
        sigstore.authority().judge(many, IMAGE, NOW)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


def test_as_many_as_allowed_are_judged() -> None:
    most = Limits().log_entries_per_bundle
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement(["dsse"] * most, stamps=most)
    (fact,) = sigstore.authority().judge(evidence(bundle), IMAGE, NOW)
    assert fact.digest == IMAGE


def test_signature_lines_of_a_checkpoint_are_counted() -> None:
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement(["hashedrekord 2"], stamps=1)
    proof = bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]
    proof["checkpoint"]["envelope"] += "\u2014 witness.example.com AAAAAAAAAAAA\n" * 100
    with pytest.raises(Refused) as caught:
        sigstore.authority().judge(evidence(bundle), IMAGE, NOW)
    assert (caught.value.reason.code, caught.value.reason.found) == (Code.LIMIT_EXCEEDED, "102")


def test_hashes_of_a_proof_are_counted() -> None:
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement()
    bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["hashes"] *= 100
    with pytest.raises(Refused) as caught:
        sigstore.authority().judge(evidence(bundle), IMAGE, NOW)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED
