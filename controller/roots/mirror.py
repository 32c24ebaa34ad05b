"""Fetching a trusted root from a TUF repository (The Update Framework, specification 1.0). The only room of `tuf`.

The TUF root that ships (or that whoever names a mirror gives) decides; the mirror is believed in nothing. Blocking: call it
from a thread.
"""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError, SlowRetrievalError
from tuf.ngclient.config import UpdaterConfig
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater
from tuf.ngclient.urllib3_fetcher import Urllib3Fetcher

from controller.errors import Code, Invalid, Undecided
from controller.roots.builtin import GITHUB, PUBLIC_GOOD, shipped
from controller.roots.stored import TARGET
from controller.settings import Limits

_NOT_FOUND: Final = 404
_SILENCE: Final = 15  # seconds without a byte
_BUILT_IN: Final = {
    PUBLIC_GOOD: "https://tuf-repo-cdn.sigstore.dev",
    GITHUB: "https://tuf-repo.github.com",
}


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where a trusted root called `name` is fetched: a TUF repository at `url` (https, http or file), trusted by `root`.

    `root` is a TUF root metadata file; newer ones are followed from it. `folder` names where its metadata is kept, by
    default as the root.
    """

    name: str
    url: str
    root: bytes
    folder: str = ""

    @classmethod
    def builtin(cls, name: str, url: str = "") -> "Mirror":
        """The repository of a built-in root, or a copy of it at `url`.

        Raises:
            Invalid: `InvalidTrustedRoot` for a name that is not built in.
        """
        if name not in _BUILT_IN:
            raise Invalid(Code.INVALID_ROOT, "no such root is built in", expected=" or ".join(_BUILT_IN), found=name[:80])
        return cls(name, url or _BUILT_IN[name], shipped(name, "root"))


def fetch(mirror: Mirror, folder: Path, timeout: float, limits: Limits) -> bytes:
    """Bring the metadata in `folder` up to date and return the trusted root it vouches for.

    `folder` remembers which versions were seen, which is what stops a mirror from going back (specification, section 5).

    Args:
        mirror: Where.
        folder: A directory for this mirror alone; made if it is not there.
        timeout: Seconds that all of it may take.
        limits: `trusted_root_bytes`.

    Raises:
        Undecided: `TrustedRootUnavailable`, with what is wrong: nothing new may be believed, what was believed stays so.
    """
    try:
        return _fetch(mirror, folder, _Fetcher(mirror.url, timeout), limits)
    except (RepositoryError, DownloadError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Undecided(
            Code.ROOT_UNAVAILABLE,
            f"trusted root {mirror.name} was not refreshed",
            source=mirror.url,
            found=_told(error)[:200],
        ) from None


def _told(error: BaseException) -> str:
    """An error with what caused it, which `tuf` keeps to itself."""
    own = f"{type(error).__name__}: {error}"
    return f"{own} ({_told(error.__cause__)})" if error.__cause__ else own


def _fetch(mirror: Mirror, folder: Path, fetcher: "_Fetcher", limits: Limits) -> bytes:
    metadata = folder / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    config = UpdaterConfig(max_root_rotations=64, max_delegations=4, app_user_agent="sigward")
    updater = Updater(str(metadata), mirror.url, fetcher=fetcher, config=config, bootstrap=mirror.root)
    updater.refresh()
    target = updater.get_targetinfo(TARGET)
    if target is None:
        raise RepositoryError(f"the repository has no {TARGET}")
    if target.length > limits.trusted_root_bytes:
        raise RepositoryError(f"{TARGET} has {target.length} bytes, of which {limits.trusted_root_bytes} are allowed")
    path = str(folder / TARGET)  # our name for it: none of the repository's is ever a path here
    stored = updater.find_cached_target(target, path) or updater.download_target(
        target, path, f"{mirror.url.rstrip('/')}/targets/"
    )
    return Path(stored).read_bytes()


class _Fetcher(FetcherInterface):
    """Files and HTTP, each chunk within one deadline: a mirror may be slow, but not for ever."""

    def __init__(self, base: str, timeout: float) -> None:
        self._deadline = time.monotonic() + timeout
        self._base = Path(unquote(urlsplit(base).path)).resolve() if base.startswith("file:") else None
        self._web = Urllib3Fetcher(socket_timeout=max(1, min(int(timeout), _SILENCE)), app_user_agent="sigward")

    def _fetch(self, url: str) -> Iterator[bytes]:
        if time.monotonic() > self._deadline:
            raise SlowRetrievalError("the refresh took too long")
        if self._base is not None:
            return iter((self._read(url, self._base),))
        return self._chunks(self._web.fetch(url))

    def _chunks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for chunk in chunks:
                if time.monotonic() > self._deadline:
                    raise SlowRetrievalError("the refresh took too long")
                yield chunk
        finally:
            if isinstance(chunks, Generator):
                chunks.close()  # gives the connection back now, not when somebody collects garbage

    @staticmethod
    def _read(url: str, base: Path) -> bytes:
        path = Path(unquote(urlsplit(url).path)).resolve()
        if not path.is_relative_to(base) or not path.is_file():
            raise DownloadHTTPError(f"{url} is not there", _NOT_FOUND)
        return path.read_bytes()
