"""Structure-aware mutations of Notary Project signatures: every element of JSON, CBOR and DER at least once.

Whatever is changed, the answer is a fact, a refusal or "not decided", never another exception; and what is believed is the
content that was signed. Answers of responders are held to the same.
"""

import base64
import json
from functools import partial
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller import certificates
from controller.errors import Code, Invalid, Refused, SigwardError, Undecided
from controller.evidence import Evidence, Needs, Verified
from controller.formats import cbor, cose, jws, notation
from controller.formats.cbor import Tagged
from controller.verify import subject
from controller.verify.pki import Level, Stores
from controller.verify.x509 import X509Authority
from tests.fakes.evidence import IMAGE, LIMITS, OTHER
from tests.fakes.mutations import ODD_CBOR, ODD_JSON, changed, dumped, flipped, paths, spoilt
from tests.fakes.notation import FORMATS, Wanted, algorithm, envelope, sign, url64, wrapped
from tests.fakes.pki import NOW, Says, ocsp_answer, revocation_list, root, signer
from tests.fakes.timestamps import Odd, TimestampAuthority

OCSP: Final = "http://ocsp.acme.example/"
LIST: Final = "http://crl.acme.example/"
CLOCK: Final = TimestampAuthority("clock")


def judge(level: Level = Level.STRICT) -> X509Authority:
    clock = certificates.parse(CLOCK.root.der, "clock", limit=LIMITS.certificate_bytes)
    stores = Stores(ca=(root().read,), tsa=(clock,))
    return X509Authority("pki", stores, subject.parse_all(["C=DE, ST=Berlin, O=Acme"]), level=level)


JUDGE: Final = judge()


def asked(found: Evidence, answer: bytes = b"") -> Verified | Code:
    """A fact, or the code of what was said instead; anything else that is raised fails the test."""
    judgement = partial(JUDGE.judge, found, IMAGE, NOW)
    for _ in range(3):
        try:
            (fact,) = judgement()
        except Needs as needs:
            judgement = partial(needs.resume, dict.fromkeys(needs.questions, answer))
        except (Refused, Invalid, Undecided) as error:
            return code_of(error)
        else:
            return fact
    return Code.REVOCATION_UNKNOWN


def code_of(error: SigwardError) -> Code:
    assert error.reason.code is not Code.INTERNAL, error
    return error.reason.code


def opened(form: str, raw: bytes) -> notation.Opened:
    return jws.open_envelope(raw, LIMITS) if form == notation.JWS else cose.open_envelope(raw, LIMITS)


def check(form: str, original: bytes, mutated: bytes) -> bool:
    """Whether it is believed; then what was signed is what was signed."""
    if mutated == original:
        return True
    answer = asked(wrapped(form, mutated))
    if isinstance(answer, Code):
        return False
    before, after = opened(form, original), opened(form, mutated)
    assert (after.signed, after.payload, after.headers) == (before.signed, before.payload, before.headers)
    assert answer.digest == IMAGE
    return True


def stamped() -> Wanted:
    return Wanted(
        expiry=NOW + 3600,
        artifact={"annotations": {"env": "prod"}},
        stamp=lambda signature: CLOCK.token(signature, NOW - 60, Odd(embedded=(CLOCK.signer.der,))),
    )


class TestJson:
    original = envelope(notation.JWS, signer(), stamped())

    def test_every_element_of_the_envelope(self) -> None:
        document = json.loads(self.original)
        hit = believed = 0
        for path in paths(document):
            for odd in (*ODD_JSON, ...):
                if odd is ... and not path:
                    continue
                mutated = json.dumps(changed(document, path, lambda _, odd=odd: odd)).encode()  # type: ignore[misc]
                believed += check(notation.JWS, self.original, mutated)
                hit += 1
        assert hit >= 10 * len(ODD_JSON)
        assert believed == len(ODD_JSON) - 1 + 1 + 1, (
            "the agent's name is anybody's, and the timestamp can be taken away; half a character is no text"
        )

    @pytest.mark.parametrize("part", ["protected", "payload"])
    def test_every_element_of_what_is_signed(self, part: str) -> None:
        """Without a new signature, never believed; with one, believed or refused and nothing else."""
        document = json.loads(self.original)
        inner = json.loads(base64.urlsafe_b64decode(document[part] + "=="))
        for path in paths(inner):
            for odd in (*ODD_JSON, ...):
                if odd is ... and not path:
                    continue
                content = json.dumps(changed(inner, path, lambda _, odd=odd: odd)).encode()  # type: ignore[misc]
                if json.loads(content) == inner:
                    continue
                mutated = {**document, "header": dict(document["header"]), part: url64(content)}
                assert not check(notation.JWS, self.original, json.dumps(mutated).encode())
                signed = f"{mutated['protected']}.{mutated['payload']}".encode()
                mutated["signature"] = url64(sign(signer(), signed, algorithm(signer())))
                del mutated["header"][notation.TIMESTAMP]
                asked(wrapped(notation.JWS, json.dumps(mutated).encode()))

    def test_every_name_twice_and_in_capitals(self) -> None:
        text = self.original.decode()
        for name in ("payload", "protected", "header", "signature", "x5c"):
            twice = text.replace(f'"{name}":', f'"{name}": "x", "{name}":', 1)
            assert asked(wrapped(notation.JWS, twice.encode())) is Code.AMBIGUOUS
            capital = text.replace(f'"{name}":', f'"{name.capitalize()}": "x", "{name}":', 1)
            assert asked(wrapped(notation.JWS, capital.encode())) in {Code.AMBIGUOUS, Code.MALFORMED}


