"""Figures of searches by hand, and intervals of gains whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slipstream.quality.bootstrap import paired_differences, resampled_means
from slipstream.quality.metrics import recall_within
from slipstream.quality.search_figures import Answer, difference, ranks_of, search_figures


def _answer(number: int, class_name: str, expected: int, **ranks: tuple[int, ...]) -> Answer:
    return Answer(str(number), class_name, expected, ranks)


def test_recall_is_of_as_many_as_can_be_found() -> None:
    found = ["a", "x", "b", "c", "d", "e", "f"]
    assert recall_within(found, "abcdefg", 5) == 4 / 5
    assert recall_within(found, "ab", 1) == 1.0
    assert recall_within(found, "bz", 1) == 0.0
    assert recall_within(found, "bz", 3) == 0.5
    assert recall_within(found, "", 5) == 1.0


def test_ranks_count_each_hit_once_and_end_at_ten() -> None:
    assert ranks_of(["x", "a", "a", "b"], ["b", "a"]) == (2, 3)
    assert ranks_of([*"0123456789", "a"], ["a"]) == ()


def test_figures_of_one_question_by_hand() -> None:
    figures = _answer(1, "name", 3, vector=(2, 6)).figures("vector")
    assert figures.recall_1 == 0.0
    assert figures.recall_5 == pytest.approx(1 / 3)
    assert figures.recall_10 == pytest.approx(2 / 3)
    assert figures.mrr == 0.5
    gain = 1 / math.log2(3) + 1 / math.log2(7)
    best = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert figures.ndcg == pytest.approx(gain / best)


def test_each_class_counts_once_in_the_macro_average() -> None:
    answers = [_answer(n, "many", 1, vector=(), hybrid=(1,)) for n in range(30)]
    answers += [_answer(99, "few", 1, vector=(1,), hybrid=())]
    macro, (many, few) = search_figures(answers)
    assert (many.questions, few.questions) == (30, 1)
    assert (macro.arms["vector"].recall_1, macro.arms["hybrid"].recall_1) == (0.5, 0.5)
    assert many.gains["hybrid"]["recall_5"] == (1.0, 1.0, 1.0)
    assert few.gains["hybrid"]["recall_5"] == (-1.0, -1.0, -1.0)
    assert macro.gains["hybrid"]["recall_5"] == (0.0, 0.0, 0.0)
    assert "vector" not in macro.gains


def test_without_the_vectors_nothing_is_gained_over_them() -> None:
    macro, _ = search_figures([_answer(1, "name", 1, keyword=(1,))])
    assert macro.gains == {}


def test_an_interval_is_that_of_a_binomial_and_the_same_for_the_same_seed() -> None:
    half = np.array([[1.0]] * 50 + [[0.0]] * 50)
    by_class, macro = paired_differences({"a": half}, seed=7)
    ((mean, low, high),) = by_class["a"]
    assert mean == 0.5
    assert low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
    assert high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)
    assert (by_class, macro) == paired_differences({"a": half}, seed=7)
    assert macro == by_class["a"]
    assert not np.array_equal(resampled_means(half, 7, "a"), resampled_means(half, 8, "a"))
    assert not np.array_equal(resampled_means(half, 7, "a"), resampled_means(half, 7, "b"))


def test_many_classes_make_the_macro_interval_narrower() -> None:
    half = np.array([[1.0]] * 50 + [[0.0]] * 50)
    _, ((mean, low, high),) = paired_differences({str(n): half for n in range(16)}, seed=1)
    assert mean == 0.5
    assert high - low == pytest.approx(2 * 1.96 * 0.05 / 4, abs=0.01)


def test_questions_are_paired() -> None:
    """Two arms that vary much, but always alike, differ by a constant: no interval at all."""
    answers = [_answer(n, "name", 1, vector=(2,) if n % 2 else (), hybrid=(1,) if n % 2 else ()) for n in range(100)]
    _, (found,) = search_figures(answers)
    assert found.gains["hybrid"]["recall_5"] == (0.0, 0.0, 0.0)
    assert found.gains["hybrid"]["mrr"].low > 0.15


def test_batches_of_resamples_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.linspace(0, 1, 40)[:, None]
    monkeypatch.setattr("slipstream.quality.bootstrap._COUNTS_MAX", 400)
    means = resampled_means(values, 3, "x", resamples=95)
    assert means.shape == (95, 1)
    assert means.mean() == pytest.approx(0.5, abs=0.05)


def test_two_measurements_are_compared_on_common_questions() -> None:
    old = [_answer(n, "name", 1, hybrid=()) for n in range(4)]
    new = [_answer(n, "name", 1, hybrid=(1,)) for n in range(2, 8)]
    found = difference(old, new)
    assert found.questions == 2
    assert found.classes["name"]["recall_1"] == (1.0, 1.0, 1.0)
    assert found.macro["mrr"].mean == 1.0
    assert difference(old, []).macro == {}
    vector = [_answer(n, "name", 1, vector=(1,)) for n in range(4)]
    assert difference(vector, new, other="vector").macro["recall_5"].mean == 0.0
