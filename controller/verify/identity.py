"""Who may sign without a key of their own: issuer, subject and claims that a certificate must carry.

Issuer and subject are both needed, each compared whole: exactly, by a glob or by a regular expression in linear time
(CVE-2025-29778 ignored them, CVE-2026-22772 matched a part).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

import re2

from controller.certificates import FULCIO_CLAIMS, AlternativeName, Certificate
from controller.errors import Code, Invalid, Refused

Kind = Literal["exact", "glob", "regex"]

_MATCHED: Final = frozenset({"URI", "email", "DNS", "otherName"})
_MAX_PATTERN: Final = 1024
_MAX_WILDCARDS: Final = 16
_PROBES: Final = ("https://sigward.invalid/a/b/c.yml@refs/heads/d", "nobody@sigward.invalid", "sigward.invalid", "\u2603 1")
"""Identities that nobody means: what matches them all matches everybody."""

_NO_CLAIMS: Final[Mapping[str, str]] = MappingProxyType({})


class Pattern:
    """A whole-string comparison: `exact`, `glob` (`*` crosses neither `/` nor `@`) or `regex` (RE2, full match)."""

    __slots__ = ("_expression", "kind", "text")

    def __init__(self, kind: Kind, text: str) -> None:
        """Compile `text`.

        Raises:
            Invalid: `InvalidPolicy`, for an empty, too long or malformed pattern.
        """
        if not text or len(text) > _MAX_PATTERN:
            raise _invalid(kind, text, f"has 1 to {_MAX_PATTERN} characters")
        self.kind: Kind = kind
        self.text = text
        self._expression = None if kind == "exact" else _compile(kind, text)

    def matches(self, value: str) -> bool:
        """Whether all of `value` matches; the empty string is nobody and never does."""
        if not value:
            return False
        if self._expression is None:
            return value == self.text
        return self._expression.fullmatch(value) is not None

    @property
    def matches_everything(self) -> bool:
        """Whether it would accept anybody."""
        return all(self.matches(probe) for probe in _PROBES)

    def __str__(self) -> str:
        return self.text if self.kind == "exact" else f"{self.kind} {self.text}"

    def __repr__(self) -> str:
        return f"Pattern({self.kind!r}, {self.text!r})"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a certificate says signed."""

    issuer: str
    name: AlternativeName


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity that is trusted. `claims` are exact values of Fulcio's extensions by their documented names."""

    issuer: Pattern
    subject: Pattern
    claims: Mapping[str, str] = field(default_factory=lambda: _NO_CLAIMS)
    insecure_any_subject: bool = False

    def __post_init__(self) -> None:
        """Refuse what would trust everybody, and claims that no certificate carries."""
        if self.issuer.matches_everything:
            raise Invalid(Code.INVALID_POLICY, f"issuer {self.issuer} matches every issuer", expected="the issuers you mean")
        if self.is_anybody and not self.insecure_any_subject:
            raise Invalid(
                Code.INVALID_POLICY,
                f"subject {self.subject} matches everybody",
                expected="the subjects you mean, or insecureAnySubject: true",
            )
        unknown = sorted(set(self.claims) - set(FULCIO_CLAIMS))
        if unknown:
            raise Invalid(
                Code.INVALID_POLICY, "no such claim", expected=", ".join(FULCIO_CLAIMS), found=repr(unknown[0][:64])
            )

    def check(self, subject: Subject, claims: Mapping[str, str]) -> None:
        """Compare a certificate's words with this identity.

        Raises:
            Refused: `WrongIssuer`, `WrongSubject` or `WrongClaim`, with expected and found.
        """
        if not self.issuer.matches(subject.issuer):
            raise Refused(
                Code.WRONG_ISSUER,
                "signed with another issuer's token",
                expected=str(self.issuer),
                found=subject.issuer[:200],
            )
        if not self.subject.matches(subject.name.value):
            raise Refused(
                Code.WRONG_SUBJECT,
                "signed by somebody else",
                expected=str(self.subject),
                found=f"{subject.name.kind} {subject.name.value}"[:200],
            )
        for name, expected in self.claims.items():
            found = claims.get(name)
            if found != expected:
                shown = "no such extension" if found is None else found[:200]
                raise Refused(Code.WRONG_CLAIM, f"claim {name} differs", expected=expected, found=shown)

    def __str__(self) -> str:
        claims = "".join(f", {name} {value}" for name, value in self.claims.items())
        return f"{self.subject} (issuer {self.issuer}{claims})"

    @property
    def is_anybody(self) -> bool:
        """Whether it trusts whoever has a token of the issuer."""
        return self.subject.matches_everything

    @property
    def canonical(self) -> str:
        """Equal for identities that trust the same, and for no others."""
        parts = (self.issuer.kind, self.issuer.text, self.subject.kind, self.subject.text, sorted(self.claims.items()))
        return json.dumps(parts)


