"""Identities by subject: what is read, what is refused when the policy is applied, whom each matches."""

import pytest

from controller.errors import Code, Invalid
from controller.verify import subject
from tests.fakes.pki import Wanted, issue, signer

ACME = "C=DE, ST=Berlin, O=Acme"


@pytest.mark.parametrize(
    "text",
    [
        ACME,
        f"x509.subject: {ACME}",
        "C=DE,ST=Berlin,O=Acme",
        "o=Acme , st=Berlin , c=DE",
        "C=DE, S=Berlin, O=Acme",
        f"{ACME}, CN=release",
    ],
)
def test_matches(text: str) -> None:
    assert subject.parse(text).matches(signer("release").read)


@pytest.mark.parametrize(
    "text",
    [
        "C=DE, ST=Berlin, O=Acm",
        "C=DE, ST=Berlin, O=acme",
        "C=DE, ST=Berlin, O=Acme Evil",
        "C=FR, ST=Berlin, O=Acme",
        f"{ACME}, CN=rel",
        f"{ACME}, CN=*",
        f"{ACME}, OU=team",
    ],
)
def test_does_not_match(text: str) -> None:
    assert not subject.parse(text).matches(signer("release").read)


@pytest.mark.parametrize(
    "certified",
    [
        "C=DE, ST=Berlin, O=Acme, O=Evil",
        "C=DE, ST=Berlin, O=Evil, O=Acme",
        "C=DE, ST=Berlin, O=Acme+OU=x",
        "ST=Berlin, O=Acme",
    ],
)
def test_subjects_with_two_readings_match_nothing(certified: str) -> None:
    assert not subject.parse(ACME).matches(issue(Wanted(certified)).read)


def test_values_of_others_do_not_count_twice() -> None:
    twice = issue(Wanted("C=DE, ST=Berlin, O=Acme, OU=a, OU=b"))
    assert subject.parse(ACME).matches(twice.read), "what the identity does not name is not looked at"
    assert not subject.parse(f"{ACME}, OU=a").matches(twice.read)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("C=DE, ST=Berlin, O=Acme\\, Inc.", "Acme, Inc."),
        ("C=DE, ST=Berlin, O=Acme\\; Sons", "Acme; Sons"),
        ("C=DE, ST=Berlin, O=back\\\\slash", "back\\slash"),
        ("C=DE, ST=Berlin, O=\\ spaced\\ ", " spaced "),
        ("C=DE, ST=Berlin, O=a\\=b\\+c", "a=b+c"),
        ("C=DE, ST=Berlin, O=a=b", "a=b"),
    ],
)
def test_escapes(text: str, value: str) -> None:
    assert value in subject.parse(text).values.values()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "x509.subject:",
        "C=DE",
        "C=DE, ST=Berlin",
        "C=DE, ST=, O=Acme",
        "C=DE, ST=Berlin, O=#0403",
        "C=DE, ST=Berlin, O=Acme, O=Other",
        "C=DE, ST=Berlin, S=Berlin, O=Acme",
        "C=DE, ST=Berlin+O=Acme",
        "C=DE; ST=Berlin; O=Acme",
        "C=DE, ST=Berlin, O=Acme, XYZ=1",
        "C=DE, ST=Berlin, O=Acme,",
        "C=DE, ST=Berlin, O=Acme\\",
        "C=DE, ST=Berlin, O=\\Acme",
        "C=DE, ST=Berlin, O=" + "x" * 1025,
    ],
)
def test_invalid(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        subject.parse(text, "identities[0]")
    assert caught.value.reason.code is Code.INVALID_POLICY
    assert caught.value.field == "identities[0]"


def test_identities_that_overlap() -> None:
    with pytest.raises(Invalid) as caught:
        subject.parse_all([f"{ACME}, OU=a", ACME], "identities")
    assert caught.value.field == "identities[1]"
    assert len(subject.parse_all([f"{ACME}, OU=a", f"{ACME}, OU=b"])) == 2
    with pytest.raises(Invalid):
        subject.parse_all([])
