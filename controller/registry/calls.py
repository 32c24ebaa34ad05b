"""What is asked of a host and what it answers, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from multidict import CIMultiDictProxy
from yarl import URL

from controller.errors import Code, Undecided
from controller.registry.endpoints import Endpoint, name_of

_OK: Final = 200
_LONGEST_URL: Final = 8192
_NO_FORM: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Call:
    """One thing to fetch.

    `limit` bounds the body of a good answer and `limit_name` says which setting that is; `what` names it in reasons.
    `authorization` is the header's value, sent to the first origin only. With `form` it is a POST. `for_token` calls go to a
    token service that the registry named.
    """

    endpoint: Endpoint
    url: URL
    what: str
    limit: int
    limit_name: str
    accept: str = "*/*"
    authorization: str = field(default="", repr=False)
    form: Mapping[str, str] = field(default_factory=lambda: _NO_FORM, repr=False)
    for_token: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole. `url` is where it came from after redirects; an error's body is cut at `error_body_bytes`."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: URL

    @property
    def good(self) -> bool:
        """Whether it is what was asked for; of the other statuses of success none has a place here."""
        return self.status == _OK

    @property
    def is_json(self) -> bool:
        """Whether it calls itself some kind of JSON, or nothing at all."""
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return not kind or kind.endswith(("json", "octet-stream"))

    @property
    def host(self) -> str:
        """Who answered."""
        return name_of(self.url)


def read_url(text: str, base: URL | None = None) -> URL | None:
    """A URL that a registry wrote, joined with `base`; None where it is none, or carries a user name or password.

    Kept as written: signed storage addresses do not survive another encoding.
    """
    if not text.isascii() or not text.isprintable() or " " in text or not 0 < len(text) <= _LONGEST_URL:
        return None
    try:
        url = URL(text, encoded=True)
        url = base.join(url) if base else url
        valid = bool(url.raw_host) and (url.port or 0) > 0 and "@" not in url.raw_authority
    except ValueError:
        return None
    return url.with_fragment(None) if valid else None


def unreachable(what: str, host: str, found: str) -> Undecided:
    """The error for a host that gave no answer at all."""
    return Undecided(Code.UNREACHABLE, f"{what}: {host} did not answer", source=host, found=found)
