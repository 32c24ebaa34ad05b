"""List and watch against a running API server: the copy is whole, and stays while the server is away."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.cluster import resources
from controller.cluster.client import ClusterClient
from controller.cluster.reflector import Reflector, Wanted
from controller.errors import Code, Invalid, Undecided
from controller.settings import Limits
from tests.fakes.apiserver import ApiServer, cut_off

CTP = "clustertrustpolicies"
QUICK = Limits(watch_retry_longest=0.2)


def ctp(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "sigward.dev/v1alpha1", "kind": "ClusterTrustPolicy", "metadata": {"name": name}, "spec": spec}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - another task's doing
            await asyncio.sleep(0.01)


@asynccontextmanager
async def reflecting(
    api: ApiServer, folder: Path, wanted: Wanted[Any] | None = None, limits: Limits = QUICK, **more: Any
) -> AsyncIterator[Reflector[Any]]:
    async with await ClusterClient.connect(limits, api.kubeconfig(folder)) as client:
        wanted = wanted or Wanted(resources.CLUSTER_TRUST_POLICIES, resources.trimmed)
        changed = more.pop("changed", lambda: None)
        reflector = Reflector(client, wanted, changed, limits, **more)
        reflector.start()
        try:
            yield reflector
        finally:
            await reflector.stop()


def names(reflector: Reflector[Any]) -> list[str] | None:
    return None if reflector.objects is None else sorted(name for _, name in reflector.objects)


@pytest.fixture
async def api() -> AsyncIterator[ApiServer]:
    async with ApiServer() as running:
        yield running


async def test_pages_are_read_to_the_end_and_what_changes_later_is_followed(api: ApiServer, tmp_path: Path) -> None:
    api.largest_page = 2
    for number in range(5):
        api.put(CTP, ctp(f"p{number}"))
    changes: list[int] = []
    async with reflecting(api, tmp_path, changed=lambda: changes.append(1)) as reflector:
        await until(lambda: reflector.objects)
        assert names(reflector) == ["p0", "p1", "p2", "p3", "p4"]
        assert len(changes) == 1
        assert len(api.asked(CTP, watch=False)) == 3
        api.put(CTP, ctp("p5"))
        api.delete(CTP, "p0")
        await until(lambda: names(reflector) == ["p1", "p2", "p3", "p4", "p5"])
        api.put(CTP, ctp("p5", mode="Warn"))
        await until(lambda: reflector.objects and reflector.objects["", "p5"]["spec"] == {"mode": "Warn"})
        assert len(api.asked(CTP, watch=False)) == 3


async def test_an_event_that_changes_only_status_and_bookkeeping_is_no_change(api: ApiServer, tmp_path: Path) -> None:
    api.put(CTP, ctp("corp"))
    changes: list[int] = []
    async with reflecting(api, tmp_path, changed=lambda: changes.append(1)) as reflector:
        await until(lambda: api.watching)
        api.put(CTP, {**ctp("corp"), "status": {"conditions": []}})
        api.put(CTP, ctp("last"))
        await until(lambda: names(reflector) == ["corp", "last"])
        assert len(changes) == 2
        assert reflector.objects is not None
        assert "managedFields" not in reflector.objects["", "corp"]["metadata"]
        assert reflector.objects["", "corp"]["kind"] == "ClusterTrustPolicy"  # items of a list do not say it


@pytest.mark.parametrize("compacted", [False, True])
async def test_what_was_deleted_while_the_watch_was_cut_is_gone_after_it(
    api: ApiServer, tmp_path: Path, *, compacted: bool
) -> None:
    api.put(CTP, ctp("corp"))
    api.put(CTP, ctp("old"))
    async with reflecting(api, tmp_path) as reflector:
        await until(lambda: api.watching)
        async with cut_off(api):
            api.delete(CTP, "old")
            api.put(CTP, ctp("new"))
            if compacted:
                api.compact()
            await until(lambda: reflector.failure)
            assert names(reflector) == ["corp", "old"]
        await until(lambda: names(reflector) == ["corp", "new"])
        assert len(api.asked(CTP, watch=False)) == (2 if compacted else 1)
        await until(lambda: reflector.failure is None)


async def test_after_a_long_break_everything_is_listed_anew(api: ApiServer, tmp_path: Path) -> None:
    api.put(CTP, ctp("corp"))
    async with reflecting(api, tmp_path, limits=QUICK.model_copy(update={"watch_resume": 0.0})) as reflector:
        await until(lambda: api.watching)
        api.cut()
        await until(lambda: len(api.asked(CTP, watch=False)) == 2)
        assert names(reflector) == ["corp"]


async def test_a_watch_told_410_in_the_middle_lists_anew(api: ApiServer, tmp_path: Path) -> None:
    api.put(CTP, ctp("corp"))
    async with reflecting(api, tmp_path) as reflector:
        await until(lambda: api.watching)
        api.version += 10
        api.compact()
        api.put(CTP, ctp("new"))
        await until(lambda: names(reflector) == ["corp", "new"])
        assert len(api.asked(CTP, watch=False)) == 2


@pytest.mark.parametrize(
    ("fault", "code"),
    [(500, Code.CLUSTER_ERROR), (403, Code.UNAUTHORIZED), (429, Code.RATE_LIMITED), ("break", Code.UNREACHABLE)],
)
async def test_a_listing_that_fails_is_a_disconnection_and_no_empty_set(
    api: ApiServer, tmp_path: Path, fault: int | str, code: Code
) -> None:
    api.put(CTP, ctp("corp"))
    lost: list[str] = []
    async with reflecting(api, tmp_path, failed=lost.append) as reflector:
        await until(lambda: api.watching)
        api.faults[CTP] = fault
        api.compact()
        api.cut()
        await until(lambda: reflector.failure and reflector.failure.code is code)
        assert names(reflector) == ["corp"]
        assert lost[0] == CTP
        api.faults.clear()
        api.delete(CTP, "corp")
        await until(lambda: names(reflector) == [])


async def test_a_resource_that_vanishes_is_a_disconnection_and_one_never_there_says_so(
    api: ApiServer, tmp_path: Path
) -> None:
    api.unknown.add(CTP)
    async with reflecting(api, tmp_path) as reflector:
        await until(lambda: reflector.failure)
        assert reflector.objects is None
        assert reflector.failure is not None
        assert reflector.failure.code is Code.NOT_FOUND
        assert "CustomResourceDefinition clustertrustpolicies.sigward.dev" in str(reflector.failure)
        api.put(CTP, ctp("corp"))
        api.unknown.clear()
        await until(lambda: names(reflector) == ["corp"])
        api.unknown.add(CTP)
        api.compact()
        api.cut()
        await until(lambda: reflector.failure and reflector.failure.code in {Code.NOT_FOUND, Code.CLUSTER_ERROR})
        assert names(reflector) == ["corp"]


async def test_a_page_that_fails_leaves_the_copy_whole(api: ApiServer, tmp_path: Path) -> None:
    api.largest_page = 1
    for name in ("a", "b"):
        api.put(CTP, ctp(name))
    async with reflecting(api, tmp_path) as reflector:
        await until(lambda: api.watching)
        api.faults[CTP] = lambda request, _: 500 if "continue" in request.query else None
        api.put(CTP, ctp("c"))
        await until(lambda: names(reflector) == ["a", "b", "c"])
        api.compact()
        api.cut()
        await until(lambda: reflector.failure)
        assert names(reflector) == ["a", "b", "c"]


async def test_a_watch_that_falls_silent_is_begun_again(api: ApiServer, tmp_path: Path) -> None:
    api.put(CTP, ctp("corp"))
    async with reflecting(api, tmp_path, limits=QUICK.model_copy(update={"watch_silence": 0.1})) as reflector:
        await until(lambda: len(api.asked(CTP, watch=True)) > 1)
        assert names(reflector) == ["corp"]


async def test_bookmarks_confirm_and_say_where_to_go_on(api: ApiServer, tmp_path: Path) -> None:
    api.bookmarks = 0.02
    api.put(CTP, ctp("corp"))
    async with reflecting(api, tmp_path) as reflector:
        await until(lambda: api.watching)
        for number in range(3):
            api.put("other", ctp(f"o{number}"))
        latest = str(api.version)
        await until(lambda: reflector._version == latest)
        api.cut()
        await until(lambda: f"resourceVersion={latest}" in api.asked(CTP, watch=True)[-1].query)
        assert reflector.age < 5


async def test_one_object_is_listed_and_watched_by_its_name_only(api: ApiServer, tmp_path: Path) -> None:
    for name in ("keys", "other"):
        api.put(
            "secrets", {"metadata": {"name": name, "namespace": "sec", "annotations": {"a": "b"}}, "data": {"k": "dg=="}}
        )
    wanted = Wanted(resources.SECRETS, resources.content, "sec", "keys")
    async with reflecting(api, tmp_path, wanted) as reflector:
        await until(lambda: reflector.objects)
        assert names(reflector) == ["keys"]
        api.put("secrets", {"metadata": {"name": "keys", "namespace": "sec"}, "data": {"k": "dw=="}})
        await until(lambda: reflector.objects and reflector.objects["sec", "keys"]["data"] == {"k": "dw=="})
        api.delete("secrets", "keys", "sec")
        await until(lambda: names(reflector) == [])
    assert all("fieldSelector=metadata.name%3Dkeys" in each.query for each in api.asked("secrets"))
    assert {each.path for each in api.asked("secrets")} == {"/api/v1/namespaces/sec/secrets"}


async def test_who_may_only_get_reads_by_name_again_and_again(api: ApiServer, tmp_path: Path) -> None:
    api.faults["secrets"] = lambda _, where: None if where.name else 403
    wanted = Wanted(resources.SECRETS, resources.content, "sec", "keys")
    async with reflecting(api, tmp_path, wanted, poll=lambda: 0.02) as reflector:
        await until(lambda: names(reflector) == [])
        api.put("secrets", {"metadata": {"name": "keys", "namespace": "sec"}, "data": {"k": "dg=="}})
        await until(lambda: names(reflector) == ["keys"])
        assert reflector.failure is None


async def test_an_object_longer_than_the_limit_is_a_disconnection(api: ApiServer, tmp_path: Path) -> None:
    api.put(CTP, ctp("corp"))
    async with reflecting(api, tmp_path, limits=QUICK.model_copy(update={"cluster_object_bytes": 5000})) as reflector:
        await until(lambda: api.watching)
        api.put(CTP, ctp("long", text="x" * 20_000))
        await until(lambda: reflector.failure and reflector.failure.code is Code.LIMIT_EXCEEDED)
        assert names(reflector) == ["corp"]


async def test_a_token_that_rotates_is_read_again(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.cluster.client._RENEWAL", 0.0)
    token = tmp_path / "token"
    token.write_text("one")
    api.token = "one"
    async with await ClusterClient.connect(QUICK, api.kubeconfig(tmp_path, token_file=token)) as client:
        assert (await client.get("/api/v1/namespaces")).good
        api.token = "two"
        assert (await client.get("/api/v1/namespaces")).status == 401
        token.write_text("two")
        assert (await client.get("/api/v1/namespaces")).good


async def test_no_token_enters_a_reason(api: ApiServer, tmp_path: Path) -> None:
    api.token = "t0psecret"
    async with await ClusterClient.connect(QUICK, api.kubeconfig(tmp_path)) as client:
        await api.stop()
        with pytest.raises(Undecided) as caught:
            await client.get("/api/v1/namespaces")
        assert caught.value.reason.code is Code.UNREACHABLE
        assert "t0psecret" not in f"{caught.value!r} {caught.value.__context__!r} {client.__dict__.keys()}"


async def test_a_redirect_is_not_followed(api: ApiServer, tmp_path: Path) -> None:
    api.faults["namespaces"] = 307
    async with await ClusterClient.connect(QUICK, api.kubeconfig(tmp_path)) as client:
        assert (await client.get("/api/v1/namespaces")).status == 307


async def test_an_answer_that_hangs_ends_in_time(api: ApiServer, tmp_path: Path) -> None:
    api.faults["namespaces"] = "hang"
    async with await ClusterClient.connect(QUICK, api.kubeconfig(tmp_path)) as client:
        with pytest.raises(Undecided) as caught:
            await client.get("/api/v1/namespaces", seconds=0.05)
        assert caught.value.reason.code is Code.UNREACHABLE


async def test_outside_a_cluster_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not inside a cluster"):
        await ClusterClient.connect(QUICK)
    with pytest.raises(Invalid, match="cannot be used"):
        await ClusterClient.connect(QUICK, tmp_path / "none")


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "../../x", "A", "a%2fb", "x" * 254])
def test_a_name_never_leads_elsewhere(name: str) -> None:
    with pytest.raises(Invalid):
        resources.SECRETS.path("shop", name or "..")
    assert not resources.is_name(name)
