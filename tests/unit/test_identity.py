"""A signature that promises an image name counts for that name only, after remapping."""

import pytest

from controller.compile.compiled import Authority
from controller.decision.findings import Findings, Piece, opinions
from controller.errors import Code, Invalid, Refused
from controller.evidence import Claim, Evidence, Format, Material, OpenPgpMessage, Signer, Verified
from controller.reference import Reference
from controller.settings import Settings, parse
from tests.fakes.evidence import IMAGE, ORIGIN, OTHER, authority
from tests.fakes.keys import signing_key

WEB = "registry.example.com/shop/web"


def answer(signed: str, asked: str | None) -> tuple[Verified, ...] | Refused:
    judge = authority(signing_key())
    piece = Evidence.of(Format.SIMPLE_SIGNING, ORIGIN, OpenPgpMessage(signed.encode()), Material())
    fact = Verified(
        IMAGE,
        "x",
        Signer("openpgp:1", "1"),
        Claim.SIGNATURE,
        piece.id,
        ORIGIN,
        piece.format,
        identity=Reference.parse(signed),
    )
    findings = Findings(
        IMAGE,
        pieces=(Piece(piece, {judge.fingerprint: (fact,)}),),
        reference=Reference.parse(asked) if asked else None,
    )
    (opinion,) = opinions(findings, Authority(judge), frozenset())
    assert not isinstance(opinion.answer, Exception) or isinstance(opinion.answer, Refused)
    return opinion.answer


@pytest.mark.parametrize(
    ("signed", "asked"),
    [
        (f"{WEB}:1.4", f"{WEB}:1.4"),
        (f"{WEB}:1.4", f"{WEB}:1.4@{IMAGE}"),
        (f"{WEB}:latest", WEB),
        (f"{WEB}:1.4", f"{WEB}@{IMAGE}"),
        (WEB, f"{WEB}@{IMAGE}"),
        (f"{WEB}@{IMAGE}", f"{WEB}@{IMAGE}"),
        ("nginx:1", "docker.io/library/nginx:1"),
    ],
)
def test_names_that_are_equal(signed: str, asked: str) -> None:
    facts = answer(signed, asked)
    assert isinstance(facts, tuple)
    assert facts[0].authority == "release"


@pytest.mark.parametrize(
    ("signed", "asked"),
    [
        (f"{WEB}:1.3", f"{WEB}:1.4"),
        (f"{WEB}:1.3", f"{WEB}:1.4@{IMAGE}"),
        (f"{WEB}:1.3", WEB),
        (WEB, WEB),
        (WEB, f"{WEB}:1.4"),
        (f"{WEB}er:1.4", f"{WEB}:1.4"),
        (f"{WEB}er:1.4", f"{WEB}@{IMAGE}"),
        ("mirror.example.com/shop/web:1.4", f"{WEB}:1.4"),
        (f"{WEB}@{OTHER}", f"{WEB}@{IMAGE}"),
        (f"{WEB}:1.4", None),
    ],
)
def test_names_that_are_not(signed: str, asked: str | None) -> None:
    refusal = answer(signed, asked)
    assert isinstance(refusal, Refused)
    assert refusal.reason.code is Code.WRONG_IDENTITY
    assert refusal.reason.found == signed


def test_remap_takes_the_longest_prefix_in_whole_segments() -> None:
    settings = Settings(
        remap={
            "mirror.example.com": "registry.example.com",
            "mirror.example.com/hub": "docker.io/library",
            "cache.example.com/hub/nginx": "docker.io/library/nginx",
        }
    )

    def mapped(name: str) -> str:
        return str(settings.origin(Reference.parse(name)))

    assert mapped("mirror.example.com/shop/web:1.4") == f"{WEB}:1.4"
    assert mapped(f"mirror.example.com/hub/nginx@{IMAGE}") == f"docker.io/library/nginx@{IMAGE}"
    assert mapped("mirror.example.com/hubs/nginx:1") == "registry.example.com/hubs/nginx:1"
    assert mapped("cache.example.com/hub/nginx:1") == "docker.io/library/nginx:1"
    assert mapped("cache.example.com/hub/nginx2:1") == "cache.example.com/hub/nginx2:1"
    assert mapped("mirror.example.com.evil.io/shop/web:1") == "mirror.example.com.evil.io/shop/web:1"


@pytest.mark.parametrize(
    "prefix", ["Mirror.example.com", "mirror", "mirror.example.com/", "m.io/a:tag", "m.io/A", "", "m.io:443"]
)
def test_remap_refuses_what_would_map_nothing(prefix: str) -> None:
    for mapping in ({prefix: "registry.example.com"}, {"registry.example.com": prefix}):
        with pytest.raises(Invalid) as caught:
            parse({"remap": mapping})
        assert caught.value.reason.code is Code.INVALID_SETTINGS
        assert caught.value.field == "remap"


@pytest.mark.parametrize(
    "base", ["ftp://x.example.com", "sigs.example.com/x", "https://u:p@x.example.com", "https://x/?a=b"]
)
def test_lookaside_is_a_plain_address(base: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse({"registries": {"registry.example.com": {"lookaside": [base]}}})
    assert caught.value.reason.code is Code.INVALID_SETTINGS
