"""What is asked of the present version, beside the old one, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

Figures = Mapping[str, float]


class Sense(StrEnum):
    """How two figures become the one that is held against the bound."""

    MORE = "new / old ≥"
    FASTER = "old / new ≥"
    SHARE = "new / old ≤"
    ALONE = "new ≤"


@dataclass(frozen=True, slots=True)
class Target:
    """One figure and its bound; a figure without a bound is only shown."""

    figure: str
    label: str
    unit: str
    sense: Sense
    bound: float | None = None

    def value(self, old: Figures, new: Figures) -> float | None:
        """Return what is held against the bound; None when something of it was not measured."""
        before, now = old.get(self.figure), new.get(self.figure)
        if now is None or self.sense is Sense.ALONE:
            return now
        if not before or not now:
            return None
        return before / now if self.sense is Sense.FASTER else now / before

    def is_met(self, value: float | None) -> bool | None:
        """Whether a value keeps the bound; None when there is nothing to say."""
        if value is None or self.bound is None:
            return None
        return value <= self.bound if self.sense in (Sense.SHARE, Sense.ALONE) else value >= self.bound


def _percentiles(figure: str, label: str, sense: Sense) -> list[Target]:
    return [Target(f"{figure}_{name}", f"  {label} {name}", "ms", sense) for name in ("p50", "p95", "p99")]


TARGETS = (
    Target("nodes_per_s", "nodes loaded", "/s", Sense.MORE, 8),
    Target("nodes_per_cpu_s", "  by CPU time", "/s", Sense.MORE),
    Target("relationships_per_s", "relationships loaded", "/s", Sense.MORE, 20),
    Target("relationships_per_cpu_s", "  by CPU time", "/s", Sense.MORE),
    Target("import_s", "import until searchable", "s", Sense.FASTER, 5),
    Target("import_cpu_s", "  its CPU time", "s", Sense.FASTER),
    Target("verify_command_s", "verify, command line", "s", Sense.FASTER, 10),
    Target("verify_cpu_s", "  its CPU time", "s", Sense.FASTER),
    Target("start_s", "  starting the command line", "s", Sense.FASTER),
    Target("verify_s", "verify, in a program", "s", Sense.FASTER, 10),
    Target("peak_rss_mb", "peak memory, import and verify", "MB", Sense.SHARE, 0.5),
    Target("update_ms_p50", "a single commit (update) p50", "ms", Sense.SHARE, 0.4),
    *_percentiles("update_ms", "update", Sense.SHARE)[1:],
    *_percentiles("create_ms", "create", Sense.SHARE),
    Target("open_s", "open, in a new process", "s", Sense.SHARE, 0.3),
    Target("open_and_search_s", "  to the first answer", "s", Sense.SHARE),
    Target("open_again_s", "  again in the same process", "s", Sense.SHARE),
    Target("size_mb", "files, graph and index", "MB", Sense.SHARE),
    *_percentiles("waited_ms", "searchable, one process", Sense.SHARE),
    *_percentiles("answered_ms", "search answered, one process", Sense.SHARE),
    *_percentiles("other_waited_ms", "searchable, another process", Sense.ALONE),
    *_percentiles("other_answered_ms", "search answered, another process", Sense.ALONE),
    Target("other_waited_ratio_p95", "searchable, another / one process p95", "", Sense.ALONE, 2),
    Target("other_answered_ratio_p95", "search answered, another / one p95", "", Sense.ALONE, 2),
    *_percentiles("beside_import_ms", "a commit beside an import", Sense.ALONE)[:1],
    Target("beside_import_ms_p95", "a commit beside an import p95", "ms", Sense.ALONE, 60),
    *_percentiles("beside_import_ms", "a commit beside an import", Sense.ALONE)[2:],
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target with what was measured."""

    label: str
    unit: str
    old: float | None
    new: float | None
    value: float | None
    target: str
    met: bool | None


def verdicts(old: Figures, new: Figures) -> list[dict[str, object]]:
    """Return every target with its figures, ready for JSON."""
    return [asdict(_verdict(target, old, new)) for target in TARGETS]


def _verdict(target: Target, old: Figures, new: Figures) -> Verdict:
    value = target.value(old, new)
    return Verdict(
        label=target.label,
        unit=target.unit,
        old=old.get(target.figure),
        new=new.get(target.figure),
        value=value,
        target="" if target.bound is None else f"{target.sense} {target.bound:g}",
        met=target.is_met(value),
    )
