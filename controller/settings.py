"""Cluster facts: one settings file, every limit by name.

Times are seconds, sizes bytes, unless a name says otherwise. An unknown key is an error: a misspelt limit must not be
silently the default.
"""

from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from controller.errors import Code, Invalid
from controller.problems import Problems, of_shape
from controller.reference import Reference, Repository

_UNITS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_MAY_BE_NONE: Final = frozenset({"watched_objects", "retries", "redirects", "retry_after_longest"})
KIB: Final = 1024
MIB: Final = 1024 * 1024


def duration(value: object) -> object:
    """Read a Go duration (`1h30m`, `250ms`, `0`) as seconds; numbers pass unchanged.

    Raises:
        ValueError: For any other text.
    """
    if not isinstance(value, str):
        return value.total_seconds() if isinstance(value, timedelta) else value
    rest, total = value.strip(), 0.0
    if rest == "0":
        return 0.0
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        unit = next((name for name in ("ns", "us", "µs", "ms", "s", "m", "h") if rest[digits:].startswith(name)), "")
        if not digits or not unit or rest[:digits].count(".") > 1 or rest[:digits] == ".":
            raise ValueError(f"expected a duration such as 30s, 10m or 720h, found {value[:40]!r}")
        total += float(rest[:digits]) * _UNITS[unit]
        rest = rest[digits + len(unit) :]
    if value.strip() == "":
        raise ValueError("expected a duration such as 30s, 10m or 720h, found nothing")
    return total


Seconds = Annotated[float, BeforeValidator(duration), Field(ge=0, le=10 * 365 * 86400)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)


class Unmatched(StrEnum):
    """What happens to an image that no cluster policy is about."""

    ALLOW = "Allow"
    WARN = "Warn"
    DENY = "Deny"


