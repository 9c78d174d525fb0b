"""Reports as tables for a terminal, and as a page that needs no script and no network."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from slipstream.domain.errors import ConfigError

_TEMPLATE = "page.html.j2"
_BINS = 20
_WIDTH, _HEIGHT, _LEFT, _BASE = 500.0, 120.0, 10.0, 140.0
_ROWS_MAX = 200


@dataclass(frozen=True, slots=True)
class Table:
    """Cells that are shown as they are."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of a histogram, in user units."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """How values are spread between two bounds."""

    title: str
    low: str
    high: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Mark:
    """One run on a line, in user units."""

    x: float
    y: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One figure from run to run; runs that do not know it are left out."""

    title: str
    low: str
    high: str
    marks: Sequence[Mark]

    @property
    def points(self) -> str:
        """The marks as an SVG `points` attribute."""
        return " ".join(f"{mark.x},{mark.y}" for mark in self.marks)


def line(title: str, runs: Sequence[tuple[str, float | None]], high: float = 1.0) -> Line:
    """Place values between 0 and `high`, the runs evenly from left to right; a run is its name and its value."""
    step = _WIDTH / max(1, len(runs) - 1)
    marks = [
        Mark(
            x=round(_LEFT + n * step, 2),
            y=round(_BASE - _HEIGHT * min(1.0, max(0.0, value / high)), 2),
            label=f"{name}: {value:g}",
        )
        for n, (name, value) in enumerate(runs)
        if value is not None
    ]
    return Line(title, "0", f"{high:g}", marks)


def histogram(title: str, values: Sequence[float], low: float, high: float) -> Histogram:
    """Count values in equal bins from `low` to `high`; what is outside goes to the outermost."""
    counts = [0] * _BINS
    for value in values:
        place = int((value - low) / (high - low) * _BINS)
        counts[min(_BINS - 1, max(0, place))] += 1
    most, step, width = max(1, *counts), (high - low) / _BINS, _WIDTH / _BINS
    bars = [
        Bar(
            x=round(_LEFT + n * width, 2),
            y=round(_BASE - _HEIGHT * count / most, 2),
            width=round(width - 1, 2),
            height=round(_HEIGHT * count / most, 2),
            label=f"{low + n * step:.2f} to {low + (n + 1) * step:.2f}: {count:,}",
        )
        for n, count in enumerate(counts)
    ]
    return Histogram(title, f"{low:g}", f"{high:g}", bars)


def comparison_tables(data: Mapping[str, Any]) -> list[Table]:
    """Return the tables of a comparison as `comparison_as_dict` gives it."""
    tables = [Table("summary", ("figure", "mean"), [(name, f"{v:.4f}") for name, v in data["summary"].items()])]
    spread = {name: row for name, row in data["spread"].items() if row}
    if spread:
        columns = ("sampled records", *next(iter(spread.values())))
        tables.append(
            Table("spread", columns, [(name, *(f"{v:.3f}" for v in row.values())) for name, row in spread.items()])
        )
    if data.get("gains"):
        rows = [(name, *(f"{100 * each[part]:+.1f}" for part in each)) for name, each in data["gains"].items()]
        tables.append(Table("recall@5, next less live, in points", ("class", "gained", "from", "to"), rows))
    if data["queries"]:
        columns = ("query", "overlap", "tau-b", "recall", "reciprocal rank", "nDCG")
        worst = sorted(data["queries"], key=lambda query: query["overlap"])[:_ROWS_MAX]
        tables.append(Table("queries (old / new), least overlap first", columns, [_query_row(row) for row in worst]))
    return tables


def _query_row(query: Mapping[str, Any]) -> tuple[str, ...]:
    def both(name: str) -> str:
        if query["old"] is None or query["new"] is None:
            return ""
        return f"{query['old'][name]:.3f} / {query['new'][name]:.3f}"

    figures = (f"{query['overlap']:.3f}", f"{query['rank_correlation']:.3f}")
    return (query["query"], *figures, both("recall"), both("reciprocal_rank"), both("ndcg"))


def quality_tables(data: Mapping[str, Any]) -> list[Table]:
    """Return the tables of one run."""
    counts = [(name, f"{count:,}") for name, count in data["counts"].items()]
    skew = [(name, f"{value:.3f}") for name, value in data["hubness_skewness"].items()]
    rows = [
        (
            name,
            f"{row['records']:,}",
            f"{row['invalid']:,}",
            _cell(row["confidence"], "mean"),
            _cell(row["nearest_distance"], "median"),
            _cell(row["self_retrieval"], "found"),
        )
        for name, row in data["types"].items()
    ]
    columns = ("type", "records", "invalid", "mean confidence", "median nearest distance", "found by own name")
    return [
        Table("types", columns, rows),
        Table("weak records", ("kind", "records"), counts),
        Table("hubness", ("space", "skewness of N_k"), skew),
    ]


def _cell(row: Mapping[str, float], name: str) -> str:
    return f"{row[name]:.3f}" if name in row else ""


def comparison_page(data: Mapping[str, Any]) -> str:
    """Return the page of a comparison."""
    plots = [
        histogram("overlap of the sampled records", [row["overlap"] for row in data["samples"]], 0, 1),
        histogram("rank correlation (tau-b)", [row["rank_correlation"] for row in data["samples"]], -1, 1),
    ]
    return _render(
        title=f"Generations compared: {data['old']} and {data['new']}",
        verdict="Nothing speaks against it" if data["passed"] else "Vetoed",
        is_bad=not data["passed"],
        notes=[
            *data["reasons"],
            f"{data['sampled']:,} sampled records, {len(data['queries']):,} queries, k = {data['k']}",
        ],
        plots=plots if data["samples"] else [],
        lines=[],
        tables=comparison_tables(data),
    )


def quality_page(data: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the page of one run, with the runs before it."""
    weak = sum(data["counts"].values())
    return _render(
        title=f"Quality of {data['records']:,} records",
        verdict=f"{weak:,} weak records found" if weak else "No weak record found",
        is_bad=data["counts"]["invalid"] > 0,
        notes=[f"At position {data['position']:,}, {data['at']}", *data["notes"]],
        plots=[],
        lines=_trend_lines(runs),
        tables=[*quality_tables(data), trend_table(runs)],
    )


