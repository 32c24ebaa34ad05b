"""Flags that several commands share, and what they come to."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from controller import roots
from controller.commands.trust import Identity, Trusted, built_in_root, read_key, read_root
from controller.errors import Code, Invalid
from controller.registry.endpoints import registry_name
from controller.settings import Limits, RegistrySettings, Settings, Unmatched, duration, load

_TIMEOUT: Final = 60.0
IDENTITY: Final = "--certificate-identity"
ISSUER: Final = "--certificate-oidc-issuer"


def describe(parser: argparse.ArgumentParser, description: str, examples: str) -> None:
    """What `--help` says around the flags."""
    parser.description = description
    parser.epilog = f"examples:\n{examples}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def add_output(parser: argparse.ArgumentParser) -> None:
    """`--output`."""
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="text for people, or the JSON of docs/output.md"
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """`--key`, `--certificate-identity`, `--policy` and what narrows them."""
    group = parser.add_argument_group("whom to trust")
    either = group.add_mutually_exclusive_group()
    either.add_argument(
        "--key", action="append", type=Path, metavar="FILE", help="public key (PEM or DER); repeated: any one suffices"
    )
    either.add_argument(
        "--policy",
        "--policies",
        action="append",
        type=Path,
        metavar="FILE|DIR",
        help="trust policies (YAML or JSON); may be repeated",
    )
    either.add_argument(
        IDENTITY, metavar="IDENTITY", help="who must have signed without a key, exactly: a workflow, an email address"
    )
    either.add_argument(f"{IDENTITY}-regexp", metavar="REGEXP", help="the same as an RE2 expression for all of it")
    issuer = group.add_mutually_exclusive_group()
    issuer.add_argument(ISSUER, metavar="URL", help="who must have vouched for that identity, exactly")
    issuer.add_argument(f"{ISSUER}-regexp", metavar="REGEXP", help="the same as an RE2 expression for all of it")
    root = group.add_mutually_exclusive_group()
    root.add_argument("--trusted-root", type=Path, metavar="FILE", help="trusted root JSON of a private Sigstore instance")
    root.add_argument("--root", choices=roots.BUILT_IN, help="a built-in instance (default public-good)")
    group.add_argument("--threshold", type=int, metavar="N", help="how many of the keys must have signed (default 1)")
    group.add_argument(
        "-a", "--annotation", action="append", metavar="NAME=VALUE", help="must be signed along; may be repeated"
    )
    group.add_argument(
        "--attestation-type",
        action="append",
        metavar="TYPE",
        help="an attestation of this predicate type by one of the keys must be there too (spdxjson, cyclonedx, a URI, …)",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """`--namespace` and `--unmatched`: what a policy may ask beside the image."""
    group = parser.add_argument_group("where the images will run")
    group.add_argument("-n", "--namespace", default="", help="namespace of the images, or of manifests that name none")
    group.add_argument(
        "--unmatched",
        choices=[unmatched.value.lower() for unmatched in Unmatched],
        help="what to say of an image that no cluster policy is about (default: as --config says, else deny)",
    )


def add_registry(parser: argparse.ArgumentParser) -> None:
    """`--config` and its short cuts."""
    group = parser.add_argument_group("registries")
    group.add_argument("--config", type=Path, metavar="FILE", help="settings file, as `serve` reads it")
    group.add_argument(
        "--insecure-registry", action="append", default=[], metavar="HOST", help="may speak plain HTTP and be private"
    )
    group.add_argument(
        "--private-registry",
        action="append",
        default=[],
        metavar="HOST",
        help="may have a private address; a registry named in an image on the command line may anyway",
    )
    group.add_argument(
        "--timeout", type=_seconds, default=_TIMEOUT, metavar="DURATION", help="how long to wait for answers (default 60s)"
    )


def settings(arguments: argparse.Namespace) -> Settings:
    """The settings that the flags come to.

    Raises:
        Invalid: `InvalidSettings`.
    """
    read = load(arguments.config) if arguments.config else Settings(unmatched_images=Unmatched.DENY)
    registries = dict(read.registries)
    for host in arguments.insecure_registry:
        _add(registries, host, "--insecure-registry", {"insecure": True, "private_address": True})
    for host in arguments.private_registry:
        _add(registries, host, "--private-registry", {"private_address": True})
    updates: dict[str, object] = {"registries": registries}
    if getattr(arguments, "unmatched", None):
        updates["unmatched_images"] = Unmatched(arguments.unmatched.capitalize())
    return read.model_copy(update=updates)


def says_whom(arguments: argparse.Namespace) -> bool:
    """Whether a key or an identity, or a flag that belongs to one, was given."""
    return bool(arguments.key or _narrowing(arguments) or _about_identity(arguments))


def trusted(arguments: argparse.Namespace, limits: Limits) -> Trusted | None:
    """What `--key` or `--certificate-identity` and the flags beside it say; None where policies were given.

    Raises:
        Invalid: `InvalidPolicy` where none was given, or flags stand without the one they belong to; `InvalidKey`,
            `InvalidTrustedRoot` or `InvalidFile` naming the file.
    """
    about = _about_identity(arguments)
    if arguments.key and about:
        raise Invalid(Code.INVALID_POLICY, f"belongs to {IDENTITY}", field=about, found="--key")
    if arguments.policy:
        alone = about or _narrowing(arguments)
        if alone:
            raise Invalid(Code.INVALID_POLICY, "belongs to --key; a policy says it itself", field=alone)
        return None
    if not arguments.key and not about:
        expected = f"--key, {IDENTITY} or --policy (a cluster's: kubectl get clustertrustpolicies,trustpolicies -A -o yaml)"
        raise Invalid(Code.INVALID_POLICY, "nobody is trusted", expected=expected, found="none of them")
    return Trusted(
        keys=tuple(map(read_key, arguments.key or ())),
        identity=_identity(arguments, limits) if about else None,
        threshold=1 if arguments.threshold is None else arguments.threshold,
        annotations=_annotations(arguments.annotation or ()),
        attestation_types=tuple(arguments.attestation_type or ()),
    )


def _narrowing(arguments: argparse.Namespace) -> str:
    """The first flag given that narrows keys or an identity."""
    given = {
        "--threshold": arguments.threshold is not None,
        "--annotation": bool(arguments.annotation),
        "--attestation-type": bool(arguments.attestation_type),
    }
    return next((name for name, is_given in given.items() if is_given), "")


def _about_identity(arguments: argparse.Namespace) -> str:
    """The first flag given that is about an identity."""
    given = {
        IDENTITY: arguments.certificate_identity,
        f"{IDENTITY}-regexp": arguments.certificate_identity_regexp,
        ISSUER: arguments.certificate_oidc_issuer,
        f"{ISSUER}-regexp": arguments.certificate_oidc_issuer_regexp,
        "--trusted-root": arguments.trusted_root,
        "--root": arguments.root,
    }
    return next((name for name, value in given.items() if value is not None), "")


def _identity(arguments: argparse.Namespace, limits: Limits) -> Identity:
    subject = _pattern(arguments.certificate_identity, arguments.certificate_identity_regexp)
    issuer = _pattern(arguments.certificate_oidc_issuer, arguments.certificate_oidc_issuer_regexp)
    if not subject or not issuer:
        missing = ISSUER if subject else IDENTITY
        expected = f"{IDENTITY} and {ISSUER}"
        raise Invalid(Code.INVALID_POLICY, "it is not said whom to trust", field=missing, expected=expected)
    if arguments.trusted_root is not None:
        return Identity(subject, issuer, read_root(arguments.trusted_root, limits))
    return Identity(subject, issuer, built_in_root(arguments.root or roots.BUILT_IN[0], limits))


def _pattern(exact: str | None, regex: str | None) -> dict[str, str]:
    if exact is not None:
        return {"exact": exact}
    return {} if regex is None else {"regex": regex}


def _annotations(given: list[str] | tuple[()]) -> Mapping[str, str]:
    read: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals or name in read:
            problem = "is given twice" if name in read else "has no name or no value"
            raise Invalid(Code.INVALID_POLICY, problem, field="--annotation", expected="NAME=VALUE", found=repr(text[:80]))
        read[name] = value
    return read


def _add(registries: dict[str, RegistrySettings], host: str, flag: str, updates: dict[str, bool]) -> None:
    name = registry_name(host, flag)
    known = next((key for key in registries if registry_name(key, f"registries.{key}") == name), name)
    registries[known] = registries.get(known, RegistrySettings()).model_copy(update=updates)


def _seconds(text: str) -> float:
    try:
        seconds = duration(text if not text.replace(".", "", 1).isdigit() else f"{text}s")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not isinstance(seconds, float) or not 0 < seconds <= 3600:  # noqa: PLR2004 - an hour
        raise argparse.ArgumentTypeError("expected more than nothing and at most 1h")
    return seconds
