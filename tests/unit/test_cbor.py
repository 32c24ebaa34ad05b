"""CBOR that two decoders could read differently is not read at all."""

import pytest

from controller.errors import Code, Refused
from controller.formats import cbor
from controller.formats.cbor import Tagged


@pytest.mark.parametrize(
    ("encoded", "value"),
    [  # RFC 8949 appendix A
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1bffffffffffffffff", 18446744073709551615),
        ("3863", -100),
        ("f4", False),
        ("f6", None),
        ("c11a514b67b0", Tagged(1, 1363896240)),
        ("4401020304", b"\1\2\3\4"),
        ("62c3bc", "ü"),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a201020304", {1: 2, 3: 4}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ],
)
def test_examples_of_the_standard(encoded: str, value: object) -> None:
    assert cbor.read(bytes.fromhex(encoded), "item") == value


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        ("1817", Code.MALFORMED),  # 23 in two bytes
        ("190017", Code.MALFORMED),
        ("1a0000ffff", Code.MALFORMED),
        ("1b00000000ffffffff", Code.MALFORMED),
        ("9f0102ff", Code.MALFORMED),  # indefinite
        ("5f42010243030405ff", Code.MALFORMED),
        ("bf6161019fff", Code.MALFORMED),
        ("f90000", Code.MALFORMED),  # floats
        ("fa47c35000", Code.MALFORMED),
        ("f7", Code.MALFORMED),  # undefined
        ("f818", Code.MALFORMED),
        ("1c", Code.MALFORMED),  # reserved
        ("0000", Code.MALFORMED),  # trailing
        ("", Code.MALFORMED),
        ("42ff", Code.MALFORMED),
        ("9b7fffffffffffffff", Code.MALFORMED),
        ("61ff", Code.MALFORMED),  # UTF-8
        ("a24100014100 01".replace(" ", ""), Code.MALFORMED),  # keys that are bytes
        ("a1f500", Code.MALFORMED),
        ("a201020103", Code.AMBIGUOUS),
        ("a2616101616102", Code.AMBIGUOUS),
        ("81" * 9 + "00", Code.LIMIT_EXCEEDED),
        ("990401" + "00" * 1025, Code.LIMIT_EXCEEDED),
    ],
)
def test_a_second_reading_is_refused(encoded: str, code: Code) -> None:
    with pytest.raises(Refused) as caught:
        cbor.read(bytes.fromhex(encoded), "item")
    assert caught.value.reason.code is code


def test_what_is_written_is_read() -> None:
    item = cbor.encode_tag(
        18,
        cbor.encode_array(
            cbor.encode_bytes(b"x" * 300),
            cbor.encode_map((cbor.encode_integer(-37), cbor.encode_text("y" * 24))),
            cbor.encode_integer(70000),
        ),
    )
    assert cbor.read(item, "item") == Tagged(18, [b"x" * 300, {-37: "y" * 24}, 70000])
