"""A small client of the OCI Distribution Specification, for pushing images and for tampering with what signers left."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import urlsplit

from controller.demo.mediatypes import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

_MANIFESTS: Final = f"{OCI_MANIFEST}, {OCI_INDEX}"
_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry answered."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository of a registry that speaks plain HTTP and asks for no credentials."""

    host: str
    path: str

    def named(self, tag_or_digest: str) -> str:
        """The reference of a tag or digest in it."""
        return f"{self.host}/{self.path}{'@' if ':' in tag_or_digest else ':'}{tag_or_digest}"

    def call(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        """Ask for `target`, a path below the repository or a whole URL of this registry."""
        where = urlsplit(target)
        path = f"{where.path}?{where.query}" if where.query else where.path
        connection = HTTPConnection(self.host, timeout=_SECONDS)
        try:
            full = path if where.netloc or path.startswith("/v2/") else f"/v2/{self.path}/{path}"
            connection.request(method, full, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()

    def blob(self, digest: str) -> bytes:
        """Pull a blob."""
        return _expect(self.call("GET", f"blobs/{digest}"), HTTPStatus.OK).content

    def put_blob(self, content: bytes) -> str:
        """Push a blob; returns its digest."""
        digest = sha256(content)
        where = _expect(self.call("POST", "blobs/uploads/", b""), HTTPStatus.ACCEPTED).headers["location"]
        target = f"{where}{'&' if '?' in where else '?'}digest={digest}"
        kind = {"Content_Type": "application/octet-stream"}
        _expect(self.call("PUT", target, content, **kind), HTTPStatus.CREATED)
        return digest

    def manifest(self, reference: str) -> Answer:
        """Pull a manifest by tag or digest; 404 where there is none."""
        return self.call("GET", f"manifests/{reference}", Accept=_MANIFESTS)

    def put_manifest(self, content: bytes, reference: str = "") -> str:
        """Push a manifest under a tag, or by its digest; returns the digest."""
        kind = json.loads(content)["mediaType"]
        answer = self.call("PUT", f"manifests/{reference or sha256(content)}", content, Content_Type=kind)
        _expect(answer, HTTPStatus.CREATED)
        return sha256(content)

    def tags(self) -> list[str]:
        """Every tag."""
        listed: list[str] = json.loads(_expect(self.call("GET", "tags/list"), HTTPStatus.OK).content)["tags"]
        return listed

    def referrers(self, digest: str) -> list[dict[str, Any]]:
        """The descriptors of what refers to a digest: by the API, else by the fallback tag."""
        answer = self.call("GET", f"referrers/{digest}")
        if answer.status == HTTPStatus.NOT_FOUND:
            answer = self.manifest(digest.replace(":", "-"))
        if answer.status == HTTPStatus.NOT_FOUND:
            return []
        listed: list[dict[str, Any]] = json.loads(_expect(answer, HTTPStatus.OK).content)["manifests"]
        return listed


@dataclass(frozen=True, slots=True)
class PushedImage:
    """An image in a registry, by tag and by digest."""

    repository: Repository
    tag: str
    digest: str

    @property
    def by_tag(self) -> str:
        """The reference a person would write."""
        return self.repository.named(self.tag)

    @property
    def by_digest(self) -> str:
        """The reference a signer is given."""
        return self.repository.named(self.digest)


def push_image(repository: Repository, tag: str = "1", *, content: str = "") -> PushedImage:
    """Push an image of one layer; another `content` (by default the reference) gives another digest."""
    layer = (content or repository.named(tag)).encode()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _blob(repository, OCI_CONFIG, json.dumps(config).encode()),
        "layers": [_blob(repository, OCI_LAYER.removesuffix("+gzip"), layer)],
    }
    return PushedImage(repository, tag, repository.put_manifest(json.dumps(manifest).encode(), tag))


def mirror(source: Repository, target: Repository) -> None:
    """Copy every tag with what it points to, and every referrer of a tagged manifest, byte for byte."""
    for tag in source.tags():
        content = _expect(source.manifest(tag), HTTPStatus.OK).content
        _copy_parts(source, target, content)
        target.put_manifest(content, tag)
        for referrer in source.referrers(sha256(content)):
            _copy_manifest(source, target, referrer["digest"])


def sha256(content: bytes) -> str:
    """The digest of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _copy_manifest(source: Repository, target: Repository, digest: str) -> None:
    content = _expect(source.manifest(digest), HTTPStatus.OK).content
    _copy_parts(source, target, content)
    target.put_manifest(content)


def _copy_parts(source: Repository, target: Repository, manifest: bytes) -> None:
    document = json.loads(manifest)
    for part in (*document.get("layers", ()), *((document["config"],) if "config" in document else ())):
        target.put_blob(source.blob(part["digest"]))
    for part in document.get("manifests", ()):
        _copy_manifest(source, target, part["digest"])


def _blob(repository: Repository, media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "size": len(content), "digest": repository.put_blob(content)}


def _expect(answer: Answer, status: HTTPStatus) -> Answer:
    assert answer.status == status, f"{answer.status} instead of {status}: {answer.content[:500]!r}"
    return answer
