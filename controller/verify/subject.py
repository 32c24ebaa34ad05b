"""Whose certificate: subjects as policies name them (trust-store-trust-policy.md, "Trusted Identities Constraints").

`C=DE, ST=Berlin, O=Acme` matches a certificate whose subject has these values and any others. Country, state and
organisation are mandatory, so that nobody trusts everyone whom a CA calls `Anna`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from controller.certificates import Certificate
from controller.errors import Code, Invalid

PREFIX: Final = "x509.subject:"
_TYPES: Final[Mapping[str, x509.ObjectIdentifier]] = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "S": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "POSTALCODE": NameOID.POSTAL_CODE,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
}
_MANDATORY: Final = ("C", "ST", "O")
_LONGEST: Final = 1024
_SPECIAL: Final = frozenset(',;\\"+<>=# ')


@dataclass(frozen=True, slots=True)
class Subject:
    """Attributes a subject must have, by dotted identifier; `text` is the identity as written."""

    values: Mapping[str, str]
    text: str

    def matches(self, certificate: Certificate) -> bool:
        """Whether the certificate's subject has every value, exactly.

        An attribute that stands there twice, or shares its place with another, is no answer to "which": it never matches.
        """
        rdns = list(certificate.parsed.subject.rdns)
        count = Counter(attribute.oid.dotted_string for rdn in rdns for attribute in rdn)
        single = (next(iter(rdn)) for rdn in rdns if len(list(rdn)) == 1)
        found = {attribute.oid.dotted_string: attribute.value for attribute in single}
        return all(count[oid] == 1 and found.get(oid) == value for oid, value in self.values.items())

    def overlaps(self, other: "Subject") -> bool:
        """Whether one certificate can match both."""
        return all(other.values.get(oid, value) == value for oid, value in self.values.items())


def parse(text: str, field: str = "") -> Subject:
    """Read one identity, with or without the prefix `x509.subject:`.

    Raises:
        Invalid: `InvalidPolicy`.
    """
    if len(text) > _LONGEST:
        raise _invalid(field, "is too long", f"at most {_LONGEST} characters")
    values: dict[str, str] = {}
    for part in _split(text.removeprefix(PREFIX), field):
        name, equals, value = part.partition("=")
        oid = _TYPES.get(name.strip().upper())
        if not equals or oid is None:
            raise _invalid(field, "names an attribute that is not known", ", ".join(_TYPES), name.strip()[:40])
        plain = _plain(value, field)
        if oid.dotted_string in values:
            raise _invalid(field, "names an attribute twice", found=name.strip())
        values[oid.dotted_string] = plain
    missing = [name for name in _MANDATORY if not values.get(_TYPES[name].dotted_string)]
    if missing:
        raise _invalid(field, "lacks an attribute that is mandatory", ", ".join(_MANDATORY), f"no {', '.join(missing)}")
    return Subject(values, text.removeprefix(PREFIX).strip())


def parse_all(texts: Sequence[str], field: str = "") -> tuple[Subject, ...]:
    """Read a list of identities, of which no certificate may match two (trust-store-trust-policy.md).

    Raises:
        Invalid: `InvalidPolicy`, also for an empty list.
    """
    if not texts:
        raise _invalid(field, "names nobody", "at least one identity")
    subjects = tuple(parse(text, f"{field}[{index}]") for index, text in enumerate(texts))
    for index, subject in enumerate(subjects):
        if any(subject.overlaps(other) for other in subjects[:index]):
            raise _invalid(f"{field}[{index}]", "overlaps with an identity before it", found=subject.text[:80])
    return subjects


def _split(text: str, field: str) -> list[str]:
    """Split at commas that no backslash escapes; the escapes stay."""
    parts, current, escaped = [], "", False
    for letter in text:
        if letter == "," and not escaped:
            parts.append(current)
            current = ""
            continue
        if letter in "+;" and not escaped:  # several attributes in one place, or RFC 2253's other separator
            raise _invalid(field, "holds a separator that is not supported", "commas; others escaped", repr(letter))
        escaped = letter == "\\" and not escaped
        current += letter
    if escaped:
        raise _invalid(field, "ends within an escape")
    return [*parts, current]


def _plain(value: str, field: str) -> str:
    """Take away escapes and the spaces around a value that none protects (RFC 4514 section 2.4)."""
    letters: list[tuple[str, bool]] = []
    escaped = False
    for letter in value:
        if letter == "\\" and not escaped:
            escaped = True
            continue
        if escaped and letter not in _SPECIAL:
            raise _invalid(field, "escapes a letter that needs none", found=f"\\{letter}")
        letters.append((letter, escaped))
        escaped = False
    while letters and letters[0] == (" ", False):
        letters.pop(0)
    while letters and letters[-1] == (" ", False):
        letters.pop()
    if letters and letters[0] == ("#", False):
        raise _invalid(field, "gives a value in hexadecimal, which is not supported")
    if not letters:
        raise _invalid(field, "gives an empty value")
    return "".join(letter for letter, _ in letters)


def _invalid(field: str, why: str, expected: str = "", found: str = "") -> Invalid:
    return Invalid(Code.INVALID_POLICY, f"the X.509 identity {why}", field=field, expected=expected, found=found)
