"""The predicate types a policy may name, and the short names cosign gave the common ones.

Aliases are those of `cosign attest --type` (cosign, pkg/cosign/attestation and cmd/cosign/cli/options/predicate.go).
"""

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from controller.errors import Code, Invalid
from controller.evidence import COSIGN_SIGN_PREDICATE

SPDX: Final = "https://spdx.dev/Document"
CYCLONEDX: Final = "https://cyclonedx.org/bom"

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "custom": "https://cosign.sigstore.dev/attestation/v1",
        "slsaprovenance": "https://slsa.dev/provenance/v0.2",
        "slsaprovenance02": "https://slsa.dev/provenance/v0.2",
        "slsaprovenance1": "https://slsa.dev/provenance/v1",
        "spdx": SPDX,
        "spdxjson": SPDX,
        "cyclonedx": CYCLONEDX,
        "link": "https://in-toto.io/Link/v1",
        "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
        "openvex": "https://openvex.dev/ns",
    }
)

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[\x21-\x7e]{1,1000}", re.ASCII)
_VERSION: Final = re.compile(r"/v[0-9]{1,4}(\.[0-9]{1,4}){0,3}", re.ASCII)


def resolve(written: str, field: str) -> str:
    """The predicate type that an alias or a URI means.

    Raises:
        Invalid: `InvalidPolicy` for anything else, and for the type that is an image signature (design, rule 6).
    """
    uri = ALIASES.get(written, written)
    if uri == COSIGN_SIGN_PREDICATE:
        raise Invalid(
            Code.INVALID_POLICY, "this predicate is an image signature", field=field, expected="a `signature` requirement"
        )
    if _URI.fullmatch(uri):
        return uri
    near = difflib.get_close_matches(written, ALIASES, n=1)
    hint = f"{near[0]} (did you mean it?)" if near else f"a URI or one of {', '.join(ALIASES)}"
    raise Invalid(Code.INVALID_POLICY, "no predicate type", field=field, expected=hint, found=repr(written[:80]))


def is_of(found: str, wanted: str) -> bool:
    """Whether `found` is the type `wanted`; for SPDX with or without its version (`https://spdx.dev/Document/v2.3`)."""
    if found == wanted:
        return True
    return wanted == SPDX and found.startswith(SPDX) and _VERSION.fullmatch(found[len(SPDX) :]) is not None
