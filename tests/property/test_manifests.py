"""Manifests: every well-formed document is read as written, and none that has a second reading is accepted (rule 7)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from controller.errors import Code, Refused
from controller.reference import Digest
from controller.registry import mediatypes
from controller.registry.manifests import read_listing, read_manifest
from controller.settings import Limits

LIMITS = Limits()
Pairs = list[tuple[str, Any]]


class Members:
    """A JSON object as its list of members, so that a name can stand twice."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def text(self) -> str:
        return "{" + ",".join(f"{json.dumps(name)}:{_text(value)}" for name, value in self.pairs) + "}"

    def __repr__(self) -> str:
        return self.text()

    def value(self, name: str) -> Any:
        return dict(self.pairs).get(name)


def _text(value: Any) -> str:
    if isinstance(value, Members):
        return value.text()
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value)


def _members(required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]) -> Any:
    return st.fixed_dictionaries(required, optional=optional).map(lambda members: Members(list(members.items())))


_MEDIA = st.sampled_from(["application/vnd.oci.image.layer.v1.tar+gzip", mediatypes.SIMPLE_SIGNING, "application/x"])
_ANNOTATIONS = st.dictionaries(st.text("abc./", max_size=6), st.text(max_size=6), max_size=3).map(
    lambda annotations: Members(list(annotations.items()))
)
_DIGESTS = st.builds(lambda content: str(Digest.of(content)), st.binary(max_size=3))
_PLATFORMS = _members({"os": st.just("linux"), "architecture": st.just("arm64")}, {"variant": st.just("v8")})
_OPTIONAL = {"annotations": _ANNOTATIONS, "artifactType": st.just("application/x"), "data": st.just("eA==")}
_SIZES = st.integers(0, 2**40)
_BLOBS = _members({"mediaType": _MEDIA, "digest": _DIGESTS, "size": _SIZES}, _OPTIONAL)
_CHILDREN = _members(
    {"mediaType": st.sampled_from(sorted(mediatypes.IMAGES)), "digest": _DIGESTS, "size": _SIZES},
    {**_OPTIONAL, "platform": _PLATFORMS},
)
_MORE = {"subject": _CHILDREN, "annotations": _ANNOTATIONS, "artifactType": st.just("application/x")}
_IMAGES = _members(
    {"schemaVersion": st.just(2), "config": _BLOBS, "layers": st.lists(_BLOBS, max_size=3)},
    {"mediaType": st.sampled_from(sorted(mediatypes.IMAGES)), **_MORE},
)
_INDEXES = _members(
    {"schemaVersion": st.just(2), "manifests": st.lists(_CHILDREN, max_size=3)},
    {"mediaType": st.sampled_from(sorted(mediatypes.INDEXES)), **_MORE},
)
_DOCUMENTS = st.one_of(_IMAGES, _INDEXES)


def _read(document: Members, content_type: str = "") -> Any:
    return read_manifest(document.text().encode(), LIMITS, content_type=content_type)


@given(_DOCUMENTS, st.sampled_from(["", "application/json", "text/plain; charset=utf-8"]))
def test_a_document_with_one_reading_is_read_as_written(document: Members, content_type: str) -> None:
    manifest = _read(document, content_type)
    raw = document.text().encode()
    assert manifest.raw == raw
    assert manifest.digest == Digest.of(raw)
    assert manifest.is_index == (document.value("manifests") is not None)
    written = document.value("manifests") if manifest.is_index else document.value("layers")
    read = manifest.manifests if manifest.is_index else manifest.layers
    assert [str(entry.digest) for entry in read] == [entry.value("digest") for entry in written]
    assert [entry.media_type for entry in read] == [entry.value("mediaType") for entry in written]
    assert manifest.media_type == (
        document.value("mediaType") or (mediatypes.OCI_INDEX if manifest.is_index else mediatypes.OCI_MANIFEST)
    )
    subject = document.value("subject")
    assert (str(manifest.subject.digest) if manifest.subject else None) == (subject.value("digest") if subject else None)


def _objects(document: Members) -> list[Members]:
    """Every object whose member names mean something to a reader of manifests."""
    found = [document]
    for _, value in document.pairs:
        values = value if isinstance(value, list) else [value]
        found += [part for entry in values if isinstance(entry, Members) for part in _objects(entry)]
    return found


