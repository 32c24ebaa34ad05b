"""Runs real cosign, offline and with keys."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from controller.demo.signingkeys import SigningKey
from tests.interop import tools

_SECONDS: Final = 60.0
_EMPTY_ROOT: Final = {"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}
"""Nothing is trusted but the key. Without a root cosign asks the network for one; cosign 2 then refuses bundles."""


class Storage(StrEnum):
    """How cosign stores what it signs."""

    TAG = "tag"  # `sha256-….sig` and `.att`: cosign 2 by default, cosign 3 by flag
    BUNDLE = "bundle"  # a referrer with a Sigstore bundle: cosign 3 by default, cosign 2 by flag


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """A key pair as cosign keeps it: the private key encrypted under the empty password."""

    private: Path
    public: Path

    @property
    def public_pem(self) -> str:
        """The public key."""
        return self.public.read_text()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cosign command ended."""

    accepted: bool
    output: str
    errors: str


class Cosign:
    """One major version of cosign.

    Args:
        major: 2 or 3.
        folder: Keys, predicates and cosign's home go there.
    """

    def __init__(self, major: int, folder: Path) -> None:
        self.major = major
        self._program = str(tools.find(f"cosign{major}"))
        self._folder = folder
        self._root = folder / "empty_trusted_root.json"
        self._root.write_text(json.dumps(_EMPTY_ROOT))

    def __repr__(self) -> str:
        return f"cosign{self.major}"

    def generate_key(self, name: str) -> KeyFiles:
        """`cosign generate-key-pair`: ECDSA over P-256."""
        self._must("generate-key-pair", "--output-key-prefix", str(self._folder / name))
        return KeyFiles(self._folder / f"{name}.key", self._folder / f"{name}.pub")

    def import_key(self, name: str, key: SigningKey) -> KeyFiles:
        """`cosign import-key-pair`: a key that something else made. The same name and key again are not imported again."""
        pem, files = self._folder / f"{name}.pem", KeyFiles(self._folder / f"{name}.key", self._folder / f"{name}.pub")
        if files.public.exists() and pem.exists() and pem.read_text() == key.private_pem:
            return files
        pem.write_text(key.private_pem)
        self._must("import-key-pair", "--yes", "--key", str(pem), "--output-key-prefix", str(self._folder / name))
        return files

    def sign(
        self, image: str, key: KeyFiles, storage: Storage, annotations: Mapping[str, str] | None = None, *more: str
    ) -> None:
        """`cosign sign --key`. The image is named by digest."""
        extra = [part for name, value in (annotations or {}).items() for part in ("-a", f"{name}={value}")]
        self._must("sign", *self._signing(key, storage), *extra, *more, image)

    def attest(self, image: str, key: KeyFiles, storage: Storage, kind: str, predicate: object, *more: str) -> None:
        """`cosign attest --key`; `kind` is cosign's short name of the predicate type, or the type itself."""
        path = self._folder / "predicate.json"
        path.write_text(json.dumps(predicate))
        self._must("attest", *self._signing(key, storage), "--type", kind, "--predicate", str(path), *more, image)

    def verify(self, image: str, public: Path, *more: str) -> Outcome:
        """`cosign verify --key`."""
        return self._run("verify", *self._verifying(public), *more, image)

    def verify_certificate(self, image: str, storage: Storage, *trusted: str) -> Outcome:
        """`cosign verify` by a certificate; `trusted` says under which roots, and whose."""
        bundle = "true" if storage is Storage.BUNDLE else "false"
        return self._run("verify", "--allow-http-registry", f"--new-bundle-format={bundle}", *trusted, image)

    def verify_attestation(self, image: str, public: Path, kind: str, *more: str) -> Outcome:
        """`cosign verify-attestation --key --type`."""
        return self._run("verify-attestation", *self._verifying(public), "--type", kind, *more, image)

    def _signing(self, key: KeyFiles, storage: Storage) -> list[str]:
        bundle = "true" if storage is Storage.BUNDLE else "false"
        # cosign 3 would ask the network for the addresses of the public services.
        offline = ["--use-signing-config=false"] if self.major > 2 else []
        arguments = ["--yes", f"--new-bundle-format={bundle}", "--tlog-upload=false", "--allow-http-registry"]
        return [*arguments, *offline, "--key", str(key.private)]

    def _verifying(self, public: Path) -> list[str]:
        arguments = ["--insecure-ignore-tlog", "--private-infrastructure", "--allow-http-registry"]
        return [*arguments, "--trusted-root", str(self._root), "--key", str(public)]

    def _must(self, *arguments: str) -> None:
        outcome = self._run(*arguments)
        assert outcome.accepted, f"{self} {arguments[0]}: {outcome.errors}"

    def _run(self, *arguments: str) -> Outcome:
        done = subprocess.run(
            [self._program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
            env=tools.environment(self._folder),
        )
        return Outcome(done.returncode == 0, done.stdout, done.stderr)
