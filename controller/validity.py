"""When something may be used: a span of time with both ends in it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Window:
    """A span of POSIX seconds, both ends inclusive; None is open."""

    start: float | None = None
    end: float | None = None

    def contains(self, earliest: float, latest: float) -> bool:
        """Whether the whole span from `earliest` to `latest` lies inside."""
        return (self.start is None or self.start <= earliest) and (self.end is None or latest <= self.end)


ALWAYS: Final = Window()
