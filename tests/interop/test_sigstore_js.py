"""Our private Sigstore before Sigstore's JavaScript verifier, so that fakes and judges do not merely agree with each other.

It knows what sigstore-python does not: entries of kind intoto, several entries, none but a timestamp, managed keys, older
bundles, leaf keys other than EC.
"""

import copy
import json
import random
from collections.abc import Callable
from typing import Any, Final

import pytest

from controller import keys
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, SIGSTORE_BUNDLE
from controller.demo.signingkeys import KeyType
from controller.errors import Code, Refused
from controller.evidence import Judge
from controller.keys import NamedKey
from controller.verify.keyed import KeyedAuthority
from tests.fakes import rekor
from tests.fakes.authorities import T0, Identity, b64
from tests.fakes.evidence import IMAGE, MANIFEST, statement
from tests.fakes.keys import signing_key
from tests.fakes.mutations import Place, leaves, replaced
from tests.fakes.sigstore import NOW, PrivateSigstore, evidence, from_base64, raw_signature
from tests.fakes.timestamps import TimestampAuthority
from tests.interop.conftest import missing
from tests.interop.javascript import JavaScriptVerifier, Question
from tests.interop.tools import ToolMissingError

pytestmark = pytest.mark.interop

SIGSTORE: Final = PrivateSigstore()
EVIL: Final = PrivateSigstore("evil")
KEY: Final = signing_key("managed")
Bundle = dict[str, Any]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> JavaScriptVerifier:
    home = tmp_path_factory.mktemp("node")
    try:
        return JavaScriptVerifier.find(home)
    except ToolMissingError as error:
        missing(str(error))
        raise


def older(version: str) -> Bundle:
    """A bundle of 0.1 or 0.2, which holds the chain."""
    who = SIGSTORE.holder()
    made = SIGSTORE.sign_statement(["dsse"], holder=who)
    entries = made["verificationMaterial"]["tlogEntries"]
    material = SIGSTORE.material(who, entries, chain=[SIGSTORE.ca.intermediate.der])
    kind = f"application/vnd.dev.sigstore.bundle+json;version={version}"
    return {**made, "mediaType": kind, "verificationMaterial": material}


def keyed(*, logged: bool, stamped: bool) -> Bundle:
    envelope = payloads.envelope(statement(COSIGN_SIGN), KEY)
    material: dict[str, Any] = {"publicKey": {"hint": KEY.hint}}
    if logged:
        material["tlogEntries"] = [SIGSTORE.rekor1.entry(rekor.dsse(b"", envelope, KEY.public_pem.encode()))]
    if stamped:
        stamp = b64(SIGSTORE.tsa.stamp(raw_signature(envelope)))
        material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": stamp}]}
    return {"mediaType": SIGSTORE_BUNDLE, "verificationMaterial": material, **payloads.bundle_envelope(envelope)}


def by_kind(kind: KeyType) -> Callable[[], Bundle]:
    return lambda: SIGSTORE.sign_message(["hashedrekord"], holder=SIGSTORE.holder(kind=kind))


SHAPES: Final[dict[str, Callable[[], Bundle]]] = {
    "message, Rekor 1": lambda: SIGSTORE.sign_message(["hashedrekord"]),
    "message, Rekor 1, timestamp": lambda: SIGSTORE.sign_message(["hashedrekord"], stamps=1),
    "message, Rekor 2": lambda: SIGSTORE.sign_message(["hashedrekord 2"], stamps=1),
    "message, both logs": lambda: SIGSTORE.sign_message(["hashedrekord", "hashedrekord 2"]),
    "message, timestamp only": lambda: SIGSTORE.sign_message([], stamps=1),
    "message by P-384": by_kind(KeyType.P384),
    "message by RSA": by_kind(KeyType.RSA2048),
    "statement, dsse": lambda: SIGSTORE.sign_statement(["dsse"]),
    "statement, intoto": lambda: SIGSTORE.sign_statement(["intoto"]),
    "statement, dsse of Rekor 2": lambda: SIGSTORE.sign_statement(["dsse 2"], stamps=1),
    "statement, several entries": lambda: SIGSTORE.sign_statement(["dsse", "dsse 2"]),
    "statement, timestamp only": lambda: SIGSTORE.sign_statement([], stamps=1),
    "bundle 0.1": lambda: older("0.1"),
    "bundle 0.2": lambda: older("0.2"),
    "key, log": lambda: keyed(logged=True, stamped=False),
    "key, log and timestamp": lambda: keyed(logged=True, stamped=True),
    "key, timestamp only": lambda: keyed(logged=False, stamped=True),
    "key alone": lambda: keyed(logged=False, stamped=False),
}


