"""One row of the table: what was reached, in which unit, and the bound it is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """A figure beside its bound; without a bound, `note` says why there is none here."""

    label: str
    against: str
    reached: float | None
    bound: float | None = None
    at_most: bool = False
    note: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What it was made of."""

    @property
    def target(self) -> str:
        """The bound in signs."""
        return "" if self.bound is None else f"{'≤' if self.at_most else '≥'} {self.bound:g} x"

    @property
    def met(self) -> bool | None:
        """Whether the bound is kept; None when there is nothing to say."""
        if self.bound is None or self.reached is None:
            return None
        return self.reached <= self.bound if self.at_most else self.reached >= self.bound

    def as_dict(self) -> dict[str, Any]:
        """Return the row, ready for JSON."""
        return {**asdict(self), "target": self.target, "met": self.met}


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| | against | target | reached | |", "|---|---|---|---:|---|"]
    for row in rows:
        reached = "" if row.reached is None else f"{row.reached:.3g} x"
        verdict = {True: "met", False: "**missed**", None: ""}[row.met]
        verdict = "; ".join(part for part in (verdict, row.note) if part)
        lines.append(f"| {row.label} | {row.against} | {row.target} | {reached} | {verdict} |")
    return "\n".join(lines)
