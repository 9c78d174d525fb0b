"""The gate: figures of two sides, verdicts with their reasons, and queries that are wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.quality.comparison import (
    QualityComparison,
    QualityGate,
    Query,
    QueryFigures,
    Relevance,
    Side,
    compare_generations,
    comparison_as_dict,
    parse_queries,
)


def _keys(ids: str) -> list[RecordKey]:
    return [entity_key(letter) for letter in ids]


def _side(name: str, found: Mapping[str, str]) -> Side:
    def neighbours(key: RecordKey, k: int) -> Sequence[RecordKey] | None:
        return _keys(found[key.id])[:k] if key.id in found else None

    return Side(name, lambda text, k: _keys(found[text])[:k], neighbours)


OLD = _side("old", {"a": "bc", "b": "ac", "q": "abcd"})
NEW = _side("new", {"a": "cb", "q": "xyab"})


def test_figures_of_samples_and_queries() -> None:
    found = compare_generations(OLD, NEW, _keys("ab"), [Query("q", ("a", "b"))], k=4)
    (sample,) = found.samples
    assert sample.overlap == 1.0
    assert sample.rank_correlation == -1.0
    assert found.skipped == 1  # the new side does not hold b
    (query,) = found.queries
    assert query.old is not None
    assert query.new is not None
    assert (query.old.recall, query.old.reciprocal_rank, query.old.ndcg) == (1.0, 1.0, 1.0)
    assert query.new.recall == 1.0
    assert query.new.reciprocal_rank == pytest.approx(1 / 3)
    assert found.summary()["overlap"] == pytest.approx((1.0 + 0.5) / 2)
    assert found.spread()["overlap"]["median"] == 1.0
    data = comparison_as_dict(found, ["no"])
    assert (data["passed"], data["sampled"], data["summary"]["mrr_new"]) == (False, 1, pytest.approx(1 / 3))


def test_a_gate_says_what_is_too_low() -> None:
    found = compare_generations(OLD, NEW, _keys("a"), [Query("q", ("a",))], k=4)
    assert QualityGate().is_open
    assert QualityGate(overlap_min=0.75, recall_min=1.0).reasons(found) == ()
    (reason,) = QualityGate(overlap_min=0.75, mrr_min=0.5).reasons(found)
    assert reason == "mrr_new is 0.3333, at least 0.5 was asked for (mrr_min)"


def test_what_was_not_measured_does_not_pass() -> None:
    found = compare_generations(OLD, NEW, (), [], k=4)
    overlap, ndcg = QualityGate(overlap_min=0.0, ndcg_min=0.1).reasons(found)
    assert "overlap was not measured: sample more records" in overlap
    assert "ndcg_new was not measured: give queries with expected ids" in ndcg


def test_thresholds_out_of_range_are_named() -> None:
    QualityGate(rank_correlation_min=-1.0)
    with pytest.raises(InvalidInputError) as refused:
        QualityGate(recall_min=1.1)
    assert refused.value.field == "quality.recall_min"
    with pytest.raises(InvalidInputError) as refused:
        compare_generations(OLD, NEW, (), [], k=0)
    assert refused.value.field == "k"


def test_queries_are_parsed() -> None:
    lines = ['{"query": "who"}\n', "\n", '{"query": "what", "expected": ["a", "a", "b"]}']
    assert parse_queries(lines) == [Query("who"), Query("what", ("a", "b"))]


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("{", "queries line 2"),
        ("[]", "queries line 2"),
        ('{"query": " "}', "queries line 2: query"),
        ('{"expected": []}', "queries line 2: query"),
        ('{"query": "x", "expected": "a"}', "queries line 2: expected"),
        ('{"query": "x", "expected": [1]}', "queries line 2: expected"),
        ('{"query": "x", "wanted": []}', "queries line 2: wanted"),
    ],
)
def test_a_wrong_query_names_line_and_field(line: str, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_queries(['{"query": "fine"}', line])
    assert refused.value.field == field


def _many(class_name: str, wins: int, losses: int, ties: int) -> list[QueryFigures]:
    """Return queries of a class: so many that only the new side answers, only the old one, and both."""
    right, wrong = Relevance(1.0, 1.0, 1.0, 1.0), Relevance(0.0, 0.0, 0.0, 0.0)
    pairs = [(wrong, right)] * wins + [(right, wrong)] * losses + [(right, right)] * ties
    return [QueryFigures("q", 1.0, 1.0, old, new, class_name) for old, new in pairs]


def test_not_worse_is_judged_by_intervals() -> None:
    by_chance = QualityComparison("old", "new", 10, (), (*_many("a", 3, 5, 92), *_many("b", 2, 2, 96)))
    assert QualityGate(worse_max=0.0).reasons(by_chance) == ()
    assert by_chance.gains()["a"].mean == pytest.approx(-0.02)
    worse = QualityComparison("old", "new", 10, (), (*_many("a", 0, 30, 70), *_many("b", 30, 0, 70)))
    (reason,) = QualityGate(worse_max=0.05).reasons(worse)
    assert reason.startswith("recall@5 of class 'a' changed by -30.0 points [")
    assert reason.endswith("at most 5 less was asked for (worse_max)")
    assert QualityGate(worse_max=0.5).reasons(worse) == ()
    all_worse = QualityComparison("old", "new", 10, (), tuple(_many("", 0, 30, 70)))
    assert ["all classes" in each for each in QualityGate(worse_max=0.05).reasons(all_worse)] == [False, True]


def test_not_worse_needs_questions_that_expect_something() -> None:
    nothing = QualityComparison("old", "new", 10, (), ())
    assert nothing.gains() == {}
    (reason,) = QualityGate(worse_max=0.01).reasons(nothing)
    assert "recall@5 was not measured: give queries with expected ids" in reason
    assert not QualityGate(worse_max=0.01).is_open
    with pytest.raises(InvalidInputError) as refused:
        QualityGate(worse_max=-0.1)
    assert refused.value.field == "quality.worse_max"


def test_a_file_of_questions_is_a_file_of_queries() -> None:
    line = '{"question": "who", "expected": ["a"], "class": "name", "half": "test"}'
    assert parse_queries([line]) == [Query("who", ("a",), "name")]
    with pytest.raises(InvalidInputError) as refused:
        parse_queries(['{"query": "who", "class": 1}'])
    assert refused.value.field == "queries line 1: class"
