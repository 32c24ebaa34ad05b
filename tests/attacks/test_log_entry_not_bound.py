"""Attack 3: a log entry that is valid, and about something else (CVE-2022-23649, CVE-2022-36056, CVE-2026-22703)."""

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN
from controller.errors import Code, Reason, Refused
from controller.evidence import Evidence
from tests.fakes import rekor
from tests.fakes.authorities import Identity, b64
from tests.fakes.evidence import IMAGE, MANIFEST, OTHER, statement
from tests.fakes.keys import signing_key
from tests.fakes.sigstore import (
    ENTRY,
    NOW,
    PrivateSigstore,
    attestation_layer,
    evidence,
    from_base64,
    signature_layer,
)

HASH = hashlib.sha256(b"another").digest()
Change = Callable[[dict[str, Any]], None]


def put(*path: str | int, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def refusal(sigstore: PrivateSigstore, piece: Evidence) -> Reason:
    with pytest.raises(Refused) as caught:
        sigstore.authority().judge(piece, IMAGE, NOW)
    return caught.value.reason


def relogged(sigstore: PrivateSigstore, bundle: dict[str, Any], change: Change) -> dict[str, Any]:
    """The bundle with its entry changed, and taken in by the same log again: authentic in every way."""
    (entry,) = bundle["verificationMaterial"]["tlogEntries"]
    body = json.loads(from_base64(entry["canonicalizedBody"]))
    change(body)
    new = sigstore.rekor1.entry(body) if "inclusionPromise" in entry else sigstore.rekor2.entry(body)
    changed = copy.deepcopy(bundle)
    changed["verificationMaterial"]["tlogEntries"] = [new]
    return changed


FOREIGN = b64(signing_key("foreign").public_pem.encode())
DATA, SIGNATURE = ("spec", "data", "hash"), ("spec", "signature")
V2 = ("spec", "hashedRekordV002")
ENVELOPE = ("spec", "content", "envelope")
CHANGES: dict[str, dict[str, tuple[Change, str]]] = {
    "hashedrekord": {
        "digest": (put(*DATA, "value", value=HASH.hex()), "another digest of the signed bytes"),
        "signature": (put(*SIGNATURE, "content", value=b64(b"another")), "another signature"),
        "key": (put(*SIGNATURE, "publicKey", "content", value=FOREIGN), "another certificate"),
        "kind": (put("kind", value="rekord"), "a kind that binds no signature"),
        "version": (put("apiVersion", value="0.0.9"), "a kind that binds no signature"),
    },
    "dsse": {
        "payload": (put("spec", "payloadHash", "value", value=HASH.hex()), "another digest of the payload"),
        "signature": (put("spec", "signatures", 0, "signature", value=b64(b"another")), "another signature"),
        "key": (put("spec", "signatures", 0, "verifier", value=FOREIGN), "another certificate"),
        "none": (put("spec", "signatures", value=[]), "another number of signatures"),
    },
    "intoto": {
        "payload hash": (put("spec", "content", "payloadHash", "value", value=HASH.hex()), "another digest of the payload"),
        "payload": (put(*ENVELOPE, "payload", value=b64(b64(b"another").encode())), "another payload"),
        "payload type": (put(*ENVELOPE, "payloadType", value="text/plain"), "another payload type"),
        "signature": (put(*ENVELOPE, "signatures", 0, "sig", value=b64(b64(b"another").encode())), "another signature"),
        "key": (put(*ENVELOPE, "signatures", 0, "publicKey", value=FOREIGN), "another certificate"),
    },
    "hashedrekord 2": {
        "digest": (put(*V2, "data", "digest", value=b64(HASH)), "another digest of the signed bytes"),
        "signature": (put(*V2, "signature", "content", value=b64(b"another")), "another signature"),
        "key": (
            put(*V2, "signature", "verifier", "x509Certificate", "rawBytes", value=b64(b"another")),
            "another certificate",
        ),
        "kind of key": (put(*V2, "signature", "verifier", "keyDetails", value="PKIX_ED25519"), "another kind of key"),
    },
    "dsse 2": {
        "payload": (put("spec", "dsseV002", "payloadHash", "digest", value=b64(HASH)), "another digest of the payload"),
        "signature": (put("spec", "dsseV002", "signatures", 0, "content", value=b64(b"another")), "another signature"),
    },
}


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, fields in CHANGES.items() for field in fields])
def test_each_field_alone_is_bound(kind: str, field: str) -> None:
    sigstore = PrivateSigstore()
    change, words = CHANGES[kind][field]
    if kind in {"hashedrekord", "hashedrekord 2"}:
        bundle = sigstore.sign_message([kind], stamps=1)
    else:
        bundle = sigstore.sign_statement([kind], stamps=1)
    (fact,) = sigstore.authority().judge(evidence(bundle), IMAGE, NOW)
    assert fact.digest == IMAGE
    reason = refusal(sigstore, evidence(relogged(sigstore, bundle, change)))
    assert reason.code is Code.LOG_ENTRY_MISMATCH
    assert words in reason.message


