"""`sigward verify-bundle`: what it takes, what it says, and how it ends."""

import json
from pathlib import Path

import pytest

from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN
from controller.demo.signingkeys import KeyType
from controller.errors import Code
from controller.reference import Digest
from tests.fakes.authorities import ISSUER, SUBJECT
from tests.fakes.commandline import run
from tests.fakes.evidence import IMAGE, MANIFEST, statement
from tests.fakes.keys import signing_key
from tests.fakes.sigstore import PrivateSigstore

WHO = ("--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a bundle over `artifact`, and the trusted root it was signed under."""
    sigstore = PrivateSigstore()
    (tmp_path / "root.json").write_text(json.dumps(sigstore.document()))
    (tmp_path / "artifact").write_bytes(MANIFEST)
    (tmp_path / "bundle.json").write_bytes(payloads.encode(sigstore.sign_message()))
    (tmp_path / "statement.json").write_bytes(payloads.encode(sigstore.sign_statement()))
    return tmp_path


def test_by_identity_over_a_file_and_over_its_digest(files: Path) -> None:
    given = ("verify-bundle", "--bundle", files / "bundle.json", "--trusted-root", files / "root.json", *WHO)
    for artifact in (files / "artifact", IMAGE):
        ran = run(*given, artifact)
        assert (ran.code, ran.err) == (0, "")
        assert ran.lines == [f"verified: signature over {IMAGE} by {SUBJECT} (issuer {ISSUER})"]


def test_as_json(files: Path) -> None:
    given = ("verify-bundle", "--bundle", files / "statement.json", "--trusted-root", files / "root.json", "-o", "json")
    document = run(*given, *WHO, files / "artifact").document
    assert document == {
        "kind": "Bundle",
        "version": 1,
        "result": "Pass",
        "exitCode": 0,
        "digest": str(IMAGE),
        "signer": f"{SUBJECT} (issuer {ISSUER})",
        "claim": "signature",
        "predicateType": COSIGN_SIGN,
        "reason": None,
    }
    refused = run(*given, *WHO, Digest.of(b"another")).document
    assert (refused["result"], refused["exitCode"], refused["signer"]) == ("Refused", 1, "")
    assert refused["reason"]["code"] == Code.WRONG_DIGEST


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (("--certificate-identity", SUBJECT + "x", "--certificate-oidc-issuer", ISSUER), Code.WRONG_SUBJECT),
        (("--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER + "x"), Code.WRONG_ISSUER),
        (
            ("--certificate-identity-regexp", "https://github.com/acme", "--certificate-oidc-issuer", ISSUER),
            Code.WRONG_SUBJECT,
        ),
    ],
)
def test_somebody_else(files: Path, who: tuple[str, ...], code: Code) -> None:
    ran = run(
        "verify-bundle", "--bundle", files / "bundle.json", "--trusted-root", files / "root.json", *who, IMAGE, "-o", "json"
    )
    assert (ran.code, ran.document["reason"]["code"]) == (1, code)


def test_by_expression_which_is_matched_whole(files: Path) -> None:
    who = (
        "--certificate-identity-regexp",
        "https://github.com/acme/.*",
        "--certificate-oidc-issuer-regexp",
        "https://t.*com",
    )
    given = ("verify-bundle", "--bundle", files / "bundle.json", "--trusted-root", files / "root.json")
    assert run(*given, *who, IMAGE).code == 0


def test_under_another_root(files: Path) -> None:
    ran = run("verify-bundle", "--bundle", files / "bundle.json", *WHO, IMAGE)
    assert ran.code == 1
    assert ran.lines[0].startswith("refused: the log is none of trusted root public-good")
    assert ran.err.startswith("sigward: trusted is identity https://github.com/acme")
    assert (
        run("verify-bundle", "--staging", "--bundle", files / "bundle.json", *WHO, IMAGE)
        .lines[0]
        .startswith("refused: the log is none of trusted root staging")
    )


@pytest.mark.parametrize("kind", [KeyType.P256, KeyType.ED25519])
def test_by_key_without_any_log_entry(tmp_path: Path, kind: KeyType) -> None:
    key = signing_key("release", kind)
    (tmp_path / "key.pub").write_text(key.public_pem)
    (tmp_path / "artifact").write_bytes(MANIFEST)
    (tmp_path / "message.json").write_bytes(payloads.bundle(payloads.message_signature(MANIFEST, key), key.hint))
    envelope = payloads.envelope(statement(COSIGN_SIGN, None, Digest.of(MANIFEST, "sha512")), key)
    (tmp_path / "sha512.json").write_bytes(payloads.bundle(payloads.bundle_envelope(envelope), key.hint))
    for name in ("message.json", "sha512.json"):
        ran = run("verify-bundle", "--bundle", tmp_path / name, "--key", tmp_path / "key.pub", tmp_path / "artifact")
        assert (ran.code, ran.err) == (0, ""), name
    (tmp_path / "key.pub").write_text(signing_key("foreign", kind).public_pem)
    ran = run("verify-bundle", "--bundle", tmp_path / "message.json", "--key", tmp_path / "key.pub", tmp_path / "artifact")
    assert (ran.code, ran.lines[0][:48]) == (1, "refused: no trusted key made this signature: exp")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--bundle", "bundle.json", "artifact"), "--certificate-identity: it is not said whom to trust"),
        (("--bundle", "bundle.json", "artifact", *WHO[:2]), "--certificate-oidc-issuer: it is not said whom to trust"),
        (("--bundle", "none.json", "artifact", *WHO), "--bundle: none.json cannot be read"),
        (("--bundle", "bundle.json", "none", *WHO), "FILE_OR_DIGEST: none cannot be read"),
        (("--bundle", "bundle.json", "sha256:12", *WHO), "not a digest"),
        (("--bundle", "bundle.json", "artifact", *WHO, "--key", "artifact"), "--key: is one way, an identity another"),
        (("--bundle", "bundle.json", "artifact", *WHO, "--trusted-root", "artifact"), "trusted root artifact"),
        (("--bundle", "bundle.json", "artifact", *WHO[:2], "--certificate-oidc-issuer-regexp", ".*"), "every issuer"),
        (("--bundle", "bundle.json", "artifact", *WHO[2:], "--certificate-identity-regexp", "("), "cannot be compiled"),
    ],
)
def test_wrong_input(files: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str) -> None:
    monkeypatch.chdir(files)
    ran = run("verify-bundle", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
