"""Measurements of searches as tables for a terminal, and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.quality.bootstrap import Interval
from slipstream.quality.page import Table
from slipstream.quality.search_figures import (
    HYBRID,
    VECTOR,
    ClassQuality,
    SearchDifference,
    SearchQuality,
)
from slipstream.quality.search_runs import TunedSearch

SCHEMA = "slipstream.search-quality/1"
DIFFERENCE_SCHEMA = "slipstream.search-difference/1"
_PERCENT = 100
_TOLD_AS_GAIN = ("recall_5", "recall_1")
_NAMES = {"recall_1": "R@1", "recall_5": "R@5", "recall_10": "R@10", "mrr": "MRR", "ndcg": "nDCG"}


def search_tables(found: SearchQuality) -> list[Table]:
    """Return the tables of a measurement: figures by class and arm, gains of the hybrid search, times, misses."""
    arms = list(found.macro.arms)
    rows = [*found.classes, found.macro]
    return [
        Table(
            "recall@5 / recall@1, in percent",
            ("class", "questions", *arms, *(f"{_NAMES[name]} gained" for name in _gained(found))),
            [_class_row(row, arms, _gained(found)) for row in rows],
        ),
        Table(
            "all classes, each counting once",
            ("arm", *_NAMES.values(), *(("p50 ms", "p95 ms") if found.latency else ())),
            [_arm_row(found, arm) for arm in arms],
        ),
    ]


def misses_table(found: SearchQuality) -> Table:
    """Return a row for each question that is listed as missed."""
    rows = [(each.class_name, each.text, ", ".join(each.expected), ", ".join(each.found)) for each in found.misses]
    return Table("nothing expected among the first 5", ("class", "question", "expected", "found"), rows)


def _gained(found: SearchQuality) -> tuple[str, ...]:
    return _TOLD_AS_GAIN if HYBRID in found.macro.gains else ()


def _class_row(row: ClassQuality, arms: Sequence[str], gained: Sequence[str]) -> tuple[str, ...]:
    figures = [f"{_percent(row.arms[arm].recall_5)} / {_percent(row.arms[arm].recall_1)}" for arm in arms]
    return (row.name, f"{row.questions:,}", *figures, *(interval_text(row.gains[HYBRID][name]) for name in gained))


def _arm_row(found: SearchQuality, arm: str) -> tuple[str, ...]:
    figures = [_percent(value) for value in found.macro.arms[arm]]
    times = found.latency.get(arm)
    return (arm, *figures, *(() if times is None else (f"{times.p50_ms:.1f}", f"{times.p95_ms:.1f}")))


def difference_table(found: SearchDifference, title: str) -> Table:
    """Return what one measurement finds more than another one."""
    rows = [(name, *map(interval_text, figures.values())) for name, figures in found.classes.items()]
    macro = [("macro", *map(interval_text, found.macro.values()))] if found.macro else []
    return Table(title, ("class", *_NAMES.values()), [*rows, *macro])


def searches_table(runs: Sequence[SearchQuality]) -> Table:
    """Return one row for each kept measurement."""
    rows = [
        (
            str(run.id),
            run.at,
            f"{run.questions:,}",
            run.half or "",
            *(_best(run, arm, figure) for arm in ("vector", HYBRID) for figure in ("recall_5", "recall_1")),
        )
        for run in runs
    ]
    columns = ("run", "at", "questions", "half", "vector R@5", "vector R@1", "hybrid R@5", "hybrid R@1")
    return Table("measurements of searches", columns, rows)


def _best(run: SearchQuality, arm: str, figure: str) -> str:
    figures = run.macro.arms.get(arm)
    return "" if figures is None else _percent(getattr(figures, figure))


def weights_toml(found: TunedSearch) -> str:
    """Return the table for `slipstream.toml` that puts the chosen weights in force."""
    lines = [f"{name} = {weight:g}" for name, weight in found.tuned.weights.items() if name != VECTOR]
    return "\n".join(["[search.weights]", *lines])


def search_quality_as_dict(found: SearchQuality) -> dict[str, Any]:
    """Return a measurement as plain data, ready for JSON."""
    return {
        "schema": SCHEMA,
        "id": found.id,
        "at": found.at,
        "position": found.position,
        "half": found.half,
        "questions": found.questions,
        "seed": found.seed,
        "interval": "95 % paired bootstrap over questions, against the arm vector",
        "macro": _class_as_dict(found.macro),
        "classes": [_class_as_dict(each) for each in found.classes],
        "latency_ms": {arm: {"p50": times.p50_ms, "p95": times.p95_ms} for arm, times in found.latency.items()},
        "misses": [
            {"class": each.class_name, "question": each.text, "expected": each.expected, "found": each.found}
            for each in found.misses
        ],
        "notes": list(found.notes),
    }


def _class_as_dict(row: ClassQuality) -> dict[str, Any]:
    return {
        "class": row.name,
        "questions": row.questions,
        "arms": {arm: figures._asdict() for arm, figures in row.arms.items()},
        "gains": {arm: _intervals_as_dict(gains) for arm, gains in row.gains.items()},
    }


def difference_as_dict(found: SearchDifference) -> dict[str, Any]:
    """Return a comparison of two measurements as plain data."""
    return {
        "schema": DIFFERENCE_SCHEMA,
        "arm": found.arm,
        "questions": found.questions,
        "macro": _intervals_as_dict(found.macro),
        "classes": {name: _intervals_as_dict(figures) for name, figures in found.classes.items()},
    }


def tuned_as_dict(found: TunedSearch) -> dict[str, Any]:
    """Return chosen weights, and what they are worth, as plain data."""
    return {
        "weights": dict(found.tuned.weights),
        "weights_before": dict(found.tuned.before),
        "objective": found.tuned.objective,
        "objective_before": found.tuned.objective_before,
        "tried": found.tuned.tried,
        "is_better": found.is_better,
        "toml": weights_toml(found),
        "before": search_quality_as_dict(found.before),
        "gain": difference_as_dict(found.gain),
    }


def _intervals_as_dict(figures: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: each._asdict() for name, each in figures.items()}


def interval_text(each: Interval) -> str:
    """Return a gain in points, with its interval."""
    mean, low, high = (_PERCENT * value for value in each)
    return f"{mean:+.1f} [{low:.1f}, {high:.1f}]"


def _percent(share: float) -> str:
    return f"{_PERCENT * share:.1f}"
