"""One generation beside another: do they find the same, and what should be found?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.quality.bootstrap import Interval, paired_differences
from slipstream.quality.metrics import (
    kendall_tau_b,
    ndcg,
    overlap,
    quantiles,
    recall,
    recall_within,
    reciprocal_rank,
)
from slipstream.quality.questions import UNNAMED

SCHEMA = "slipstream.quality-comparison/1"
MACRO = "macro"
"""What all classes together are called among the gains of each."""
K_MAX = 100
QUERIES_MAX = 10_000
QUERY_SIZE_MAX = 10_000
_SEED = 0
"""Of the resamples: two looks at one comparison say the same."""


@dataclass(frozen=True, slots=True)
class Side:
    """One generation, as the comparison asks it."""

    name: str
    search: Callable[[str, int], Sequence[RecordKey]]
    """Returns the `k` records nearest to a text."""
    neighbours: Callable[[RecordKey, int], Sequence[RecordKey] | None]
    """Returns the `k` records nearest to a record, without itself; None when the generation does not hold it."""


@dataclass(frozen=True, slots=True)
class Query:
    """A query of the user's, and the ids of what it should find (none: only the two sides are compared)."""

    text: str
    expected: tuple[str, ...] = ()
    class_name: str = ""
    """What kind of question it is: each kind is judged by itself, and counts once in the mean of all."""


@dataclass(frozen=True, slots=True)
class SampleFigures:
    """How far the neighbourhoods of one record agree."""

    key: RecordKey
    overlap: float
    rank_correlation: float


@dataclass(frozen=True, slots=True)
class Relevance:
    """How well one side finds what a query expects."""

    recall: float
    reciprocal_rank: float
    ndcg: float
    recall_5: float = 0.0
    """How many of the expected are among the first 5, of as many as can be there."""


@dataclass(frozen=True, slots=True)
class QueryFigures:
    """One query on both sides; without expected ids there is no relevance."""

    text: str
    overlap: float
    rank_correlation: float
    old: Relevance | None
    new: Relevance | None
    class_name: str = ""


