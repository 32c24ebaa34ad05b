"""`platforms: Each`: what of an index is judged by itself."""

import asyncio

from controller.errors import Code, Refused, Undecided
from controller.pipeline.lookups import Lookups, Resolved
from controller.reference import Digest, Reference
from controller.registry.manifests import over_limit
from controller.registry.source import Source
from controller.settings import Limits

Part = tuple[str, Resolved | Refused | Undecided]
"""One platform by name, and its manifest, or why there is nothing to judge."""


async def parts(
    lookups: Lookups, source: Source, reference: Reference, index: Resolved, limits: Limits, deadline: float
) -> tuple[Part, ...]:
    """Every manifest of `index` that could run, each looked at: what a descriptor says is not what the bytes are."""
    limit = limits.platforms_per_index
    if len(index.platforms) > limit:
        return (("index", over_limit("the index", "limits.platformsPerIndex", limit, len(index.platforms))),)

    async def part(name: str, digest: Digest) -> Part:
        try:
            found = await lookups.children(source, Reference(reference.repository, None, digest), Resolved(digest), deadline)
        except (Refused, Undecided) as error:
            return name, error
        if found.is_index:
            return name, Refused(Code.AMBIGUOUS, "index holds another index", found=str(digest))
        return name, found

    return tuple(await asyncio.gather(*(part(name, digest) for name, digest in index.platforms)))