def question(bundle: Bundle, shape: str) -> Question:
    return Question(
        SIGSTORE.document(),
        bundle,
        MANIFEST if shape.startswith("message") else None,
        keys=((KEY.hint, KEY.public_der),) if shape.startswith("key") else (),
        tlogs=0 if shape.endswith(("only", "alone")) else 1,
        timestamps=0 if shape.endswith("alone") else 1,
    )


def judge(shape: str) -> Judge:
    required = not shape.endswith(("only", "alone"))
    if shape.startswith("key"):
        named = NamedKey("h1", keys.parse(KEY.public_pem.encode()))
        return KeyedAuthority("release", [named], root=SIGSTORE.root(), log_required=required)
    return SIGSTORE.authority(log_required=required)


def our_refusal(bundle: Bundle, shape: str, by: Judge) -> Code | None:
    try:
        piece = evidence(bundle, MANIFEST if shape.startswith("message") else None)
        facts = by.judge(piece, IMAGE, NOW)
    except Refused as error:
        return error.reason.code
    assert [fact.digest for fact in facts] == [IMAGE]
    return None


def test_what_the_private_sigstore_signs_is_good_for_both(other: JavaScriptVerifier) -> None:
    bundles = {shape: make() for shape, make in SHAPES.items()}
    answers = other.ask([question(bundle, shape) for shape, bundle in bundles.items()])
    said = {shape: f"{answer.code} {answer.message}" for shape, answer in zip(bundles, answers, strict=True)}
    assert said == dict.fromkeys(bundles, " ")
    ours = {shape: our_refusal(bundle, shape, judge(shape)) for shape, bundle in bundles.items()}
    assert ours == dict.fromkeys(bundles)


