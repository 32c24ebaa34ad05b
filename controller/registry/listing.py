"""Where referrers are listed: the pages of the referrers API and the fallback tag."""

import re
from typing import Final

from yarl import URL

from controller.errors import Code, Refused
from controller.reference import Digest, Repository
from controller.registry.calls import read_url

_LINK: Final = re.compile(
    r'\s*<([^<>]{1,8192})>((?:\s*;\s*[a-zA-Z*]{1,20}\s*=\s*(?:"[^"]{0,200}"|[^\s",;]{1,200}))*)\s*(?:,|$)'
)
_NEXT: Final = re.compile(r';\s*rel\s*=\s*(?:"next"|next)(?=\s|;|$)', re.IGNORECASE)
_UPWARDS: Final = re.compile(r"(?:\.|%2e){2}", re.IGNORECASE)
_LONGEST_ENCODED: Final = 64


def fallback_tag(digest: Digest) -> str:
    """The tag that lists referrers where the API is missing (distribution specification, "Referrers Tag Schema").

    The encoded part is cut to 64 characters, so a sha512 digest shares its tag with every digest of the same beginning: each
    referrer's subject must be checked.
    """
    return f"{digest.algorithm}-{digest.hex[:_LONGEST_ENCODED]}"


def next_page(header: str, url: URL, repository: Repository) -> str:
    """Path (below the repository) and query of the page after `url`, empty where that was the last (RFC 8288, "Link").

    Only the same host is followed, and only within the same repository's referrers: the link is the registry's to choose,
    and our credentials go with it. The scheme stays ours: registries behind proxies write `http` there.

    Raises:
        Refused: `Malformed` for a link that leads elsewhere.
    """
    target = _next_target(header)
    if not target:
        return ""
    prefix = f"/v2/{repository.path}/"
    following = read_url(target, url)
    if (
        following is None
        or following.authority != url.authority
        or not following.raw_path.startswith(f"{prefix}referrers/")
        or _UPWARDS.search(following.raw_path)
    ):
        raise Refused(
            Code.MALFORMED, "the listing's next page is elsewhere", expected=f"{prefix}referrers/…", found=target[:120]
        )
    return following.raw_path_qs.removeprefix(prefix)


def _next_target(header: str) -> str:
    position = 0
    while position < len(header) and (match := _LINK.match(header, position)):
        if _NEXT.search(match[2]):
            return match[1]
        position = match.end()
    return ""
