"""TrustRoot: whom a Sigstore instance of one's own asks to be trusted, under a name that policies may use."""

from collections.abc import Iterator
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field

from controller.policy.authorities import DataRef
from controller.policy.model import Metadata
from controller.policy.part import Part
from controller.policy.rules import one_of
from controller.policy.words import RootText, Url
from controller.problems import Problem
from controller.roots import BUILT_IN

SOURCES: Final = ("inline", "configMapKeyRef", "tuf")


class Tuf(Part):
    """A TUF repository that publishes a trusted root."""

    url: Url = Field(description="Address of the repository.")
    root: RootText = Field(description="Its initial root.json, which everything else is proved by.")


class TrustRootSpec(Part):
    """Where the trusted root comes from: exactly one of `inline`, `configMapKeyRef` and `tuf`."""

    inline: RootText | None = Field(
        default=None, description="The trusted root (`trusted_root.json` of the Sigstore instance), as JSON text."
    )
    config_map_key_ref: DataRef | None = Field(default=None, description="The same in a ConfigMap.")
    tuf: Tuf | None = Field(default=None, description="The TUF repository that publishes it.")


class TrustRootResource(Part):
    """A trusted root under a name."""

    api_version: Literal["sigward.dev/v1alpha1"] = Field(description="sigward.dev/v1alpha1.")
    kind: Literal["TrustRoot"] = Field(description="TrustRoot.")
    metadata: Metadata = Field(description="Name, by which policies say `trustRoot`.")
    spec: TrustRootSpec = Field(description="Where the trusted root comes from.")
    status: Any = Field(default=None, description="Written by the operator, never read here.")


def check(resource: TrustRootResource) -> Iterator[Problem]:
    """Everything that is wrong across fields, and every field that nothing reads yet."""
    metadata = resource.metadata
    if metadata.namespace is not None:
        yield Problem("metadata.namespace", "a TrustRoot has no namespace", found=metadata.namespace)
    if metadata.name in BUILT_IN:
        yield Problem("metadata.name", "is the name of a built-in trust root", expected="another name", found=metadata.name)
    yield from one_of(resource.spec, "spec", SOURCES)
    ref, tuf = resource.spec.config_map_key_ref, resource.spec.tuf
    if ref is not None and ref.namespace is None:
        yield Problem("spec.configMapKeyRef.namespace", "is missing")
    if tuf is not None and urlsplit(tuf.url).scheme not in {"https", "http"}:
        yield Problem("spec.tuf.url", "is no address", expected="https://… or http://…", found=tuf.url[:120])
