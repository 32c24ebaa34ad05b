"""How the embedded registry asks who is there."""

from pathlib import Path

import aiohttp
import pytest

from controller.demo.authentication import Account, Authentication, BasicAuthentication, TokenAuthentication
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from tests.fakes.tls import Authority

ALICE = aiohttp.encode_basic_auth("alice", "secret")
WRONG = aiohttp.encode_basic_auth("alice", "wrong")
UNKNOWN = aiohttp.encode_basic_auth("mallory", "")
ACCOUNTS = (
    Account("alice", "secret", pull=("shop/*",), push=("shop/web",)),
    Account("", "", pull=("public/*",), push=()),
)


class Clock:
    """A clock that tests move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def _header(credential: str) -> dict[str, str]:
    return {"Authorization": credential} if credential else {}


async def _token(session: aiohttp.ClientSession, url: str, scope: str, auth: str = ALICE) -> str:
    params = {"service": "registry", "scope": scope}
    async with session.get(f"{url}/token", params=params, headers=_header(auth)) as response:
        return str((await response.json())["token"])


async def _get(session: aiohttp.ClientSession, url: str, token: str = "") -> tuple[int, str]:
    async with session.get(url, headers=_header(f"Bearer {token}" if token else "")) as response:
        return response.status, response.headers.get("WWW-Authenticate", "")


async def test_a_challenge_leads_to_a_token_that_opens_the_scope_and_no_other() -> None:
    async with EmbeddedRegistry(authentication=TokenAuthentication(*ACCOUNTS)) as registry:
        images = ImageBuilder(registry)
        images.image("shop/web", "1")
        images.image("shop/api", "1")
        web, api = (f"{registry.url}/v2/shop/{name}/manifests/1" for name in ("web", "api"))
        challenge = f'Bearer realm="{registry.url}/token",service="registry",scope="repository:shop/web:pull"'
        async with aiohttp.ClientSession() as session:
            assert await _get(session, web) == (401, challenge)
            token = await _token(session, registry.url, "repository:shop/web:pull")
            assert await _get(session, web, token) == (200, "")
            status, refused = await _get(session, api, token)
            assert (status, refused.rpartition(",")[2]) == (401, 'error="insufficient_scope"')
        assert [entry.status for entry in registry.requests.counted] == [200]


async def test_a_token_grants_no_more_than_the_account_may_do() -> None:
    async with EmbeddedRegistry(authentication=TokenAuthentication(*ACCOUNTS)) as registry:
        uploads = f"{registry.url}/v2/shop/api/blobs/uploads/"
        async with aiohttp.ClientSession() as session:
            token = await _token(session, registry.url, "repository:shop/api:pull,push")
            async with session.post(uploads, headers={"Authorization": f"Bearer {token}"}) as response:
                assert response.status == 401
            token = await _token(session, registry.url, "repository:shop/web:pull,push")
            async with session.post(uploads.replace("api", "web"), headers={"Authorization": f"Bearer {token}"}) as response:
                assert response.status == 202


async def test_tokens_expire_and_can_be_revoked() -> None:
    clock = Clock()
    tokens = TokenAuthentication(*ACCOUNTS, lifetime=60, clock=clock)
    async with EmbeddedRegistry(authentication=tokens) as registry, aiohttp.ClientSession() as session:
        ImageBuilder(registry).image("shop/web", "1")
        url = f"{registry.url}/v2/shop/web/manifests/1"
        token = await _token(session, registry.url, "repository:shop/web:pull")
        clock.now = 59.9
        assert (await _get(session, url, token))[0] == 200
        clock.now = 60.0
        assert (await _get(session, url, token))[1].endswith('error="invalid_token"')
        token = await _token(session, registry.url, "repository:shop/web:pull")
        tokens.revoke_all()
        assert (await _get(session, url, token))[0] == 401


async def test_everybody_may_pull_what_the_nameless_account_may() -> None:
    async with EmbeddedRegistry(authentication=TokenAuthentication(*ACCOUNTS)) as registry:
        for path in ("public/web", "shop/web"):
            ImageBuilder(registry).image(path, "1")
        async with aiohttp.ClientSession() as session:
            for path, status in (("public/web", 200), ("shop/web", 401)):
                token = await _token(session, registry.url, f"repository:{path}:pull", "")
                assert (await _get(session, f"{registry.url}/v2/{path}/manifests/1", token))[0] == status
            for credential in (WRONG, UNKNOWN):
                async with session.get(f"{registry.url}/token", headers=_header(credential)) as response:
                    assert response.status == 401


async def test_a_token_is_also_given_for_a_posted_password() -> None:
    async with EmbeddedRegistry(authentication=TokenAuthentication(*ACCOUNTS)) as registry:
        ImageBuilder(registry).image("shop/web", "1")
        form = {"grant_type": "password", "username": "alice", "password": "secret", "scope": "repository:shop/web:pull"}
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{registry.url}/token", data=form) as response:
                token = (await response.json())["access_token"]
            assert (await _get(session, f"{registry.url}/v2/shop/web/manifests/1", token))[0] == 200


async def test_the_realm_may_be_another_server_that_shares_the_tokens() -> None:
    tokens = TokenAuthentication(*ACCOUNTS)
    async with EmbeddedRegistry(authentication=tokens) as realm, EmbeddedRegistry(authentication=tokens) as registry:
        tokens.realm = f"{realm.url}/token"
        ImageBuilder(registry).image("shop/web", "1")
        url = f"{registry.url}/v2/shop/web/manifests/1"
        async with aiohttp.ClientSession() as session:
            assert f'realm="{realm.url}/token"' in (await _get(session, url))[1]
            token = await _token(session, realm.url, "repository:shop/web:pull")
            assert (await _get(session, url, token))[0] == 200


async def test_basic_authentication_asks_every_time() -> None:
    async with EmbeddedRegistry(authentication=BasicAuthentication(*ACCOUNTS)) as registry:
        for path in ("public/web", "shop/web", "other/web"):
            ImageBuilder(registry).image(path, "1")
        async with aiohttp.ClientSession() as session:
            for path, credential, status in (
                ("shop/web", "", 401),
                ("shop/web", ALICE, 200),
                ("shop/web", WRONG, 401),
                ("other/web", ALICE, 401),
                ("public/web", "", 200),
            ):
                async with session.get(f"{registry.url}/v2/{path}/manifests/1", headers=_header(credential)) as response:
                    assert response.status == status, (path, credential)
            async with session.get(f"{registry.url}/v2/") as response:
                assert response.headers["WWW-Authenticate"] == 'Basic realm="Registry"'
            async with session.get(f"{registry.url}/token", headers=_header(ALICE)) as response:
                assert response.status == 404


@pytest.mark.parametrize("authentication", [BasicAuthentication(*ACCOUNTS), TokenAuthentication(*ACCOUNTS)])
@pytest.mark.parametrize(
    "header", ["Basic", "Basic !!", "Basic YWxpY2U=", "Bearer", "Bearer nonsense", "Digest x", "Basic Og=="]
)
async def test_a_broken_credential_is_no_credential(authentication: Authentication, header: str) -> None:
    async with (
        EmbeddedRegistry(authentication=authentication) as registry,
        aiohttp.ClientSession(registry.url) as session,
        session.get("/v2/public/web/tags/list", headers=_header(header)) as response,
    ):
        assert response.status == 401


async def test_it_speaks_tls(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    async with EmbeddedRegistry(tls=authority.issue("127.0.0.1").context()) as registry, aiohttp.ClientSession() as session:
        assert registry.url.startswith("https://127.0.0.1:")
        async with session.get(f"{registry.url}/v2/", ssl=authority.client()) as response:
            assert response.status == 200
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{registry.url}/v2/")
