import json
from typing import Any

import pytest

from controller.compile import compile_one, compile_policies
from controller.compile.compiled import CompiledPolicy, Effect
from controller.errors import Code
from controller.policy.store import Document, read_text
from controller.policy.words import Mode
from controller.reference import Digest, Repository
from controller.registry.discovery import Want
from controller.settings import Limits
from tests.fakes.keys import signing_key
from tests.fakes.policies import LIMITS, authority, key, namespace, policy, spec, without

SHOP = Repository("registry.example.com", "shop/web")
NGINX = Repository("docker.io", "library/nginx")
DIGEST = "sha256:" + "a" * 64


def one(written: Any, **place: Any) -> CompiledPolicy:
    (compiled,) = compile_policies([policy(written, **place)], 1, LIMITS).policies
    return compiled


def test_the_80_percent_case_of_the_design_compiles() -> None:
    text = f"""
apiVersion: sigward.dev/v1alpha1
kind: ClusterTrustPolicy
metadata: {{name: corp}}
spec:
  match: {{images: ["registry.example.com/**"]}}
  authorities: [{{name: release, keys: [{{pem: {json.dumps(signing_key().public_pem)}}}]}}]
"""
    (written,) = read_text(text.encode(), "corp.yaml", LIMITS)
    compiled = compile_one(written, LIMITS)
    assert compiled.broken is None
    assert compiled.mode is Mode.ENFORCE
    assert [requirement.name for requirement in compiled.requirements] == ["signed"]
    assert compiled.requirements[0].on_missing is Effect.DENY
    assert compiled.origin == "corp.yaml:2"
    assert compiled.scope.about(SHOP)
    assert compiled.wants == {Want.SIGNATURES}


def test_a_policy_that_only_revokes_asks_for_nothing() -> None:
    compiled = one(without(spec(revoked={"digests": [DIGEST]}), "authorities"))
    assert compiled.broken is None
    assert compiled.requirements == ()
    assert compiled.revoked.digests == {Digest.parse(DIGEST)}


@pytest.mark.parametrize("prefix", ["", "sha256:", "SHA256:"])
def test_a_revoked_key_becomes_the_signer_it_is(prefix: str) -> None:
    fingerprint = signing_key().fingerprint
    assert one(spec(revoked={"keys": [prefix + fingerprint]})).revoked.signers == {f"key:sha256:{fingerprint}"}


@pytest.mark.parametrize(
    ("policy_mode", "own", "ceiling"),
    [
        ("Enforce", None, Effect.DENY),
        ("Enforce", "Warn", Effect.WARN),
        ("Enforce", "Audit", Effect.AUDIT),
        ("Warn", None, Effect.WARN),
        ("Warn", "Audit", Effect.AUDIT),
        ("Audit", None, Effect.AUDIT),
    ],
)
def test_effects_are_cut_at_the_ceiling_of_both_modes(policy_mode: str, own: str | None, ceiling: Effect) -> None:
    bill: dict[str, Any] = {"name": "bill", "sbom": {}, "mode": own}
    compiled = one(spec(mode=policy_mode, require=[bill]))
    (requirement,) = compiled.requirements
    assert (requirement.ceiling, requirement.on_failure) == (ceiling, ceiling)
    assert requirement.on_missing is min(Effect.WARN, ceiling)
    assert compiled.on_unavailable <= {"Enforce": Effect.DENY, "Warn": Effect.WARN, "Audit": Effect.AUDIT}[policy_mode]


def test_a_key_that_stands_in_two_policies_gives_authorities_of_one_fingerprint() -> None:
    first, second = one(spec(authority("release"))), one(spec(authority("other", "release")), name="second")
    assert first.authorities[0].judge.fingerprint == second.authorities[0].judge.fingerprint


# What does not compile


BROKEN = [
    (spec(signatureRepositories=["registry.example.com/signatures"]), Mode.ENFORCE, True, False),
    (spec(mode="Audit", signatureRepositories=["registry.example.com/signatures"]), Mode.AUDIT, True, False),
    (spec(mode="enforce"), Mode.ENFORCE, True, False),
    (spec(mode=["Audit"]), Mode.ENFORCE, True, False),
    (spec(match={"images": ["registry.example.com/**", "nginx"]}), Mode.ENFORCE, True, True),
    (spec(match={"images": []}), Mode.ENFORCE, True, True),
    (spec(match={"image": ["registry.example.com/**"]}), Mode.ENFORCE, True, True),
    (spec(match="everything"), Mode.ENFORCE, True, True),
    (spec(match={"images": ["registry.example.com/**"], "excludeImages": [1]}), Mode.ENFORCE, True, False),
    (spec(match={"images": ["*/**"], "excludeImage": ["registry.example.com/**"]}), Mode.ENFORCE, True, True),
    (spec(match={"images": ["*/**"], "excludeImages": ["docker.io/**"], "x": 1}), Mode.ENFORCE, True, False),
    ("spec", Mode.ENFORCE, True, True),
    (None, Mode.ENFORCE, True, True),
]


@pytest.mark.parametrize(("written", "mode", "shop", "nginx"), BROKEN)
def test_what_cannot_be_read_of_a_broken_policy_widens_it(written: Any, mode: Mode, *, shop: bool, nginx: bool) -> None:
    compiled = one(written)
    assert compiled.broken is not None
    assert compiled.broken.code in {Code.INVALID_POLICY, Code.NOT_SUPPORTED_YET, Code.INVALID_REFERENCE}
    assert compiled.mode is mode
    assert (compiled.scope.about(SHOP), compiled.scope.about(NGINX)) == (shop, nginx)


