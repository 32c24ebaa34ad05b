"""Our resource definitions in a real API server: accepted, listed by their names, and refusing what the schema can."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Cluster
from tests.fakes.keys import signing_key
from tests.fakes.policies import authority, exception, policy, spec

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "policies").glob("*/*.yaml"))
GOOD = policy(spec(authority("release")), "e2e").value


def named(document: Any, name: str) -> dict[str, Any]:
    metadata = {key: value for key, value in document["metadata"].items() if key != "creationTimestamp"}
    return {**document, "metadata": {**metadata, "name": name}}


def test_people_find_them_by_their_short_names(cluster: Cluster, namespace: str) -> None:
    cluster.apply(named(GOOD, namespace), named(exception().value, namespace))
    columns = cluster.kubectl("get", "ctp", namespace).stdout.split()
    assert columns[:5] == ["NAME", "MODE", "READY", "FAILING", "AGE"]
    assert cluster.kubectl("get", "tx", namespace).stdout.split()[:4] == ["NAME", "EXPIRES", "OWNER", "READY"]
    assert cluster.kubectl("-n", namespace, "get", "tp").stderr.startswith("No resources found")
    assert "clustertrustpolicy.sigward.dev" in cluster.kubectl("get", "sigward", "-o", "name").stdout
    cluster.kubectl("delete", "ctp,tx", namespace)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_example_passes_the_dry_run_of_the_server(cluster: Cluster, path: Path) -> None:
    done = cluster.kubectl("create", "--dry-run=server", "-f", str(path), check=False)
    assert done.returncode == 0, done.stderr


BOTH = {"pem": signing_key().public_pem, "secretKeyRef": {"namespace": "sec", "name": "keys", "key": "pub"}}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"spec": {**GOOD["spec"], "mode": "Strict"}}, "spec.mode"),
    ({"spec": {**GOOD["spec"], "require": []}}, "spec.require"),
    ({"spec": {**GOOD["spec"], "authorities": [{"name": "a"}]}}, "exactly one of keys, keyless, x509, openpgp"),
    ({"spec": spec(authority("a"), authority("b"))}, "`require` may be left out only with one authority"),
    ({"spec": {"match": {"images": ["*/**"]}}}, "at least one authority, `require` or `revoked`"),
    (
        {"spec": spec(authority("a"), require=[{"name": "s", "signature": {"of": ["b"]}}])},
        "must be that of an authority of this policy",
    ),
    (
        {
            "spec": spec(
                {"name": "a", "keys": [{"pem": signing_key().public_pem, "secretKeyRef": {"name": "x", "key": "pub"}}]}
            )
        },
        "exactly one of pem, secretKeyRef, configMapKeyRef",
    ),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_the_schema_refuses_what_it_can(cluster: Cluster, change: dict[str, Any], said: str) -> None:
    done = cluster.create({**named(GOOD, "refused"), **change}, "--dry-run=server")
    assert done.returncode != 0
    assert said in done.stderr


def test_a_misspelt_restriction_is_kept_for_our_own_validation(cluster: Cluster) -> None:
    """Pruned it would be gone without a word; with it the policy is refused at apply, or refuses what it matches."""
    bill = {"name": "bill", "sbom": {"packages": {"denny": ["pkg:npm/x"]}}}
    document = named({**GOOD, "spec": {**GOOD["spec"], "require": [bill]}}, "misspelt")
    done = cluster.create(document, "--dry-run=server", "-o", "json")
    assert done.returncode == 0, done.stderr
    kept = yaml.safe_load(done.stdout)
    assert kept["spec"]["require"][0]["sbom"]["packages"] == {"denny": ["pkg:npm/x"]}


def test_an_exception_needs_its_lists_and_stands_alone_with_a_star(cluster: Cluster) -> None:
    good = named(exception().value, "refused")
    for change, said in (
        ({"policies": ["*", "corp"]}, "nothing may stand beside it"),
        ({"requirements": []}, "spec.requirements"),
    ):
        done = cluster.create({**good, "spec": {**good["spec"], **change}}, "--dry-run=server")
        assert done.returncode != 0
        assert said in done.stderr
