"""Trusted roots: those that ship, and those that others write."""

import copy
import json
from typing import Any

import pytest
from tuf.api.metadata import Metadata

from controller import roots
from controller.errors import Code, Invalid
from controller.roots.builtin import shipped
from tests.fakes.authorities import T0, b64
from tests.fakes.evidence import LIMITS
from tests.fakes.keys import signing_key
from tests.fakes.sigstore import START, PrivateSigstore, certificates, written

SIGSTORE = PrivateSigstore()


def refusal(document: object) -> Invalid:
    with pytest.raises(Invalid) as caught:
        roots.parse(json.dumps(document).encode(), "private", LIMITS)
    assert caught.value.reason.code is Code.INVALID_ROOT
    return caught.value


def changed(*path: str | int, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(SIGSTORE.document())
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("name", "logs", "ct_logs", "authorities", "stamping"),
    [("public-good", 2, 2, 2, 1), ("github", 0, 0, 6, 6), ("staging", 5, 5, 2, 2)],
)
def test_the_roots_that_ship(name: str, logs: int, ct_logs: int, authorities: int, stamping: int) -> None:
    root = roots.builtin(name)
    assert (len(root.logs), len(root.ct_logs)) == (logs, ct_logs)
    assert (len(root.authorities), len(root.timestamp_authorities)) == (authorities, stamping)
    assert all(log.key is not None for log in (*root.logs, *root.ct_logs))
    anchors = {one.anchor for one in (*root.authorities, *root.timestamp_authorities)}
    assert all(anchor.self_issued and anchor.issued(anchor) for anchor in anchors)
    assert root.fingerprint == roots.builtin(name).fingerprint


@pytest.mark.parametrize("name", ["public-good", "github", "staging"])
def test_their_tuf_roots_are_signed_by_their_own_keys(name: str) -> None:
    metadata = Metadata.from_bytes(shipped(name, "root"))
    assert metadata.signed.get_verification_result("root", metadata.signed_bytes, metadata.signatures)


def test_another_name_does_not_ship() -> None:
    with pytest.raises(Invalid) as caught:
        roots.builtin("../public-good")
    assert caught.value.reason.expected == "public-good or github"


def test_everything_a_private_root_says() -> None:
    root = SIGSTORE.root()
    first, second = root.logs
    assert (first.url, first.window.start, first.window.end) == ("https://rekor.sigstore.example.com", START, None)
    assert root.find_log(SIGSTORE.rekor1.id) == (first,)
    assert root.find_log(SIGSTORE.rekor2.id) == (second,)
    assert root.find_log(b"\0" * 32) == root.find_ct_log(SIGSTORE.rekor1.id) == ()
    assert [certificate.subject for certificate in root.authorities[0].chain] == [
        "CN=sigstore ca intermediate",
        "CN=sigstore ca root",
    ]
    assert root.find_ct_log(SIGSTORE.ct.id) == root.ct_logs


def test_a_log_whose_stated_identifier_is_another_is_found_by_its_key_too() -> None:
    root = SIGSTORE.root(changed("tlogs", 0, "logId", value={"keyId": b64(b"some other identifier")}))
    assert root.find_log(SIGSTORE.rekor1.id) == root.find_log(b"some other identifier") == (root.logs[0],)


def test_a_log_of_a_kind_we_cannot_use_is_known_and_proves_nothing() -> None:
    root = SIGSTORE.root(changed("ctlogs", 0, "publicKey", "keyDetails", value="LMS_SHA256"))
    assert [log.key for log in root.ct_logs] == [None]


def test_the_fingerprint_changes_with_what_is_believed_and_with_nothing_else() -> None:
    document = SIGSTORE.document()
    same = roots.parse(json.dumps(document, indent=3, sort_keys=True).encode(), "another name", LIMITS)
    assert same.fingerprint == SIGSTORE.root(document).fingerprint
    for other in (
        changed("tlogs", 0, "publicKey", "validFor", value={"start": written(T0)}),
        changed("ctlogs", value=[]),
        changed("timestampAuthorities", 0, "validFor", value={}),
    ):
        assert SIGSTORE.root(other).fingerprint != same.fingerprint


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("mediaType",), "application/vnd.dev.sigstore.trustedroot+json;version=9", "mediaType is of another version"),
        (("surprise",), 1, "trusted root has a member that is not known"),
        (("tlogs", 0, "surprise"), 1, "tlogs[0] has a member"),
        (("tlogs", 0, "hashAlgorithm"), "SHA2_512", "hashAlgorithm is not supported"),
        (("tlogs", 0, "publicKey", "rawBytes"), "!", "is not base64"),
        (("tlogs", 0, "publicKey", "rawBytes"), "", "is empty"),
        (("tlogs", 0, "publicKey", "rawBytes"), b64(b"key"), "tlogs[0].publicKey"),
        (("tlogs", 0, "publicKey", "keyDetails"), "PKIX_ED25519", "contradicts the key"),
        (("tlogs", 0, "publicKey", "keyDetails"), "PKIX_ECDSA_P384_SHA_384", "contradicts the key"),
        (("tlogs", 0, "publicKey", "validFor"), {"start": "yesterday"}, "is no time"),
        (("tlogs", 0, "publicKey", "validFor"), {"start": "2025-10-09T08:53:20"}, "is no time"),
        (("tlogs", 0, "publicKey", "validFor"), {"until": "x"}, "has a member"),
        (("tlogs", 0, "publicKey", "validFor"), {"start": written(T0), "end": written(T0 - 1)}, "ends before it starts"),
        (("tlogs", 1, "logId"), {"keyId": b64(SIGSTORE.rekor1.id)}, "shares its identifier"),
        (("certificateAuthorities", 0, "certChain"), {"certificates": []}, "certChain is empty"),
        (("certificateAuthorities", 0, "certChain"), None, "must be an object"),
        (("certificateAuthorities", 0, "certChain"), certificates(b"x"), "cannot be read"),
        (("certificateAuthorities", 0, "certChain"), certificates(SIGSTORE.tsa.signer.der), "no authority's"),
        (
            ("certificateAuthorities", 0, "certChain"),
            certificates(SIGSTORE.ca.root.der, SIGSTORE.ca.intermediate.der),
            "is no chain",
        ),
        (("certificateAuthorities",), {}, "must be an array"),
        (("certificateAuthorities", 0), [], "must be an object"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[str | int, ...], value: object, words: str) -> None:
    assert words in str(refusal(changed(*path, value=value)))


def test_a_root_that_vouches_for_nobody() -> None:
    document = {"mediaType": SIGSTORE.document()["mediaType"], "ctlogs": SIGSTORE.document()["ctlogs"]}
    assert "vouches for nobody" in str(refusal(document))


def test_too_much_of_anything() -> None:
    log = SIGSTORE.document()["tlogs"][0]
    assert "too long" in str(refusal(changed("tlogs", value=[log] * 300)))
    with pytest.raises(Invalid):
        roots.parse(b" " * (LIMITS.trusted_root_bytes + 1), "private", LIMITS)


def test_a_pkcs1_key_is_read() -> None:
    """Sigstore's staging instance once had such a log."""
    staging = roots.builtin("staging")
    assert next(log.key.algorithm for log in staging.ct_logs if log.key) == "RSA 4096"
    document = changed("ctlogs", 0, "publicKey", "keyDetails", value="PKCS1_RSA_PKCS1V5")
    document["ctlogs"][0]["publicKey"]["rawBytes"] = b64(signing_key().public_der[:20])
    assert "is no RSA key" in str(refusal(document))
