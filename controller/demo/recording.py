"""What was asked of a server: every request with its headers and the answer's status.

Tests count requests against the budgets with it, and prove that a credential reached nobody it does not belong to.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_LIMIT: Final = 100_000


class Kind(StrEnum):
    """What a request asks for, after the distribution specification's table of endpoints."""

    PING = "ping"
    TOKEN = "token"  # noqa: S105 - the endpoint, not a token
    MANIFEST = "manifest"
    BLOB = "blob"
    REFERRERS = "referrers"
    TAGS = "tags"
    UPLOAD = "upload"
    OTHER = "other"


_KINDS: Final = (
    (Kind.PING, re.compile(r"/v2/?")),
    (Kind.TOKEN, re.compile(r"/token")),
    (Kind.UPLOAD, re.compile(r"/v2/.+/blobs/uploads/.*")),
    (Kind.BLOB, re.compile(r"/v2/.+/blobs/[^/]+")),
    (Kind.MANIFEST, re.compile(r"/v2/.+/manifests/[^/]+")),
    (Kind.REFERRERS, re.compile(r"/v2/.+/referrers/[^/]+")),
    (Kind.TAGS, re.compile(r"/v2/.+/tags/list")),
)


def kind_of(path: str) -> Kind:
    """Which endpoint `path` is."""
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(path)), Kind.OTHER)


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request. `headers` ignores case in look-ups; `status` is 0 where no answer was sent."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    status: int

    @property
    def kind(self) -> Kind:
        """Which endpoint was asked."""
        return kind_of(self.path)

    @property
    def authorized(self) -> bool:
        """Whether a credential came with it."""
        return "Authorization" in self.headers

    @property
    def is_authentication(self) -> bool:
        """Whether it belongs to the authentication, which request budgets leave out: the ping, the token, the challenge."""
        return self.kind in {Kind.PING, Kind.TOKEN} or self.status == 401  # noqa: PLR2004 - Unauthorized

    def __str__(self) -> str:
        return f"{self.method} {self.path}{'?' if self.query else ''}{self.query} -> {self.status or 'no answer'}"


class RequestLog:
    """The requests in the order they were answered; the oldest go after 100,000."""

    def __init__(self) -> None:
        self._entries: deque[RecordedRequest] = deque(maxlen=_LIMIT)

    def append(self, entry: RecordedRequest) -> None:
        """Add one."""
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget all, so that the next count is of what follows."""
        self._entries.clear()

    def of(self, *kinds: Kind) -> list[RecordedRequest]:
        """Those of these kinds."""
        return [entry for entry in self._entries if entry.kind in kinds]

    @property
    def counted(self) -> list[RecordedRequest]:
        """Those that count against a request budget: all but the authentication."""
        return [entry for entry in self._entries if not entry.is_authentication]

    @property
    def authorized(self) -> list[RecordedRequest]:
        """Those that carried a credential."""
        return [entry for entry in self._entries if entry.authorized]

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> RecordedRequest:
        return self._entries[index]

    def __repr__(self) -> str:
        return f"RequestLog({', '.join(map(str, self))})"