def entry(bundle: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


def edited(shape: str, edit: Callable[[Bundle], object]) -> Callable[[], Bundle]:
    def make() -> Bundle:
        bundle = copy.deepcopy(SHAPES[shape]())
        edit(bundle)
        return bundle

    return make


def logged_at(time: int) -> Callable[[Bundle], None]:
    """The usual entry with another time, which the log vouches for."""

    def edit(bundle: Bundle) -> None:
        document = json.loads(from_base64(entry(bundle)["canonicalizedBody"]))
        bundle["verificationMaterial"]["tlogEntries"] = [SIGSTORE.rekor1.entry(document, time)]

    return edit


def stamped_at(time: float, authority: TimestampAuthority = SIGSTORE.tsa) -> Callable[[Bundle], None]:
    def edit(bundle: Bundle) -> None:
        signature = from_base64(bundle["messageSignature"]["signature"])
        stamps = [{"signedTimestamp": b64(authority.stamp(signature, time))}]
        bundle["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": stamps}

    return edit


def entries_of(shape: str) -> Callable[[Bundle], None]:
    """The log entries of another bundle of that shape."""
    return lambda bundle: bundle["verificationMaterial"].update(tlogEntries=[entry(SHAPES[shape]())])


def renamed(bundle: Bundle) -> None:
    content = from_base64(bundle["dsseEnvelope"]["payload"])
    bundle["dsseEnvelope"]["payload"] = b64(content.replace(b"sigstore.dev", b"sigstore.evi"))


def forged_proof(bundle: Bundle) -> None:
    SIGSTORE.sign_message()  # another leaf, so that there is a path
    bundle.update(SIGSTORE.sign_message())
    entry(bundle)["inclusionProof"]["hashes"][0] = b64(b"\0" * 32)


def foreign_checkpoint(bundle: Bundle) -> None:
    theirs = entry(EVIL.sign_message())["inclusionProof"]["checkpoint"]
    entry(bundle)["inclusionProof"]["checkpoint"] = theirs


def foreign_log(bundle: Bundle) -> None:
    document = json.loads(from_base64(entry(bundle)["canonicalizedBody"]))
    bundle["verificationMaterial"]["tlogEntries"] = [EVIL.rekor1.entry(document)]


def message_by(**changes: Any) -> Callable[[], Bundle]:
    return lambda: SIGSTORE.sign_message(holder=SIGSTORE.holder(**changes))


FORGED: Final = b64(b"forged")
OTHER_ISSUER: Final = "https://evil.example.com"
M1, M2, S1, S2 = "message, Rekor 1", "message, Rekor 2", "statement, dsse", "statement, dsse of Rekor 2"
OUT_OF_TIME: Final = (Code.OUTSIDE_VALIDITY, "CERTIFICATE_ERROR")
MISMATCH: Final = (Code.LOG_ENTRY_MISMATCH, "TLOG_BODY_ERROR")
NO_LOG: Final = (Code.LOG_REQUIRED, "TLOG_ERROR")
NO_PROMISE: Final = (Code.SET_INVALID, "TLOG_INCLUSION_PROMISE_ERROR")

REFUSED: Final[dict[str, tuple[str, Callable[[], Bundle], tuple[Code, str]]]] = {
    "payload": (S1, edited(S1, renamed), (Code.SIGNATURE_INVALID, "TLOG_BODY_ERROR")),
    "payload, Rekor 2": (S2, edited(S2, renamed), (Code.SIGNATURE_INVALID, "TLOG_BODY_ERROR")),
    "file": (M1, lambda: SIGSTORE.sign_message(content=b"another"), (Code.WRONG_DIGEST, "SIGNATURE_ERROR")),
    "authority": (
        M1,
        lambda: SIGSTORE.sign_message(holder=EVIL.holder()),
        (Code.CERTIFICATE_UNTRUSTED, "CERTIFICATE_ERROR"),
    ),
    "subject": (
        M1,
        message_by(identity=Identity("https://evil.example.com")),
        (Code.WRONG_SUBJECT, "UNTRUSTED_SIGNER_ERROR"),
    ),
    "issuer": (
        M1,
        message_by(identity=Identity(issuer=OTHER_ISSUER, issuer_old=OTHER_ISSUER)),
        (Code.WRONG_ISSUER, "UNTRUSTED_SIGNER_ERROR"),
    ),
    "no certificate log": (M1, message_by(logs=()), (Code.SCT_MISSING, "CERTIFICATE_ERROR")),
    "certificate log": (M1, message_by(logs=(EVIL.ct,)), (Code.SCT_INVALID, "CERTIFICATE_ERROR")),
    "log": (M1, edited(M1, foreign_log), (Code.LOG_UNTRUSTED, "TLOG_INCLUSION_PROMISE_ERROR")),
    "promise": (M1, edited(M1, lambda it: entry(it)["inclusionPromise"].update(signedEntryTimestamp=FORGED)), NO_PROMISE),
    "promised time": (M1, edited(M1, lambda it: entry(it).update(integratedTime=str(T0 + 2))), NO_PROMISE),
    "proof": (M1, edited(M1, forged_proof), (Code.LOG_PROOF_INVALID, "TLOG_INCLUSION_PROOF_ERROR")),
    "checkpoint": (M1, edited(M1, foreign_checkpoint), (Code.CHECKPOINT_INVALID, "TLOG_INCLUSION_PROOF_ERROR")),
    "logged too late": (M1, edited(M1, logged_at(T0 + 601)), OUT_OF_TIME),
    "logged too early": (M1, edited(M1, logged_at(T0 - 1)), OUT_OF_TIME),
    "stamped too late": (M2, edited(M2, stamped_at(T0 + 601)), OUT_OF_TIME),
    "stamped by another": (
        M2,
        edited(M2, stamped_at(T0 + 1, EVIL.tsa)),
        (Code.TIMESTAMP_UNTRUSTED, "TIMESTAMP_ERROR"),
    ),
    "no time": (
        M2,
        lambda: SIGSTORE.sign_message(["hashedrekord 2"]),
        (Code.TIME_NOT_PROVEN, "TIMESTAMP_ERROR"),
    ),
    "entry of another message": (M1, edited(M1, entries_of(M1)), MISMATCH),
    "entry of another message, Rekor 2": (M2, edited(M2, entries_of(M2)), MISMATCH),
    "entry of another statement": (S1, edited(S1, entries_of(S1)), MISMATCH),
    "entry of another statement, intoto": (S1, edited(S1, entries_of("statement, intoto")), MISMATCH),
    "entry of another statement, Rekor 2": (S2, edited(S2, entries_of(S2)), MISMATCH),
    "entry of a message": (S1, edited(S1, entries_of(M1)), MISMATCH),
    "entry of another key": ("key, log", edited("key, log", entries_of(S1)), MISMATCH),
    "no entry": (S1, lambda: SIGSTORE.sign_statement([], stamps=1), NO_LOG),
    "no entry, key": ("key, log", lambda: keyed(logged=False, stamped=True), NO_LOG),
}
"""What is wrong with a bundle: its shape, how it is made, and for what reason we and the other refuse it."""

MATERIAL: Final = "verificationMaterial"
DISPENSABLE: Final = frozenset({"message, Rekor 1, timestamp", "key, log and timestamp", "key, timestamp only"})
LEFT_OUT: Final[tuple[tuple[Place, frozenset[str]], ...]] = (
    # A digest or a key's name beside a signature is a hint, on which nothing rests.
    (("messageSignature", "messageDigest"), frozenset(SHAPES)),
    ((MATERIAL, "publicKey"), frozenset(SHAPES)),
    # A timestamp by nobody we know counts as absent; so does an empty promise where a proof and a timestamp are there.
    ((MATERIAL, "timestampVerificationData"), DISPENSABLE),
    ((MATERIAL, "tlogEntries", 0, "inclusionPromise"), DISPENSABLE),
    # In a bundle 0.1 the promise suffices, and a proof without a checkpoint beside it proves nothing to us.
    ((MATERIAL, "tlogEntries", 0, "inclusionProof", "checkpoint"), frozenset({"bundle 0.1"})),
)
"""Where we go on without what the other insists on: places, and the shapes that are complete without them."""


def left_out(shape: str, path: Place) -> bool:
    return any(path[: len(place)] == place and shape in shapes for place, shapes in LEFT_OUT)


def test_what_was_tampered_with_is_refused_by_both(other: JavaScriptVerifier) -> None:
    bundles = {name: make() for name, (_, make, _) in REFUSED.items()}
    answers = other.ask([question(bundle, REFUSED[name][0]) for name, bundle in bundles.items()])
    found = {
        name: (our_refusal(bundle, REFUSED[name][0], judge(REFUSED[name][0])), answer.code)
        for (name, bundle), answer in zip(bundles.items(), answers, strict=True)
    }
    assert found == {name: codes for name, (_, _, codes) in REFUSED.items()}


def test_we_never_say_yes_where_the_other_says_no(other: JavaScriptVerifier) -> None:
    """Every place of every shape is changed; what no signature covers may stay good, for both of us."""
    accepted: list[tuple[str, Place, Question]] = []
    tried = 0
    for shape, make in SHAPES.items():
        bundle, change, by = make(), random.Random(shape), judge(shape)
        for path in leaves(bundle):
            for changed in [replaced(bundle, path, change) for _ in range(2)]:
                tried += 1
                if not left_out(shape, path) and our_refusal(changed, shape, by) is None:
                    accepted.append((shape, path, question(changed, shape)))
    answers = zip(accepted, other.ask([asked for _, _, asked in accepted]), strict=True)
    assert [(shape, path, answer) for (shape, path, _), answer in answers if not answer.accepted] == []
    assert tried > 400
    assert len(accepted) < tried / 8, "most places are signed"
