"""Rules across fields in CEL, so that an API server refuses already what `policy.rules` would.

They never refuse what the models accept. What CEL cannot see (a TrustPolicy's own namespace, what a PEM holds) is left to
our own validation. Each is written for API servers from 1.28 on, and stays within the cost that those estimate from the
bounds of the schema (k8s.io/apiserver, pkg/apis/cel: StaticEstimatedCostLimit).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from controller.policy.authorities import Authority, DataRef, Issuer, Key, Keyring, PemSource, Stores
from controller.policy.exception import ExceptionMatch, TrustExceptionSpec
from controller.policy.model import LabelExpression, Match, Spec
from controller.policy.requirements import Requirement, Signature
from controller.policy.rules import ABOUT_STATEMENTS, AUTHORITY_KINDS, REQUIREMENT_KINDS
from controller.policy.trustroot import SOURCES, TrustRootSpec

_INVALID: Final = "FieldValueInvalid"
_MISSING: Final = "FieldValueRequired"
_FORBIDDEN: Final = "FieldValueForbidden"
_TWICE: Final = "FieldValueDuplicate"


@dataclass(frozen=True, slots=True)
class Rule:
    """One of x-kubernetes-validations: `expression` must be true of `self`, else `message` about `field` (`.name`)."""

    expression: str
    message: str
    field: str = ""
    reason: str = _INVALID

    def document(self) -> dict[str, str]:
        """As it stands in a schema."""
        where = {"fieldPath": self.field} if self.field else {}
        return {"rule": self.expression, "message": self.message, "reason": self.reason, **where}


def rules(model: str, *, cluster: bool) -> Sequence[Rule]:
    """The rules of the model of that name, for the resource of that scope."""
    return (*_RULES.get(model, ()), *(_CLUSTER if cluster else _NAMESPACED).get(model, ()))


def _one_of(*names: str) -> Rule:
    present = ", ".join(f"has(self.{name})" for name in names)
    return Rule(f"[{present}].exists_one(given, given)", f"exactly one of {', '.join(names)}")


def _alone(name: str) -> Rule:
    """`*` says every one: nothing stands beside it."""
    expression = f"!('*' in self.{name}) || size(self.{name}) == 1"
    return Rule(expression, "`*` says every one; nothing may stand beside it", f".{name}")


def _filled(*path: str) -> str:
    """The list at that path is there and not empty."""
    steps = [".".join(("self", *path[: count + 1])) for count in range(len(path))]
    return " && ".join([*(f"has({step})" for step in steps), f"size({steps[-1]}) > 0"])


def _each_requirement(condition: str) -> str:
    return f"!has(self.require) || self.require.all(item, {condition})"


def _known(kind: str, of: str, *, proves: bool) -> Rule:
    """Every name in `of` is an authority's, and for statements not one's that can make none.

    Names are unique on both sides, so counting says it; looking up each name would cost thirty times as much.
    """
    steps = of.split(".")
    absent = " || ".join(f"!has(item.{'.'.join(steps[: count + 1])})" for count in range(len(steps)))
    able = " && !has(authority.openpgp)" if proves else ""
    named = f"self.authorities.filter(authority, authority.name in item.{of}{able}).size()"
    more = ", and of one whose signatures carry attestations (openpgp does not)" if proves else ""
    return Rule(
        _each_requirement(f"{absent} || (has(self.authorities) && {named} == size(item.{of}))"),
        f"every name in the `of` of {kind} must be that of an authority of this policy{more}",
        ".require",
    )


_WITH_OF: Final = ("signature", *ABOUT_STATEMENTS)
_SPEC: Final = (
    Rule(
        f"({_filled('authorities')}) || has(self.require) || "
        + " || ".join(f"({_filled('revoked', name)})" for name in ("digests", "keys", "certificates")),
        "at least one authority, `require` or `revoked`",
        ".authorities",
        _MISSING,
    ),
    Rule(
        "has(self.require) || !has(self.authorities) || size(self.authorities) <= 1",
        "`require` may be left out only with one authority",
        ".require",
        _MISSING,
    ),
    Rule(
        _each_requirement(
            "!has(item.mode) || !has(self.mode) || self.mode == 'Enforce' || item.mode == self.mode || item.mode == 'Audit'"
        ),
        "the mode of a requirement may not be stricter than spec.mode",
        ".require",
    ),
    Rule(
        "(has(self.authorities) && size(self.authorities) == 1) || "
        + _each_requirement(" && ".join(f"(!has(item.{kind}) || has(item.{kind}.of))" for kind in _WITH_OF)),
        "`of` may be left out only with one authority",
        ".require",
        _MISSING,
    ),
    _known("signature", "signature.of", proves=False),
    *(_known(kind, f"{kind}.of", proves=True) for kind in ABOUT_STATEMENTS),
    _known("vex", "vulnerabilities.vex.of", proves=True),
    Rule(
        # Which roles are among `of` would cost more than one evaluation may; our own validation asks.
        _each_requirement(
            "!has(item.signature) || !has(item.signature.perRole) || item.signature.perRole.all(role, "
            "has(self.authorities) && item.signature.perRole[role] <= "
            "self.authorities.filter(authority, has(authority.role) && authority.role == role).size())"
        ),
        "`perRole` asks for more authorities of a role than there are",
        ".require",
    ),
)
_PEM: Final = _one_of("pem", "secretKeyRef", "configMapKeyRef")

_OWN: Final[Mapping[type[BaseModel], Sequence[Rule]]] = {
    Spec: _SPEC,
    Authority: (
        _one_of(*AUTHORITY_KINDS),
        Rule(
            "!has(self.trustRoot) || has(self.keys) || has(self.x509)",
            "belongs to keys and x509; keyless names its own",
            ".trustRoot",
            _FORBIDDEN,
        ),
        Rule(
            "!has(self.transparencyLog) || !has(self.openpgp)",
            "belongs to keys, keyless and x509: no log holds OpenPGP signatures",
            ".transparencyLog",
            _FORBIDDEN,
        ),
        Rule(
            "!has(self.transparencyLog) || self.transparencyLog != 'Required' || has(self.trustRoot) || "
            "!(has(self.keys) || has(self.x509))",
            "can never be met: trustRoot must say whose log",
            ".transparencyLog",
        ),
        Rule(
            "!has(self.keys) || self.keys.all(key, !has(key.name) || "
            "self.keys.exists_one(other, has(other.name) && other.name == key.name))",
            "names of keys must be unique",
            ".keys",
            _TWICE,
        ),
    ),
    Key: (
        _PEM,
        Rule(
            "!has(self.notBefore) || !has(self.notAfter) || self.notBefore <= self.notAfter",
            "lies before notBefore",
            ".notAfter",
        ),
    ),
    PemSource: (_PEM,),
    Keyring: (_one_of("armored", "secretKeyRef", "configMapKeyRef"),),
    TrustRootSpec: (_one_of(*SOURCES),),
    Issuer: (_one_of("exact", "glob", "regex"),),
    Stores: (Rule("has(self.ca) || has(self.signingAuthority)", "ca or signingAuthority at least", "", _MISSING),),
    Requirement: (
        _one_of(*REQUIREMENT_KINDS),
        *(
            Rule(
                f"!has(self.{field}) || self.{field} == 'Deny' || "
                + " || ".join(f"has(self.{kind})" for kind in ABOUT_STATEMENTS),
                "only requirements about statements may be softened; use mode",
                f".{field}",
                _FORBIDDEN,
            )
            for field in ("onMissing", "onFailure")
        ),
    ),
    Signature: (
        Rule(
            "!has(self.threshold) || self.threshold <= (has(self.of) ? size(self.of) : 1)",
            "can never be met: at most as many as `of` names, 1 without it",
            ".threshold",
        ),
        Rule(
            "!has(self.perRole) || self.perRole.all(role, self.perRole[role] <= (has(self.of) ? size(self.of) : 1))",
            "can never be met: at most as many as `of` names, 1 without it",
            ".perRole",
        ),
    ),
    ExceptionMatch: (_alone("namespaces"),),
    TrustExceptionSpec: (_alone("policies"), _alone("requirements")),
    LabelExpression: (
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "In and NotIn need at least one value, Exists and DoesNotExist take none",
            ".values",
        ),
    ),
}
_RULES: Final = {model.__name__: found for model, found in _OWN.items()}
_CLUSTER: Final[Mapping[str, Sequence[Rule]]] = {
    DataRef.__name__: (
        Rule("has(self.__namespace__)", "namespace is missing: the referring object has none", "", _MISSING),
    ),
}
_NAMESPACED: Final[Mapping[str, Sequence[Rule]]] = {
    Match.__name__: (
        Rule(
            "!has(self.namespaceSelector)",
            "only a ClusterTrustPolicy may select namespaces",
            ".namespaceSelector",
            _FORBIDDEN,
        ),
    ),
    Spec.__name__: (
        Rule(
            "!has(self.signatureRepositories) || size(self.signatureRepositories) == 0",
            "only a ClusterTrustPolicy may name further repositories",
            ".signatureRepositories",
            _FORBIDDEN,
        ),
    ),
}
