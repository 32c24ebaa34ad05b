"""`sigward verify-bundle`: judge one Sigstore bundle over one file or digest, without any registry.

The arguments are those of Sigstore's conformance suite (sigstore-conformance, docs/cli_protocol.md), so that it can be
pointed at this command.
"""

import argparse
import time
from pathlib import Path
from typing import Final

from controller import roots
from controller.commands import exits, options
from controller.commands.saying import note, say
from controller.commands.trust import read_key
from controller.errors import Code, Invalid, Refused
from controller.evidence import Evidence, Judge, Origin, Verified
from controller.formats import bundle, with_artifact
from controller.keys import NamedKey, parse
from controller.reference import Digest, Repository
from controller.registry.discovery import Attachment
from controller.render import output
from controller.render.clean import clean
from controller.roots import TrustedRoot
from controller.roots.builtin import PUBLIC_GOOD, STAGING
from controller.settings import Limits
from controller.verify.identity import Identity, Kind, Pattern
from controller.verify.keyed import KeyedAuthority
from controller.verify.keyless import KeylessAuthority

_EXAMPLES: Final = """\
  sigward verify-bundle --bundle app.tar.sigstore.json app.tar \\
    --certificate-identity https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main \\
    --certificate-oidc-issuer https://token.actions.githubusercontent.com
  sigward verify-bundle --bundle app.tar.sigstore.json --key cosign.pub sha256:4f53…
  sigward verify-bundle --bundle app.tar.sigstore.json --trusted-root private.json --key cosign.pub app.tar

By identity, a log of the trusted root must hold the signature. By key, log entries and timestamps are judged where they
are there.

exit status: 0 verified, 1 refused, 2 wrong usage or input
"""
_IDENTITY: Final = options.IDENTITY
_ISSUER: Final = options.ISSUER
_BUNDLE: Final = Origin(Repository("localhost", "bundle"), Digest.of(b""), "file")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    options.describe(parser, "Judge one Sigstore bundle over one file or digest, without any registry.", _EXAMPLES)
    parser.add_argument("artifact", metavar="FILE_OR_DIGEST", help="what was signed: a file, or sha256:… of it")
    parser.add_argument("--bundle", type=Path, required=True, metavar="FILE", help="the bundle, versions 0.1 to 0.3")
    trust = parser.add_argument_group("whom to trust")
    trust.add_argument("--key", type=Path, metavar="FILE", help="public key (PEM or DER)")
    subject = trust.add_mutually_exclusive_group()
    subject.add_argument(_IDENTITY, metavar="IDENTITY", help="who must have signed, exactly")
    subject.add_argument(f"{_IDENTITY}-regexp", metavar="REGEXP", help="the same as an RE2 expression for all of it")
    issuer = trust.add_mutually_exclusive_group()
    issuer.add_argument(_ISSUER, metavar="URL", help="who must have vouched for them, exactly")
    issuer.add_argument(f"{_ISSUER}-regexp", metavar="REGEXP", help="the same as an RE2 expression for all of it")
    root = trust.add_mutually_exclusive_group()
    root.add_argument("--trusted-root", type=Path, metavar="FILE", help="trusted root JSON of a Sigstore instance")
    root.add_argument(
        "--root", choices=roots.BUILT_IN, default=PUBLIC_GOOD, help="a built-in instance (default public-good)"
    )
    root.add_argument("--staging", action="store_true", help="Sigstore's staging instance, which signs for anybody's tests")
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Judge; returns the exit status.

    Raises:
        Invalid: A file cannot be read, or it is not said whom to trust.
    """
    limits = Limits()
    judge = _judge(arguments, limits)
    digests, content = _artifact(arguments.artifact)
    raw = _read(arguments.bundle, "--bundle", limits.attestation_bytes)
    try:
        found = bundle.parse(Attachment(_BUNDLE, "", "", {}, raw), limits)
        verified = _verify(judge, found if content is None else with_artifact(found, content), digests)
    except Refused as error:
        return _refuse(error, arguments, digests[0], judge)
    document = output.Bundle(
        1, "Pass", exits.PASS, str(verified.digest), verified.signer.name, verified.claim, verified.predicate_type, None
    )
    what = f"attestation of type {verified.predicate_type}" if verified.predicate_type else "signature"
    say(document, clean(f"verified: {what} over {verified.digest} by {verified.signer.name}"), arguments)
    return exits.PASS


def _verify(judge: Judge, found: Evidence, digests: tuple[Digest, ...]) -> Verified:
    """The fact about the first digest there is one for: a statement names its subject under either algorithm."""
    refusal: Refused | None = None
    for digest in digests:
        try:
            (verified, *_) = judge.judge(found, digest, time.time())
        except Refused as error:
            refusal = refusal or error
            if error.reason.code is not Code.WRONG_DIGEST:
                break
        else:
            return verified
    raise refusal or Refused(Code.WRONG_DIGEST, "nothing to judge")


def _refuse(error: Refused, arguments: argparse.Namespace, digest: Digest, judge: Judge) -> int:
    reason = error.reason
    shown = output.Reason(reason.code, reason.message, reason.expected, reason.found)
    document = output.Bundle(1, "Refused", exits.REFUSED, str(digest), "", "", "", shown)
    say(document, clean(f"refused: {reason}"), arguments)
    if arguments.output == "text":
        note(f"trusted is {judge.description}")
    return exits.REFUSED


def _judge(arguments: argparse.Namespace, limits: Limits) -> Judge:
    root = _root(arguments, limits)
    subject = _pattern(arguments.certificate_identity, arguments.certificate_identity_regexp)
    issuer = _pattern(arguments.certificate_oidc_issuer, arguments.certificate_oidc_issuer_regexp)
    if arguments.key is not None:
        if subject or issuer:
            raise Invalid(Code.INVALID_POLICY, "is one way, an identity another", field="--key", expected="one of them")
        key = read_key(arguments.key)
        return KeyedAuthority("command-line", [NamedKey(key.name, parse(key.pem.encode()))], root=root, limits=limits)
    if not subject or not issuer:
        missing = _ISSUER if subject else _IDENTITY
        raise Invalid(
            Code.INVALID_POLICY,
            "it is not said whom to trust",
            field=missing,
            expected=f"{_IDENTITY} and {_ISSUER}, or --key",
        )
    return KeylessAuthority("command-line", root, [Identity(issuer, subject)], limits=limits)


def _pattern(exact: str | None, regex: str | None) -> Pattern | None:
    if exact is None and regex is None:
        return None
    kind: Kind = "exact" if regex is None else "regex"
    return Pattern(kind, exact or regex or "")


def _root(arguments: argparse.Namespace, limits: Limits) -> TrustedRoot:
    if arguments.trusted_root is None:
        return roots.builtin(STAGING if arguments.staging else arguments.root, limits)
    raw = _read(arguments.trusted_root, "--trusted-root", limits.trusted_root_bytes)
    return roots.parse(raw, arguments.trusted_root.name, limits)


def _artifact(given: str) -> tuple[tuple[Digest, ...], bytes | None]:
    """The digests to look for, and the content where it is a file. A file named like a digest is written `./sha256:…`."""
    if given.startswith(("sha256:", "sha512:")):
        return (Digest.parse(given),), None
    content = _read(Path(given), "FILE_OR_DIGEST", None)
    return (Digest.of(content), Digest.of(content, "sha512")), content


def _read(path: Path, flag: str, limit: int | None) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read() if limit is None else file.read(limit + 1)
    except OSError as error:
        raise Invalid(
            Code.INVALID_FILE, f"{path} cannot be read", field=flag, found=error.strerror or type(error).__name__
        ) from None
    if limit is not None and len(raw) > limit:
        raise Invalid(Code.INVALID_FILE, f"{path} is too long", field=flag, expected=f"at most {limit} bytes")
    return raw
