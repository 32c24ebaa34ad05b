"""Attack 15: an identity rule that is ignored, or that matches a part only (CVE-2025-29778, CVE-2026-22772)."""

from typing import Any

import pytest
from cryptography import x509

from controller import der
from controller.certificates import FULCIO_CLAIMS
from controller.errors import Code, Reason, Refused
from controller.verify.identity import Identity as Trusted
from controller.verify.identity import Kind, Pattern
from tests.fakes.authorities import FULCIO, ISSUER, SUBJECT, Identity
from tests.fakes.evidence import IMAGE
from tests.fakes.sigstore import NOW, PrivateSigstore, evidence, trusted

SIGSTORE = PrivateSigstore()
CLAIMS = {name: f"value of {name}" for name in FULCIO_CLAIMS}


def signed_as(identity: Identity) -> Any:
    return evidence(SIGSTORE.sign_statement(holder=SIGSTORE.holder(identity)))


def refusal(piece: Any, *identities: Trusted) -> Reason:
    with pytest.raises(Refused) as caught:
        SIGSTORE.authority(*identities).judge(piece, IMAGE, NOW)
    return caught.value.reason


def subject(kind: Kind, text: str) -> Trusted:
    return Trusted(Pattern("exact", ISSUER), Pattern(kind, text))


def test_everything_that_is_asked_for_is_there() -> None:
    (fact,) = SIGSTORE.authority(trusted(claims=CLAIMS)).judge(signed_as(Identity(claims=CLAIMS)), IMAGE, NOW)
    assert fact.signer.name == f"{SUBJECT} (issuer {ISSUER})"


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_each_claim_alone_turns_yes_into_no(name: str) -> None:
    for value, found in (("another", "another"), (None, "no such extension"), (CLAIMS[name] + "x", CLAIMS[name] + "x")):
        claims = {**CLAIMS, name: value} if value else {key: kept for key, kept in CLAIMS.items() if key != name}
        reason = refusal(signed_as(Identity(claims=claims)), trusted(claims=CLAIMS))
        assert (reason.code, reason.expected, reason.found) == (Code.WRONG_CLAIM, CLAIMS[name], found)
        assert name in reason.message


@pytest.mark.parametrize(
    ("identity", "code", "found"),
    [
        (Identity(issuer="https://evil.example", issuer_old=None), Code.WRONG_ISSUER, "https://evil.example"),
        (Identity(issuer=None, issuer_old="https://evil.example"), Code.WRONG_ISSUER, "https://evil.example"),
        (Identity(issuer=ISSUER + ".evil.example", issuer_old=None), Code.WRONG_ISSUER, ISSUER + ".evil.example"),
        (Identity(issuer=None, issuer_old=None), Code.WRONG_ISSUER, ""),
        (Identity(issuer="", issuer_old=None), Code.WRONG_ISSUER, ""),
        (Identity(SUBJECT + "x"), Code.WRONG_SUBJECT, f"URI {SUBJECT}x"),
        (Identity("x" + SUBJECT), Code.WRONG_SUBJECT, f"URI x{SUBJECT}"),
        (Identity("mallory@example.com"), Code.WRONG_SUBJECT, "email mallory@example.com"),
    ],
)
def test_issuer_and_subject_are_both_compared_whole(identity: Identity, code: Code, found: str) -> None:
    reason = refusal(signed_as(identity))
    assert (reason.code, reason.found) == (code, found)


def test_either_issuer_extension_suffices_and_two_must_agree() -> None:
    for identity in (Identity(issuer=None), Identity(issuer_old=None)):
        assert SIGSTORE.authority().judge(signed_as(identity), IMAGE, NOW)
    reason = refusal(signed_as(Identity(issuer=ISSUER, issuer_old="https://evil.example")))
    assert (reason.code, reason.message) == (Code.CERTIFICATE_INVALID, "the certificate names two issuers")


