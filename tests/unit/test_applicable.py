import pytest

from controller.admission.subject import Workload
from controller.decision.applicable import applicable
from controller.errors import Code
from controller.reference import Repository
from tests.fakes.policies import namespace, policy, snapshot, spec

SHOP = Repository("registry.example.com", "shop/web")
POD = Workload("shop", {"app": "web"}, "Pod")
IMAGES = ["registry.example.com/**"]


def where(selector: object, **fields: object) -> dict[str, object]:
    return spec(match={"images": IMAGES, "namespaceSelector": selector, **fields})


PROD = where({"matchLabels": {"tier": "prod"}})
OWN = where({"matchLabels": {"kubernetes.io/metadata.name": "shop"}})
NOT_OWN = where({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["shop"]}]})


@pytest.mark.parametrize(
    ("labels", "expected"), [({"tier": "prod"}, 1), ({"tier": "dev"}, 0), ({}, 0), ({"kubernetes.io/metadata.name": "x"}, 0)]
)
def test_known_labels_decide(labels: dict[str, str], expected: int) -> None:
    found = applicable(snapshot(policy(PROD), namespace("shop", **labels)), POD, SHOP)
    assert (len(found.judged), len(found.failed)) == (expected, 0)


def test_unknown_labels_leave_the_policy_in_force_as_undecided() -> None:
    found = applicable(snapshot(policy(PROD), namespace("other", tier="dev")), POD, SHOP)
    assert [reason.code for _, reason in found.failed] == [Code.NAMESPACE_UNKNOWN]
    assert found.covered
    assert not found.judged


def test_the_namespaces_own_name_needs_no_lookup_and_cannot_be_forged() -> None:
    assert len(applicable(snapshot(policy(OWN)), POD, SHOP).judged) == 1
    assert applicable(snapshot(policy(NOT_OWN)), POD, SHOP) == applicable(snapshot(), POD, SHOP)
    forged = namespace("shop", **{"kubernetes.io/metadata.name": "other"})
    assert len(applicable(snapshot(policy(OWN), forged), POD, SHOP).judged) == 1


def test_an_empty_selector_selects_everything_without_a_lookup() -> None:
    assert len(applicable(snapshot(policy(where({}))), POD, SHOP).judged) == 1


def test_what_needs_no_lookup_is_asked_first() -> None:
    """A policy that is about other images or other pods does not become undecided for ours."""
    elsewhere = where({"matchLabels": {"tier": "prod"}}, excludeImages=["registry.example.com/shop/*"])
    others = where({"matchLabels": {"tier": "prod"}}, objectSelector={"matchLabels": {"app": "db"}})
    found = applicable(snapshot(policy(elsewhere, "a"), policy(others, "b")), POD, SHOP)
    assert (found.judged, found.failed, found.covered) == ((), (), False)


def test_a_namespaced_policy_applies_in_its_own_namespace_and_covers_nothing() -> None:
    current = snapshot(policy(spec(), namespace="shop"), policy(spec(), namespace="other"))
    found = applicable(current, POD, SHOP)
    assert [each.id.namespace for each in found.judged] == ["shop"]
    assert not found.covered


def test_a_broken_policy_applies_to_what_can_be_read_of_its_scope() -> None:
    broken = policy({**PROD, "signatureRepositories": ["registry.example.com/signatures"]})
    assert applicable(snapshot(broken, namespace("shop", tier="dev")), POD, SHOP).failed == ()
    found = applicable(snapshot(broken, namespace("shop", tier="prod")), POD, SHOP)
    assert [reason.code for _, reason in found.failed] == [Code.NOT_SUPPORTED_YET]
    assert found.covered
