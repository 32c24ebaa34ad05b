"""What is read from manifests, and what they may not be."""

import json
from typing import Any

import pytest

from controller.errors import Code, Refused
from controller.reference import Digest
from controller.registry import mediatypes
from controller.registry.manifests import read_listing, read_manifest
from controller.settings import Limits

LIMITS = Limits()
_DIGEST = str(Digest.of(b"x"))


def _descriptor(**changes: Any) -> dict[str, Any]:
    return {"mediaType": "application/x", "digest": _DIGEST, "size": 1} | changes


def _image(**changes: Any) -> bytes:
    document = {"schemaVersion": 2, "config": _descriptor(), "layers": [_descriptor()]} | changes
    return json.dumps({name: value for name, value in document.items() if value is not ...}).encode()


def _index(**changes: Any) -> bytes:
    child = _descriptor(mediaType=mediatypes.OCI_MANIFEST)
    return json.dumps({"schemaVersion": 2, "manifests": [child]} | changes).encode()


def _refusal(raw: bytes, limits: Limits = LIMITS) -> Refused:
    with pytest.raises(Refused) as caught:
        read_manifest(raw, limits)
    return caught.value


def test_an_image_is_read_whole() -> None:
    subject = _descriptor(mediaType=mediatypes.OCI_MANIFEST)
    raw = _image(
        mediaType=mediatypes.OCI_MANIFEST,
        artifactType="application/sig",
        layers=[_descriptor(annotations={"a": "b"}, size=7)],
        subject=subject,
        annotations={"c": "d"},
    )
    manifest = read_manifest(raw, LIMITS)
    assert manifest.digest == Digest.of(raw)
    assert not manifest.is_index
    assert manifest.artifact_type == "application/sig"
    assert (manifest.layers[0].size, manifest.layers[0].annotations) == (7, {"a": "b"})
    assert manifest.subject
    assert str(manifest.subject.digest) == _DIGEST
    assert manifest.config
    assert manifest.annotations == {"c": "d"}


def test_platforms_of_an_index_are_read() -> None:
    platforms = [{"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "1"}, {"os": "linux"}, None]
    children = [_descriptor(mediaType=mediatypes.DOCKER_MANIFEST, platform=platform) for platform in platforms]
    manifest = read_manifest(_index(manifests=children, mediaType=mediatypes.DOCKER_LIST), LIMITS)
    assert manifest.is_index
    assert [child.platform for child in manifest.manifests] == ["linux/arm64/v8", "linux", ""]


def test_the_digest_is_that_of_the_algorithm_asked_for() -> None:
    raw = _image()
    assert read_manifest(raw, LIMITS, expected=Digest.of(raw, "sha512")).digest == Digest.of(raw, "sha512")
    with pytest.raises(Refused) as caught:
        read_manifest(raw, LIMITS, expected=Digest.of(b"another"))
    assert caught.value.reason.code is Code.DIGEST_MISMATCH


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b"", Code.MALFORMED, "not JSON"),
        (b"[]", Code.MALFORMED, "not a JSON object"),
        (b"\xef\xbb\xbf" + _image(), Code.MALFORMED, "not JSON"),
        (_image(schemaVersion=1), Code.WRONG_FORMAT, "schema 1"),
        (_image(schemaVersion=...), Code.MALFORMED, "schemaVersion"),
        (_image(schemaVersion="2"), Code.MALFORMED, "schemaVersion"),
        (_image(schemaVersion=2.0), Code.MALFORMED, "schemaVersion"),
        (_image(mediaType=min(mediatypes.SCHEMA1)), Code.WRONG_FORMAT, "no image"),
        (_image(mediaType="application/vnd.oci.artifact.manifest.v1+json"), Code.WRONG_FORMAT, "no image"),
        (_image(mediaType=7), Code.MALFORMED, "mediaType must be a string"),
        (_image(config=..., layers=...), Code.MALFORMED, "neither layers nor manifests"),
        (_image(config=...), Code.MALFORMED, "config must be an object"),
        (_image(layers={}), Code.MALFORMED, "layers must be an array"),
        (_image(layers=[7]), Code.MALFORMED, r"layers\[0\] must be an object"),
        (_image(layers=[_descriptor(digest="sha384:00")]), Code.MALFORMED, r"layers\[0\].digest"),
        (_image(layers=[_descriptor(digest=None)]), Code.MALFORMED, r"layers\[0\].digest"),
        (_image(layers=[_descriptor(size=-1)]), Code.MALFORMED, r"layers\[0\].size"),
        (_image(layers=[_descriptor(size=2**63)]), Code.MALFORMED, r"layers\[0\].size"),
        (_image(layers=[_descriptor(size=True)]), Code.MALFORMED, r"layers\[0\].size"),
        (_image(layers=[_descriptor(size=1.0)]), Code.MALFORMED, r"layers\[0\].size"),
        (_image(layers=[_descriptor(mediaType="")]), Code.MALFORMED, r"layers\[0\].mediaType"),
        (_image(layers=[_descriptor(annotations={"a": 1})]), Code.MALFORMED, "must be a string"),
        (_image(subject=[]), Code.MALFORMED, "subject must be an object"),
        (_image(annotations=[]), Code.MALFORMED, "annotations must be an object"),
        (_image(artifactType={}), Code.MALFORMED, "artifactType must be a string"),
        (_image(layers=[_descriptor(annotations={"a": "\ud800"})]), Code.MALFORMED, "not JSON"),
    ],
)
def test_what_is_no_manifest_says_why(raw: bytes, code: Code, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        read_manifest(raw, LIMITS)
    assert caught.value.reason.code is code


def test_limits_are_named() -> None:
    for limits, name in (
        (Limits(manifest_bytes=20), "limits.manifestBytes"),
        (Limits(manifest_layers=1), "limits.manifestLayers"),
        (Limits(manifest_values=5), "limits.manifestValues"),
    ):
        reason = _refusal(_image(layers=[_descriptor(), _descriptor()]), limits).reason
        assert (reason.code, name in reason.message) == (Code.LIMIT_EXCEEDED, True)
    assert _refusal(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}").reason.code is Code.LIMIT_EXCEEDED


def test_a_listing_may_name_indexes_and_is_bounded_by_its_own_limit() -> None:
    children = [_descriptor(mediaType=mediatypes.OCI_INDEX, artifactType="application/y")] * 300
    found = read_listing(_index(manifests=children), LIMITS)
    assert len(found) == 300
    assert found[0].artifact_type == "application/y"
    with pytest.raises(Refused, match=r"limits\.referrerEntries") as caught:
        read_listing(_index(manifests=children), Limits(referrer_entries=299))
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("raw", [_image(), _image(mediaType=mediatypes.OCI_MANIFEST), b"<html></html>", b"{}"])
def test_what_is_no_listing_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused) as caught:
        read_listing(raw, LIMITS)
    assert caught.value.reason.code in {Code.MALFORMED, Code.AMBIGUOUS}