class Limits(_Part):
    """Every count, size and wait that the outside world could stretch."""

    review_bytes: int = Field(default=8 * MIB, description="Longest AdmissionReview read.")
    images_per_object: int = Field(default=512, description="Images one object may name.")
    review_bytes_in_flight: int = Field(default=64 * MIB, description="Bytes of AdmissionReviews being read, together.")
    request_timeout: Seconds = Field(default=10.0, description="Deadline where the call names none.")
    request_timeout_longest: Seconds = Field(default=30.0, description="Longest deadline a call can ask for.")
    deadline_margin: Seconds = Field(default=0.5, description="Kept back from the API server's timeout for the way home.")
    requests_in_flight: int = Field(
        default=2048, description="Admission calls judged at once; further ones are answered busy."
    )

    manifest_bytes: int = Field(default=4 * MIB, description="Longest manifest or index (OCI distribution asks for 4 MiB).")
    manifest_values: int = Field(
        default=65536,
        description="JSON values in one manifest or listing: small ones cost many times their length in memory.",
    )
    platforms_per_index: int = Field(default=32, description="Platforms of one index that are judged each by itself.")
    manifest_layers: int = Field(default=256, description="Layers, or manifests of an index, that are looked at.")
    signatures_per_image: int = Field(default=64, description="Signature layers read from one cosign tag.")
    attestations_per_image: int = Field(default=64, description="Attestation layers read from one cosign tag.")
    referrers_per_image: int = Field(default=128, description="Referrers of one image that are read.")
    referrer_entries: int = Field(default=4096, description="Referrers of one image that are listed.")
    referrer_pages: int = Field(default=16, description="Pages of one referrers listing.")
    openpgp_signatures_per_image: int = Field(
        default=32, description="OpenPGP signatures read from one lookaside server, or from a registry's extension."
    )
    keyring_bytes: int = Field(default=1 * MIB, description="Longest OpenPGP key ring.")
    keyring_keys: int = Field(default=256, description="Keys of one OpenPGP key ring.")
    signature_bytes: int = Field(
        default=256 * KIB, description="Longest signature payload or keyless bundle of a signature."
    )
    attestation_bytes: int = Field(default=64 * MIB, description="Longest attestation envelope.")
    evidence_bytes_per_image: int = Field(default=128 * MIB, description="All evidence of one image together.")
    annotation_bytes: int = Field(default=64 * KIB, description="Longest annotation read from a layer.")
    envelope_signatures: int = Field(default=16, description="Signatures of one DSSE envelope that are tried.")
    subjects_per_statement: int = Field(default=1024, description="Subjects of one in-toto statement.")
    log_entries_per_bundle: int = Field(default=16, description="Log entries, and timestamps, of one bundle.")
    certificates_per_chain: int = Field(default=16, description="Certificates of one chain.")
    certificate_bytes: int = Field(default=64 * KIB, description="Longest certificate, in PEM or DER.")
    timestamp_bytes: int = Field(default=64 * KIB, description="Longest RFC 3161 timestamp.")
    checkpoint_bytes: int = Field(default=64 * KIB, description="Longest checkpoint of a log.")
    checkpoint_signatures: int = Field(default=64, description="Signature lines of one checkpoint, witnesses included.")
    trusted_root_bytes: int = Field(default=1 * MIB, description="Longest trusted root.")
    trusted_root_entries: int = Field(default=256, description="Logs, or authorities, of one kind in a trusted root.")
    timestamp_accuracy: Seconds = Field(
        default=60.0, description="Coarsest accuracy of a timestamp that still proves a time."
    )
    clock_skew: Seconds = Field(default=60.0, description="How far ahead of our clock a proven time may be.")
    ocsp_timeout: Seconds = Field(default=2.0, description="One question about a certificate's status (OCSP).")
    crl_timeout: Seconds = Field(default=5.0, description="One list of revoked certificates (CRL).")
    ocsp_bytes: int = Field(default=64 * KIB, description="Longest OCSP answer.")
    crl_bytes: int = Field(default=8 * MIB, description="Longest CRL.")
    revocation_urls: int = Field(default=8, description="OCSP servers, or CRLs, of one certificate that are asked.")
    revocation_rounds: int = Field(default=4, description="Questions that answers lead to: OCSP, CRL, delta CRL.")
    revocation_retry: Seconds = Field(
        default=60.0, description="How long a status that nobody told, and that is only reported, is not asked again."
    )
    error_body_bytes: int = Field(default=16 * KIB, description="What is read of a registry's error answer.")
    tokens: int = Field(default=4096, description="Tokens of registries that are remembered.")
    token_bytes: int = Field(default=64 * KIB, description="Longest answer of a token service.")
    headers_bytes: int = Field(default=16 * KIB, description="Longest header field of an answer.")
    redirects: int = Field(default=5, description="Redirects followed for one blob.")
    payload_bytes_in_flight: int = Field(
        default=256 * MIB, description="Payload bytes held by lookups under way, all together."
    )
    large_payload_bytes: int = Field(default=256 * KIB, description="Payloads above it are judged in the thread pool.")

    connect_timeout: Seconds = Field(default=3.0, description="One connection to a registry.")
    read_timeout: Seconds = Field(default=10.0, description="Silence of a registry in the middle of an answer.")
    lookup_timeout: Seconds = Field(default=60.0, description="One cold lookup, callers or not.")
    lookups_in_flight: int = Field(default=512, description="Cold lookups at once; further ones are answered busy.")
    requests_per_registry: int = Field(default=32, description="Requests to one registry at once.")
    names_resolved: int = Field(default=32, description="Host names resolved at once.")
    retries: int = Field(default=3, description="Repetitions after 429, 5xx or a broken connection.")
    retry_base: Seconds = Field(default=0.1, description="First pause before a repetition; doubled, with jitter.")
    retry_after_longest: Seconds = Field(default=5.0, description="Longest Retry-After that is waited for.")

    policy_file_bytes: int = Field(default=4 * MIB, description="Longest policy file.")
    policy_file_values: int = Field(default=200_000, description="Values in one policy file, each alias at its full size.")
    policy_files: int = Field(default=2000, description="Files of one policy directory.")
    policy_bytes: int = Field(default=64 * MIB, description="All files of one policy directory together.")
    policies: int = Field(default=1000, description="Cluster policies.")
    trust_policies: int = Field(default=10_000, description="TrustPolicies of all namespaces together.")
    policies_per_namespace: int = Field(default=50, description="TrustPolicies of one namespace.")
    trust_roots: int = Field(default=100, description="TrustRoots of the cluster.")
    sbom_components: int = Field(default=100_000, description="Components of one SBOM that are judged.")
    referenced_objects: int = Field(default=512, description="Secrets and ConfigMaps that policies name, together.")
    exceptions: int = Field(default=256, description="TrustExceptions of the cluster.")
    exception_lifetime: Seconds = Field(
        default=168 * 3600.0, description="Longest time from the making of a TrustException to its expiresAt."
    )
    cluster_timeout: Seconds = Field(default=10.0, description="One request to the cluster's API server.")
    cluster_object_bytes: int = Field(default=4 * MIB, description="Longest object, or event, of the API server.")
    cluster_list_bytes: int = Field(default=128 * MIB, description="All pages of one listing of the API server together.")
    cluster_page: int = Field(default=500, description="Objects of one page of a listing.")
    watch_silence: Seconds = Field(
        default=100.0,
        description="A watch in which nothing was heard for so long is begun again; bookmarks come each minute.",
    )
    watch_time: Seconds = Field(default=300.0, description="A watch is begun again after it, with jitter.")
    watch_resume: Seconds = Field(
        default=60.0, description="After a longer break everything is listed anew instead of going on where it broke."
    )
    watch_retry_longest: Seconds = Field(default=10.0, description="Longest pause before a broken watch is begun again.")
    watched_objects: int = Field(
        default=128, description="Secrets and ConfigMaps watched by name; further ones are read every few seconds."
    )
    object_timeout: Seconds = Field(
        default=2.0, description="Asking the API server for one object while an admission waits."
    )
    pull_secrets: int = Field(default=32, description="Pull secrets of one pod, or of its ServiceAccount, that are read.")
    pull_secret_age: Seconds = Field(default=10.0, description="How long a pull secret is not read again.")
    pull_secret_stale: Seconds = Field(
        default=3600.0, description="How old a pull secret may get while the API server does not give it out."
    )
    pull_secret_bytes: int = Field(default=16 * MIB, description="Memory of pull secrets.")
    connection_age: Seconds = Field(default=120.0, description="A keep-alive connection is closed after it, with jitter.")
    lame_duck: Seconds = Field(
        default=5.0, description="How long a stopping replica that is no longer ready goes on accepting connections."
    )
    drain: Seconds = Field(default=15.0, description="How long requests under way may take after a stop signal.")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        """A count or size of nothing would stop the product, or mean "no limit" to a library: neither is meant.

        Raises:
            ValueError: Names the limit.
        """
        for name, info in type(self).model_fields.items():
            value, least = getattr(self, name), 0 if name in _MAY_BE_NONE else 1
            if info.annotation is int and value < least:
                raise ValueError(f"{to_camel(name)} must be at least {least}, found {value}")
        return self


