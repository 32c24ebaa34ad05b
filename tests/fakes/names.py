"""A resolver that tests write: which name has which addresses, and how that changes from one question to the next."""

import socket
from collections import defaultdict

from aiohttp.abc import AbstractResolver, ResolveResult


class Names(AbstractResolver):
    """Resolves `names` as given and nothing else.

    A name may have several answers: the first question gets the first, later ones the next, the last stays. That is how DNS
    rebinding looks.
    """

    def __init__(self, **names: list[list[str]]) -> None:
        self._names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.asked: defaultdict[str, int] = defaultdict(int)

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        """As `AbstractResolver.resolve`."""
        answers = self._names.get(host)
        if not answers:
            raise OSError(socket.EAI_NONAME, f"no such name: {host}")
        answer = answers[min(self.asked[host], len(answers) - 1)]
        self.asked[host] += 1
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in answer
        ]

    async def close(self) -> None:
        """Nothing to close."""
