"""How ratios and counts are shown: a ratio is cut, never rounded up to a perfect one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

_SHOWN = Decimal("0.0001")


NOTHING = "nothing to compare"
"""What stands for the ratio of nothing to nothing: it is not a perfect one."""


def percent(ratio: float | None) -> str:
    """Return a ratio as percent with at most four decimals; only 1.0 itself is `100 %`, and None is of nothing."""
    if ratio is None:
        return NOTHING
    cut = (Decimal(repr(float(ratio))) * 100).quantize(_SHOWN, rounding=ROUND_DOWN)
    text = f"{cut:f}".rstrip("0").rstrip(".")
    return f"{text} %"


def consistency_text(ratio: float | None, owed: Mapping[str, int]) -> str:
    """Return how consistent both sides are, and how many keys are owed, in one line."""
    said = NOTHING if ratio is None else f"consistency {percent(ratio)}"
    return said if not sum(owed.values()) else f"{said}, {sum(owed.values()):,} owed ({counts_text(owed)})"


def counts_text(counts: Mapping[str, int]) -> str:
    """Return the counts that are not 0 in one line, empty when all are."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