class CacheSettings(_Part):
    """How long settled answers are kept (design, section 7)."""

    tag_ttl: Seconds = Field(default=60.0, description="tag -> digest; 0 asks every time.")
    evidence_ttl: Seconds = Field(default=600.0, description="Evidence that passes every policy asked.")
    refusal_ttl: Seconds = Field(default=20.0, description="Evidence that does not: sign, deploy, attest, deploy must work.")
    max_stale: Seconds = Field(default=86400.0, description="How old evidence may be used while its registry is away.")
    entries: int = Field(default=20000, description="Images remembered.")
    verdicts: int = Field(default=200000, description="Single judgements remembered.")
    bytes: int = Field(default=96 * MIB, description="Memory of remembered evidence.")
    status_bytes: int = Field(
        default=32 * MIB, description="Memory of answers about the status of certificates (OCSP, CRL)."
    )
    payload_kept_bytes: int = Field(
        default=64 * KIB, description="Longer payloads are dropped after judging; facts are kept."
    )


def _lookaside(base: str) -> str:
    parts = urlsplit(base)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("expected an http or https URL without user, query and fragment")
    return base.rstrip("/")


class RegistrySettings(_Part):
    """How one registry is reached. Keyed by its host (with port) in `registries`."""

    ca_file: Path | None = Field(default=None, description="PEM bundle trusted for this registry, beside the system's.")
    insecure: bool = Field(default=False, description="Plain HTTP is allowed. Signatures still protect what is admitted.")
    private_address: bool = Field(
        default=False, description="The host may resolve to a private, loopback or link-local address."
    )
    mirrors: tuple[str, ...] = Field(default=(), description="Hosts asked first, in order, for the same repositories.")
    lookaside: tuple[Annotated[str, AfterValidator(_lookaside)], ...] = Field(
        default=(),
        max_length=4,
        description=(
            "Web servers that hold OpenPGP signatures of this registry's images, as `<base>/<repository>@sha256=<hex>/"
            "signature-1`. A host written here may have a private address and be plain `http`. "
            "Without any, the registry's own signature extension is asked."
        ),
    )
    token_realms: tuple[str, ...] = Field(
        default=(), description="Hosts of token services elsewhere that may see credentials."
    )


def _remap(prefixes: dict[str, str]) -> dict[str, str]:
    """Both sides are a registry or the beginning of a repository's name, in whole segments and canonical form.

    Raises:
        ValueError: For a prefix that no canonical name could begin with: it would silently map nothing.
    """
    for prefix in (*prefixes, *prefixes.values()):
        host, slash, _ = prefix.partition("/")
        whole = f"{prefix}/x" if slash else f"{prefix}/x/x"
        try:
            canonical = str(Repository.parse(whole)) if "." in host or ":" in host or host == "localhost" else ""
        except Invalid:
            canonical = ""
        if canonical != whole:
            raise ValueError(f"expected a registry host or a canonical repository prefix, found {prefix[:120]!r}")
    return prefixes


