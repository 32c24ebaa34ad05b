"""How references and patterns are spelt, beside what the property tests cover."""

import pytest

from controller.errors import Code, Invalid, Refused
from controller.reference import Digest, ImagePattern, Reference, Repository

_HEX = "3f2a" * 16
_SHA512 = "ab" * 64


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("grafana/grafana", "docker.io/grafana/grafana"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/nginx", "docker.io/library/nginx"),
        ("registry-1.docker.io/library/nginx", "docker.io/library/nginx"),
        ("DOCKER.IO/nginx", "docker.io/library/nginx"),
        ("docker.io:443/nginx", "docker.io/library/nginx"),
        ("Registry.Example.com:443/Shop".lower(), "registry.example.com/shop"),
        ("registry.example.com:05000/shop/web:V1", "registry.example.com:5000/shop/web:V1"),
        ("localhost/web", "localhost/web"),
        ("localhost:5000/web", "localhost:5000/web"),
        ("web:5000/x", "web:5000/x"),
        ("web:443/x", "web:443/x"),
        ("WEB/x", "web:443/x"),
        ("web:5000", "docker.io/library/web:5000"),
        ("[2001:DB8:0::1]:5000/x", "[2001:db8::1]:5000/x"),
        (f"a.io/x:1.4@sha256:{_HEX}", f"a.io/x:1.4@sha256:{_HEX}"),
        (f"a.io/x@sha512:{_SHA512}", f"a.io/x@sha512:{_SHA512}"),
        ("a.io/x__y/z--w.v", "a.io/x__y/z--w.v"),
    ],
)
def test_spellings_of_one_image_have_one_name(text: str, canonical: str) -> None:
    assert str(Reference.parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "1 to 1024 characters"),
        ("a" * 1025, "1 to 1024 characters"),
        ("a.io/X", "lower-case"),
        ("a.io/x/", "lower-case"),
        ("a.io//x", "lower-case"),
        ("a.io/x___y", "lower-case"),
        ("a.io/x:", "the tag has"),
        ("a.io/x:-a", "the tag has"),
        ("a.io/x:" + "a" * 129, "the tag has"),
        ("a.io:99999/x", "the port"),
        ("a.io:0/x", "the port"),
        ("-a.io/x", "host name"),
        ("a..io/x", "host name"),
        ("[::g]/x", "host name"),
        ("[1:2]/x", "IPv6"),
        ("a.io/x@sha256:short", "not a digest"),
        (f"a.io/x@sha256:{_HEX.upper()}", "not a digest"),
        (f"a.io/x@md5:{_HEX}", "not a digest"),
        ("a.io/x@", "not a digest"),
        (_HEX, "image ID"),
        ("a.io/" + "x" * 256, "1 to 255 characters"),
        ("https://a.io/x", "the port"),
        ("a.io/x y", "lower-case"),
    ],
)
def test_what_is_no_reference_says_why(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        Reference.parse(text)
    assert caught.value.reason.code is Code.INVALID_REFERENCE


def test_a_digest_says_what_runs_and_the_tag_is_kept_for_people() -> None:
    both = Reference.parse(f"a.io/x:1.4@sha256:{_HEX}")
    assert (both.tag, both.wanted_tag) == ("1.4", None)
    assert Reference.parse("a.io/x").wanted_tag == "latest"
    assert str(Reference.parse("a.io/x:1").pinned(Digest("sha256", _HEX))) == f"a.io/x:1@sha256:{_HEX}"


def test_a_repository_carries_no_tag_and_no_digest() -> None:
    assert Repository.parse("nginx") == Repository("docker.io", "library/nginx")
    for text in ("a.io/x:1", f"a.io/x@sha256:{_HEX}"):
        with pytest.raises(Invalid, match="no tag and no digest"):
            Repository.parse(text)


def test_bytes_are_compared_under_the_digests_own_algorithm() -> None:
    for algorithm in ("sha256", "sha512"):
        Digest.of(b"content", algorithm).check(b"content", "blob")
        with pytest.raises(Refused, match="blob is not what its digest says") as caught:
            Digest.of(b"content", algorithm).check(b"other", "blob")
        assert caught.value.reason.code is Code.DIGEST_MISMATCH


@pytest.mark.parametrize(
    ("pattern", "matched", "unmatched"),
    [
        ("*/**", ["a.io/x", "docker.io/library/nginx", "[::1]:5000/x/y"], []),
        ("a.io/**", ["a.io/x", "a.io/x/y"], ["b.a.io/x", "a.io:5000/x", "b.io/a.io/x"]),
        ("a.io/shop/*", ["a.io/shop/web"], ["a.io/shop", "a.io/shop/web/v2", "a.io/xshop/web"]),
        ("a.io/shop/**/web", ["a.io/shop/x/y/web"], ["a.io/shop/x/webx", "a.io/shop/web"]),
        ("a.io/sh*p/web", ["a.io/shop/web", "a.io/shp/web"], ["a.io/sh/op/web"]),
        (
            "*.corp.example/web",
            ["a.corp.example/web", "a.b.corp.example/web"],
            ["corp.example/web", "a.corp.example:5000/web"],
        ),
        ("docker.io/library/*", ["nginx"], ["grafana/grafana"]),
        ("a.io/x", ["a.io/x"], ["a.io/xy", "a.io/x/y", "a.io/y"]),
        ("web:443/*", ["web:443/x", "WEB/x"], ["web/x", "web:5000/x"]),
    ],
)
def test_patterns_are_about_the_whole_name(pattern: str, matched: list[str], unmatched: list[str]) -> None:
    compiled = ImagePattern(pattern)
    assert [name for name in matched if not compiled.matches(Repository.parse(name))] == []
    assert [name for name in unmatched if compiled.matches(Repository.parse(name))] == []


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("nginx", "write registry/path"),
        ("library/nginx", "registry must be written: docker.io/library/nginx"),
        ("A.io/x", "lower case"),
        ("a.io/x:1", "tags and digests do not belong"),
        ("**/x", r"'\*\*' stands in the path"),
        ("a.io/***", "means nothing"),
        ("a.io/" + "*/" * 16 + "*", "at most 512 characters and 16"),
        ("a.io:443/x", "never match; write a.io"),
        ("index.docker.io/x/y", "never match; write docker.io"),
        ("[0:0::1]/x", r"never match; write \[::1\]"),
        ("docker.io/nginx", "never match; write docker.io/library/nginx"),
        ("docker.io/*", r"never match; write docker.io/library/\*"),
        ("a.io/x/../y", "a segment of it can be in no repository name"),
        ("a.io/-x/**", "a segment of it can be in no repository name"),
    ],
)
def test_a_pattern_that_could_never_match_is_invalid(pattern: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        ImagePattern(pattern)
    assert caught.value.reason.code is Code.INVALID_REFERENCE


def test_patterns_are_equal_by_their_text() -> None:
    assert ImagePattern("a.io/**") == ImagePattern("a.io/**")
    assert len({ImagePattern("a.io/**"), ImagePattern("a.io/**"), ImagePattern("b.io/**")}) == 2
