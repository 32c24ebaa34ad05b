"""Log entries, checkpoints and Merkle proofs, each by itself."""

import hashlib

import pytest

from controller.errors import Code, Refused
from controller.formats import checkpoint as notes
from controller.formats import log, recorded
from controller.settings import Limits
from controller.verify import checkpoint, merkle
from tests.fakes import rekor
from tests.fakes.authorities import b64
from tests.fakes.evidence import LIMITS
from tests.fakes.keys import signing_key
from tests.fakes.rekor import audit_path, canonical, note, root_hash
from tests.fakes.sigstore import PrivateSigstore

HASH = b64(hashlib.sha256(b"root").digest())
SIGNATURE = ("example.com/log", b"hint" + b"signature")


@pytest.mark.parametrize("size", range(1, 20))
def test_every_proof_of_every_small_tree_holds_and_no_other_does(size: int) -> None:
    leaves = [f"leaf {number}".encode() for number in range(size)]
    top = root_hash(leaves)
    for index, leaf in enumerate(leaves):
        path = audit_path(index, leaves)
        merkle.check_inclusion(leaf, index, size, path, top)
        wrong = [
            (leaf + b"x", index, size, path, top),
            (leaf, index + 1, size, path, top),
            (leaf, index, size, [*path, top], top),
            (leaf, index, size, path, hashlib.sha256(top).digest()),
            *([(leaf, index, size, path[:-1], top), (leaf, index, size, [path[0][::-1], *path[1:]], top)] if path else []),
        ]
        for arguments in wrong:
            with pytest.raises(Refused) as caught:
                merkle.check_inclusion(*arguments)
            assert caught.value.reason.code is Code.LOG_PROOF_INVALID


