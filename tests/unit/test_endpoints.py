"""Where registry names lead, and which token services belong to them."""

from pathlib import Path

import pytest
from yarl import URL

from controller.errors import Code, Invalid
from controller.registry.endpoints import Endpoints, name_of
from controller.registry.realms import is_trusted
from controller.settings import RegistrySettings


def test_docker_hub_has_another_host_on_the_wire() -> None:
    (endpoint,) = Endpoints({}).of("docker.io")
    assert (endpoint.name, str(endpoint.url)) == ("docker.io", "https://registry-1.docker.io/")


def test_settings_are_found_under_the_canonical_name() -> None:
    endpoints = Endpoints(
        {
            "Registry.Example.COM:443": RegistrySettings(mirrors=("mirror.example.com:5000", "index.docker.io")),
            "mirror.example.com:5000": RegistrySettings(insecure=True, private_address=True),
        }
    )
    found = endpoints.of("registry.example.com")
    assert [str(endpoint.url) for endpoint in found] == [
        "http://mirror.example.com:5000/",
        "https://registry-1.docker.io/",
        "https://registry.example.com/",
    ]
    assert endpoints.allows_private("mirror.example.com:5000")
    assert not endpoints.allows_private("registry.example.com")
    assert not endpoints.allows_private("mirror.example.com")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"nohost": RegistrySettings()}, "not a registry host"),
        ({"a.io/path": RegistrySettings()}, "not a registry host"),
        ({"https://a.io": RegistrySettings()}, "not a registry host"),
        ({"a.io": RegistrySettings(mirrors=("b io",))}, "not a registry host"),
        ({"a.io": RegistrySettings(), "A.io:443": RegistrySettings()}, "as another key does"),
        ({"a.io": RegistrySettings(ca_file=Path("/nonexistent/ca.pem"))}, "CA file ca.pem cannot be loaded"),
    ],
)
def test_settings_that_name_no_host_are_invalid(settings: dict[str, RegistrySettings], words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        Endpoints(settings)
    assert caught.value.reason.code is Code.INVALID_SETTINGS
    assert caught.value.field.startswith("registries.")


def test_a_ca_file_without_certificates_is_invalid(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    with pytest.raises(Invalid, match="CA file") as caught:
        Endpoints({"a.io": RegistrySettings(ca_file=tmp_path / "ca.pem")})
    assert caught.value.field == "registries.a.io.caFile"


def test_urls_are_named_as_settings_name_hosts() -> None:
    for url, name in (
        ("https://A.io/x", "a.io"),
        ("https://a.io:443/", "a.io"),
        ("http://a.io/", "a.io:80"),
        ("https://a.io:5000/", "a.io:5000"),
        ("https://[::1]:5000/", "[::1]:5000"),
    ):
        assert name_of(URL(url)) == name


@pytest.mark.parametrize(
    ("registry", "realm", "trusted"),
    [
        ("docker.io", "https://auth.docker.io/token", True),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth", True),
        ("registry.corp.example.com", "https://sso.example.com/token", True),
        ("ghcr.io", "https://ghcr.io/token", True),
        ("a.example.com:5000", "https://a.example.com/token", True),
        ("ghcr.io", "https://auth.docker.io/token", False),
        ("shop.co.uk", "https://evil.co.uk/token", False),
        ("shop.github.io", "https://evil.github.io/token", False),
        ("docker.io", "https://docker.io.evil.com/token", False),
        ("docker.io", "https://evildocker.io/token", False),
        ("198.51.100.1", "https://198.51.100.2/token", False),
        ("198.51.100.1:5000", "https://198.51.100.1:5001/token", True),
        ("[2001:db8::1]", "https://[2001:db8::2]/token", False),
        ("localhost:5000", "https://localhost:5001/token", True),
        ("localhost:5000", "https://example.com/token", False),
        ("uk:5000", "https://co.uk/token", False),
    ],
)
def test_a_token_service_belongs_to_the_registry_or_not(registry: str, realm: str, *, trusted: bool) -> None:
    (endpoint,) = Endpoints({}).of(registry)
    assert is_trusted(URL(realm), endpoint) is trusted


def test_settings_may_list_a_token_service_elsewhere() -> None:
    listed = RegistrySettings(token_realms=("Sso.example.net", "login.example.org:8443"))
    (endpoint,) = Endpoints({"a.io": listed}).of("a.io")
    assert is_trusted(URL("https://sso.example.net/token"), endpoint)
    assert is_trusted(URL("https://login.example.org:8443/token"), endpoint)
    assert not is_trusted(URL("https://login.example.org/token"), endpoint)
    assert not is_trusted(URL("https://x.sso.example.net/token"), endpoint)