class TestCbor:
    original = envelope(notation.COSE, signer(), stamped())

    def test_every_element_of_the_envelope(self) -> None:
        document = cbor.read(self.original, "envelope")
        hit = believed = 0
        for path in paths(document):
            for odd in (*ODD_CBOR, ...):
                if odd is ... and (not path or path[-1] == "tagged"):
                    continue
                mutated = dumped(changed(document, path, lambda _, odd=odd: odd))  # type: ignore[misc]
                believed += check(notation.COSE, self.original, mutated)
                hit += 1
        assert hit >= 10 * len(ODD_CBOR)
        assert believed == len(ODD_CBOR) + 1 + 1 + 1, "the agent's name, and a timestamp that is empty or taken away"

    def test_every_element_of_what_is_signed(self) -> None:
        document: Any = cbor.read(self.original, "envelope")
        encoded, unprotected, payload, _ = document.value
        inner = cbor.read(encoded, "protected")
        for path in paths(inner):
            for odd in (*ODD_CBOR, ...):
                if odd is ... and (not path or path[-1] == "tagged"):
                    continue
                protected = dumped(changed(inner, path, lambda _, odd=odd: odd))  # type: ignore[misc]
                if protected == encoded:
                    continue
                mutated = Tagged(18, [protected, *document.value[1:]])
                assert not check(notation.COSE, self.original, dumped(mutated))
                parts = (cbor.encode_text("Signature1"), *map(cbor.encode_bytes, (protected, b"", payload)))
                again = sign(signer(), cbor.encode_array(*parts), algorithm(signer()))
                asked(wrapped(notation.COSE, dumped(Tagged(18, [protected, unprotected, payload, again]))))


class TestDer:
    """Certificates and timestamps are the same bytes in either encoding, so one of each is enough."""

    def test_every_element_of_every_certificate(self) -> None:
        original = envelope(notation.JWS, signer())
        chain = [one.der for one in signer().chain]
        hit = 0
        for index, certificate in enumerate(chain):
            for mutated in spoilt(certificate):
                other = [*chain[:index], mutated, *chain[index + 1 :]]
                believed = check(notation.JWS, original, envelope(notation.JWS, signer(), Wanted(chain=other)))
                assert not believed, (index, mutated.hex())
                hit += 1
        assert hit > 300

    def test_every_element_of_a_timestamp(self) -> None:
        tokens: list[bytes] = []

        def keep(signature: bytes) -> bytes:
            tokens.append(CLOCK.token(signature, NOW - 60, Odd(embedded=(CLOCK.signer.der,))))
            return tokens[-1]

        raw = envelope(notation.COSE, signer(), Wanted(stamp=keep))
        assert isinstance(asked(wrapped(notation.COSE, raw)), Verified)
        document = cbor.read(raw, "envelope")
        path = ("tagged", 1, notation.TIMESTAMP)
        for mutated in spoilt(tokens[0]):
            check(notation.COSE, raw, dumped(changed(document, path, lambda _, new=mutated: new)))  # type: ignore[misc]


@pytest.mark.parametrize("place", ["ocsp", "list"])
class TestAnswers:
    def fixture(self, place: str, status: str) -> tuple[Evidence, bytes]:
        by = signer(ocsp=(OCSP,)) if place == "ocsp" else signer(lists=(LIST,))
        says = Says(status)
        answer = ocsp_answer(by, says) if place == "ocsp" else revocation_list(by, says)
        return wrapped(notation.JWS, envelope(notation.JWS, by)), answer

    def test_no_change_makes_a_revoked_certificate_good(self, place: str) -> None:
        found, answer = self.fixture(place, "revoked")
        assert asked(found, answer) is Code.CERTIFICATE_REVOKED
        for at in range(len(answer)):
            assert isinstance(asked(found, flipped(answer, at, 1 << at % 8)), Code)

    def test_a_good_answer_that_was_changed_settles_nothing(self, place: str) -> None:
        found, answer = self.fixture(place, "good")
        assert isinstance(asked(found, answer), Verified)
        believed = [at for at in range(0, len(answer), 2) if isinstance(asked(found, flipped(answer, at, 1)), Verified)]
        assert len(believed) <= 12, "the name of the signature's algorithm stands outside of what is signed"


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=150)
@given(data=st.data())
def test_any_octets_changed(form: str, data: st.DataObject) -> None:
    original = TestJson.original if form == notation.JWS else TestCbor.original
    at = data.draw(st.integers(0, len(original) - 1))
    width = data.draw(st.integers(0, 4))
    check(form, original, original[:at] + data.draw(st.binary(max_size=6)) + original[at + width :])


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=100)
@given(raw=st.binary(max_size=200))
@example(b"")
@example(b"{}")
@example(b"\xd2\x84\x40\xa0\x40\x40")
def test_any_octets_at_all(form: str, raw: bytes) -> None:
    assert isinstance(asked(wrapped(form, raw)), Code)


@settings(max_examples=100)
@given(
    value=st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(1 << 64), (1 << 64) - 1),
            st.binary(max_size=40),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=5),
            st.dictionaries(st.one_of(st.integers(-100, 100), st.text(max_size=5)), inner, max_size=5),
            st.builds(Tagged, st.integers(0, 1 << 32), inner),
        ),
        max_leaves=20,
    )
)
def test_cbor_round_trip(value: Any) -> None:
    try:
        assert cbor.read(dumped(value), "item") == value
    except Refused as error:
        assert error.reason.code is Code.LIMIT_EXCEEDED  # noqa: PT017 - only one reason to refuse what was written properly


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("level", Level)
def test_no_level_believes_another_image(form: str, level: Level) -> None:
    with pytest.raises(Refused) as caught:
        judge(level).judge(wrapped(form, envelope(form, signer())), OTHER, NOW)
    assert caught.value.reason.code is Code.WRONG_DIGEST
