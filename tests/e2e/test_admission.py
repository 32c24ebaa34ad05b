"""A replica beside a real API server: watched policies, real calls, kubectl's words."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from tests.e2e.cluster import Cluster
from tests.e2e.processes import until
from tests.e2e.replicas import Installation, Replica
from tests.fakes.gates import authority, policy
from tests.fakes.keys import signing_key
from tests.fakes.policies import config_map, secret
from tests.fakes.reviews import pod_spec, workload

pytestmark = pytest.mark.e2e

RELEASE, OTHER = signing_key("release"), signing_key("other")
SCOPE = {"sigward.dev/e2e": "yes"}


@pytest.fixture(scope="module")
def registry() -> Iterator[EmbeddedRegistry]:
    """The embedded registry, in a thread with a loop of its own: tests here are plain functions."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    found = EmbeddedRegistry()
    asyncio.run_coroutine_threadsafe(found.start(), loop).result(10)
    yield found
    asyncio.run_coroutine_threadsafe(found.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture(scope="module")
def installation(
    cluster: Cluster, registry: EmbeddedRegistry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    settings = {"registries": {registry.host: {"insecure": True, "privateAddress": True}}, "cache": {"tagTtl": "0s"}}
    made = Installation(cluster, tmp_path_factory.mktemp("sigward"), settings, SCOPE)
    made.install()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def replica(installation: Installation) -> Iterator[Replica]:
    with installation.replica() as running:
        installation.configure()
        yield running
        installation.remove()


@pytest.fixture
def shop(cluster: Cluster, namespace: str, replica: Replica) -> Iterator[str]:
    """A namespace whose Pods are judged, and whose policies are gone afterwards."""
    cluster.kubectl("label", "namespace", namespace, *(f"{name}={value}" for name, value in SCOPE.items()))
    yield namespace
    cluster.kubectl("delete", "clustertrustpolicies,trustexceptions,trustroots", "--all")


@pytest.fixture
def images(registry: EmbeddedRegistry) -> ImageBuilder:
    return ImageBuilder(registry)


def signed(registry: EmbeddedRegistry, path: str = "shop/web", by: Any = RELEASE) -> Image:
    image = ImageBuilder(registry).image(path, "1")
    Signer(registry).sign(image, by)
    return image


def pod(name: str, namespace: str, image: Image | str, **more: Any) -> dict[str, Any]:
    reference = image if isinstance(image, str) else str(image.reference)
    document = workload("Pod", pod_spec(reference, **more), namespace=namespace)
    document["metadata"]["name"] = name
    return document


def corp(registry: EmbeddedRegistry, *keys: Any, name: str = "corp", **fields: Any) -> dict[str, Any]:
    match = {"images": [f"{registry.host}/**"]}
    return policy(name, authorities=[authority("release", *(keys or (RELEASE,)))], match=match, **fields)


def enforced(cluster: Cluster, document: Any, namespace: str, image: Any, *, admitted: bool, seconds: float = 2.0) -> str:
    """Apply the policy and return what is said of a Pod once it is admitted (or not), within `seconds` of the apply."""
    cluster.apply(document)
    return settles(cluster, namespace, image, admitted=admitted, seconds=seconds)


def settles(cluster: Cluster, namespace: str, image: Any, *, admitted: bool, seconds: float = 2.0) -> str:
    ends = time.monotonic() + seconds
    while True:
        done = cluster.create(pod("probe", namespace, image), "--dry-run=server")
        if (done.returncode == 0) is admitted:
            return done.stderr
        assert time.monotonic() < ends, done.stderr or "still admitted"


def test_a_policy_is_enforced_within_two_seconds_and_released_again(
    cluster: Cluster, registry: EmbeddedRegistry, shop: str
) -> None:
    good, bad = signed(registry), ImageBuilder(registry).image("shop/unsigned", "1")
    assert cluster.create(pod("before", shop, bad)).returncode == 0  # no policy is about it yet
    said = enforced(cluster, corp(registry), shop, bad, admitted=False)
    assert 'admission webhook "validate.sigward.dev" denied the request' in said
    assert "policy corp, signed: expected a signature by release (key SHA256:" in said
    assert cluster.create(pod("good", shop, good)).returncode == 0
    cluster.kubectl("delete", "ctp", "corp")
    settles(cluster, shop, bad, admitted=True)


def test_a_pod_is_pinned_to_what_was_judged(cluster: Cluster, registry: EmbeddedRegistry, shop: str) -> None:
    image = signed(registry, "shop/pinned")
    enforced(cluster, corp(registry), shop, image, admitted=True)
    done = cluster.create(pod("pinned", shop, image))
    assert done.returncode == 0, done.stderr
    found = cluster.get("-n", shop, "pod", "pinned")["spec"]["containers"][0]["image"]
    assert found == f"{image.reference}@{image.digest}"


def test_a_deployment_of_a_signed_image_becomes_pods_and_one_of_another_is_refused(
    cluster: Cluster, registry: EmbeddedRegistry, shop: str
) -> None:
    good, bad = signed(registry, "shop/app"), ImageBuilder(registry).image("shop/app-unsigned", "1")
    enforced(cluster, corp(registry), shop, bad, admitted=False)
    deployment = workload("Deployment", pod_spec(str(good.reference)), labels={"app": "web"}, namespace=shop)
    deployment["spec"] |= {"selector": {"matchLabels": {"app": "web"}}, "replicas": 1}
    cluster.apply(deployment)
    until(lambda: len(cluster.get("-n", shop, "pods", "-l", "app=web")["items"]) == 1, "a pod of the Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["image"] = str(bad.reference)
    done = cluster.apply(deployment, check=False)
    assert done.returncode != 0
    assert "/spec/template/spec/containers/0/image" in done.stderr
    scaled = cluster.kubectl("-n", shop, "scale", "deployment", "web", "--replicas=0", check=False)
    assert scaled.returncode == 0, scaled.stderr


def test_what_stands_in_an_ephemeral_container_is_judged(cluster: Cluster, registry: EmbeddedRegistry, shop: str) -> None:
    good, bad = signed(registry, "shop/debugged"), ImageBuilder(registry).image("shop/debugger", "1")
    enforced(cluster, corp(registry), shop, bad, admitted=False)
    assert cluster.create(pod("web", shop, good)).returncode == 0
    arguments = ("-n", shop, "debug", "web", "--image", str(bad.reference), "--", "sh")
    done = cluster.kubectl(*arguments, check=False)
    assert done.returncode != 0
    assert "/spec/ephemeralContainers/0/image" in done.stderr
    labelled = cluster.kubectl("-n", shop, "label", "pod", "web", "team=shop", check=False)
    assert labelled.returncode == 0, labelled.stderr


def test_warnings_reach_kubectl(cluster: Cluster, registry: EmbeddedRegistry, shop: str) -> None:
    bad = ImageBuilder(registry).image("shop/warned", "1")
    cluster.apply(corp(registry, mode="Warn"))
    until(lambda: "Warning: " in cluster.create(pod("probe", shop, bad), "--dry-run=server").stderr, "a warning", patience=2)


def test_a_bad_policy_is_refused_when_it_is_applied(cluster: Cluster, registry: EmbeddedRegistry, shop: str) -> None:
    bill = [{"name": "bill", "sbom": {"packages": {"denny": ["pkg:npm/x"]}}}]
    done = cluster.apply(corp(registry, require=bill), check=False)
    assert done.returncode != 0
    assert "spec.require[0].sbom.packages.denny" in done.stderr
    far = {"match": {"images": ["*/**"], "namespaces": ["*"]}, "policies": ["*"], "requirements": ["*"], "reason": "x"}
    exception = {"apiVersion": "sigward.dev/v1alpha1", "kind": "TrustException", "metadata": {"name": "far"}}
    done = cluster.apply({**exception, "spec": {**far, "expiresAt": "2036-01-01T00:00:00Z"}}, check=False)
    assert done.returncode != 0
    assert "spec.expiresAt: lies too far away" in done.stderr


def test_an_exception_opens_and_expires(cluster: Cluster, registry: EmbeddedRegistry, shop: str) -> None:
    bad = ImageBuilder(registry).image("shop/excepted", "1")
    enforced(cluster, corp(registry), shop, bad, admitted=False)
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6))
    match = {"images": [f"{registry.host}/shop/excepted"], "namespaces": [shop]}
    spec = {"match": match, "policies": ["corp"], "requirements": ["signed"], "expiresAt": ends, "reason": "a bad night"}
    document = {"apiVersion": "sigward.dev/v1alpha1", "kind": "TrustException", "metadata": {"name": "night"}, "spec": spec}
    said = enforced(cluster, document, shop, bad, admitted=True)
    assert "let through by exception night until" in said
    settles(cluster, shop, bad, admitted=False, seconds=10)


def test_a_rotated_secret_changes_who_is_believed(cluster: Cluster, registry: EmbeddedRegistry, shop: str) -> None:
    old, new = signed(registry, "shop/old", RELEASE), signed(registry, "shop/new", OTHER)
    cluster.apply(secret("keys", shop, pub=RELEASE.public_pem).value)
    named = {"name": "release", "keys": [{"secretKeyRef": {"namespace": shop, "name": "keys", "key": "pub"}}]}
    document = policy("corp", authorities=[named], match={"images": [f"{registry.host}/**"]})
    enforced(cluster, document, shop, new, admitted=False)
    settles(cluster, shop, old, admitted=True)
    cluster.apply(secret("keys", shop, pub=OTHER.public_pem).value)
    settles(cluster, shop, new, admitted=True)
    assert "another key" in settles(cluster, shop, old, admitted=False)
    cluster.kubectl("-n", shop, "delete", "secret", "keys")
    assert "put the key back where the policy looks for it" in settles(cluster, shop, new, admitted=False)


def test_objects_nobody_names_are_not_asked_for(
    cluster: Cluster, registry: EmbeddedRegistry, shop: str, replica: Replica
) -> None:
    cluster.apply(config_map("unrelated", shop, a="b").value, corp(registry))
    settles(cluster, shop, ImageBuilder(registry).image("shop/unsigned", "2"), admitted=False)
    if cluster.audit is None:
        pytest.skip("another cluster's audit log is not ours to read")
    mine = "system:serviceaccount:sigward-system:sigward"
    asked = [line for line in cluster.audit.read_text(encoding="utf-8").splitlines() if mine in line]
    assert asked
    secrets = [line for line in asked if '"resource":"secrets"' in line or '"resource":"configmaps"' in line]
    assert secrets
    assert all("fieldSelector=metadata.name" in line for line in secrets)
    assert not any('"verb":"create"' in line or '"verb":"update"' in line or '"verb":"patch"' in line for line in asked)


def test_a_replica_stays_small(replica: Replica) -> None:
    assert replica.resident < 140
    assert replica.metric("sigward_policy_age_seconds") < 70


def test_the_certificate_is_exchanged_without_a_failed_call(
    cluster: Cluster, installation: Installation, registry: EmbeddedRegistry, shop: str
) -> None:
    good = signed(registry, "shop/rotating")
    enforced(cluster, corp(registry), shop, good, admitted=True)
    before = Path(installation.folder / "ca.pem").read_bytes()
    installation.exchange_certificate()
    both = before + Path(installation.folder / "ca.pem").read_bytes()
    Path(installation.folder / "ca.pem").write_bytes(both)
    installation.configure()
    ends = time.monotonic() + 4
    while time.monotonic() < ends:
        done = cluster.create(pod("probe", shop, good), "--dry-run=server")
        assert done.returncode == 0, done.stderr
