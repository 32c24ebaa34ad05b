"""When a signature was made, as far as anybody proved it, and whether everything was valid then.

Two sources prove a time (design, section 5): an RFC 3161 timestamp under a trusted authority, and a log entry's integrated
time under its signed entry timestamp. Every proven time must lie inside every window; with none, now is what counts.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from controller.errors import Code, Refused
from controller.validity import Window


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in POSIX seconds and who says so.

    A timestamp counts at the time it states, as it does for every Sigstore client: its accuracy is bounded
    (`timestamp_accuracy`) and not added, or a signature made in the first second of its certificate would fail.
    """

    time: float
    source: str

    def __str__(self) -> str:
        return f"{written(self.time)} ({self.source})"


def unproven(now: float, why: str = "") -> Moment:
    """The present, for where nothing proves another time; `why` says what is wrong with what could have."""
    return Moment(now, f"now, nothing proves another time{f': {why}' if why else ''}")


@dataclass(frozen=True, slots=True)
class Span:
    """A window and whose it is."""

    window: Window
    owner: str

    def __str__(self) -> str:
        start = "ever" if self.window.start is None else written(self.window.start)
        end = "further notice" if self.window.end is None else written(self.window.end)
        return f"from {start} to {end}"


def check(moments: Iterable[Moment], spans: Iterable[Span]) -> None:
    """Check that every moment lies inside every span, both ends included.

    Raises:
        Refused: `OutsideValidity`.
    """
    known = list(moments)
    for span in spans:
        for moment in known:
            if not span.window.contains(moment.time, moment.time):
                raise Refused(
                    Code.OUTSIDE_VALIDITY,
                    f"signed outside the validity of {span.owner[:160]}",
                    expected=str(span),
                    found=str(moment),
                )


def check_future(moments: Iterable[Moment], now: float, skew: float) -> None:
    """Refuse a time that has not come yet.

    Raises:
        Refused: `OutsideValidity`.
    """
    check(moments, (Span(Window(None, now + skew), "our clock"),))


def earliest(moments: Iterable[Moment]) -> float | None:
    """The earliest proven time, None where nothing is proved: a later proof makes nothing younger."""
    return min((moment.time for moment in moments), default=None)


def earliest_end(spans: Iterable[Span]) -> float:
    """The first end of any span, infinity where none ends."""
    return min((span.window.end for span in spans if span.window.end is not None), default=float("inf"))


def written(time: float) -> str:
    """A time as people read it: RFC 3339, UTC, whole seconds."""
    try:
        return dt.datetime.fromtimestamp(time, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{time:.0f} s after 1970"
