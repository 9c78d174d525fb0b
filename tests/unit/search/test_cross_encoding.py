"""Hits in the order of a model that reads them with the query, also when the model is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from slipstream.adapters.rerankers.onnx import OnnxReranker
from slipstream.domain.errors import ConfigError
from slipstream.search.cross_encoding import CrossEncoding
from slipstream.search.hits import SearchHit
from slipstream.search.reordering import RERANKER, reordered
from tests.conformance.rerankers.models import make_model


class Given:
    """Gives the scores that it was made with."""

    def __init__(self, scores: Sequence[float]) -> None:
        self._scores = scores

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return self._scores


def _hits(*texts: str) -> list[SearchHit]:
    return [SearchHit(f"{n}", "Thing", 1.0 - n / 100, text, text, "model") for n, text in enumerate(texts)]


def _ids(hits: Sequence[SearchHit]) -> str:
    return "".join(hit.entity_id for hit in hits)


def test_a_real_model_orders_the_hits(tmp_path: Path) -> None:
    arm = CrossEncoding(OnnxReranker(make_model(tmp_path)))
    hits = _hits("blue", "fish", "other", "red")
    found, failed = reordered([arm], "red", hits)
    assert (_ids(found), failed) == ("1320", ())


def test_ties_keep_their_order() -> None:
    assert _ids(CrossEncoding(Given([1.0, 2.0, 1.0, 2.0])).reorder("q", _hits(*"abcd"))) == "1302"


@pytest.mark.parametrize("scores", [[1.0], [1.0, float("nan")], [float("inf"), 1.0], [1.0, 2.0, 3.0]])
def test_scores_that_are_none_are_refused(scores: list[float]) -> None:
    with pytest.raises(ConfigError, match="scores"):
        CrossEncoding(Given(scores)).reorder("q", _hits("a", "b"))


def test_a_model_that_is_not_there_costs_the_order_alone(tmp_path: Path) -> None:
    found, failed = reordered([CrossEncoding(OnnxReranker(tmp_path / "nowhere"))], "q", _hits("a", "b"))
    assert (_ids(found), failed) == ("01", (RERANKER,))


def test_a_hit_without_a_text_is_read_by_its_name(tmp_path: Path) -> None:
    hits = [SearchHit("0", "Thing", 1.0, "blue", "", "m"), SearchHit("1", "Thing", 0.9, "red", "", "m")]
    assert _ids(CrossEncoding(OnnxReranker(make_model(tmp_path))).reorder("fish", hits)) == "10"
