"""docker config.json: which credential belongs to which repository."""

import base64
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Code, Invalid, Reason, Undecided
from controller.reference import Repository
from controller.registry.credentials import Anonymous, Credential, DockerConfig, DockerConfigFile, PullSecret, PullSecrets


def _auth(name: str, password: str = "secret") -> dict[str, str]:  # noqa: S107 - guards nothing
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


def _config(auths: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"auths": auths, **more}).encode()


def _user(config: DockerConfig, repository: str) -> str:
    credential = config.find(Repository.parse(repository))
    return credential.username if credential else ""


def test_docker_hub_is_known_by_all_its_names() -> None:
    for key in (
        "https://index.docker.io/v1/",
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "https://docker.io/v2/",
    ):
        config = DockerConfig.parse(_config({key: _auth("hub")}))
        assert _user(config, "nginx") == "hub", key
        assert _user(config, "ghcr.io/nginx/nginx") == "", key


def test_the_most_specific_entry_counts() -> None:
    config = DockerConfig.parse(
        _config(
            {
                "*.example.com": _auth("glob"),
                "registry.example.com": _auth("host"),
                "registry.example.com/team": _auth("team"),
                "https://registry.example.com/team/app/": _auth("app"),
            }
        )
    )
    assert _user(config, "registry.example.com/x") == "host"
    assert _user(config, "registry.example.com/teams/x") == "host"
    assert _user(config, "registry.example.com/team/x") == "team"
    assert _user(config, "registry.example.com/team/app/x") == "app"
    assert _user(config, "other.example.com/x") == "glob"
    assert _user(config, "a.other.example.com/x") == ""
    assert _user(config, "example.com/x") == ""
    assert _user(config, "other.example.com.evil.io/x") == ""
    assert _user(config, "registry.example.com:5000/x") == ""


def test_ports_are_part_of_the_host() -> None:
    config = DockerConfig.parse(
        _config({"a.example:5000": _auth("port"), "b.example:443": _auth("https"), "[::1]:5000": _auth("v6")})
    )
    assert _user(config, "a.example:5000/x") == "port"
    assert _user(config, "a.example/x") == ""
    assert _user(config, "b.example/x") == "https"
    assert _user(config, "[0::1]:5000/x") == "v6"


def test_every_way_to_write_a_credential_is_read() -> None:
    entries = {
        "a.io": _auth("u", "p:with:colons"),
        "b.io": {"username": "u", "password": "p"},
        "c.io": {**_auth("<token>", ""), "identitytoken": "refresh"},
        "d.io": {"registrytoken": "ready"},
        "e.io": {},
        "f.io": _auth("u", "padded\0\0"),
    }
    config = DockerConfig.parse(_config(entries))
    found = {name: config.find(Repository(name, "x")) for name in entries}
    assert found == {
        "a.io": Credential("u", "p:with:colons"),
        "b.io": Credential("u", "p"),
        "c.io": Credential("<token>", "", identity_token="refresh"),
        "d.io": Credential(registry_token="ready"),
        "e.io": None,
        "f.io": Credential("u", "padded"),
    }


def test_secrets_are_not_shown() -> None:
    shown = repr(Credential("u", "p4ss", "1d", "t0k"))
    assert "'u'" in shown
    assert not [secret for secret in ("p4ss", "1d", "t0k") if secret in shown]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"auths":[]}', "must be an object"),
        (b'{"auths":{"a.io":[]}}', "must be an object"),
        (b'{"auths":{"a.io":{"auth":7}}}', "must be a string"),
        (b'{"auths":{"a.io":{"auth":"!"}}}', "base64 of user:password"),
        (b'{"auths":{"a.io":{"auth":"' + base64.b64encode(b"nocolon") + b'"}}}', "base64 of user:password"),
        (b'{"auths":{"a io":{"username":"u"}}}', "not a registry host"),
        (b'{"auths":{"a.io":{"registrytoken":"a\\r\\nX: y"}}}', "is no token"),
        (b'{"auths":{"a.io":{"username":"a"},"a.io":{"username":"b"}}}', "stands twice"),
    ],
)
def test_what_cannot_be_read_names_the_entry(raw: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        DockerConfig.parse(raw)
    assert caught.value.reason.code is Code.INVALID_SETTINGS


def test_credential_helpers_are_not_run_and_are_mentioned() -> None:
    some = DockerConfig.parse(_config({}, credHelpers={"gcr.io": "gcloud"}))
    assert "never run" in some.note(Repository("gcr.io", "x"))
    assert some.note(Repository("a.io", "x")) == ""
    everywhere = DockerConfig.parse(_config({}, credsStore="desktop"))
    assert "never run" in everywhere.note(Repository("a.io", "x"))


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(_config({"a.io": _auth("old")}))
    credentials = DockerConfigFile(path)
    assert await credentials.find(Repository("a.io", "x")) == Credential("old", "secret")
    path.write_bytes(_config({"a.io": _auth("newer")}))
    assert await credentials.find(Repository("a.io", "x")) == Credential("newer", "secret")
    with caplog.at_level(logging.WARNING):
        path.write_bytes(b'{"auths":')
        assert await credentials.find(Repository("a.io", "x")) == Credential("newer", "secret")
    assert "kept as they were" in caplog.text
    path.unlink()
    assert await credentials.find(Repository("a.io", "x")) == Credential("newer", "secret")


def test_a_missing_file_is_invalid(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read") as caught:
        DockerConfigFile(tmp_path / "none.json")
    assert caught.value.field == "dockerConfig"


def _secret(mark: str, content: bytes) -> PullSecret:
    return PullSecret(mark, DockerConfig.parse(content))


async def test_pull_secrets_are_asked_in_order_and_the_controllers_own_last(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(_config({"c.io": _auth("own"), "a.io": _auth("own")}))
    one = _secret("1", _config({"a.io": _auth("one")}))
    two = _secret("2", _config({"a.io": _auth("two"), "b.io": _auth("two")}))
    none = PullSecret("", note="Secret shop/none is not there")
    view = PullSecrets([none, one, two], DockerConfigFile(path))
    found = [await view.find(Repository(host, "x")) for host in ("a.io", "b.io", "c.io", "d.io")]
    assert [credential.username if credential else "" for credential in found] == ["one", "two", "own", ""]
    assert view.note(Repository("d.io", "x")) == "Secret shop/none is not there"


async def test_a_pull_secret_that_is_away_is_not_passed_over() -> None:
    away = PullSecret("away", away=Reason(Code.UNREACHABLE, "the API server did not answer"))
    with pytest.raises(Undecided) as caught:
        await PullSecrets([away, _secret("1", _config({"a.io": _auth("one")}))], Anonymous()).find(Repository("a.io", "x"))
    assert caught.value.reason.code is Code.UNREACHABLE


def test_views_are_shared_exactly_where_contents_are_the_same() -> None:
    one, again, other = (_secret(mark, _config({"a.io": _auth("one")})) for mark in ("1", "1", "2"))
    scope = PullSecrets([one], Anonymous()).scope
    assert scope == PullSecrets([again], Anonymous()).scope
    assert scope not in {PullSecrets(each, Anonymous()).scope for each in ([other], [], [one, other], [other, one])}
    assert PullSecrets([PullSecret("", note="not there")], Anonymous()).scope == Anonymous().scope
    assert "config" not in repr(one)
