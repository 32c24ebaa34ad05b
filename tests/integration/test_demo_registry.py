"""The embedded registry as a client meets it over HTTP (OCI Distribution Specification 1.1)."""

import io
import json
from typing import Any

import aiohttp
import pytest
from yarl import URL

from controller.demo.images import ImageBuilder
from controller.demo.mediatypes import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from controller.demo.recording import Kind
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.reference import Digest
from tests.fakes.keys import signing_key

EMPTY = Digest.of(b"nothing has this content")


async def _push_blob(session: aiohttp.ClientSession, url: str, path: str, content: bytes) -> Digest:
    digest = Digest.of(content)
    async with session.post(f"{url}/v2/{path}/blobs/uploads/") as opened:
        assert opened.status == 202
        location = opened.headers["Location"]
    async with session.put(f"{url}{location}", params={"digest": str(digest)}, data=content) as closed:
        assert closed.status == 201
        assert closed.headers["Docker-Content-Digest"] == str(digest)
    return digest


async def _code(response: aiohttp.ClientResponse) -> str:
    return str((await response.json())["errors"][0]["code"])


def _manifest(config: Digest, layer: Digest, **extra: Any) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": OCI_CONFIG, "size": 6, "digest": str(config)},
            "layers": [{"mediaType": OCI_LAYER, "size": 5, "digest": str(layer)}],
            **extra,
        }
    ).encode()


async def test_an_image_pushed_over_http_is_pulled_byte_for_byte(registry: EmbeddedRegistry) -> None:
    async with aiohttp.ClientSession() as session:
        config = await _push_blob(session, registry.url, "shop/web", b"config")
        layer = await _push_blob(session, registry.url, "shop/web", b"layer")
        content = _manifest(config, layer)
        url = f"{registry.url}/v2/shop/web/manifests/1.4"
        async with session.put(url, data=content, headers={"Content-Type": OCI_MANIFEST}) as pushed:
            assert pushed.status == 201
            assert pushed.headers["Docker-Content-Digest"] == str(Digest.of(content))
        async with session.get(url) as pulled:
            assert await pulled.read() == content
            assert pulled.headers["Content-Type"] == OCI_MANIFEST
        async with session.head(f"{registry.url}/v2/shop/web/manifests/{Digest.of(content)}") as head:
            assert (head.status, head.headers["Content-Length"]) == (200, str(len(content)))
        async with session.get(f"{registry.url}/v2/shop/web/blobs/{layer}") as blob:
            assert await blob.read() == b"layer"


async def test_a_blob_goes_up_in_chunks_in_one_request_and_by_mount(registry: EmbeddedRegistry) -> None:
    uploads = f"{registry.url}/v2/a/b/blobs/uploads/"
    async with aiohttp.ClientSession() as session:
        async with session.post(uploads) as opened:
            location = registry.url + opened.headers["Location"]
        async with session.patch(location, data=b"one ", headers={"Content-Range": "0-3"}) as first:
            assert (first.status, first.headers["Range"]) == (202, "0-3")
        async with session.patch(location, data=b"no", headers={"Content-Range": "9-10"}) as gap:
            assert (gap.status, gap.headers["Range"]) == (416, "0-3")
        async with session.get(location) as status:
            assert (status.status, status.headers["Range"]) == (204, "0-3")
        digest = Digest.of(b"one two")
        async with session.put(location, params={"digest": str(digest)}, data=b"two") as closed:
            assert closed.status == 201
        async with session.put(location, params={"digest": str(digest)}) as again:
            assert (again.status, await _code(again)) == (404, "BLOB_UPLOAD_UNKNOWN")
        single = Digest.of(b"single", "sha512")
        async with session.post(uploads, params={"digest": str(single)}, data=b"single") as whole:
            assert whole.status == 201
        async with session.post(
            f"{registry.url}/v2/c/d/blobs/uploads/", params={"mount": str(digest), "from": "a/b"}
        ) as mount:
            assert mount.status == 201
        async with session.post(uploads, params={"mount": str(EMPTY), "from": "c/d"}) as unknown:
            assert unknown.status == 202
    assert registry.blob("a/b", digest) == registry.blob("c/d", digest) == b"one two"
    assert registry.blob("a/b", single) == b"single"


