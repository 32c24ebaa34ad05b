"""Mutations of everything a keyless verdict stands on: nothing signed can be changed, and only refusals are ever raised.

Every place of the JSON and every element of the DER inside it is hit at least once in each run; `SIGWARD_LONG` adds more.
"""

import base64
import copy
import json
import os
import random
from collections.abc import Iterator
from typing import Any, Final

import pytest

from controller import der
from controller.demo.mediatypes import SIGSTORE_BUNDLE
from controller.errors import Code, Invalid, Refused, Undecided
from controller.evidence import Evidence, Verified
from controller.formats import with_artifact
from tests.fakes.authorities import T0, b64
from tests.fakes.evidence import IMAGE, MANIFEST, attachment, one, statement
from tests.fakes.sigstore import ENTRY, NOW, PrivateSigstore, attestation_layer, signature_layer
from tests.fakes.timestamps import Odd

pytestmark = pytest.mark.filterwarnings("ignore:.*:cryptography.utils.CryptographyDeprecationWarning")

ROUNDS: Final = 20_000 if os.environ.get("SIGWARD_LONG") else 300
SIGSTORE: Final = PrivateSigstore()
JUDGE: Final = SIGSTORE.authority()
CONTENT: Final = statement("https://example.com/predicate", {"a": 1})
Path = tuple[str | int, ...]

SHAPES: Final[dict[str, dict[str, Any]]] = {
    "Rekor 1": SIGSTORE.sign_statement(["dsse"], content=CONTENT),
    "Rekor 1 intoto": SIGSTORE.sign_statement(["intoto"], content=CONTENT),
    "Rekor 2": SIGSTORE.sign_statement(
        ["hashedrekord 2"], stamps=1, content=CONTENT, odd=Odd(embedded=(SIGSTORE.tsa.signer.der, SIGSTORE.tsa.root.der))
    ),
    "message": SIGSTORE.sign_message(["hashedrekord"]),
}
UNSIGNED: Final = {
    ("messageSignature", "messageDigest"),
    ("verificationMaterial", "timestampVerificationData"),
    ("verificationMaterial", "tlogEntries", 0, "inclusionProof", "checkpoint", "envelope"),
    ("mediaType",),
}
"""Where a change may leave the verdict as it is: hints, a timestamp that is left out where the log proves a time too, lines
of witnesses that nobody here can check, and the version among those that ask for the same.
"""
JSON_VALUES: Final[tuple[Any, ...]] = (None, True, 0, -1, 2**70, 1.5, "", "x", [], {}, [[]], {"x": 1}, "\ud800", "A" * 100)


def judged(piece: Evidence | None) -> tuple[Verified, ...]:
    """The facts, none where it was refused. Any other exception fails the test, and so does the catch-all."""
    if piece is None:
        return ()
    try:
        return JUDGE.judge(piece, IMAGE, NOW)
    except (Refused, Undecided) as error:
        if error.reason.code is Code.INTERNAL:
            raise
        return ()


def read(document: dict[str, Any]) -> Evidence | None:
    raw = json.dumps(document).encode()  # with surrogates as escapes
    try:
        piece = one(attachment(SIGSTORE_BUNDLE, raw))
        return with_artifact(piece, MANIFEST) if "messageSignature" in document else piece
    except (Refused, Invalid):
        return None


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in entries:
        yield from places(inner, (*path, name))


def at(document: Any, path: Path) -> Any:
    for step in path:
        document = document[step]
    return document


