"""One row of the table: what was measured against what was promised (docs/performance.md)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`value` and `budget` as they are printed; `met` is None where a row is for information."""

    what: str
    value: str
    budget: str
    met: bool | None

    def __str__(self) -> str:
        verdict = {True: "met", False: "**missed**", None: ""}[self.met]
        return f"| {self.what} | {self.value} | {self.budget} | {verdict} |"


HEAD = "| what | measured | budget | |\n|---|---|---|---|"
