import json
from typing import Any

import pytest

from controller.compile import compile_one, compile_policies
from controller.compile.compiled import Effect
from controller.errors import Code, Invalid
from controller.policy.store import Document, read_text
from controller.policy.words import Mode
from controller.reference import Repository
from controller.settings import Limits
from tests.fakes.keys import signing_key

LIMITS = Limits()
PEM = signing_key().public_pem


def document(spec: Any, name: str = "corp", namespace: str = "", **metadata: Any) -> Document:
    kind = "TrustPolicy" if namespace else "ClusterTrustPolicy"
    named = {"name": name, **({"namespace": namespace} if namespace else {}), **metadata}
    return Document({"apiVersion": "sigward.dev/v1alpha1", "kind": kind, "metadata": named, "spec": spec})


def spec(**fields: Any) -> dict[str, Any]:
    return {
        "match": {"images": ["registry.example.com/**"]},
        "authorities": [{"name": "release", "keys": [{"pem": PEM}]}],
        **fields,
    }


def test_the_80_percent_case_of_the_design_compiles() -> None:
    text = f"""
apiVersion: sigward.dev/v1alpha1
kind: ClusterTrustPolicy
metadata: {{name: corp}}
spec:
  match: {{images: ["registry.example.com/**"]}}
  authorities: [{{name: release, keys: [{{pem: {json.dumps(PEM)}}}]}}]
"""
    (written,) = read_text(text.encode(), "corp.yaml", LIMITS)
    policy = compile_one(written, LIMITS)
    assert policy.broken is None
    assert policy.mode is Mode.ENFORCE
    assert [requirement.name for requirement in policy.requirements] == ["signed"]
    assert policy.requirements[0].on_missing is Effect.DENY
    assert policy.origin == "corp.yaml:2"
    assert policy.scope.about(Repository("registry.example.com", "shop/web"))


def test_a_misspelt_restriction_is_named_with_what_was_meant() -> None:
    with pytest.raises(Invalid) as caught:
        compile_one(document(spec(onUnavailabel="Deny")), LIMITS)
    assert caught.value.field == "spec.onUnavailabel"
    assert caught.value.reason.code is Code.INVALID_POLICY
    assert "onUnavailable (did you mean it?)" in str(caught.value)


def test_a_policy_that_does_not_compile_still_applies() -> None:
    snapshot = compile_policies([document(spec(platforms="Each"))], 1, LIMITS)
    (policy,) = snapshot.policies
    assert policy.broken is not None
    assert policy.broken.code is Code.NOT_SUPPORTED_YET
    assert policy.scope.about(Repository("registry.example.com", "shop/web"))
    assert not policy.scope.about(Repository("docker.io", "library/nginx"))