@pytest.mark.parametrize("kind", ["dsse", "intoto", "hashedrekord 2", "dsse 2"])
@pytest.mark.parametrize("what", ["another key's", "another statement's", "another signature by the same key"])
def test_a_whole_entry_is_not_transplanted(kind: str, what: str) -> None:
    sigstore = PrivateSigstore()
    holder = sigstore.holder()
    bundle = sigstore.sign_statement([kind], stamps=1, holder=holder)
    match what:
        case "another key's":
            other_holder = sigstore.ca.certify(signing_key("somebody else"), Identity("mallory@example.com"))
            other = sigstore.sign_statement([kind], holder=other_holder)
        case "another statement's":
            other = sigstore.sign_statement([kind], holder=holder, content=statement(COSIGN_SIGN, None, OTHER))
        case _:
            other = sigstore.sign_statement([kind], holder=holder)
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    assert refusal(sigstore, evidence(bundle)).code is Code.LOG_ENTRY_MISMATCH


def test_an_entry_about_an_envelope_is_not_about_a_manifest() -> None:
    sigstore = PrivateSigstore()
    holder = sigstore.holder()
    bundle = sigstore.sign_message(holder=holder)
    signature = bundle["messageSignature"]["signature"]
    envelope = {"payload": b64(MANIFEST), "payloadType": "text/plain", "signatures": [{"sig": signature}]}
    entry = sigstore.rekor1.entry(rekor.dsse(b"", envelope, holder.pem))
    bundle["verificationMaterial"]["tlogEntries"] = [entry]
    reason = refusal(sigstore, evidence(bundle))
    assert (reason.code, reason.message) == (Code.LOG_ENTRY_MISMATCH, "the log entry records another kind")


def test_what_stands_beside_the_body_does_not_contradict_it() -> None:
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement()
    bundle["verificationMaterial"]["tlogEntries"][0]["kindVersion"] = {"kind": "intoto", "version": "0.0.2"}
    assert refusal(sigstore, evidence(bundle)).code is Code.LOG_ENTRY_MISMATCH


def test_the_annotation_of_another_signature_is_not_transplanted() -> None:
    sigstore = PrivateSigstore()
    claim, annotations = sigstore.sign_layer()
    _, others = sigstore.sign_layer()
    reason = refusal(sigstore, signature_layer(claim, {**annotations, ENTRY: others[ENTRY]}))
    assert (reason.code, reason.message) == (Code.LOG_ENTRY_MISMATCH, "the log entry records another signature")


def test_an_attestation_stored_in_other_bytes_than_were_logged() -> None:
    """The same envelope with one space more: its entry, and its timestamp, are about the bytes that were logged."""
    sigstore = PrivateSigstore()
    stored, annotations = sigstore.attest_layer(statement("https://example.com/x"))
    assert sigstore.authority().judge(attestation_layer(stored, annotations), IMAGE, NOW)
    reason = refusal(sigstore, attestation_layer(stored + b" ", annotations))
    assert (reason.code, reason.message) == (Code.LOG_ENTRY_MISMATCH, "the log entry records another digest of the envelope")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("logIndex", "5000007", Code.SET_INVALID),
        ("integratedTime", "1760000002", Code.SET_INVALID),
        ("integratedTime", "0", Code.SET_INVALID),
        ("logId", {"keyId": b64(b"\0" * 32)}, Code.LOG_UNTRUSTED),
        ("inclusionPromise", {"signedEntryTimestamp": b64(b"another")}, Code.SET_INVALID),
        ("inclusionProof", None, Code.LOG_PROOF_MISSING),
    ],
)
def test_what_the_log_promised_is_bound_too(name: str, value: object, code: Code) -> None:
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement()
    bundle["verificationMaterial"]["tlogEntries"][0][name] = value
    assert refusal(sigstore, evidence(bundle)).code is code


def test_a_time_that_the_log_did_not_sign_proves_nothing() -> None:
    """Without the promise, `integratedTime` is the sender's word."""
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement()
    del bundle["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"]
    assert refusal(sigstore, evidence(bundle)).code is Code.TIME_NOT_PROVEN


def test_the_envelope_that_was_signed_and_not_the_one_that_was_logged() -> None:
    """The payload swapped under a valid entry: the signature fails first."""
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement()
    other = payloads.bundle_envelope(payloads.envelope(statement(COSIGN_SIGN, None, OTHER), signing_key("foreign")))
    bundle["dsseEnvelope"]["payload"] = other["dsseEnvelope"]["payload"]
    assert refusal(sigstore, evidence(bundle)).code is Code.SIGNATURE_INVALID