def test_a_broken_policy_keeps_selectors_that_can_be_read_and_drops_others() -> None:
    images = ["registry.example.com/**"]
    good = one(
        spec(
            signatureRepositories=["registry.example.com/signatures"],
            match={"images": images, "namespaceSelector": {"matchLabels": {"tier": "prod"}}},
        )
    )
    assert good.scope.namespace_selector is not None
    assert not good.scope.namespace_selector.matches({"tier": "dev"})
    unreadable: list[Any] = [{"matchLabel": {}}, {"matchExpressions": [{"key": "a", "operator": "In"}]}, "all"]
    for wrong in unreadable:
        assert one(spec(match={"images": images, "namespaceSelector": wrong})).scope.namespace_selector is None
        assert one(spec(match={"images": images, "objectSelector": wrong})).scope.object_selector is None


def test_a_broken_namespaced_policy_stays_in_its_namespace() -> None:
    compiled = one(spec(match={"images": 1, "namespaceSelector": {}}), namespace="shop")
    assert (compiled.scope.namespace, compiled.scope.namespace_selector) == ("shop", None)
    assert not compiled.is_cluster


def test_a_broken_policy_goes_on_revoking_what_can_be_read() -> None:
    fingerprint = signing_key().fingerprint
    compiled = one(
        spec(
            signatureRepositories=["registry.example.com/signatures"],
            revoked={"digests": ["latest", 3, DIGEST], "keys": [fingerprint, "x"], "what": 1},
        )
    )
    assert compiled.broken is not None
    assert compiled.revoked.digests == {Digest.parse(DIGEST)}
    assert compiled.revoked.signers == {f"key:sha256:{fingerprint}"}


def test_a_fault_of_ours_breaks_a_policy_and_drops_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("controller.compile.policy.compile_requirements", fail)
    compiled = one(spec())
    assert compiled.broken is not None
    assert (compiled.broken.code, compiled.broken.found) == (Code.INTERNAL, "ZeroDivisionError")
    assert compiled.scope.about(SHOP)


# The snapshot


def documents() -> list[Document]:
    return [
        policy(spec(), "b"),
        policy(spec(mode="Warn"), "a"),
        policy(spec(), "c", namespace="shop"),
        namespace("shop", tier="prod"),
    ]


def test_order_changes_nothing() -> None:
    forward, backward = compile_policies(documents(), 1, LIMITS), compile_policies(reversed(documents()), 1, LIMITS)
    assert forward.fingerprint == backward.fingerprint
    assert [each.id for each in forward.policies] == [each.id for each in backward.policies]
    assert forward.namespaces == {"shop": {"tier": "prod"}}


def test_the_fingerprint_is_of_the_content() -> None:
    base = compile_policies(documents(), 1, LIMITS).fingerprint
    other_number = compile_policies(documents(), 2, LIMITS).fingerprint
    from_elsewhere = [policy(spec(), "b", origin="corp.yaml:7"), *documents()[1:]]
    assert base == other_number == compile_policies(from_elsewhere, 1, LIMITS).fingerprint
    labelled = [*documents()[:3], namespace("shop", tier="dev")]
    edited = [policy(spec(mode="Audit"), "b"), *documents()[1:]]
    for changed in (documents()[1:], labelled, edited):
        assert compile_policies(changed, 1, LIMITS).fingerprint != base


def broken_codes(limits: Limits, *given: Document) -> dict[str, Code | None]:
    compiled = compile_policies(given, 1, limits).policies
    return {str(each.id): each.broken.code if each.broken else None for each in compiled}


def test_a_namespace_with_too_many_policies_refuses_its_own_images_only() -> None:
    limits = Limits(policies_per_namespace=2)
    given = [policy(spec(), name, namespace="loud") for name in "dcba"] + [policy(spec(), "x", namespace="quiet")]
    assert broken_codes(limits, *given) == {
        "loud/a": None,
        "loud/b": None,
        "loud/c": Code.LIMIT_EXCEEDED,
        "quiet/x": None,
    }
    too_many = next(each for each in compile_policies(given, 1, limits).policies if each.broken)
    assert too_many.scope.namespace == "loud"
    assert too_many.mode is Mode.ENFORCE
    assert str(too_many.broken) == "namespace loud has too many policies: expected at most 2; found 4"


def test_too_many_policies_in_all_cost_the_largest_namespace_first() -> None:
    limits = Limits(trust_policies=3)
    given = [policy(spec(), name, namespace="aaa") for name in "abc"] + [policy(spec(), "x", namespace="zzz")]
    assert broken_codes(limits, *given) == {"zzz/x": None, "aaa/a": None, "aaa/b": None, "aaa/c": Code.LIMIT_EXCEEDED}


def test_too_many_cluster_policies_refuse_everything() -> None:
    given = [policy(spec(), name) for name in "abc"]
    compiled = compile_policies(given, 1, Limits(policies=2)).policies
    assert [each.broken is not None for each in compiled] == [False, False, True]
    assert compiled[-1].scope.about(NGINX)


def test_names_of_keys_reach_the_explanation() -> None:
    compiled = one(spec({"name": "release", "keys": [key(name="h1")]}))
    assert compiled.authorities[0].judge.description.startswith("key h1 SHA256:")