@dataclass(frozen=True, slots=True)
class QualityComparison:
    """What two generations find, beside each other."""

    old: str
    new: str
    k: int
    samples: tuple[SampleFigures, ...]
    queries: tuple[QueryFigures, ...]
    skipped: int = 0
    """Sampled records that one of the two does not hold: nothing is said about them."""

    def summary(self) -> dict[str, float]:
        """Return the means that a gate decides by; what was not measured is absent."""
        compared: list[SampleFigures | QueryFigures] = [*self.samples, *self.queries]
        found: dict[str, float] = {}
        if compared:
            found["overlap"] = _mean(item.overlap for item in compared)
            found["rank_correlation"] = _mean(item.rank_correlation for item in compared)
        judged = [(query.old, query.new) for query in self.queries if query.old and query.new]
        for place, name in enumerate(("old", "new")):
            sides = [pair[place] for pair in judged]
            if sides:
                found[f"recall_{name}"] = _mean(side.recall for side in sides if side)
                found[f"mrr_{name}"] = _mean(side.reciprocal_rank for side in sides if side)
                found[f"ndcg_{name}"] = _mean(side.ndcg for side in sides if side)
        return found

    def gains(self) -> Mapping[str, Interval]:
        """
        Return how much more of what queries expect the new side finds among the first 5 (recall@5), by class.

        Each with the 95 % interval of the paired bootstrap; all classes together are `macro`. Empty without queries
        that say what they expect.
        """
        grouped: dict[str, list[float]] = {}
        for query in self.queries:
            if query.old and query.new:
                grouped.setdefault(query.class_name or UNNAMED, []).append(query.new.recall_5 - query.old.recall_5)
        differences = {name: np.array(found)[:, None] for name, found in grouped.items()}
        classes, macro = paired_differences(differences, _SEED)
        return {**{name: each[0] for name, each in classes.items()}, **({MACRO: macro[0]} if macro else {})}

    def spread(self) -> dict[str, dict[str, float]]:
        """Return the quantiles of overlap and rank correlation over the sampled records."""
        return {
            "overlap": quantiles([item.overlap for item in self.samples]),
            "rank_correlation": quantiles([item.rank_correlation for item in self.samples]),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityGate:
    """
    What the next generation must reach; None asks for nothing.

    Overlap and rank correlation are means over samples and queries; the others are the new side's means over the
    queries that say what they expect.
    """

    overlap_min: float | None = None
    rank_correlation_min: float | None = None
    recall_min: float | None = None
    mrr_min: float | None = None
    ndcg_min: float | None = None
    worse_max: float | None = None
    """
    How much less the new side may find of what queries expect, among the first 5: of no class, and not of all, may
    the 95 % interval of the difference lie wholly below that. So chance alone vetoes nothing.
    """

    def __post_init__(self) -> None:
        for name, (_, least) in _GATED.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= 1.0:
                raise InvalidInputError(f"must be within {least:g}..1, not {value:g}", field=f"quality.{name}")
        if self.worse_max is not None and not 0.0 <= self.worse_max <= 1.0:
            raise InvalidInputError(f"must be within 0..1, not {self.worse_max:g}", field="quality.worse_max")

    @property
    def is_open(self) -> bool:
        """Whether it asks for nothing."""
        return self.worse_max is None and all(getattr(self, name) is None for name in _GATED)

    def reasons(self, comparison: QualityComparison) -> tuple[str, ...]:
        """Return why a comparison does not pass, none when it does; what was not measured does not pass."""
        summary, found = comparison.summary(), []
        for name, (figure, _) in _GATED.items():
            wanted = getattr(self, name)
            if wanted is None:
                continue
            value = summary.get(figure)
            if value is None:
                found.append(f"{name} = {wanted:g} was asked for, but {figure} was not measured: {_remedy(figure)}")
            elif value < wanted:
                found.append(f"{figure} is {value:.4f}, at least {wanted:g} was asked for ({name})")
        return (*found, *self._worse(comparison))

    def _worse(self, comparison: QualityComparison) -> Iterator[str]:
        """Yield the classes of queries that are answered worse than may be."""
        if self.worse_max is None:
            return
        gains = comparison.gains()
        if not gains:
            yield f"worse_max = {self.worse_max:g} was asked for, but recall@5 was not measured: {_remedy('recall')}"
        for name, (mean, low, high) in gains.items():
            if high < -self.worse_max:
                what = "all classes" if name == MACRO else f"class {name!r}"
                yield (
                    f"recall@5 of {what} changed by {100 * mean:+.1f} points [{100 * low:.1f}, {100 * high:.1f}], "
                    f"at most {100 * self.worse_max:g} less was asked for (worse_max)"
                )


_GATED: Mapping[str, tuple[str, float]] = {
    "overlap_min": ("overlap", 0.0),
    "rank_correlation_min": ("rank_correlation", -1.0),
    "recall_min": ("recall_new", 0.0),
    "mrr_min": ("mrr_new", 0.0),
    "ndcg_min": ("ndcg_new", 0.0),
}


def _remedy(figure: str) -> str:
    if figure in ("overlap", "rank_correlation"):
        return "sample more records that both generations hold, or give queries"
    return "give queries with expected ids"


def compare_generations(
    old: Side, new: Side, sample: Sequence[RecordKey], queries: Sequence[Query], k: int = 10
) -> QualityComparison:
    """Ask both sides for the `k` nearest of each sampled record and query; raises `InvalidInputError` for `k`."""
    if not 1 <= k <= K_MAX:
        raise InvalidInputError(f"must be in 1..{K_MAX}, not {k}", field="k")
    samples: list[SampleFigures] = []
    for key in sample:
        first, second = old.neighbours(key, k), new.neighbours(key, k)
        if first is not None and second is not None:
            samples.append(SampleFigures(key, overlap(first, second, k), kendall_tau_b(first, second)))
    return QualityComparison(
        old.name,
        new.name,
        k,
        tuple(samples),
        tuple(_asked(old, new, query, k) for query in queries),
        skipped=len(sample) - len(samples),
    )


def _asked(old: Side, new: Side, query: Query, k: int) -> QueryFigures:
    first, second = old.search(query.text, k), new.search(query.text, k)
    return QueryFigures(
        query.text,
        overlap(first, second, k),
        kendall_tau_b(first, second),
        _relevance(first, query.expected, k),
        _relevance(second, query.expected, k),
        query.class_name,
    )


def _relevance(found: Sequence[RecordKey], expected: Sequence[str], k: int) -> Relevance | None:
    if not expected:
        return None
    ids = [key.id for key in found]
    return Relevance(
        recall(ids, expected, k),
        reciprocal_rank(ids[:k], expected),
        ndcg(ids, expected, k),
        recall_within(ids[:k], expected, 5),
    )


def _mean(values: Iterable[float]) -> float:
    kept = list(values)
    return sum(kept) / len(kept)


def comparison_as_dict(comparison: QualityComparison, reasons: Sequence[str] = ()) -> dict[str, Any]:
    """Return a comparison as plain data, ready for JSON."""
    return {
        "schema": SCHEMA,
        "old": comparison.old,
        "new": comparison.new,
        "k": comparison.k,
        "rank_correlation": "Kendall tau-b",
        "sampled": len(comparison.samples),
        "skipped": comparison.skipped,
        "summary": comparison.summary(),
        "spread": comparison.spread(),
        "gains": {name: gain._asdict() for name, gain in comparison.gains().items()},
        "passed": not reasons,
        "reasons": list(reasons),
        "samples": [
            {"key": item.key.encode(), "overlap": item.overlap, "rank_correlation": item.rank_correlation}
            for item in comparison.samples
        ],
        "queries": [
            {
                "query": item.text,
                "class": item.class_name,
                "overlap": item.overlap,
                "rank_correlation": item.rank_correlation,
                "old": _relevance_as_dict(item.old),
                "new": _relevance_as_dict(item.new),
            }
            for item in comparison.queries
        ],
    }


def _relevance_as_dict(side: Relevance | None) -> dict[str, float] | None:
    if side is None:
        return None
    return {"recall": side.recall, "reciprocal_rank": side.reciprocal_rank, "ndcg": side.ndcg}


def parse_queries(lines: Iterable[str]) -> list[Query]:
    """
    Parse JSON lines `{"query": "...", "expected": ["id", ...]}`; `expected` may be absent, blank lines are skipped.

    Files of questions are taken too (`question` for `query`); a `class` is kept, and `half` is passed over.
    Raises `InvalidInputError` that names line and field.
    """
    queries: list[Query] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            queries.append(_query(line, f"queries line {number}"))
        if len(queries) > QUERIES_MAX:
            raise InvalidInputError(f"holds more than {QUERIES_MAX:,} queries: take a sample", field="queries")
    return queries


def _query(line: str, place: str) -> Query:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InvalidInputError(f"is not JSON ({error})", field=place) from error
    if not isinstance(row, dict):
        raise InvalidInputError('must be an object such as {"query": "...", "expected": ["id"]}', field=place)
    unknown = row.keys() - {"query", "question", "expected", "class", "half"}
    if unknown:
        known = "known are query (or question), expected, class"
        raise InvalidInputError(f"is unknown; {known} ({place})", field=f"{place}: {min(unknown)}")
    text, expected = row.get("query", row.get("question")), row.get("expected", [])
    class_name = row.get("class", "")
    if not isinstance(text, str) or not text.strip() or len(text) > QUERY_SIZE_MAX:
        raise InvalidInputError(f"must be a text of 1..{QUERY_SIZE_MAX:,} characters", field=f"{place}: query")
    if not isinstance(expected, list) or not all(isinstance(item, str) and item for item in expected):
        raise InvalidInputError("must be a list of ids", field=f"{place}: expected")
    if not isinstance(class_name, str):
        raise InvalidInputError("must be a text", field=f"{place}: class")
    return Query(text, tuple(dict.fromkeys(expected)), class_name)