def test_a_checkpoint_as_it_is_written() -> None:
    found = notes.parse(note(f"example.com/log\n42\n{HASH}\nTimestamp: 7\n", SIGNATURE, ("w", b"hint" + b"x")), LIMITS)
    assert (found.origin, found.size, b64(found.root_hash)) == ("example.com/log", 42, HASH)
    assert found.signed == f"example.com/log\n42\n{HASH}\nTimestamp: 7\n".encode()
    assert [(line.name, line.hint, line.signature) for line in found.signatures] == [
        ("example.com/log", b"hint", b"signature"),
        ("w", b"hint", b"x"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no signature block"),
        (f"o\n1\n{HASH}\n", "no signature block"),
        (note(f"o\n1\n{HASH}\n", SIGNATURE)[:-1], "no signature block"),
        (note(f"o\n1\n{HASH}\n"), "no signature block"),
        (note(f"1\n{HASH}\n", SIGNATURE), "too short"),
        (note(f"o\n\n{HASH}\n", SIGNATURE), "too short, or holds an empty line"),
        (note(f"o\n01\n{HASH}\n", SIGNATURE), "states no size"),
        (note(f"o\n-1\n{HASH}\n", SIGNATURE), "states no size"),
        (note("o\n1\nAAAA\n", SIGNATURE), "no SHA-256"),
        (note("o\n1\n!\n", SIGNATURE), "states no root hash"),
        (note(f"o\r\n1\n{HASH}\n", SIGNATURE), "control characters"),
        (f"o\n1\n{HASH}\n\n- name AAAAAAAA\n", "a signature line that is none"),
        (f"o\n1\n{HASH}\n\n\u2014 na me AAAAAAAA\n", "a signature line that is none"),
        (f"o\n1\n{HASH}\n\n\u2014 name AAAA\n", "too short"),
        (f"o\n1\n{HASH}\n\n\u2014 name AAAAAAAAA\n", "not base64"),
    ],
)
def test_what_is_no_checkpoint(text: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        notes.parse(text, LIMITS)
    assert caught.value.reason.code is Code.CHECKPOINT_INVALID
    assert words in caught.value.reason.message


def signed_note(log_of: rekor.TransparencyLog, *, origin: str = "", name: str = "", hint: bytes = b"") -> str:
    body = f"{origin or log_of.name}\n1\n{HASH}\n"
    return note(body, (name or log_of.name, (hint or log_of.hint()) + log_of.key.sign(body.encode())))


def test_whose_line_counts() -> None:
    """The log's own name and hint; an Ed25519 hint binds the name, so that a line cannot be renamed."""
    sigstore = PrivateSigstore()
    for log_of, known in zip((sigstore.rekor1, sigstore.rekor2), sigstore.root().logs, strict=True):
        assert known.key is not None
        good = [signed_note(log_of), signed_note(log_of, origin=f"{log_of.name} - 42")]
        bad = [
            signed_note(log_of, name="another.example.com"),
            signed_note(log_of, origin=f"{log_of.name}.evil"),
            signed_note(log_of, hint=b"hint"),
        ]
        if isinstance(log_of, rekor.RekorV2):
            bad.append(signed_note(log_of, origin="another.example.com", name="another.example.com"))
        for text in good:
            checkpoint.check(notes.parse(text, LIMITS), known, known.key)
        for text in bad:
            with pytest.raises(Refused) as caught:
                checkpoint.check(notes.parse(text, LIMITS), known, known.key)
            assert caught.value.reason.code is Code.CHECKPOINT_INVALID


def test_a_line_of_the_log_s_that_fails_spoils_one_that_holds() -> None:
    """C2SP signed-note: a signature by a known key that does not verify fails the note."""
    sigstore = PrivateSigstore()
    known = sigstore.root().logs[1]
    assert known.key is not None
    text = signed_note(sigstore.rekor2)
    forged = b64(sigstore.rekor2.hint() + b"\0" * 64)
    with pytest.raises(Refused):
        checkpoint.check(notes.parse(f"{text}\u2014 {sigstore.rekor2.name} {forged}\n", LIMITS), known, known.key)


@pytest.mark.parametrize("value", ["-1", "1.5", "0x1", "", " 1", "9223372036854775808", 1.5, True, -1, [], "\u0661"])
def test_numbers_that_are_none(value: object) -> None:
    entry = PrivateSigstore().sign_statement()["verificationMaterial"]["tlogEntries"][0]
    with pytest.raises(Refused) as caught:
        log.read(canonical({**entry, "logIndex": value}), LIMITS)
    assert caught.value.reason.code is Code.MALFORMED


def test_numbers_as_texts_as_numbers_and_absent() -> None:
    entry = PrivateSigstore().sign_statement()["verificationMaterial"]["tlogEntries"][0]
    assert log.read(canonical({**entry, "logIndex": 7}), LIMITS).index == 7
    assert log.read(canonical({**entry, "logIndex": "7"}), LIMITS).index == 7
    del entry["logIndex"]
    assert log.read(canonical(entry), LIMITS).index == 0


def test_the_annotation_of_cosign() -> None:
    sigstore = PrivateSigstore()
    body = rekor.hashedrekord(b"message", b"signature", signing_key().public_pem.encode())
    found = log.read(sigstore.rekor1.annotation(body, 7).encode(), LIMITS)
    assert (found.stated, found.proof, found.integrated_time, found.log_id) == (None, None, 7, sigstore.rekor1.id)
    assert recorded.read(found.body, LIMITS).artifact == recorded.Hash("sha256", hashlib.sha256(b"message").digest())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SignedEntryTimestamp": "", "Payload": {"body": "AAAA", "logID": "00"}}, "SignedEntryTimestamp is empty"),
        ({"Payload": {"body": "AAAA", "logID": "xyz"}}, "logID is not hexadecimal"),
        ({"Payload": {"body": "AAAA"}}, "logID must be a string"),
        ({"Payload": []}, "Payload must be an object"),
    ],
)
def test_annotations_that_are_none(change: dict[str, object], words: str) -> None:
    with pytest.raises(Refused) as caught:
        log.read(canonical({"SignedEntryTimestamp": "AAAA", "Payload": {}, **change}), LIMITS)
    assert caught.value.reason.code is Code.MALFORMED
    assert words in caught.value.reason.message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", Code.MALFORMED),
        (b'{"kind":"alpine","apiVersion":"0.0.1","spec":{}}', Code.LOG_ENTRY_MISMATCH),
        (b'{"kind":"dsse","apiVersion":"0.0.1","kind":"dsse","spec":{}}', Code.AMBIGUOUS),
        (b'{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{}}', Code.MALFORMED),
        (b'{"kind":"dsse","apiVersion":"0.0.2","spec":{"dsseV002":{"signatures":[{},{}]}}}', Code.LIMIT_EXCEEDED),
    ],
)
def test_bodies_that_are_none(body: bytes, code: Code) -> None:
    with pytest.raises(Refused) as caught:
        recorded.read(body, LIMITS)
    assert caught.value.reason.code is code


def test_a_verifier_named_twice_is_no_verifier() -> None:
    body = rekor.hashedrekord_2(b"message", b"signature", b"certificate", "PKIX_ED25519")
    body["spec"]["hashedRekordV002"]["signature"]["verifier"]["publicKey"] = {"rawBytes": "AAAA"}
    with pytest.raises(Refused) as caught:
        recorded.read(canonical(body), LIMITS)
    assert "in 2 ways" in caught.value.reason.message


def test_lengths_are_bounded() -> None:
    sigstore = PrivateSigstore()
    entry = sigstore.sign_statement()["verificationMaterial"]["tlogEntries"][0]
    for limits in (Limits(attestation_bytes=100), Limits(checkpoint_bytes=10)):
        with pytest.raises(Refused) as caught:
            log.read(canonical(entry), limits)
        assert caught.value.reason.code is Code.LIMIT_EXCEEDED
