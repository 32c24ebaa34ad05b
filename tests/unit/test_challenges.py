"""WWW-Authenticate, as registries write it and as they might."""

import time

import pytest

from controller.registry.challenges import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("fields", "challenges"),
    [
        ([], []),
        (["Basic"], [("basic", {})]),
        (['Basic realm="Registry"'], [("basic", {"realm": "Registry"})]),
        (
            ['Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull"'],
            [
                (
                    "bearer",
                    {
                        "realm": "https://auth.docker.io/token",
                        "service": "registry.docker.io",
                        "scope": "repository:a/b:pull",
                    },
                )
            ],
        ),
        (["bearer Realm=https"], [("bearer", {"realm": "https"})]),
        (['Bearer scope="a:pull,push", realm = "x"'], [("bearer", {"scope": "a:pull,push", "realm": "x"})]),
        (
            ['Basic realm="a", Bearer realm="b",service="c"'],
            [("basic", {"realm": "a"}), ("bearer", {"realm": "b", "service": "c"})],
        ),
        (['Basic realm="a"', 'Bearer realm="b"'], [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
        (["Negotiate, Basic realm=a"], [("negotiate", {}), ("basic", {"realm": "a"})]),
        (["Negotiate YWJj==, Basic realm=a"], [("negotiate", {}), ("basic", {"realm": "a"})]),
        (["Basic, Bearer realm=a"], [("basic", {}), ("bearer", {"realm": "a"})]),
        (
            [r'Basic realm="a \"quoted\" \\ realm, Bearer realm=evil"'],
            [("basic", {"realm": r'a "quoted" \ realm, Bearer realm=evil'})],
        ),
        ([", , Basic realm=a ,"], [("basic", {"realm": "a"})]),
    ],
)
def test_challenges_are_read(fields: list[str], challenges: list[tuple[str, dict[str, str]]]) -> None:
    assert parse_challenges(fields) == tuple(Challenge(scheme, parameters) for scheme, parameters in challenges)


def test_a_challenge_with_two_realms_is_left_out() -> None:
    assert parse_challenges(['Bearer realm="a",realm="b", Basic realm=c']) == (Challenge("basic", {"realm": "c"}),)
    assert parse_challenges(['Bearer realm="a",REALM="b"']) == ()


@pytest.mark.parametrize("field", ['Bearer realm="open', "=", '"', 'Bearer "x"', "\x00", "Bearer realm=a b=c"])
def test_what_cannot_be_read_gives_no_realm(field: str) -> None:
    assert [challenge.parameters.get("realm") for challenge in parse_challenges([field])] in ([], [None])


def test_reading_takes_linear_time() -> None:
    for piece in ('Bearer realm="a', "a=a,", "Basic ", "\\", '"', "=", "A ", ", "):
        start = time.process_time()
        parse_challenges([piece * 20_000])
        assert time.process_time() - start < 5, piece
