"""What holds for every key, every payload and every byte string: round trips, mutations, and readers that never crash."""

import base64
import functools
import json
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from controller import keys
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, COSIGN_SIGNATURE, DSSE, IN_TOTO, SIGSTORE_BUNDLE, SIMPLE_SIGNING
from controller.demo.signingkeys import KeyType, SigningKey
from controller.errors import Code, Invalid, Refused
from controller.evidence import Claim, Envelope, Evidence, MessageSignature, SimpleSigning
from controller.formats import dsse, read, with_artifact
from controller.formats.encoding import decode64
from controller.keys import Message
from controller.reference import Digest
from tests.fakes.evidence import IMAGE, LIMITS, MANIFEST, attachment, attestation, authority, bundle, image_bundle, signature
from tests.fakes.evidence import statement as about
from tests.fakes.keys import signing_key

T = TypeVar("T")
KINDS = (KeyType.P256, KeyType.P384, KeyType.P521, KeyType.ED25519, KeyType.RSA2048, KeyType.ML_DSA_44)
MEDIA_TYPES = (SIMPLE_SIGNING, DSSE, IN_TOTO, SIGSTORE_BUNDLE, "application/vnd.dev.sigstore.bundle+json;version=0.1")
KEY = signing_key()
JUDGE = authority(KEY)

some_keys = st.sampled_from(KINDS).map(lambda kind: signing_key(kind=kind))
annotation_values = st.one_of(
    st.text(max_size=40), st.sampled_from(["", "AAAA", "{}", '{"SignedRFC3161Timestamp":"AAAA"}', "null"])
)
hints = st.dictionaries(
    st.sampled_from(
        [
            COSIGN_SIGNATURE,
            *(f"dev.sigstore.cosign/{name}" for name in ("certificate", "chain", "bundle", "rfc3161timestamp")),
        ]
    ),
    annotation_values,
)
json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)
predicates = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)


def attempt(call: Callable[[], T]) -> T | Code:
    """What `call` returns, or the code it refuses with; anything else it raises fails the test."""
    try:
        return call()
    except (Refused, Invalid) as error:
        return error.reason.code


def read_or_refuse(media_type: str, payload: bytes, annotations: dict[str, str]) -> tuple[Evidence, ...]:
    found = attempt(lambda: read(attachment(media_type, payload, annotations), LIMITS))
    if isinstance(found, Code):
        assert found in {Code.MALFORMED, Code.AMBIGUOUS, Code.LIMIT_EXCEEDED}
        return ()
    return found


def proved(evidence: Evidence, subject: Digest = IMAGE) -> bool:
    """Whether the judge says yes."""
    facts = attempt(lambda: JUDGE.judge(evidence, subject, 0))
    if isinstance(facts, Code):
        assert facts is not Code.INTERNAL
        return False
    assert facts
    assert all(fact.digest == subject and fact.signer.id == f"key:sha256:{KEY.fingerprint}" for fact in facts)
    return True


@functools.cache
def signed_once(kind: KeyType, message: bytes) -> bytes:
    """A signature that stays the same when hypothesis replays a test: ECDSA's differ each time."""
    return signing_key(kind=kind).sign(message)


@given(key=some_keys, message=st.binary(max_size=200), curve_hash=st.booleans())
@settings(max_examples=60)
def test_what_a_key_signs_it_verifies(key: SigningKey, message: bytes, *, curve_hash: bool) -> None:
    private = key.with_cosign_defaults() if curve_hash else key
    public = keys.parse(private.public_der)
    signed = private.sign(message)
    assert public.verifies(signed, Message(message))
    assert not public.verifies(signed, Message(message + b"\0"))


@given(data=st.data(), kind=st.sampled_from(KINDS))
@settings(max_examples=80)
def test_no_flipped_bit_verifies(data: st.DataObject, kind: KeyType) -> None:
    message = b"a message of some length"
    signed = signed_once(kind, message)
    place = data.draw(st.integers(0, len(signed) * 8 + len(message) * 8 - 1))
    both = bytearray(signed + message)
    both[place // 8] ^= 1 << place % 8
    assert not keys.parse(signing_key(kind=kind).public_der).verifies(
        bytes(both[: len(signed)]), Message(bytes(both[len(signed) :]))
    )


@given(predicate=predicates, kind=st.text(min_size=1, max_size=20))
@settings(max_examples=60)
def test_statement_round_trip(predicate: object, kind: str) -> None:
    assume(kind != COSIGN_SIGN)
    content = payloads.statement([payloads.subject(IMAGE)], kind, predicate)
    for evidence in (attestation(content, KEY), bundle(content, KEY)):
        (fact,) = JUDGE.judge(evidence, IMAGE, 0)
        assert (fact.claim, fact.predicate_type, fact.predicate) == (Claim.ATTESTATION, kind, predicate)


@given(annotations=st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=4))
@settings(max_examples=40)
def test_signed_annotations_round_trip_in_both_styles(annotations: dict[str, str]) -> None:
    claim = signature(KEY, payload=payloads.claim(IMAGE, "x", annotations))
    statement = bundle(payloads.statement([payloads.subject(IMAGE, annotations=annotations)], COSIGN_SIGN, {}), KEY)
    for evidence in (claim, statement):
        assert dict(JUDGE.judge(evidence, IMAGE, 0)[0].annotations) == annotations