def put(document: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def without(document: dict[str, Any], path: Path) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    holder = at(changed, path[:-1])
    del holder[path[-1]]
    return changed


def respelled(document: dict[str, Any]) -> str:
    """Base64 has two alphabets, and padding may be left out: such documents say the same."""
    return json.dumps(document).translate(str.maketrans("-_", "+/", "="))


def unsigned(path: Path) -> bool:
    return any(path[: len(known)] == known for known in UNSIGNED)


def check(document: dict[str, Any], changed: dict[str, Any], path: Path) -> None:
    facts = judged(read(changed))
    if respelled(changed) != respelled(document) and not unsigned(path):
        assert not facts, path
    for fact in facts:
        assert (fact.digest, fact.signer) == (IMAGE, judged(read(document))[0].signer)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_place_of_the_json(shape: str) -> None:
    document = SHAPES[shape]
    assert judged(read(document))
    paths = list(places(document))
    for path in paths:
        check(document, without(document, path), path)
        for value in JSON_VALUES:
            check(document, put(document, path, value), path)
    assert len(paths) > 25


@pytest.mark.parametrize("shape", SHAPES)
def test_one_character_anywhere(shape: str) -> None:
    choose = random.Random(f"{shape} {T0}")
    document = SHAPES[shape]
    texts = [path for path in places(document) if isinstance(at(document, path), str) and at(document, path)]
    for number in range(ROUNDS):
        path = texts[number % len(texts)]
        old = at(document, path)
        where = choose.randrange(len(old))
        letter = choose.choice("ABCabcxyz0189+/=-_ \n\u2014")
        check(document, put(document, path, old[:where] + letter + old[where + 1 :]), path)


def elements(raw: bytes, start: int = 0, depth: int = 0) -> Iterator[tuple[int, int, int]]:
    """Start, content and end of every DER element, constructed ones and what octet strings hold included."""
    position = 0
    while position < len(raw):
        reader = der.Reader(raw[position:], "element")
        try:
            element = reader.next()
        except Refused:
            return
        head = len(element.raw) - len(element.content)
        yield start + position, start + position + head, start + position + len(element.raw)
        if depth < 12 and (element.tag & 0x20 or element.tag == der.OCTET_STRING):
            yield from elements(element.content, start + position + head, depth + 1)
        position += len(element.raw)


def mutations(raw: bytes, choose: random.Random) -> Iterator[bytes]:
    """For every element: another tag, a wrong length, a changed byte, nothing in it, nothing of it, and it twice."""
    for start, content, end in elements(raw):
        yield raw[:start] + bytes((raw[start] ^ choose.choice((1, 2, 0x20, 0x80)),)) + raw[start + 1 :]
        yield raw[: start + 1] + bytes((raw[start + 1] ^ choose.choice((1, 2, 0x80)),)) + raw[start + 2 :]
        if end > content:
            where = choose.randrange(content, end)
            yield raw[:where] + bytes((raw[where] ^ choose.randrange(1, 256),)) + raw[where + 1 :]
        yield raw[:start] + raw[end:]
        yield raw[:end] + raw[start:end] + raw[end:]


DER_PLACES: Final = {
    "certificate": ("Rekor 1", ("verificationMaterial", "certificate", "rawBytes"), 200),
    "timestamp": (
        "Rekor 2",
        ("verificationMaterial", "timestampVerificationData", "rfc3161Timestamps", 0, "signedTimestamp"),
        250,
    ),
}


@pytest.mark.parametrize("what", DER_PLACES)
def test_every_element_of_the_der(what: str) -> None:
    """The certificate is signed whole. Of a timestamp some is not: its status, hints, and certificates that come along."""
    shape, path, least = DER_PLACES[what]
    document, count = SHAPES[shape], 0
    raw = base64.b64decode(at(document, path))
    choose = random.Random(what)
    for changed in mutations(raw, choose):
        count += 1
        facts = judged(read(put(document, path, b64(changed))))
        if what == "certificate":
            assert not facts or changed == raw
        for fact in facts:
            assert fact.signer == judged(read(document))[0].signer
    assert count >= least


def test_every_element_of_the_body_of_a_log_entry_and_of_the_annotations() -> None:
    choose = random.Random("annotations")
    for layer, made in ((signature_layer, SIGSTORE.sign_layer()), (attestation_layer, SIGSTORE.attest_layer(CONTENT))):
        payload, annotations = made
        assert judged(layer(payload, annotations))
        for name, text in annotations.items():
            for _ in range(ROUNDS // 4):
                where = choose.randrange(len(text))
                letter = choose.choice('ABCabc019+/=" {}[],:\n')
                changed = {**annotations, name: text[:where] + letter + text[where + 1 :]}
                facts = judged(attempt(layer, payload, changed))
                if name == ENTRY and changed != annotations and facts:
                    assert same_entry(changed[ENTRY], annotations[ENTRY])
        for where in range(0, len(payload), 7):
            assert not judged(attempt(layer, payload[:where] + b"~" + payload[where + 1 :], annotations))


def attempt(layer: Any, payload: bytes, annotations: dict[str, str]) -> Evidence | None:
    try:
        piece: Evidence = layer(payload, annotations)
    except (Refused, Invalid):
        return None
    return piece


def same_entry(one: str, other: str) -> bool:
    """Whether two annotations are one entry in other spellings: white space, base64's other alphabet, case of hex digits."""
    kept = str.maketrans("-_", "+/", " \n=")
    return one.translate(kept).lower() == other.translate(kept).lower()