@pytest.mark.parametrize(
    ("kind", "text", "value", "matches"),
    [
        ("regex", "https://good[.]com/.*", "https://good.com/x", True),
        ("regex", "https://good[.]com/.*", "https://evil.com?x=https://good.com/x", False),
        ("regex", "good[.]com", "https://evil.com?x=good.com", False),
        ("regex", "^https://good.com|x$", "https://good.com.evil", False),
        ("regex", "https://good.com/a|https://good.com/b", "https://good.com/b.evil", False),
        ("regex", "https://good.com/.*", "https://good.com/x\nhttps://evil.com", False),
        ("regex", "(?s)https://good.com/.*", "https://good.com/x\ny", True),
        ("glob", "https://github.com/acme/*/.github/workflows/*@refs/heads/main", SUBJECT, True),
        ("glob", "https://github.com/acme/*@refs/heads/main", SUBJECT, False),
        ("glob", "https://github.com/acme/shop/.github/workflows/*", SUBJECT, False),
        ("glob", "*@example.com", "a@evil.com@example.com", False),
        ("glob", "*@example.com", "a@example.com.evil", False),
        ("glob", "https://good.com/x?y=*", "https://good.com/xzy=1", False),
        ("glob", "https://good.com/x.y", "https://good.com/xzy", False),
        ("exact", "https://good.com/*", "https://good.com/x", False),
        ("exact", "https://Good.com/x", "https://good.com/x", False),
    ],
)
def test_patterns_match_whole_or_not_at_all(kind: Kind, text: str, value: str, matches: bool) -> None:  # noqa: FBT001 - a table
    identity = subject(kind, text)
    named = Identity(x509.UniformResourceIdentifier(value) if "://" in value else value)
    if value.count("@") > 1 or "\n" in value:
        assert identity.subject.matches(value) is matches, "no certificate can carry it"
        return
    piece = signed_as(named)
    if matches:
        assert SIGSTORE.authority(identity).judge(piece, IMAGE, NOW)
    else:
        assert refusal(piece, identity).code is Code.WRONG_SUBJECT


def test_every_kind_of_name_is_read_and_only_one_name_is_accepted() -> None:
    user = x509.OtherName(x509.ObjectIdentifier(f"{FULCIO}.7"), der.encode(der.UTF8_STRING, b"alice!example.com"))
    names = {
        x509.UniformResourceIdentifier("https://a.example/x"): "https://a.example/x",
        x509.RFC822Name("alice@example.com"): "alice@example.com",
        x509.DNSName("a.example"): "a.example",
        user: "alice!example.com",
    }
    for name, text in names.items():
        assert SIGSTORE.authority(subject("exact", text)).judge(signed_as(Identity(name)), IMAGE, NOW)
    several = signed_as(Identity((x509.RFC822Name("mallory@evil.example"), x509.RFC822Name("alice@example.com"))))
    assert refusal(several, subject("exact", "alice@example.com")).code is Code.WRONG_SUBJECT
    foreign = x509.OtherName(x509.ObjectIdentifier("1.2.3.4"), der.encode(der.UTF8_STRING, b"alice!example.com"))
    assert refusal(signed_as(Identity(foreign)), subject("exact", "alice!example.com")).code is Code.WRONG_SUBJECT
    nobody = signed_as(Identity(()))
    assert refusal(nobody, subject("exact", "alice@example.com")).code is Code.WRONG_SUBJECT


def test_any_of_several_identities_and_the_nearest_one_says_why_not() -> None:
    piece = signed_as(Identity(claims={"sourceRepositoryURI": "https://github.com/acme/shop"}))
    other = Trusted(Pattern("exact", "https://other.example"), Pattern("exact", SUBJECT))
    assert SIGSTORE.authority(other, trusted()).judge(piece, IMAGE, NOW)
    near = trusted(claims={"sourceRepositoryURI": "https://github.com/acme/other"})
    assert refusal(piece, other, near, subject("exact", "x@y")).code is Code.WRONG_CLAIM
    assert refusal(piece, other, subject("exact", "x@y")).code is Code.WRONG_SUBJECT
