"""How long a lookup may take, and what it is waiting for.

The end of a lookup concerns every request, pause and token made for it, down to the last redirect. A context variable
carries it there, and into the tasks a lookup starts, so that no call in between can forget to pass it on.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final


class Lookup:
    """One lookup under way.

    Attributes:
        deadline: When it ends, on the event loop's clock.
    """

    __slots__ = ("_waiting", "deadline")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._waiting: Counter[str] = Counter()

    @property
    def remaining(self) -> float:
        """Seconds left; not positive when it is over."""
        return self.deadline - asyncio.get_running_loop().time()

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """The hosts whose answer is outstanding: whom to name when a caller cannot wait any longer."""
        return tuple(sorted(self._waiting))

    @contextmanager
    def waiting(self, host: str) -> Iterator[None]:
        """Counts as waiting for `host` inside."""
        self._waiting[host] += 1
        try:
            yield
        finally:
            self._waiting[host] -= 1
            if not self._waiting[host]:
                del self._waiting[host]


_CURRENT: Final[ContextVar[Lookup | None]] = ContextVar("lookup", default=None)


@contextmanager
def begin(seconds: float) -> Iterator[Lookup]:
    """A lookup of at most `seconds`; inside another one, it ends no later than that."""
    deadline = asyncio.get_running_loop().time() + seconds
    outer = _CURRENT.get()
    lookup = Lookup(min(deadline, outer.deadline) if outer else deadline)
    token = _CURRENT.set(lookup)
    try:
        yield lookup
    finally:
        _CURRENT.reset(token)


@contextmanager
def current(seconds: float) -> Iterator[Lookup]:
    """The lookup under way, or one of `seconds` for a call that stands alone."""
    lookup = _CURRENT.get()
    if lookup is not None:
        yield lookup
        return
    with begin(seconds) as alone:
        yield alone