async def test_a_push_that_is_not_what_it_says_is_refused(registry: EmbeddedRegistry) -> None:
    url = f"{registry.url}/v2/shop/web/manifests"
    headers = {"Content-Type": OCI_MANIFEST}
    blob = registry.put_blob("shop/web", b"config")
    content = _manifest(blob, blob)
    cases = [
        (f"{url}/{EMPTY}", content, headers, "DIGEST_INVALID"),
        (f"{url}/sha256:beef", content, headers, "DIGEST_INVALID"),
        (f"{url}/1", content, {"Content-Type": OCI_INDEX}, "MANIFEST_INVALID"),
        (f"{url}/1", b"{", headers, "MANIFEST_INVALID"),
        (f"{url}/1", b"[]", headers, "MANIFEST_INVALID"),
        (f"{url}/1", b'{"layers":[{}]}', headers, "MANIFEST_INVALID"),
        (f"{url}/1", _manifest(blob, EMPTY), headers, "MANIFEST_BLOB_UNKNOWN"),
    ]
    async with aiohttp.ClientSession() as session:
        for address, body, with_headers, code in cases:
            async with session.put(address, data=body, headers=with_headers) as response:
                assert (response.status, await _code(response)) == (400, code)
        async with session.post(f"{registry.url}/v2/a/blobs/uploads/?digest={EMPTY}", data=b"other") as response:
            assert (response.status, await _code(response)) == (400, "DIGEST_INVALID")
        huge = io.BytesIO(b" " * (4 * 1024 * 1024 + 1))
        async with session.put(f"{url}/1", data=huge, headers=headers) as response:
            assert (response.status, await _code(response)) == (413, "MANIFEST_INVALID")
    assert registry.tags("shop/web") == ()


async def test_what_is_not_there_is_named_as_the_specification_names_it(registry: EmbeddedRegistry) -> None:
    registry.put_blob("shop/web", b"something")
    cases = [
        (f"shop/web/manifests/{EMPTY}", "MANIFEST_UNKNOWN"),
        ("shop/web/manifests/1.4", "MANIFEST_UNKNOWN"),
        ("none/manifests/1.4", "MANIFEST_UNKNOWN"),
        (f"shop/web/blobs/{EMPTY}", "BLOB_UNKNOWN"),
        ("none/tags/list", "NAME_UNKNOWN"),
    ]
    async with aiohttp.ClientSession() as session:
        for path, code in cases:
            async with session.get(f"{registry.url}/v2/{path}") as response:
                assert (response.status, await _code(response)) == (404, code)


