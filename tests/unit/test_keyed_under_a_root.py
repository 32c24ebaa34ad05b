"""Keys whose signatures a trusted root says more about: logs, proven times, and windows of the keys themselves."""

import math
from typing import Any

import pytest

from controller import keys
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, COSIGN_SIGNATURE, SIGSTORE_BUNDLE
from controller.demo.signingkeys import SigningKey
from controller.errors import Code, Reason, Refused
from controller.evidence import Evidence
from controller.keys import NamedKey
from controller.roots import TrustedRoot
from controller.validity import ALWAYS, Window
from controller.verify.keyed import KeyedAuthority
from tests.fakes import rekor
from tests.fakes.authorities import T0, b64
from tests.fakes.evidence import IMAGE, attestation, statement
from tests.fakes.keys import signing_key
from tests.fakes.sigstore import ENTRY, NOW, PrivateSigstore, evidence, raw_signature, signature_layer

SIGSTORE = PrivateSigstore()
ROOT = SIGSTORE.root()
KEY = signing_key("managed")


def authority(
    *, root: TrustedRoot | None = ROOT, window: Window = ALWAYS, log_required: bool = False, key: SigningKey = KEY
) -> KeyedAuthority:
    named = NamedKey("h1", keys.parse(key.public_pem.encode()), window)
    return KeyedAuthority("release", [named], root=root, log_required=log_required)


def keyed_bundle(*, logged: bool = True, stamp: float | None = None) -> dict[str, Any]:
    envelope = payloads.envelope(statement(COSIGN_SIGN), KEY)
    material: dict[str, Any] = {}
    if logged:
        material["tlogEntries"] = [SIGSTORE.rekor1.entry(rekor.dsse(b"", envelope, KEY.public_pem.encode()))]
    if stamp is not None:
        stamped = b64(SIGSTORE.tsa.stamp(raw_signature(envelope), stamp))
        material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": stamped}]}
    return {
        "mediaType": SIGSTORE_BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": KEY.hint}, **material},
        **payloads.bundle_envelope(envelope),
    }


def refusal(judge: KeyedAuthority, piece: Evidence, now: float = NOW) -> Reason:
    with pytest.raises(Refused) as caught:
        judge.judge(piece, IMAGE, now)
    return caught.value.reason


def test_a_log_that_is_asked_for() -> None:
    (fact,) = authority(log_required=True).judge(evidence(keyed_bundle()), IMAGE, NOW)
    assert (fact.digest, fact.valid_until) == (IMAGE, math.inf)
    assert refusal(authority(log_required=True), evidence(keyed_bundle(logged=False))).code is Code.LOG_REQUIRED
    assert refusal(authority(log_required=True, root=None), evidence(keyed_bundle())).code is Code.LOG_REQUIRED


def test_a_cosign_layer_with_its_entry() -> None:
    claim = payloads.claim(IMAGE, "registry.example.com/shop/web")
    signature = KEY.sign(claim)
    entry = SIGSTORE.rekor1.annotation(rekor.hashedrekord(claim, signature, KEY.public_pem.encode()))
    piece = signature_layer(claim, {COSIGN_SIGNATURE: b64(signature), ENTRY: entry})
    assert authority(log_required=True).judge(piece, IMAGE, NOW)
    assert authority(root=None).judge(piece, IMAGE, NOW), "without a root entries are ignored"


def test_entries_that_are_not_asked_for_hold_or_the_piece_is_refused() -> None:
    bundle = keyed_bundle()
    bundle["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]["signedEntryTimestamp"] = b64(b"forged")
    assert refusal(authority(), evidence(bundle)).code is Code.SET_INVALID
    assert authority(root=None).judge(evidence(bundle), IMAGE, NOW)


def test_an_entry_about_another_key() -> None:
    foreign = signing_key("foreign")
    bundle = keyed_bundle(logged=False)
    recorded = rekor.dsse(b"", {**bundle["dsseEnvelope"]}, foreign.public_pem.encode())
    bundle["verificationMaterial"]["tlogEntries"] = [SIGSTORE.rekor1.entry(recorded)]
    reason = refusal(authority(), evidence(bundle))
    assert (reason.code, reason.message) == (Code.LOG_ENTRY_MISMATCH, "the log entry records another public key")


def test_row_11_signed_after_the_key_s_window() -> None:
    window = Window(T0 - 100, T0 + 5)
    (fact,) = authority(window=window).judge(evidence(keyed_bundle(logged=False, stamp=T0 + 5)), IMAGE, NOW)
    assert fact.valid_until == math.inf
    for moment in (T0 + 6, T0 - 101):
        reason = refusal(authority(window=window), evidence(keyed_bundle(logged=False, stamp=moment)))
        assert reason.code is Code.OUTSIDE_VALIDITY
        assert "key h1 SHA256:" in reason.message


def test_row_11_without_a_proven_time_it_is_now_that_counts() -> None:
    window = Window(T0 - 100, T0 + 5)
    for root in (ROOT, None):
        judge = authority(window=window, root=root)
        piece = evidence(keyed_bundle(logged=False))
        (fact,) = judge.judge(piece, IMAGE, T0 + 5.0)
        assert fact.valid_until == T0 + 5
        assert refusal(judge, piece, T0 + 6.0).code is Code.OUTSIDE_VALIDITY


def test_row_11_a_time_that_nobody_trusted_stated_is_no_time() -> None:
    other = PrivateSigstore("other")
    bundle = keyed_bundle(logged=False, stamp=T0)
    stamped = other.tsa.stamp(raw_signature(bundle["dsseEnvelope"]), T0)
    bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": b64(stamped)}]}
    assert refusal(authority(window=Window(None, T0 + 5)), evidence(bundle)).code is Code.OUTSIDE_VALIDITY


def test_a_signature_made_in_the_future() -> None:
    piece = evidence(keyed_bundle(logged=False, stamp=T0 + 1000))
    assert refusal(authority(), piece, T0).code is Code.OUTSIDE_VALIDITY


def test_two_signers_need_a_log_each() -> None:
    second = signing_key("second managed")
    piece = attestation(statement(COSIGN_SIGN), KEY, second)
    named = [NamedKey("", keys.parse(key.public_pem.encode())) for key in (KEY, second)]
    judge = KeyedAuthority("release", named, root=ROOT, log_required=True)
    assert refusal(judge, piece).code is Code.LOG_REQUIRED
    assert len(KeyedAuthority("release", named, root=ROOT).judge(piece, IMAGE, NOW)) == 2


def test_the_fingerprint_knows_root_and_windows() -> None:
    other = SIGSTORE.root({**SIGSTORE.document(), "ctlogs": []})
    judges = [
        authority(),
        authority(root=None),
        authority(root=other),
        authority(log_required=True),
        authority(window=Window(1)),
    ]
    assert len({judge.fingerprint for judge in judges}) == 5
