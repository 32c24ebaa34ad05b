"""Evidence sets and policies for properties: everything that may lie beside an image, signed by whoever, about whatever."""

import functools
from typing import Any, Final

from hypothesis import strategies as st

from controller.evidence import Evidence
from controller.policy.predicate_types import CYCLONEDX, SPDX
from tests.fakes.evidence import IMAGE, OTHER, attestation, bundle, image_bundle, signature, statement
from tests.fakes.keys import signing_key
from tests.fakes.policies import authority, spec

TRUSTED: Final = ("release", "ci", "security")
FOREIGN: Final = ("foreign", "stranger")
VULN: Final = "https://cosign.sigstore.dev/attestation/vuln/v1"
ROLES: Final = ("dev", "qa")

Kind = tuple[str, str, bool]
"""What it is, who signed it, and whether it is about the image."""

KINDS: Final = ("signature", "image bundle", SPDX, f"{SPDX}/v2.3", CYCLONEDX, VULN)


@functools.cache
def evidence(kind: Kind) -> Evidence:
    what, who, about_it = kind
    digest, key = (IMAGE if about_it else OTHER), signing_key(who)
    match what:
        case "signature":
            return signature(key, digest)
        case "image bundle":
            return image_bundle(key, digest)
        case _:
            store = bundle if who == "ci" else attestation
            return store(statement(what, None, digest), key)


def pieces(signers: tuple[str, ...]) -> st.SearchStrategy[Kind]:
    """A piece, more often of a kind that helps than not, so that enough sets are a yes."""
    about = st.sampled_from([True, True, True, True, True, False])
    return st.tuples(st.sampled_from([*KINDS, *KINDS[:2]]), st.sampled_from(signers), about)


@st.composite
def authorities(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Three authorities whose keys may overlap, each with or without a role."""
    built = []
    for name in TRUSTED:
        keys = draw(st.lists(st.sampled_from(TRUSTED), min_size=1, max_size=2, unique=True))
        role = draw(st.sampled_from([None, *ROLES]))
        built.append(authority(name, *keys, **({"role": role} if role else {})))
    return built


@st.composite
def strict_requirement(draw: st.DrawFn, name: str, known: list[dict[str, Any]]) -> dict[str, Any]:
    """A requirement whose onMissing and onFailure are Deny."""
    of = draw(st.lists(st.sampled_from(TRUSTED), min_size=2, max_size=3, unique=True))
    kind = draw(st.sampled_from(["signature", "signature", "sbom", "attestation"]))
    if kind == "signature":
        rule: dict[str, Any] = {"of": of, "threshold": min(draw(st.sampled_from([1, 1, 2, 3])), len(of))}
        roles = [str(each.get("role", "")) for each in known if each["name"] in of]
        held = sorted({role for role in roles if role})
        wanted: bool = draw(st.booleans())
        if held and wanted:
            role = draw(st.sampled_from(held))
            rule["perRole"] = {role: draw(st.integers(1, roles.count(role)))}
        return {"name": name, "signature": rule}
    if kind == "sbom":
        formats = draw(st.lists(st.sampled_from(["SPDX", "CycloneDX"]), min_size=1, unique=True))
        return {"name": name, "onMissing": "Deny", "onFailure": "Deny", "sbom": {"of": of, "formats": formats}}
    return {"name": name, "attestation": {"predicateType": draw(st.sampled_from(["vuln", "spdx"])), "of": of}}


@st.composite
def strict_specs(draw: st.DrawFn) -> dict[str, Any]:
    """A policy that asks for one or two things and forgives nothing."""
    known = draw(authorities())
    names = ["first", "second"][: draw(st.integers(1, 2))]
    fields: dict[str, Any] = {"require": [draw(strict_requirement(name, known)) for name in names]}
    if draw(st.integers(0, 9)) == 0:
        fields["revoked"] = {"keys": [signing_key(draw(st.sampled_from(TRUSTED))).fingerprint]}
    return spec(*known, **fields)
