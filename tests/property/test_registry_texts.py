"""Texts that registries and operators write: whatever stands there, it is read, or refused as what it is."""

import json

from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from controller.errors import Code, Invalid, Refused
from controller.reference import Repository
from controller.registry.addresses import is_public
from controller.registry.calls import read_url
from controller.registry.challenges import parse_challenges
from controller.registry.credentials import DockerConfig
from controller.registry.listing import next_page

_HEADERS = st.text(alphabet='Bearsicknxt =",;<>/\\:@?&.%[]#-_0129\t\u00e9', max_size=80)
_BASE = URL("https://registry.example.com/v2/shop/web/referrers/sha256:00")
_REPOSITORY = Repository("registry.example.com", "shop/web")


@given(st.lists(_HEADERS | st.text(max_size=40), max_size=3))
def test_any_header_is_a_list_of_challenges(fields: list[str]) -> None:
    for challenge in parse_challenges(fields):
        assert challenge.scheme == challenge.scheme.lower()
        assert all(name == name.lower() for name in challenge.parameters)


@given(
    st.dictionaries(
        st.sampled_from(["realm", "service", "scope"]), st.text(st.characters(min_codepoint=32, max_codepoint=126))
    )
)
def test_a_quoted_parameter_reads_back(parameters: dict[str, str]) -> None:
    quoted = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in parameters.items()}
    field = "Bearer " + ",".join(f'{name}="{value}"' for name, value in quoted.items())
    (challenge,) = parse_challenges([field])
    assert challenge.parameters == parameters


@given(_HEADERS | st.text(max_size=80))
@example('<https://registry.example.com/v2/shop/web/referrers/x>; rel="next"')
@example('<https://evil.example/v2/shop/web/referrers/x>; rel="next"')
@example('<//registry.example.com:444/v2/shop/web/referrers/x>; rel="next"')
@example('<http://u@registry.example.com/v2/shop/web/referrers/x>; rel="next"')
def test_the_next_page_is_of_the_same_listing_or_refused(header: str) -> None:
    try:
        path = next_page(header, _BASE, _REPOSITORY)
    except Refused as error:
        code: Code | None = error.reason.code
        path = ""
    else:
        code = None
    assert code in {None, Code.MALFORMED}
    assert not path or path.startswith("referrers/")


@given(text=_HEADERS | st.text(max_size=60), relative=st.booleans())
@example(text="http://[::1", relative=False)
@example(text="http://a:b@c/", relative=False)
@example(text="http://a/\r\nX: y", relative=False)
def test_any_text_is_a_url_without_a_user_or_none(*, text: str, relative: bool) -> None:
    url = read_url(text, _BASE if relative else None)
    if url is not None:
        assert url.raw_host
        assert url.user is None
        assert url.password is None
        assert str(url).isascii()
        assert str(url).isprintable()


_NAMES = ["auths", "auth", "username", "a.io", "*.io/x", "https://b.io/v1/", "credHelpers"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["auths", "auth", "username", "a.io", "*.io/x", "https://b.io/v1/", "credHelpers"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_credentials_or_invalid(raw: bytes) -> None:
    try:
        config = DockerConfig.parse(raw)
    except Invalid as error:
        code: Code | None = error.reason.code
    else:
        code = None
        assert config.find(Repository("unknown.example.com", "x")) is None or "*" in raw.decode()
    assert code in {None, Code.INVALID_SETTINGS}


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_as_public_as_by_itself(address: object) -> None:
    hex_digits = f"{int(address):08x}"  # type: ignore[call-overload]
    groups = f"{hex_digits[:4]}:{hex_digits[4:]}"
    for wrapped in (f"::ffff:{address}", f"64:ff9b::{groups}", f"2002:{groups}::1"):
        assert is_public(wrapped) == is_public(str(address))


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public(address: object) -> None:
    text = str(address)
    if is_public(text):
        assert text[0] in "23" or text.startswith(("64:ff9b::", "::ffff:"))
