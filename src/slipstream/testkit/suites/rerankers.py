"""The contract of `Reranker`, as tests: subclass it, and give a fixture."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor

import pytest

from slipstream.ports.rerankers import Reranker

QUERY = "red fish"
TEXTS = [
    "red",
    "a blue fish",
    "",
    "red fish " * 2_000,
    "漢字 🦊",
    "red",
    "fish red",
    *(f"red {n}" for n in range(30)),
]


class RerankerSuite(ABC):
    """What every reranker must do. The docstrings of the port are the contract."""

    @pytest.fixture
    @abstractmethod
    def reranker(self) -> Reranker:
        """Return a reranker."""

    def test_each_text_has_a_finite_score(self, reranker: Reranker) -> None:
        scores = reranker.scores(QUERY, TEXTS)
        assert len(scores) == len(TEXTS)
        assert all(isinstance(score, float) and math.isfinite(score) for score in scores)
        assert len(set(scores)) > 1

    def test_no_text_has_no_score(self, reranker: Reranker) -> None:
        assert list(reranker.scores(QUERY, [])) == []

    def test_a_score_does_not_depend_on_the_other_texts(self, reranker: Reranker) -> None:
        alone = [reranker.scores(QUERY, [text])[0] for text in TEXTS]
        assert list(reranker.scores(QUERY, TEXTS)) == pytest.approx(alone, abs=1e-4)
        assert list(reranker.scores(QUERY, TEXTS[::-1])) == pytest.approx(alone[::-1], abs=1e-4)

    def test_the_query_counts(self, reranker: Reranker) -> None:
        assert list(reranker.scores(QUERY, TEXTS)) != pytest.approx(list(reranker.scores("blue", TEXTS)), abs=1e-4)

    def test_threads_may_ask_at_once(self, reranker: Reranker) -> None:
        expected = list(reranker.scores(QUERY, TEXTS[:5]))
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: list(reranker.scores(QUERY, TEXTS[:5])), range(12)):
                assert found == pytest.approx(expected, abs=1e-4)
