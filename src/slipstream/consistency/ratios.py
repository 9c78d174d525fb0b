"""How ratios and counts are shown: a ratio is cut, never rounded up to a perfect one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal

_SHOWN = Decimal("0.0001")


def percent(ratio: float) -> str:
    """Return a ratio as percent with at most four decimals; only 1.0 itself is `100 %`."""
    cut = (Decimal(repr(float(ratio))) * 100).quantize(_SHOWN, rounding=ROUND_DOWN)
    text = f"{cut:f}".rstrip("0").rstrip(".")
    return f"{text} %"


def counts_text(counts: Mapping[str, int]) -> str:
    """Return the counts that are not 0 in one line, empty when all are."""
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
