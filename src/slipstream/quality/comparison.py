"""One generation beside another: do they find the same, and what should be found?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.quality.metrics import kendall_tau_b, ndcg, overlap, quantiles, recall, reciprocal_rank

SCHEMA = "slipstream.quality-comparison/1"
K_MAX = 100
QUERIES_MAX = 10_000
QUERY_SIZE_MAX = 10_000


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


@dataclass(frozen=True, slots=True)
class QueryFigures:
    """One query on both sides; without expected ids there is no relevance."""

    text: str
    overlap: float
    rank_correlation: float
    old: Relevance | None
    new: Relevance | None


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

    def __post_init__(self) -> None:
        for name, (_, least) in _GATED.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= 1.0:
                raise InvalidInputError(f"must be within {least:g}..1, not {value:g}", field=f"quality.{name}")

    @property
    def is_open(self) -> bool:
        """Whether it asks for nothing."""
        return all(getattr(self, name) is None for name in _GATED)

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
        return tuple(found)


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
    )


def _relevance(found: Sequence[RecordKey], expected: Sequence[str], k: int) -> Relevance | None:
    if not expected:
        return None
    ids = [key.id for key in found]
    return Relevance(recall(ids, expected, k), reciprocal_rank(ids[:k], expected), ndcg(ids, expected, k))


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
        "passed": not reasons,
        "reasons": list(reasons),
        "samples": [
            {"key": item.key.encode(), "overlap": item.overlap, "rank_correlation": item.rank_correlation}
            for item in comparison.samples
        ],
        "queries": [
            {
                "query": item.text,
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
    unknown = row.keys() - {"query", "expected"}
    if unknown:
        raise InvalidInputError(f"is unknown; known are query, expected ({place})", field=f"{place}: {min(unknown)}")
    text, expected = row.get("query"), row.get("expected", [])
    if not isinstance(text, str) or not text.strip() or len(text) > QUERY_SIZE_MAX:
        raise InvalidInputError(f"must be a text of 1..{QUERY_SIZE_MAX:,} characters", field=f"{place}: query")
    if not isinstance(expected, list) or not all(isinstance(item, str) and item for item in expected):
        raise InvalidInputError("must be a list of ids", field=f"{place}: expected")
    return Query(text, tuple(dict.fromkeys(expected)))
