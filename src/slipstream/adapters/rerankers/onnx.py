"""A cross-encoder in ONNX, from a directory of the user's: `model.onnx` and `tokenizer.json`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from slipstream.domain.errors import ConfigError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
TOKENS_MAX = 512
"""Longest pair of query and text that is read; a longer text is cut."""
BATCH = 8
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
Ids = npt.NDArray[np.int64]


class OnnxReranker:
    """
    A `Reranker` that runs on the caller's thread; the model is loaded by the first call.

    Its inputs are `input_ids`, and of `attention_mask` and `token_type_ids` what it has; its first output is one
    score for each pair, as `(n,)` or `(n, 1)`.
    """

    def __init__(self, folder: Path, *, tokens_max: int = TOKENS_MAX, batch: int = BATCH) -> None:
        self._folder, self._tokens_max, self._batch = folder, tokens_max, batch
        self._loading = threading.Lock()
        self._loaded: tuple[Tokenizer, Any, frozenset[str]] | None = None

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """Return a score for each text; pairs of about the same length are run together."""
        tokenizer, session, inputs = self._model()
        encoded = tokenizer.encode_batch([(query, text) for text in texts])
        by_length = sorted(range(len(encoded)), key=lambda place: len(encoded[place].ids))
        found = [0.0] * len(encoded)
        for begin in range(0, len(by_length), self._batch):
            places = by_length[begin : begin + self._batch]
            rows = [encoded[place] for place in places]
            feeds = {
                "input_ids": _padded([row.ids for row in rows]),
                "attention_mask": _padded([row.attention_mask for row in rows]),
                "token_type_ids": _padded([row.type_ids for row in rows]),
            }
            for place, score in zip(places, self._run(session, inputs, feeds, len(rows)), strict=True):
                found[place] = score
        return found

    def _run(self, session: Any, inputs: frozenset[str], feeds: dict[str, Ids], count: int) -> list[float]:
        try:
            output = session.run(None, {name: feeds[name] for name in inputs})[0]
        except Exception as error:
            raise ConfigError(f"{self._folder / MODEL} can not be run ({error}): take another model") from error
        if output.shape not in ((count,), (count, 1)):
            raise ConfigError(
                f"{self._folder / MODEL} gives an output of the shape {output.shape} for {count} pairs, and a "
                "cross-encoder one score for each: take a model for reranking, not one that embeds or classifies"
            )
        return [float(score) for score in output.reshape(count)]

    def _model(self) -> tuple[Tokenizer, Any, frozenset[str]]:
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def _load(self) -> tuple[Tokenizer, Any, frozenset[str]]:
        import onnxruntime
        from tokenizers import Tokenizer

        for name in (MODEL, TOKENIZER):
            if not (self._folder / name).is_file():
                raise ConfigError(
                    f"{self._folder} has no {name}: `reranker` under [search] names the directory of a cross-encoder "
                    f"in ONNX, with {MODEL} and {TOKENIZER}"
                )
        try:
            tokenizer = Tokenizer.from_file(str(self._folder / TOKENIZER))
            tokenizer.no_padding()
            tokenizer.enable_truncation(self._tokens_max, strategy="only_second")
        except Exception as error:
            raise ConfigError(f"{self._folder / TOKENIZER} can not be read ({error}): get it anew") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(
                str(self._folder / MODEL), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ConfigError(f"{self._folder / MODEL} can not be loaded ({error}): get it anew") from error
        inputs = frozenset(node.name for node in session.get_inputs())
        if "input_ids" not in inputs or inputs - _INPUTS:
            raise ConfigError(
                f"{self._folder / MODEL} wants the inputs {', '.join(sorted(inputs))}: a cross-encoder has "
                "input_ids, and no others than attention_mask and token_type_ids"
            )
        return tokenizer, session, inputs


def _padded(rows: Sequence[Sequence[int]]) -> Ids:
    padded = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for row, ids in zip(padded, rows, strict=True):
        row[: len(ids)] = ids
    return padded
