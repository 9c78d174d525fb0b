"""The cross-encoder in ONNX: the suite, scores computed by hand, and models that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.adapters.rerankers.onnx import OnnxReranker
from slipstream.domain.errors import ConfigError
from slipstream.ports.rerankers import Reranker
from slipstream.testkit.suites.rerankers import RerankerSuite
from tests.conformance.rerankers.models import ByHand, make_model, score_of

TEXTS = ["red", "fish red", "blue blue", "", "red fish blue red", "other"]


class TestOnnx(RerankerSuite):
    @pytest.fixture
    def reranker(self, tmp_path: Path) -> Reranker:
        return OnnxReranker(make_model(tmp_path))


class TestByHand(RerankerSuite):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return ByHand()


@pytest.mark.parametrize("shape", ["column", "flat"])
@pytest.mark.parametrize("batch", [1, 4, 100])
def test_scores_are_those_computed_by_hand(tmp_path: Path, shape: str, batch: int) -> None:
    reranker = OnnxReranker(make_model(tmp_path, shape=shape), batch=batch)
    assert list(reranker.scores("red fish", TEXTS)) == pytest.approx([score_of("red fish", each) for each in TEXTS])


def test_a_long_text_is_cut_and_the_query_stays(tmp_path: Path) -> None:
    reranker = OnnxReranker(make_model(tmp_path), tokens_max=8)
    assert reranker.scores("red fish", ["blue " * 1_000]) == pytest.approx([score_of("red fish", "blue blue blue")])


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path, name: str) -> None:
    path = make_model(tmp_path) / name
    path.write_bytes(b"damaged")
    with pytest.raises(ConfigError, match=f"{name} can not be"):
        OnnxReranker(tmp_path).scores("red", ["fish"])
    path.unlink()
    with pytest.raises(ConfigError, match=f"has no {name}"):
        OnnxReranker(tmp_path).scores("red", ["fish"])


@pytest.mark.parametrize("shape", ["classes", "tokens"])
def test_a_model_of_another_shape_is_refused(tmp_path: Path, shape: str) -> None:
    with pytest.raises(ConfigError, match="one score for each"):
        OnnxReranker(make_model(tmp_path, shape=shape)).scores("red", ["fish", "blue"])


def test_a_model_of_other_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pixels"):
        OnnxReranker(make_model(tmp_path, extra_input=True)).scores("red", ["fish"])
