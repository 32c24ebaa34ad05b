"""The roots that ship with the product (`data/README.md` says where they come from)."""

from importlib import resources
from typing import Final

from controller.errors import Code, Invalid
from controller.roots.reading import parse
from controller.roots.trusted import TrustedRoot
from controller.settings import Limits

DATA: Final = resources.files("controller.roots").joinpath("data")
PUBLIC_GOOD: Final = "public-good"
GITHUB: Final = "github"
STAGING: Final = "staging"
BUILT_IN: Final = (PUBLIC_GOOD, GITHUB)
"""Names a policy may use. Sigstore's staging instance is not among them: it signs for anybody's tests."""


def builtin(name: str, limits: Limits | None = None) -> TrustedRoot:
    """The trusted root `public-good`, `github` or `staging` as shipped.

    Raises:
        Invalid: `InvalidTrustedRoot` for another name.
    """
    return parse(shipped(name, "trusted_root"), name, limits or Limits())


def shipped(name: str, what: str) -> bytes:
    """The bytes of a shipped file: `what` is `trusted_root`, or `root` for the TUF root.

    Raises:
        Invalid: `InvalidTrustedRoot` for a name that is not built in.
    """
    if name not in {*BUILT_IN, STAGING}:
        raise Invalid(Code.INVALID_ROOT, "no such trusted root is built in", expected=" or ".join(BUILT_IN), found=name[:80])
    return DATA.joinpath(f"{name}.{what}.json").read_bytes()