async def test_deleting_a_tag_keeps_the_manifest_and_deleting_the_manifest_its_referrers_entry(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    image = images.image("shop/web", "1.4")
    (referrer,) = signer.sign(image, signing_key(), style=Style.BUNDLE)
    base = f"{registry.url}/v2/shop/web/manifests"
    async with aiohttp.ClientSession() as session:
        async with session.delete(f"{base}/1.4") as response:
            assert response.status == 202
        assert registry.manifest("shop/web", "1.4") is None
        assert registry.manifest("shop/web", image.digest) is not None
        async with session.delete(f"{base}/{referrer.digest}") as response:
            assert response.status == 202
        assert registry.referrers("shop/web", image.digest) == ()
        async with session.delete(f"{base}/{referrer.digest}") as response:
            assert (response.status, await _code(response)) == (404, "MANIFEST_UNKNOWN")


async def test_tags_are_listed_in_order_and_in_pages(registry: EmbeddedRegistry, images: ImageBuilder) -> None:
    for tag in ("c", "a", "d", "b", "e"):
        images.image("shop/web", tag)
    registry.page_size = 2
    seen, address = [], "/v2/shop/web/tags/list"
    async with aiohttp.ClientSession() as session:
        while address:
            async with session.get(registry.url + address) as response:
                seen.append((await response.json())["tags"])
                address = URL(response.links["next"]["url"]).raw_path_qs if "next" in response.links else ""
    assert seen == [["a", "b"], ["c", "d"], ["e"]]


async def test_referrers_are_listed_in_pages_and_by_type(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    image = images.image("shop/web", "1.4")
    keys = [signing_key(name) for name in "abc"]
    signed = signer.sign(image, *keys, style=Style.BUNDLE)
    other = signer.refer(image, "application/spdx+json", b"{}", {})
    registry.page_size = 3
    address = f"{registry.url}/v2/shop/web/referrers/{image.digest}"
    async with aiohttp.ClientSession() as session:
        async with session.get(address) as response:
            page = await response.json()
            assert response.content_type == page["mediaType"] == OCI_INDEX
            assert page["manifests"] == [manifest.descriptor() for manifest in signed]
            following = response.links["next"]["url"]
        async with session.get(following) as response:
            assert (await response.json())["manifests"] == [other.descriptor()]
            assert "next" not in response.links
        async with session.get(address, params={"artifactType": "application/spdx+json"}) as response:
            assert (await response.json())["manifests"] == [other.descriptor()]
            assert response.headers["OCI-Filters-Applied"] == "artifactType"
        async with session.get(f"{registry.url}/v2/shop/web/referrers/{EMPTY}") as response:
            assert (response.status, (await response.json())["manifests"]) == (200, [])


@pytest.mark.parametrize("referrers_api", [True, False])
async def test_a_pushed_subject_is_acknowledged_only_where_the_api_lists_it(referrers_api: bool) -> None:  # noqa: FBT001
    async with EmbeddedRegistry(referrers_api=referrers_api) as registry:
        blob = registry.put_blob("shop/web", b"config")
        subject = {"mediaType": OCI_MANIFEST, "size": 1, "digest": str(EMPTY)}
        content = _manifest(blob, blob, subject=subject, artifactType="application/x")
        async with aiohttp.ClientSession() as session:
            url = f"{registry.url}/v2/shop/web/manifests/{Digest.of(content)}"
            async with session.put(url, data=content, headers={"Content-Type": OCI_MANIFEST}) as response:
                assert response.headers.get("OCI-Subject") == (str(EMPTY) if referrers_api else None)
            async with session.get(f"{registry.url}/v2/shop/web/referrers/{EMPTY}") as response:
                assert response.status == (200 if referrers_api else 404)


async def test_it_stops_and_comes_back_on_the_same_port_with_what_it_held(
    registry: EmbeddedRegistry, images: ImageBuilder
) -> None:
    image = images.image("shop/web", "1.4")
    address = f"{registry.url}/v2/shop/web/manifests/1.4"
    host = registry.host
    async with aiohttp.ClientSession() as session:
        await registry.stop()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(address)
        await registry.start()
        assert registry.host == host
        async with session.get(address) as response:
            assert response.headers["Docker-Content-Digest"] == str(image.digest)


async def test_every_request_is_recorded_by_kind_with_headers_and_status(
    registry: EmbeddedRegistry, images: ImageBuilder
) -> None:
    image = images.image("shop/web", "1.4")
    async with aiohttp.ClientSession() as session:
        for path in ("", "shop/web/manifests/1.4", f"shop/web/referrers/{image.digest}", "shop/web/tags/list?n=1"):
            async with session.get(f"{registry.url}/v2/{path}", headers={"X-Case": "1"}) as response:
                await response.read()
        async with session.get(f"{registry.url}/v2/shop/web/blobs/{EMPTY}", headers={"Authorization": "Basic eA=="}):
            pass
    assert [(entry.kind, entry.status) for entry in registry.requests] == [
        (Kind.PING, 200),
        (Kind.MANIFEST, 200),
        (Kind.REFERRERS, 200),
        (Kind.TAGS, 200),
        (Kind.BLOB, 404),
    ]
    assert len(registry.requests.counted) == 4
    assert [entry.kind for entry in registry.requests.authorized] == [Kind.BLOB]
    assert registry.requests[3].query == "n=1"
    assert registry.requests[0].headers["x-case"] == "1"
    registry.requests.clear()
    assert len(registry.requests) == 0


async def test_large_blobs_are_served_whole(registry: EmbeddedRegistry) -> None:
    content = bytes(range(256)) * 20_000
    digest = registry.put_blob("shop/web", content)
    async with aiohttp.ClientSession(registry.url) as session:
        async with session.get(f"/v2/shop/web/blobs/{digest}") as response:
            assert await response.read() == content
        async with session.head(f"/v2/shop/web/blobs/{digest}") as response:
            assert response.headers["Content-Length"] == str(len(content))
