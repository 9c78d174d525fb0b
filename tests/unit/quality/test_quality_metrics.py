"""Formulas against values worked out by hand, and their laws."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.quality.metrics import (
    kendall_tau_b,
    ndcg,
    overlap,
    quantiles,
    recall,
    reciprocal_rank,
    skewness,
)

RANKINGS = st.lists(st.integers(0, 12), max_size=8, unique=True)


def test_overlap() -> None:
    assert overlap("abcd", "cdef", 4) == 0.5
    assert overlap("abcd", "dcba", 4) == 1.0
    assert overlap("abcd", "abxy", 2) == 1.0
    assert overlap("ab", "abcd", 4) == 0.5
    assert overlap("", "", 10) == 1.0


def test_tau_b_of_permutations_is_kendalls_tau() -> None:
    assert kendall_tau_b("abcd", "abcd") == 1.0
    assert kendall_tau_b("abcd", "dcba") == -1.0
    # One of six pairs is swapped: (5 - 1) / 6.
    assert kendall_tau_b("abcd", "abdc") == pytest.approx(4 / 6)


def test_tau_b_of_lists_that_differ_by_hand() -> None:
    # ab against ac: ranks a 0 0, b 1 2, c 2 1. Of the pairs ab and ac agree, bc does not: (2 - 1) / 3.
    assert kendall_tau_b("ab", "ac") == pytest.approx(1 / 3)
    # abc against axy: b, c tie behind the new list, x, y behind the old; 10 pairs, 1 tie on each side.
    # Agree: ab ac ax ay; differ: bx by cx cy; bc, xy are ties. (4 - 4) / 9.
    assert kendall_tau_b("abc", "axy") == 0.0
    assert kendall_tau_b("a", "a") == 1.0
    assert kendall_tau_b("", "") == 1.0
    assert kendall_tau_b("", "a") == 0.0


@given(RANKINGS, RANKINGS)
def test_tau_b_is_symmetric_and_bounded(old: list[int], new: list[int]) -> None:
    value = kendall_tau_b(old, new)
    assert -1.0 - 1e-12 <= value <= 1.0 + 1e-12
    assert value == pytest.approx(kendall_tau_b(new, old))
    assert kendall_tau_b(old, old) == pytest.approx(1.0)


def test_recall_and_reciprocal_rank() -> None:
    assert recall("abcd", "bz", 4) == 0.5
    assert recall("abcd", "d", 3) == 0.0
    assert reciprocal_rank("abcd", "cd") == pytest.approx(1 / 3)
    assert reciprocal_rank("abcd", "z") == 0.0


def test_ndcg_by_hand() -> None:
    # Found at ranks 1 and 3 of two expected: (1 + 1/2) / (1 + 1/log2 3).
    assert ndcg("axb", "ab", 10) == pytest.approx(1.5 / (1 + 1 / math.log2(3)))
    assert ndcg("ab", "ba", 10) == 1.0
    assert ndcg("xy", "ab", 10) == 0.0
    # Cut at 1, one expected item at rank 1 is all that there can be.
    assert ndcg("ab", "abc", 1) == 1.0


@given(RANKINGS, RANKINGS, st.integers(1, 10))
def test_relevance_is_a_share(found: list[int], expected: list[int], k: int) -> None:
    for value in (recall(found, expected, k), ndcg(found, expected, k), overlap(found, expected, k)):
        assert 0.0 <= value <= 1.0 + 1e-12


def test_skewness_by_hand() -> None:
    # 0 0 0 4: mean 1, variance 3, third moment (3 * -1 + 27) / 4 = 6; 6 / 3^1.5.
    assert skewness([0, 0, 0, 4]) == pytest.approx(6 / 3**1.5)
    assert skewness([1, 2, 3]) == pytest.approx(0.0)
    assert skewness([4], zeros=3) == pytest.approx(skewness([0, 0, 0, 4]))
    assert skewness([5, 5]) == 0.0
    assert skewness([]) == 0.0


def test_quantiles() -> None:
    assert quantiles([]) == {}
    found = quantiles([0.0, 1.0, 2.0, 3.0, 4.0])
    assert (found["min"], found["p25"], found["median"], found["max"], found["mean"]) == (0.0, 1.0, 2.0, 4.0, 2.0)
