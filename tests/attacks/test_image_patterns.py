"""Attack 17: an image that matches a policy by what stands before or after the registry's name (Portieris before 0.14.2)."""

import pytest

from controller.reference import ImagePattern, Repository


@pytest.mark.parametrize("pattern", ["icr.io/**", "icr.io/*", "icr.io/x", "icr.io/x/**", "*.icr.io/**", "icr.io/x*"])
@pytest.mark.parametrize(
    "image",
    [
        "evil.io/icr.io/x",
        "evil.io/a/icr.io/x",
        "icr.io.evil.io/x",
        "evil-icr.io/x",
        "evilicr.io/x",
        "icr.io:5000/x",
        "icr.ioo/x",
        "icr-io/x/icr.io/x",
        "docker.io/icr.io/x",
    ],
)
def test_a_pattern_is_about_the_whole_name(pattern: str, image: str) -> None:
    assert not ImagePattern(pattern).matches(Repository.parse(image))


def test_the_dot_is_a_dot_and_other_signs_stand_for_themselves() -> None:
    assert not ImagePattern("a.io/**").matches(Repository("axio", "x"))
    assert not ImagePattern("a.io/x*y.z").matches(Repository("a.io", "x1yaz"))
    assert ImagePattern("a.io/x*y.z").matches(Repository("a.io", "x1y.z"))


def test_spellings_of_one_registry_are_one_to_a_pattern() -> None:
    hub = ImagePattern("docker.io/library/**")
    for image in ("nginx", "index.docker.io/library/nginx", "DOCKER.io/nginx", "registry-1.docker.io:443/library/nginx"):
        assert hub.matches(Repository.parse(image)), image
