"""A small real cross-encoder in ONNX, whose scores can be computed by hand, and broken ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

WEIGHTS = {"[PAD]": 100.0, "[UNK]": 0.0, "[CLS]": 0.0, "[SEP]": 0.0, "red": 1.0, "fish": 2.0, "blue": -3.0}
"""What each word adds to a score; the padding's would be seen at once."""


def score_of(query: str, text: str) -> float:
    """Return the score by hand: the weights of all words, those of the text twice, over the number of tokens."""
    words, others = query.split(), text.split()
    total = sum(WEIGHTS.get(word, 0.0) for word in words) + 2 * sum(WEIGHTS.get(word, 0.0) for word in others)
    return total / (len(words) + len(others) + 3)


def make_model(folder: Path, *, shape: str = "column", extra_input: bool = False) -> Path:
    """Write a cross-encoder into a folder; `shape` is of its output: `column`, `flat`, `classes` or `tokens`."""
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer().save(str(folder / "tokenizer.json"))
    table = np.array(list(WEIGHTS.values()), dtype=np.float32)
    names = ["input_ids", "attention_mask", "token_type_ids", *(["pixels"] if extra_input else [])]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in names]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["weights"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["types", "one"], ["factor"]),
        helper.make_node("Mul", ["weights", "factor"], ["weighted"]),
        helper.make_node("Mul", ["weighted", "mask"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "last"], ["total"], keepdims=0 if shape == "flat" else 1),
        helper.make_node("ReduceSum", ["mask", "last"], ["count"], keepdims=0 if shape == "flat" else 1),
        helper.make_node("Div", ["total", "count"], ["column"]),
        helper.make_node("Concat", ["column", "column"], ["classes"], axis=-1),
        helper.make_node("Identity", ["masked"], ["tokens"]),
    ]
    output = {"flat": "column"}.get(shape, shape)
    graph = helper.make_graph(
        nodes,
        "cross-encoder",
        inputs,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array(1.0, dtype=np.float32), "one"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "last"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    return folder


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(WEIGHTS)}, unk_token="[UNK]"))  # noqa: S106  (no password)
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return tokenizer


class ByHand:
    """A reranker without a model."""

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return [score_of(query, text) for text in texts]


class ForgetsTheQuery(ByHand):
    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return super().scores("", texts)


class ComparesWithTheOthers(ByHand):
    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        found = super().scores(query, texts)
        return [score / (max(map(abs, found)) or 1.0) for score in found]


class DropsEmptyTexts(ByHand):
    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        return super().scores(query, [text for text in texts if text])


class DividesByTheLength(ByHand):
    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        found = super().scores(query, texts)
        return [score / len(text) if text else float("nan") for score, text in zip(found, texts, strict=True)]


BROKEN: dict[type, str] = {
    ForgetsTheQuery: "test_the_query_counts",
    ComparesWithTheOthers: "test_a_score_does_not_depend_on_the_other_texts",
    DropsEmptyTexts: "test_each_text_has_a_finite_score",
    DividesByTheLength: "test_each_text_has_a_finite_score",
}