@given(data=st.data())
@settings(max_examples=120)
def test_signed_bytes_with_one_byte_changed_are_never_proved(data: st.DataObject) -> None:
    evidence = data.draw(
        st.sampled_from([signature(KEY), image_bundle(KEY), attestation(about("https://spdx.dev/Document"), KEY)])
    )
    content = evidence.content
    raw = bytearray(content.payload) if isinstance(content, (SimpleSigning, Envelope)) else bytearray()
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    changed: SimpleSigning | Envelope
    if isinstance(content, SimpleSigning):
        changed = SimpleSigning(bytes(raw), content.signature)
    else:
        assert isinstance(content, Envelope)
        changed = Envelope(content.payload_type, bytes(raw), content.signatures)
    assert proved(evidence)
    assert not proved(Evidence.of(evidence.format, evidence.origin, changed, evidence.material))


@given(
    kind=st.text(max_size=20), payload=st.binary(max_size=20), other_kind=st.text(max_size=20), other=st.binary(max_size=20)
)
@example(kind="a 1", payload=b"b", other_kind="a", other=b"1 b")
def test_pae_is_injective(kind: str, payload: bytes, other_kind: str, other: bytes) -> None:
    assume((kind, payload) != (other_kind, other))
    assert dsse.pae(kind, payload) != dsse.pae(other_kind, other)


@given(media_type=st.sampled_from(MEDIA_TYPES), payload=st.binary(max_size=300), annotations=hints)
@settings(max_examples=200)
def test_readers_refuse_any_bytes_and_never_crash(media_type: str, payload: bytes, annotations: dict[str, str]) -> None:
    for evidence in read_or_refuse(media_type, payload, annotations):
        assert not proved(evidence)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for name, entry in inner for found in _paths(entry, (*path, name)))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _replaced(copy[path[0]], path[1:], new)
    return copy


BUNDLE: dict[str, Any] = json.loads(
    payloads.bundle(
        payloads.bundle_envelope(payloads.envelope(about(COSIGN_SIGN), KEY)),
        KEY.hint,
        tlogEntries=[{"logIndex": "1", "canonicalizedBody": "e30="}],
        timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}]},
    )
)
MESSAGE: dict[str, Any] = json.loads(payloads.bundle(payloads.message_signature(MANIFEST, KEY), KEY.hint))


@given(data=st.data(), document=st.sampled_from([BUNDLE, MESSAGE]), value=json_values)
@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
def test_bundle_with_one_member_replaced_by_anything(data: st.DataObject, document: dict[str, Any], value: object) -> None:
    path = data.draw(st.sampled_from(_paths(document)))
    assume(path)
    changed = _replaced(document, path, value)
    for found in read_or_refuse(SIGSTORE_BUNDLE, json.dumps(changed).encode(), {}):
        for evidence in (found, with_artifact(found, MANIFEST)):
            if proved(evidence):
                assert signed_part(evidence) == signed_part(_only(document)), "a yes rests on nothing but what was signed"


def _only(document: dict[str, Any]) -> Evidence:
    (evidence,) = read(attachment(SIGSTORE_BUNDLE, json.dumps(document).encode()), LIMITS)
    return evidence


def signed_part(evidence: Evidence) -> tuple[object, ...]:
    content = evidence.content
    if isinstance(content, Envelope):
        return (content.payload_type, content.payload, content.signatures[0].signature)
    assert isinstance(content, MessageSignature)
    return (content.signature,)


@given(st.binary(max_size=200))
@settings(max_examples=150)
def test_any_bytes_as_a_key(raw: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        keys.parse(raw, "field")
    assert caught.value.reason.code is Code.INVALID_KEY


@given(data=st.data(), key=some_keys, armored=st.booleans())
@settings(max_examples=200)
def test_mutated_key_is_refused_or_another_key_with_one_identity(
    data: st.DataObject, key: SigningKey, *, armored: bool
) -> None:
    raw = bytearray(key.public_der)
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.integers(0, min(len(raw) - 1, 60)))
        raw[place] = data.draw(st.integers(0, 255))
    mutated = bytes(raw)
    if armored:
        mutated = b"-----BEGIN PUBLIC KEY-----\n" + base64.encodebytes(mutated) + b"-----END PUBLIC KEY-----\n"
    found = attempt(lambda: keys.parse(mutated))
    if isinstance(found, Code):
        assert found is Code.INVALID_KEY
    else:
        assert keys.parse(found.spki).spki == found.spki


@given(st.text(alphabet="AQgw019+/-_= \n", max_size=12))
@settings(max_examples=300)
def test_base64_has_one_spelling_in_each_alphabet(text: str) -> None:
    raw = attempt(lambda: decode64(text, "x"))
    if isinstance(raw, Code):
        assert raw is Code.MALFORMED
        return
    padded, url = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    assert text in {padded, url, padded.rstrip("="), url.rstrip("=")}