def _twice(document: Members, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """A name stands twice: decoders take the first, the last, or both."""
    target = draw(st.sampled_from([found for found in _objects(document) if found.pairs]))
    name, value = draw(st.sampled_from(target.pairs))
    target.pairs.insert(draw(st.integers(0, len(target.pairs))), (name, draw(st.sampled_from([value, None, "other"]))))


def _spelt_otherwise(document: Members, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """A name in other letters, which Go reads as the member: beside it or, of the members we know, in its place."""
    target = draw(st.sampled_from([found for found in _objects(document) if found.pairs]))
    places = [number for number, (name, _) in enumerate(target.pairs) if name]
    assume(places)
    place = draw(st.sampled_from(places))
    name, value = target.pairs[place]
    variants = {name.upper(), name.title(), name.replace("s", "\u017f"), name.replace("k", "\u212a")} - {name}
    assume(variants)
    target.pairs.insert(draw(st.integers(0, len(target.pairs))), (draw(st.sampled_from(sorted(variants))), value))


def _renamed(document: Members, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """One of the members that say what is in it, in other letters only: absent to us, present to Go."""
    place = draw(st.integers(0, len(document.pairs) - 1))
    name, value = document.pairs[place]
    document.pairs[place] = (draw(st.sampled_from([name.upper(), name.replace("s", "\u017f").capitalize()])), value)
    assume(document.pairs[place][0] != name)


def _both_kinds(document: Members, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """Layers and manifests, or members of a kind that we do not read."""
    others = ["fsLayers", "history", "signatures", "blobs"]
    others += ["config", "layers"] if document.value("manifests") is not None else ["manifests", "MANIFESTS"]
    name = draw(st.sampled_from(others))
    document.pairs.insert(draw(st.integers(0, len(document.pairs))), (name, draw(st.sampled_from([[], None, "x"]))))


def _of_another_kind(document: Members, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """The body's media type says one thing, its members another."""
    kinds = mediatypes.IMAGES if document.value("manifests") is not None else mediatypes.INDEXES
    document.pairs = [pair for pair in document.pairs if pair[0] != "mediaType"]
    document.pairs.append(("mediaType", draw(st.sampled_from(sorted(kinds)))))


def _index_in_index(document: Members, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
    """An index lists an index."""
    assume(document.value("manifests"))
    child = draw(st.sampled_from(document.value("manifests")))
    child.pairs = [pair for pair in child.pairs if pair[0] != "mediaType"]
    child.pairs.append(("mediaType", draw(st.sampled_from(sorted(mediatypes.INDEXES)))))


_SECOND_READINGS = [_twice, _spelt_otherwise, _renamed, _both_kinds, _of_another_kind, _index_in_index]


@pytest.mark.parametrize("add_reading", _SECOND_READINGS)
@given(document=_DOCUMENTS, data=st.data())
def test_no_document_with_two_readings_is_accepted(
    add_reading: Callable[[Members, Callable[[st.SearchStrategy[Any]], Any]], None], document: Members, data: st.DataObject
) -> None:
    add_reading(document, data.draw)
    with pytest.raises(Refused) as caught:
        _read(document)
    assert caught.value.reason.code is Code.AMBIGUOUS


@given(_DOCUMENTS)
def test_without_a_media_type_inside_the_one_outside_must_not_contradict(document: Members) -> None:
    document.pairs = [pair for pair in document.pairs if pair[0] != "mediaType"]
    is_index = document.value("manifests") is not None
    for content_type in mediatypes.IMAGES | mediatypes.INDEXES:
        if (content_type in mediatypes.INDEXES) == is_index:
            assert _read(document, f"{content_type}; charset=utf-8").media_type == content_type
        else:
            with pytest.raises(Refused, match="its Content-Type says") as caught:
                _read(document, content_type)
            assert caught.value.reason.code is Code.AMBIGUOUS


@given(_DOCUMENTS, st.sampled_from(sorted(mediatypes.IMAGES | mediatypes.INDEXES | mediatypes.SCHEMA1)))
def test_the_media_type_inside_decides(document: Members, content_type: str) -> None:
    assume(document.value("mediaType"))
    assert _read(document, content_type) == _read(document)


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["schemaVersion", "layers", "manifests", "config", "digest", "size", "mediaType"]), inner
            )
        ),
        max_leaves=12,
    ).map(lambda value: json.dumps(value).encode())
)
@example(b'{"schemaVersion":2,"config":{},"layers":[]}')
@example(b'{"schemaVersion":true,"manifests":[]}')
@example(b'{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"sha256:\\ud800","size":1}]}')
def test_any_bytes_are_a_manifest_or_refused(raw: bytes) -> None:
    for read in (read_manifest, read_listing):
        assert _outcome(read, raw) in {None, Code.MALFORMED, Code.AMBIGUOUS, Code.WRONG_FORMAT}


def _outcome(read: Callable[[bytes, Limits], object], raw: bytes) -> Code | None:
    try:
        read(raw, LIMITS)
    except Refused as error:
        return error.reason.code
    return None