def _trend_lines(runs: Sequence[Mapping[str, Any]]) -> list[Line]:
    names = [f"run {run['id']}, {run['at']}" for run in runs]
    weak = [float(sum(run["counts"].values())) for run in runs]
    confidence = [run["confidence"].get("mean") for run in runs]
    ranks = [run["self_retrieval"].get("mrr") for run in runs]
    return [
        line("mean extraction confidence, by run", list(zip(names, confidence, strict=True))),
        line("mean reciprocal rank of own names, by run", list(zip(names, ranks, strict=True))),
        line("weak records, by run", list(zip(names, weak, strict=True)), max([1.0, *weak])),
    ]


def record_page(data: Mapping[str, Any]) -> str:
    """Return the page of one record, as `Quality.record` gives it."""
    runs = [(f"run {run['run']}, {run['at']}", run["confidence"]) for run in data["runs"]]
    return _render(
        title=f"Quality of {data['key']}",
        verdict=confidence_text(data),
        is_bad=any(not run["valid"] for run in data["runs"][-1:]),
        notes=[f"{len(runs):,} kept runs looked at it"],
        plots=[],
        lines=[line("extraction confidence, by run", runs)],
        tables=[record_table(data)],
    )


def confidence_text(data: Mapping[str, Any]) -> str:
    """Return one line on the confidence of a record."""
    now, change = data["confidence"], data["confidence_change"]
    text = "its extraction confidence is not known" if now is None else f"extraction confidence {now:g}"
    if data["embedded_confidence"] is not None:
        text += f", {data['embedded_confidence']:g} when its vector was made"
    return text if change is None else f"{text}, {change:+g} over the kept runs"


def record_table(data: Mapping[str, Any]) -> Table:
    """Return one row for each run that looked at a record."""
    names = ("norm", "valid", "nearest_distance", "nearest", "neighbour_of", "self_rank", "confidence")
    rows = [
        (str(run["run"]), run["at"], *("" if run[name] is None else str(run[name]) for name in names))
        for run in data["runs"]
    ]
    columns = ("run", "at", "norm", "valid", "nearest distance", "nearest", "neighbour of", "own name's rank")
    return Table(data["key"], (*columns, "confidence"), rows)


def trend_table(runs: Sequence[Mapping[str, Any]]) -> Table:
    """Return one row for each run."""
    rows = [
        (
            str(run["id"]),
            run["at"],
            f"{run['records']:,}",
            *(f"{run['counts'][name]:,}" for name in run["counts"]),
            _cell(run["confidence"], "mean"),
            _cell(run["self_retrieval"], "mrr"),
        )
        for run in runs
    ]
    kinds = list(runs[-1]["counts"]) if runs else []
    return Table("trend", ("run", "at", "records", *kinds, "mean confidence", "MRR of own names"), rows)


def write_page(path: Path, page: str) -> Path:
    """Write a page, whole or not at all, with the suffix `.html`; raises `ConfigError` when that is not possible."""
    target = path if path.suffix.lower() == ".html" else path.with_name(f"{path.name}.html")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        temporary.write_text(page, encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        with suppress(OSError):  # it was never made
            temporary.unlink(missing_ok=True)
        raise ConfigError(
            f"the page can not be written to {target} ({error.strerror}): choose another place"
        ) from error
    return target


def _render(**values: Any) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("slipstream.quality").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(values)
