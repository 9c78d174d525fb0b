"""The figures that are shown, in the table and in the plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FIGURES: Mapping[str, tuple[str, str]] = {
    "commit_ms_p50": ("a commit, p50", "ms"),
    "edit_ms_p50": ("an edit until searchable, p50", "ms"),
    "edit_ms_p95": ("  p95", "ms"),
    "search_ms_p50": ("a search, p50", "ms"),
    "search_ms_p95": ("  p95", "ms"),
    "open_ms": ("open", "ms"),
    "first_search_ms": ("the first search", "ms"),
    "audit_full_s": ("a full audit", "s"),
    "audit_first_s": ("the first incremental audit", "s"),
    "audit_unchanged_s": ("  with nothing changed", "s"),
    "audit_changed_s": ("  after 100 changes", "s"),
    "memory_mb": ("memory, open and used", "MB"),
    "peak_mb": ("  peak", "MB"),
    "index_peak_mb": ("  peak while it was indexed", "MB"),
    "indexed_per_s": ("indexed", "/s"),
}
PLOTTED = (
    "edit_ms_p50",
    "search_ms_p50",
    "open_ms",
    "first_search_ms",
    "audit_unchanged_s",
    "audit_changed_s",
    "memory_mb",
)


def table(sizes: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures as a table in Markdown, with how often the last is the first."""
    heads = [f"{size['entities']:,}" for size in sizes]
    lines = [f"| entities | {' | '.join(heads)} | last / first |", f"|---|{'---:|' * (len(sizes) + 1)}"]
    relationships = [f"{size['relationships']:,}" for size in sizes]
    lines.append(f"| relationships | {' | '.join(relationships)} | |")
    for name, (label, unit) in FIGURES.items():
        values = [float(size[name]) for size in sizes]
        cells = " | ".join(f"{_number(value)} {unit}" for value in values)
        factor = f"{values[-1] / values[0]:.1f}" if values[0] else ""
        lines.append(f"| {label} | {cells} | {factor} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