class RootSettings(_Part):
    """How trusted roots are kept up to date. Refreshing happens in the background; no request waits for it."""

    refresh: Seconds = Field(
        default=21600.0, description="Pause between refreshes; 0 never refreshes and calls nobody (air-gapped clusters)."
    )
    timeout: Seconds = Field(default=60.0, description="How long one refresh may take.")
    max_stale: Seconds | None = Field(
        default=None,
        description="A root that is refreshed and was not confirmed for so long is not believed any more; unset: it stays.",
    )
    folder: Path | None = Field(
        default=None, description="Where the versions seen are remembered across restarts; unset: for the process alone."
    )
    mirrors: dict[str, str] = Field(
        default_factory=dict,
        description="Copies of the repositories of public-good and github: name to https, http or file URL.",
    )


class ImagePath(_Part):
    """Where a custom kind keeps a pod template (`/spec/template`) or a pod spec."""

    group: str = Field(description="API group, empty for core.")
    kind: str = Field(description="Kind, as in the object.")
    template: str = Field(description="JSON pointer to a pod template (an object with metadata and spec).")


class Settings(_Part):
    """The file given as `--config`; the chart renders it."""

    unmatched_images: Unmatched = Field(default=Unmatched.ALLOW, description="Images that no cluster policy is about.")
    limits: Limits = Field(default_factory=Limits, description="Bounds on everything that somebody else controls.")
    cache: CacheSettings = Field(default_factory=CacheSettings, description="What is remembered, and for how long.")
    registries: dict[str, RegistrySettings] = Field(
        default_factory=dict, description="How a registry is reached, by its host (and port unless it is 443)."
    )
    remap: Annotated[dict[str, str], AfterValidator(_remap)] = Field(
        default_factory=dict,
        description=(
            "Mirror to origin, as prefixes of repository names: evidence is looked for at the origin, OpenPGP signatures "
            "are for its name. Policies match and digests are resolved at the name a pod writes. The longest prefix counts."
        ),
    )
    revocation_hosts: tuple[str, ...] = Field(
        default=(),
        description=(
            "Hosts (`host` for port 80, else `host:port`) that may be asked for the status of certificates (OCSP, CRL). "
            "URLs in certificates are written by others: what is not listed here is never called."
        ),
    )
    roots: RootSettings = Field(default_factory=RootSettings)
    image_paths: tuple[ImagePath, ...] = Field(default=(), description="Custom kinds with pod templates.")
    docker_config: Path | None = Field(default=None, description="docker config.json with the controller's own credentials.")
    mutate: bool = Field(default=True, description="Pin digests at /mutate.")
    client_ca_file: Path | None = Field(
        default=None, description="CA of the API server's client certificate, where it has one."
    )

    def origin(self, reference: Reference) -> Reference:
        """The reference under the name of its origin where `remap` says that its repository mirrors one."""
        name = str(reference.repository)
        for prefix in sorted(self.remap, key=len, reverse=True):
            if name == prefix or name.startswith(f"{prefix}/"):
                mapped = Repository.parse(self.remap[prefix] + name[len(prefix) :])
                return Reference(mapped, reference.tag, reference.digest)
        return reference


class _OnceLoader(yaml.SafeLoader):
    """YAML in which a key stands once: of two `registries` the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as in yaml
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                mark = key.start_mark
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands twice", mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def load(path: Path) -> Settings:
    """Read a settings file (YAML or JSON, camelCase keys).

    Raises:
        Invalid: `InvalidSettings`, naming the key and what was expected.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceLoader)  # noqa: S506 - a safe loader, stricter
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        what = "" if isinstance(error, yaml.constructor.ConstructorError) else "not YAML: "
        raise Invalid(Code.INVALID_SETTINGS, f"{where}: {what}{str(error.problem or error.context)[:120]}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:  # ValueError: no UTF-8, or a date that is none
        found = (error.strerror if isinstance(error, OSError) else "") or str(error).partition("\n")[0]
        raise Invalid(Code.INVALID_SETTINGS, f"settings file {path} cannot be read", found=found[:120]) from None
    return parse({} if document is None else document, path.name)


def parse(document: Any, name: str = "settings") -> Settings:
    """Validate a decoded settings document.

    Raises:
        Invalid: `InvalidSettings`, naming every key that is wrong, with what was probably meant.
    """
    if not isinstance(document, dict):
        raise Invalid(Code.INVALID_SETTINGS, f"{name} must be a mapping", found=type(document).__name__)
    try:
        return Settings.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        found = Problems()
        found.extend(replace(problem, code=Code.INVALID_SETTINGS) for problem in of_shape(error, Settings))
    found.check()
    raise AssertionError  # pydantic never raises an error without a problem in it
