"""DER is read one way only."""

import pytest

from controller import der
from controller.errors import Code, Refused


def refused(raw: bytes, tag: int = der.SEQUENCE) -> str:
    with pytest.raises(Refused) as caught:
        der.read(raw, "thing", tag)
    assert caught.value.reason.code is Code.MALFORMED
    return caught.value.reason.found


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_what_is_encoded_is_read_back(length: int) -> None:
    raw = der.encode(der.OCTET_STRING, b"x" * length)
    element = der.read(raw, "thing", der.OCTET_STRING)
    assert (element.content, element.raw) == (b"x" * length, raw)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", "cut short"),
        (b"\x30", "cut short"),
        (b"\x30\x01", "longer than what holds it"),
        (b"\x30\x80\x00\x00", "indefinite"),
        (b"\x30\x81\x01\x00", "not in its shortest form"),
        (b"\x30\x82\x00\x80" + b"\x00" * 128, "not in its shortest form"),
        (b"\x30\x85\x01\x00\x00\x00\x00", "not in its shortest form"),
        (b"\x3f\x81\x00\x00", "high tag number"),
        (b"\x30\x00\x00", "bytes after the end"),
        (b"\x31\x00", "tag 0x31"),
    ],
)
def test_what_has_another_reading_is_refused(raw: bytes, found: str) -> None:
    assert found in refused(raw)


@pytest.mark.parametrize(
    ("content", "value"), [(b"\x00", 0), (b"\x7f", 127), (b"\x00\x80", 128), (b"\xff", -1), (b"\x80", -128)]
)
def test_integers(content: bytes, value: int) -> None:
    assert der.read(der.encode(der.INTEGER, content), "thing", der.INTEGER).integer() == value


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"\xff\xff", b"\x00\x00\x80"])
def test_integers_that_are_too_long(content: bytes) -> None:
    with pytest.raises(Refused):
        der.read(der.encode(der.INTEGER, content), "thing", der.INTEGER).integer()


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("2a864886f70d010702", "1.2.840.113549.1.7.2"),
        ("550406", "2.5.4.6"),
        ("8837", "2.999"),
        ("2b06010401", "1.3.6.1.4.1"),
    ],
)
def test_object_identifiers(content: str, value: str) -> None:
    assert der.read(der.encode(der.OBJECT_IDENTIFIER, bytes.fromhex(content)), "thing", der.OBJECT_IDENTIFIER).oid() == value


@pytest.mark.parametrize("content", [b"", b"\x2a\x80\x01", b"\x2a\x86", b"\x2a" + b"\x81" * 100 + b"\x01"])
def test_object_identifiers_that_are_none(content: bytes) -> None:
    with pytest.raises(Refused):
        der.read(der.encode(der.OBJECT_IDENTIFIER, content), "thing", der.OBJECT_IDENTIFIER).oid()


@pytest.mark.parametrize(
    ("text", "value"),
    [("19700101000000Z", 0.0), ("20251009085320Z", 1_760_000_000.0), ("20251009085320.5Z", 1_760_000_000.5)],
)
def test_times(text: str, value: float) -> None:
    assert der.read(der.encode(der.GENERALIZED_TIME, text.encode()), "thing", der.GENERALIZED_TIME).time() == value


@pytest.mark.parametrize(
    "text", ["20251009085320", "20251009085320+0100", "20251009085320.50Z", "20251309085320Z", "20251009085361Z", "2025Z"]
)
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(Refused):
        der.read(der.encode(der.GENERALIZED_TIME, text.encode()), "thing", der.GENERALIZED_TIME).time()


def test_elements_in_turn() -> None:
    body = der.encode(der.INTEGER, b"\1") + der.encode(der.NULL) + der.encode(der.implicit(2), b"x")
    reader = der.read(der.encode(der.SEQUENCE, body), "thing").inside()
    assert reader.take(der.INTEGER).integer() == 1
    assert reader.maybe(der.SEQUENCE) is None
    assert reader.maybe(der.NULL, der.INTEGER) is not None
    assert reader.more
    with pytest.raises(Refused) as caught:
        reader.take(der.SEQUENCE)
    assert caught.value.reason.expected == "0x30"
    with pytest.raises(Refused):
        der.read(der.encode(der.SEQUENCE, body), "thing").inside().all(der.INTEGER, limit=9)
    with pytest.raises(Refused) as caught:
        der.read(der.encode(der.SEQUENCE, der.encode(der.NULL) * 3), "thing").inside().all(der.NULL, limit=2)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


def test_a_set_is_written_in_der_order() -> None:
    assert der.encode_set([b"\x02\x01\x02", b"\x02\x01\x01"]) == b"\x31\x06\x02\x01\x01\x02\x01\x02"
