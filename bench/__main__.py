"""Measure every budget and print the table: `make bench`.

Ratios and counts, because absolute times belong to one machine on one day. Nothing here is a test; a missed budget is
printed as missed and ends with exit status 1.
"""

import asyncio
import sys

from bench import lookups, serving, verification
from bench.table import HEAD, Row


async def _measure() -> list[Row]:
    print(HEAD, flush=True)
    measured = []
    for part in (lookups, verification, serving):
        async for row in part.rows():
            print(row, flush=True)
            measured.append(row)
    return measured


if __name__ == "__main__":
    sys.exit(any(row.met is False for row in asyncio.run(_measure())))
