import json
from pathlib import Path
from typing import Any

import pytest

from controller.commands.batch_manifest import Container, File, Unusable, read
from controller.errors import Code, Invalid

IMAGE = {"type": "container", "image": "registry.example.com/web:1"}
FILE = {"type": "file", "path": "tool", "signature": "tool.sig"}


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "artifacts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_entries_keep_their_order(tmp_path: Path) -> None:
    entries = [
        {**IMAGE, "public_key": "cosign.pub"},
        {**FILE, "public_key": "cosign.pub", "name": "a label"},
        {**IMAGE, "policy": "policies/"},
    ]
    assert read(written(tmp_path, {"artifacts": entries})) == (
        Container(0, "registry.example.com/web:1", public_key="cosign.pub"),
        File(1, "tool", "tool.sig", "cosign.pub"),
        Container(2, "registry.example.com/web:1", policy="policies/"),
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "artifacts.json: manifest is not JSON"),
        ("[]", "not a JSON object"),
        ('{"artifacts": [], "artifacts": []}', "a name stands twice"),
        ({}, "artifacts: must be an array"),
        ({"artifacts": {}}, "artifacts: must be an array"),
        ({"artifacts": []}, "artifacts: has too few"),
        ({"artifacts": [1]}, "artifacts[0]: must be an object"),
        ({"artifacts": [{}]}, "artifacts[0].type: is missing"),
        ({"artifacts": [{"type": "container"}]}, "artifacts[0].image: is missing"),
        ({"artifacts": [{**FILE, "signature": ""}]}, "artifacts[0].signature: must be a string"),
        ({"artifacts": [{"type": "file", "path": "x", "public_key": "k"}]}, "artifacts[0].signature: is missing"),
        (
            {"artifacts": [{**IMAGE, "public_key": "k"}, {**IMAGE, "public_key": 7}]},
            "artifacts[1].public_key: must be a str",
        ),
        ({"artifact": []}, "artifact: is no field"),
        ({"artifacts": [{**IMAGE, "public_key": "k"}], "version": 1}, "version: is no field"),
    ],
)
def test_a_broken_manifest_names_the_field(tmp_path: Path, content: Any, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(written(tmp_path, content))
    assert says in str(caught.value)
    assert caught.value.reason.code is Code.INVALID_MANIFEST


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"none\.json cannot be read") as caught:
        read(tmp_path / "none.json")
    assert caught.value.reason.code is Code.INVALID_FILE


@pytest.mark.parametrize(
    ("entry", "message", "code"),
    [
        (IMAGE, "does not say whom to trust", Code.INVALID_MANIFEST),
        (FILE, "does not say whom to trust", Code.INVALID_MANIFEST),
        ({**IMAGE, "identity": "a"}, "does not say whom to trust", Code.INVALID_MANIFEST),
        ({**IMAGE, "issuer": "a"}, "does not say whom to trust", Code.INVALID_MANIFEST),
        ({**FILE, "identity": "a", "issuer": "b"}, "identities are about images", Code.NOT_SUPPORTED_YET),
        ({**IMAGE, "public_key": "k", "trusted_root": "r"}, "trusted_root says whom", Code.INVALID_MANIFEST),
        ({**IMAGE, "trusted_root": "r"}, "trusted_root says whom", Code.INVALID_MANIFEST),
        ({**IMAGE, "public_key": "k", "policy": "p"}, "says more than once whom to trust", Code.INVALID_MANIFEST),
        ({**IMAGE, "public_key": "k", "identity": "a", "issuer": "b"}, "says more than once", Code.INVALID_MANIFEST),
        ({**FILE, "policy": "p"}, "policies are about images", Code.INVALID_MANIFEST),
        ({**IMAGE, "public-key": "k"}, "unknown field", Code.INVALID_MANIFEST),
        ({**IMAGE, "public_key": "k", "signature": "x"}, "unknown field", Code.INVALID_MANIFEST),
        ({"type": "helm", "chart": "x", "public_key": "k"}, "unknown type", Code.INVALID_MANIFEST),
        ({"type": "Container", "image": "x", "public_key": "k"}, "unknown type", Code.INVALID_MANIFEST),
    ],
)
def test_an_entry_that_trusts_nobody_in_particular_fails_alone(
    tmp_path: Path, entry: dict[str, str], message: str, code: Code
) -> None:
    good = {**IMAGE, "public_key": "cosign.pub"}
    first, second = read(written(tmp_path, {"artifacts": [entry, good]}))
    assert isinstance(first, Unusable)
    assert isinstance(second, Container)
    assert message in first.reason.message
    assert first.reason.code is code
