"""Our private Sigstore against an independent verifier, so that fakes and judges do not merely agree with each other.

The other verifier is sigstore-python, which knows one shape: an EC leaf certificate and exactly one log entry with a proof
(hashedrekord and dsse of Rekor 1, hashedrekord of Rekor 2). What it says no to, we never say yes to.
"""

import json
import random
from typing import Any

import pytest
from sigstore.errors import Error
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity as Policy

from controller.errors import Refused
from tests.fakes.authorities import ISSUER, SUBJECT
from tests.fakes.evidence import IMAGE, MANIFEST, statement
from tests.fakes.mutations import leaves, replaced
from tests.fakes.sigstore import NOW, PrivateSigstore, evidence

SIGSTORE = PrivateSigstore()
POLICY = Policy(identity=SUBJECT, issuer=ISSUER)
STATEMENT = statement("https://example.com/predicate", {}, IMAGE).replace(b'{"digest"', b'{"name":"web","digest"')
SHAPES: dict[str, tuple[bool, list[str], int]] = {
    "message, Rekor 1": (True, ["hashedrekord"], 0),
    "message, Rekor 1 and timestamp": (True, ["hashedrekord"], 1),
    "message, Rekor 2": (True, ["hashedrekord 2"], 1),
    "statement, Rekor 1": (False, ["dsse"], 0),
    "statement, Rekor 2": (False, ["hashedrekord 2"], 1),
}

HINT = ("messageSignature", "messageDigest")
"""The one place where we take less: the digest or its algorithm left out. It is a hint, which nothing rests on."""


def make(shape: str) -> dict[str, Any]:
    message, logs, stamps = SHAPES[shape]
    if message:
        return SIGSTORE.sign_message(logs, stamps=stamps)
    return SIGSTORE.sign_statement(logs, stamps=stamps, content=STATEMENT)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    path = tmp_path_factory.mktemp("root") / "trusted_root.json"
    path.write_text(json.dumps(SIGSTORE.document()))
    return Verifier(trusted_root=TrustedRoot.from_file(str(path)))


def other_says(oracle: Verifier, document: dict[str, Any]) -> bool:
    """What sigstore-python says; on malformed input it also raises what its libraries raise, which is no yes."""
    try:
        bundle = Bundle.from_json(json.dumps(document))
        if "messageSignature" in document:
            oracle.verify_artifact(MANIFEST, bundle, POLICY)
        else:
            kind, payload = oracle.verify_dsse(bundle, POLICY)
            assert (kind, payload) == ("application/vnd.in-toto+json", STATEMENT)
    except (Error, ValueError, TypeError, KeyError):
        return False
    return True


def we_say(document: dict[str, Any]) -> bool:
    try:
        piece = evidence(document, MANIFEST if "messageSignature" in document else None)
        facts = SIGSTORE.authority().judge(piece, IMAGE, NOW)
    except Refused:
        return False
    return len(facts) == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_private_sigstore_signs_is_good_for_both(shape: str, oracle: Verifier) -> None:
    document = make(shape)
    assert other_says(oracle, document)
    assert we_say(document)


@pytest.mark.parametrize("shape", SHAPES)
def test_we_never_say_yes_where_the_other_says_no(shape: str, oracle: Verifier) -> None:
    """Every place of every shape is changed; what is not covered by any signature may stay good, for both of us."""
    change = random.Random(shape)
    document = make(shape)
    paths = [path for path in leaves(document) if path[:2] != HINT]
    yes = 0
    for path in paths:
        for _ in range(4):
            changed = replaced(document, path, change)
            if we_say(changed):
                yes += 1
                assert other_says(oracle, changed), path
    assert len(paths) > 12
    assert yes < len(paths), "most places are signed"
