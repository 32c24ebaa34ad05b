"""References: one image has one name, patterns mean the whole name, and no text makes anything but `Invalid`."""

import string
from collections.abc import Callable
from typing import TypeVar

from hypothesis import assume, example, given
from hypothesis import strategies as st

from controller.errors import Code, Invalid
from controller.reference import Digest, ImagePattern, Reference, Repository

T = TypeVar("T")

_LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_HOSTS = st.one_of(
    st.builds(".".join, st.lists(_LABELS, min_size=2, max_size=4)),
    st.just("localhost"),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address.compressed}]"),
)
_REGISTRIES = st.builds(
    lambda host, port: host if port in {0, 443} else f"{host}:{port}", _HOSTS, st.integers(0, 65535)
).filter(lambda name: name not in {"index.docker.io", "registry-1.docker.io"})
_COMPONENTS = st.from_regex(r"[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}", fullmatch=True)
_PATHS = st.lists(_COMPONENTS, min_size=1, max_size=4).map("/".join)
_TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
_DIGESTS = st.builds(Digest.of, st.binary(max_size=4), st.sampled_from(["sha256", "sha512"]))
_REFERENCES = st.builds(Reference, st.builds(Repository, _REGISTRIES, _PATHS), st.none() | _TAGS, st.none() | _DIGESTS)
_NOISE = st.text(alphabet=string.ascii_letters + string.digits + "./:@-_[]*% \n\x00\u0430\u212a", max_size=60)


@given(_REFERENCES)
def test_a_canonical_reference_reads_back_as_itself(reference: Reference) -> None:
    assume(reference.repository.registry != "docker.io" or "/" in reference.repository.path)
    assert Reference.parse(str(reference)) == reference


@given(st.one_of(_NOISE, st.text(max_size=80)))
@example("a.io/x@sha256:" + "0" * 63 + "\u0660")
@example("a.io/x:tag\n")
@example("[::ffff:127.0.0.1%eth0]/x")
@example("a.io:00000000443/x")
@example("A/0")
@example("registry:443/x")
def test_any_text_is_a_canonical_reference_or_invalid(text: str) -> None:
    reference = _read(Reference.parse, text)
    if isinstance(reference, Reference):
        assert Reference.parse(str(reference)) == reference
        assert str(reference).isascii()
        assert str(reference) == str(Reference.parse(str(reference)))
    else:
        assert reference is Code.INVALID_REFERENCE


@given(st.one_of(_NOISE, st.text(max_size=80)))
def test_any_text_is_a_pattern_or_invalid(text: str) -> None:
    pattern = _read(ImagePattern, text)
    if isinstance(pattern, ImagePattern):
        assert pattern.matches(Repository("registry.example.com", "shop/web")) in {True, False}
    else:
        assert pattern is Code.INVALID_REFERENCE


@given(st.one_of(_NOISE, st.text(max_size=160)))
@example("sha256:" + "A" * 64)
@example("sha256:" + "0" * 64 + "\n")
def test_any_text_is_a_digest_or_invalid(text: str) -> None:
    digest = _read(Digest.parse, text)
    assert digest is Code.INVALID_REFERENCE or str(digest) == text


def _read(read: Callable[[str], T], text: str) -> T | Code:
    """What `read` makes of it, or the code of its complaint; any other exception fails the test."""
    try:
        return read(text)
    except Invalid as error:
        return error.reason.code


@given(st.builds(Repository, _REGISTRIES, _PATHS))
def test_a_name_without_wildcards_matches_itself_only(repository: Repository) -> None:
    assume(repository.registry != "docker.io" or "/" in repository.path)
    pattern = ImagePattern(str(repository))
    assert pattern.matches(repository)
    assert not pattern.matches(Repository(repository.registry, f"{repository.path}/x"))
    assert not pattern.matches(Repository(repository.registry, f"{repository.path}x"))
    assert not pattern.matches(Repository(repository.registry, f"x/{repository.path}"))
    assert not pattern.matches(Repository(f"x.{repository.registry}", repository.path))


@given(_HOSTS, _PATHS, _PATHS)
def test_another_registry_never_matches_by_what_stands_before_or_after(host: str, path: str, foreign: str) -> None:
    """`evil.io/icr.io/x` and `icr.io.evil.io/x` are not images of `icr.io` (Portieris before 0.14.2)."""
    assume(not host.startswith("[") and "." in host and host != "docker.io")
    wanted = [ImagePattern(f"{host}/{tail}") for tail in ("**", f"{path}/**", f"*/{path}", path)]
    strangers = [
        Repository("evil.example", f"{host}/{path}"),
        Repository("evil.example", f"{foreign}/{host}/{path}"),
        Repository(f"{host}.evil.example", path),
        Repository(f"evil{host}", path),
        Repository(f"{host}:5000", path),
    ]
    assert not [(pattern, name) for pattern in wanted for name in strangers if pattern.matches(name)]
    assert wanted[0].matches(Repository(host, path))


@given(_REFERENCES)
def test_every_image_is_matched_by_the_pattern_for_all(reference: Reference) -> None:
    assert ImagePattern("*/**").matches(reference.repository)


@given(_PATHS, _PATHS)
def test_one_star_stays_inside_its_segment(left: str, right: str) -> None:
    pattern = ImagePattern("registry.example.com/*")
    assert pattern.matches(Repository("registry.example.com", left)) is ("/" not in left)
    assert not pattern.matches(Repository("registry.example.com", f"{left}/{right}"))
