"""Rules across the fields of a policy, which shapes alone cannot say. Each names the field at fault."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pydantic import BaseModel

from controller.errors import Code
from controller.policy.authorities import Authority, DataRef, Issuer, Key, Keyring, PemSource
from controller.policy.model import LabelSelector, Match, Spec, TrustPolicyResource
from controller.policy.part import Later
from controller.policy.requirements import Requirement, Signature
from controller.policy.words import Mode, OnFinding, Operator, TransparencyLog
from controller.problems import Problem, show

_STRICTNESS: Final = (Mode.AUDIT, Mode.WARN, Mode.ENFORCE)
AUTHORITY_KINDS: Final = ("keys", "keyless", "x509", "openpgp")
REQUIREMENT_KINDS: Final = (
    "signature",
    "attestation",
    "sbom",
    "provenance",
    "vulnerabilities",
    "digests",
    "unsafeAllowUnsigned",
)
ABOUT_STATEMENTS: Final = ("attestation", "sbom", "provenance", "vulnerabilities")


def check(resource: TrustPolicyResource) -> list[Problem]:
    """Everything that is wrong across fields, and every field whose judgement does not exist yet."""
    spec = resource.spec
    return [
        *_resource(resource),
        *_unique("spec.authorities", spec.authorities),
        *_unique("spec.require", spec.require or ()),
        *_match(spec.match),
        *_empty(spec),
        *(problem for index, item in enumerate(spec.authorities) for problem in _authority(item, index)),
        *(problem for index, item in enumerate(spec.require or ()) for problem in _requirement(spec, item, index)),
        *_references(spec, "spec", resource),
        *unsupported(spec, "spec"),
    ]


def unsupported(part: BaseModel, field: str) -> Iterator[Problem]:
    """Fields that are set to something else than their default and that nothing judges yet."""
    for name, info in type(part).model_fields.items():
        value, where = getattr(part, name), f"{field}.{info.alias or name}"
        if any(isinstance(mark, Later) for mark in info.metadata):
            if value != info.get_default(call_default_factory=True, validated_data={}):
                yield Problem(where, "not supported yet", found=show(value), code=Code.NOT_SUPPORTED_YET)
            continue
        for inner, place in _parts(value, where):
            yield from unsupported(inner, place)


def _parts(value: object, where: str) -> Iterator[tuple[BaseModel, str]]:
    if isinstance(value, BaseModel):
        yield value, where
    elif isinstance(value, tuple):
        yield from ((item, f"{where}[{index}]") for index, item in enumerate(value) if isinstance(item, BaseModel))


def _resource(resource: TrustPolicyResource) -> Iterator[Problem]:
    if resource.kind == "ClusterTrustPolicy":
        if resource.metadata.namespace is not None:
            yield Problem("metadata.namespace", "a ClusterTrustPolicy has no namespace", found=resource.metadata.namespace)
        return
    if resource.metadata.namespace is None:
        yield Problem("metadata.namespace", "is missing", expected="the namespace a TrustPolicy is about")
    if resource.spec.match.namespace_selector is not None:
        yield Problem("spec.match.namespaceSelector", "only a ClusterTrustPolicy may select namespaces")
    if resource.spec.signature_repositories:
        yield Problem("spec.signatureRepositories", "only a ClusterTrustPolicy may name further repositories")


def _references(part: BaseModel, field: str, resource: TrustPolicyResource) -> Iterator[Problem]:
    """References to Secrets and ConfigMaps: a namespaced policy reads its own namespace only (CVE-2026-22039)."""
    for name, info in type(part).model_fields.items():
        for inner, place in _parts(getattr(part, name), f"{field}.{info.alias or name}"):
            if isinstance(inner, DataRef):
                yield from _reference(inner, place, resource)
            yield from _references(inner, place, resource)


def _reference(ref: DataRef, field: str, resource: TrustPolicyResource) -> Iterator[Problem]:
    if resource.kind == "ClusterTrustPolicy":
        if ref.namespace is None:
            yield Problem(f"{field}.namespace", "is missing")
    elif ref.namespace not in {None, resource.metadata.namespace}:
        yield Problem(
            f"{field}.namespace",
            "a TrustPolicy reads its own namespace only",
            expected=resource.metadata.namespace or "",
            found=ref.namespace or "",
        )


def _unique(field: str, items: Sequence[Authority | Requirement | Key]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        if item.name is None:
            continue
        if item.name in seen:
            yield Problem(f"{field}[{index}].name", f"stands twice, first in [{seen[item.name]}]", found=item.name)
        seen.setdefault(item.name, index)


def _match(match: Match) -> Iterator[Problem]:
    for name, selector in (("namespaceSelector", match.namespace_selector), ("objectSelector", match.object_selector)):
        if selector is not None:
            yield from selector_problems(selector, f"spec.match.{name}")
    names = [condition.name for condition in match.match_conditions]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"spec.match.matchConditions[{index}].name", "stands twice", found=name)


def selector_problems(selector: LabelSelector, field: str) -> Iterator[Problem]:
    """Operators and their values (apimachinery, ValidateLabelSelectorRequirement)."""
    for index, expression in enumerate(selector.match_expressions):
        where = f"{field}.matchExpressions[{index}].values"
        if expression.operator in {Operator.IN, Operator.NOT_IN}:
            if not expression.values:
                yield Problem(where, f"{expression.operator} needs at least one value")
        elif expression.values:
            yield Problem(where, f"{expression.operator} takes no values", found=show(expression.values))


def _empty(spec: Spec) -> Iterator[Problem]:
    """A policy that judges nothing would look like protection."""
    revokes = bool(spec.revoked.digests or spec.revoked.keys or spec.revoked.certificates)
    if spec.authorities:
        if spec.require is None and len(spec.authorities) > 1:
            yield Problem(
                "spec.require",
                "may be left out only with one authority",
                expected="which of them must have signed",
                found=f"{len(spec.authorities)} authorities",
            )
    elif spec.require is None and not revokes:
        yield Problem("spec.authorities", "is missing", expected="at least one authority, `require` or `revoked`")


def _authority(authority: Authority, index: int) -> Iterator[Problem]:
    field = f"spec.authorities[{index}]"
    yield from one_of(authority, field, AUTHORITY_KINDS)
    for number, key in enumerate(authority.keys or ()):
        where = f"{field}.keys[{number}]"
        yield from one_of(key, where, ("pem", "secretKeyRef", "configMapKeyRef"))
        if key.not_before and key.not_after and key.not_after < key.not_before:
            yield Problem(f"{where}.notAfter", "lies before notBefore", found=key.not_after.isoformat())
    yield from _unique(f"{field}.keys", authority.keys or ())
    yield from _root_and_log(authority, field)
    for inner, where in _all_parts(authority, field):
        match inner:
            case PemSource():
                yield from one_of(inner, where, ("pem", "secretKeyRef", "configMapKeyRef"))
            case Keyring():
                yield from one_of(inner, where, ("armored", "secretKeyRef", "configMapKeyRef"))
            case Issuer():
                yield from one_of(inner, where, ("exact", "glob", "regex"))
            case _:
                pass
    if authority.x509 and not (authority.x509.stores.ca or authority.x509.stores.signing_authority):
        yield Problem(f"{field}.x509.stores", "names nobody who may sign", expected="ca or signingAuthority")


def _root_and_log(authority: Authority, field: str) -> Iterator[Problem]:
    plain = bool(authority.keys or authority.x509)
    if authority.trust_root and not plain:
        yield Problem(f"{field}.trustRoot", "belongs to keys and x509; keyless names its own")
    if authority.transparency_log and authority.openpgp:
        yield Problem(f"{field}.transparencyLog", "belongs to keys, keyless and x509: no log holds OpenPGP signatures")
    if authority.transparency_log is TransparencyLog.REQUIRED and plain and not authority.trust_root:
        expected = "trustRoot, to say whose log"
        yield Problem(f"{field}.transparencyLog", "can never be met", expected=expected, found="Required")


def _all_parts(part: BaseModel, field: str) -> Iterator[tuple[BaseModel, str]]:
    for name, info in type(part).model_fields.items():
        for inner, where in _parts(getattr(part, name), f"{field}.{info.alias or name}"):
            yield inner, where
            yield from _all_parts(inner, where)


def one_of(part: BaseModel, field: str, names: Sequence[str]) -> Iterator[Problem]:
    """The problem of a part in which not exactly one of the fields `names` is set."""
    written = {info.alias or name: getattr(part, name) for name, info in type(part).model_fields.items()}
    found = [name for name in names if written[name] is not None]
    if len(found) != 1:
        wanted = f"exactly one of {', '.join(names)}"
        yield Problem(field, "is wrong", expected=wanted, found=" and ".join(found) or "none of them")


def _requirement(spec: Spec, item: Requirement, index: int) -> Iterator[Problem]:
    field = f"spec.require[{index}]"
    yield from one_of(item, field, REQUIREMENT_KINDS)
    if item.mode and _STRICTNESS.index(item.mode) > _STRICTNESS.index(spec.mode):
        yield Problem(f"{field}.mode", "is stricter than spec.mode", expected=f"at most {spec.mode}", found=item.mode)
    if not any(getattr(item, name) for name in ABOUT_STATEMENTS):
        for name, value in (("onMissing", item.on_missing), ("onFailure", item.on_failure)):
            if value not in {None, OnFinding.DENY}:
                yield Problem(f"{field}.{name}", "only requirements about statements may be softened; use mode", found=value)
    yield from _of_rules(spec, item, field)
    if item.signature:
        yield from _signature(spec, item.signature, f"{field}.signature")


def _of_rules(spec: Spec, item: Requirement, field: str) -> Iterator[Problem]:
    names = [authority.name for authority in spec.authorities]
    for part, where in _parts_with_of(item, field):
        if part is None and len(names) != 1:
            expected = "one or more of " + ", ".join(names[:8]) if names else "spec.authorities to name them first"
            yield Problem(f"{where}.of", "may be left out only with one authority", expected=expected)
        if part and where.rpartition(".")[2] != "signature":
            yield from _proves_nothing(spec, part, where)
        for number, name in enumerate(part or ()):
            if name not in names:
                expected = ", ".join(names[:8]) or "an authority of this policy"
                yield Problem(f"{where}.of[{number}]", "names no authority", expected=expected, found=name)
            elif name in (part or ())[:number]:
                yield Problem(f"{where}.of[{number}]", "stands twice", found=name)


def _proves_nothing(spec: Spec, of: Sequence[str], field: str) -> Iterator[Problem]:
    for number, name in enumerate(of):
        if any(authority.name == name and authority.openpgp for authority in spec.authorities):
            yield Problem(f"{field}.of[{number}]", "an OpenPGP signature carries no attestation", found=name)


def _parts_with_of(item: Requirement, field: str) -> Iterator[tuple[tuple[str, ...] | None, str]]:
    for name in ("signature", *ABOUT_STATEMENTS):
        part = getattr(item, name)
        if part is not None:
            yield part.of, f"{field}.{name}"
    if item.vulnerabilities and item.vulnerabilities.vex:
        yield item.vulnerabilities.vex.of, f"{field}.vulnerabilities.vex"


def _signature(spec: Spec, rule: Signature, field: str) -> Iterator[Problem]:
    counted = [authority for authority in spec.authorities if rule.of is None or authority.name in rule.of]
    if not counted:
        return  # said already
    if rule.threshold > len(counted):
        found = str(rule.threshold)
        yield Problem(f"{field}.threshold", "can never be met", expected=f"1 to {len(counted)}", found=found)
    roles = [authority.role for authority in counted if authority.role]
    for role, count in rule.per_role.items():
        if role not in roles:
            yield Problem(f"{field}.perRole.{role}", "no counted authority has this role", expected=_roles(roles))
        elif count > roles.count(role):
            expected = f"at most {roles.count(role)}"
            yield Problem(f"{field}.perRole.{role}", "can never be met", expected=expected, found=str(count))


def _roles(roles: Iterable[str]) -> str:
    return ", ".join(sorted(set(roles))) or "authorities with a role"