def read(certificate: Certificate) -> Subject:
    """Who a certificate is for: exactly one subject alternative name of a kind that is matched, and one issuer.

    Raises:
        Refused: `WrongSubject` for none or several, `WrongIssuer` for none, `CertificateInvalid` where the two issuer
            extensions (.1.8, .1.1) differ.
    """
    issuers = dict.fromkeys(certificate.issuers)
    if len(issuers) > 1:
        raise Refused(
            Code.CERTIFICATE_INVALID, "the certificate names two issuers", expected="one", found=" and ".join(issuers)[:200]
        )
    if not issuers or not next(iter(issuers)):
        raise Refused(
            Code.WRONG_ISSUER, "the certificate names no token issuer", expected="extension 1.3.6.1.4.1.57264.1.8 or .1.1"
        )
    names = certificate.names
    if len(names) != 1 or names[0].kind not in _MATCHED or not names[0].value:
        raise Refused(
            Code.WRONG_SUBJECT,
            "the certificate does not name one subject",
            expected="exactly one alternative name: a URI, an email address, a DNS name or a Fulcio user name",
            found=", ".join(f"{name.kind} {name.value}"[:80] for name in names[:3]) or "none",
        )
    return Subject(next(iter(issuers)), names[0])


def check(identities: Sequence[Identity], subject: Subject, claims: Mapping[str, str]) -> Identity:
    """The first of `identities` that is met, one for anybody last; where none is, the one that came furthest says why.

    Raises:
        Refused: As `Identity.check`.
    """
    order = (Code.WRONG_ISSUER, Code.WRONG_SUBJECT, Code.WRONG_CLAIM)
    furthest: Refused | None = None
    for identity in sorted(identities, key=lambda one: one.is_anybody):
        try:
            identity.check(subject, claims)
        except Refused as error:
            if furthest is None or order.index(error.reason.code) > order.index(furthest.reason.code):
                furthest = error
        else:
            return identity
    raise furthest or Refused(Code.WRONG_SUBJECT, "no identity is trusted")


def signer_id(subject: Subject) -> str:
    """The signer as quorum counts it (design, rule 5): issuer and subject, never the ephemeral key."""
    return "keyless:sha256:" + hashlib.sha256(json.dumps([subject.issuer, subject.name.value]).encode()).hexdigest()


def _compile(kind: Kind, text: str) -> "re2._Regexp":
    if kind == "glob":
        if text.count("*") > _MAX_WILDCARDS or "**" in text:
            raise _invalid(kind, text, f"has at most {_MAX_WILDCARDS} '*', no two side by side")
        text = "[^/@]*".join(re2.escape(part) for part in text.split("*"))
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""  # the library gives bytes
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise _invalid(kind, text, f"cannot be compiled: {why}"[:160]) from None


def _invalid(kind: Kind, text: str, why: str) -> Invalid:
    return Invalid(Code.INVALID_POLICY, f"identity pattern {kind} {text[:80]!r} {why}")
