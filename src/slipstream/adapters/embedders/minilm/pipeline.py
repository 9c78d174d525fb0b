"""Tokenizer, ONNX session and pooling: from texts to unit-length vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.adapters.embedders.minilm.batching import length_buckets
from slipstream.domain.errors import ConfigError, PoisonEventError, UnavailableError

_THREADS_DEFAULT_MAX = 4


class OnnxPipeline:
    """
    A sentence encoder: tokenizer.json, an ONNX model, mean pooling over the tokens, unit length.

    One session, single-threaded inside, is run by `threads` Python threads beside each other: that is faster for
    short texts than one run on all cores. A text on its own runs on the caller's thread.
    """

    def __init__(
        self,
        model: Path,
        tokenizer: Path,
        *,
        tokens_max: int,
        threads: int | None = None,
        weights: Path | None = None,
    ) -> None:
        """Open it; `weights` is the folder of the file that the graph refers to, unless it is the graph's own."""
        self._name = model.name
        self._tokenizer = _load_tokenizer(tokenizer, tokens_max)
        self._specials = self._tokenizer.num_special_tokens_to_add(False)
        self._session: Any = _open_session(model, weights)
        self._inputs = frozenset(node.name for node in self._session.get_inputs())
        # Activations quantised by the range of the whole batch would tie a vector to its neighbours.
        self._alone = _quantises_dynamically(model)
        self._threads = threads or min(_THREADS_DEFAULT_MAX, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="slipstream-onnx")
        self.dimension = int(self._run([self._encode([""])[0]]).shape[1])

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors, in the order of the texts."""
        if self._session is None:
            raise UnavailableError(f"the model {self._name} is closed: make a new embedder")
        tokens = self._encode(texts)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        buckets = [[number] for number in range(len(texts))] if self._alone else length_buckets([*map(len, tokens)])
        if len(buckets) == 1:  # a thread hop would cost a lone text a tenth of its time
            vectors[buckets[0]] = self._run([tokens[number] for number in buckets[0]])
            return vectors
        try:
            runs = self._pool.map(lambda bucket: self._run([tokens[number] for number in bucket]), buckets)
        except RuntimeError as error:  # the pool was shut down since the check above
            raise UnavailableError(f"the model {self._name} was closed meanwhile: make a new embedder") from error
        for bucket, rows in zip(buckets, runs, strict=True):
            vectors[bucket] = rows
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, those that the model adds and those past its limit too."""
        return [
            len(encoding) + sum(len(part) - self._specials for part in encoding.overflowing)
            for encoding in self._encodings(texts)
        ]

    def close(self) -> None:
        """Let go of the session, after the runs that have begun; closing twice is harmless."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._session = None

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._encodings(texts)]

    def _encodings(self, texts: Sequence[str]) -> list[Any]:
        try:
            if len(texts) == 1:  # the batch call goes through a thread pool of its own
                return [self._tokenizer.encode(texts[0])]
            return list(self._tokenizer.encode_batch_fast(list(texts)))
        except (UnicodeEncodeError, TypeError) as error:
            raise PoisonEventError(
                f"one of {len(texts)} texts is not valid Unicode text (a lone surrogate?): correct it at its source"
            ) from error

    def _run(self, tokens: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        """Run one bucket through the model."""
        session = self._session
        if session is None:
            raise UnavailableError(f"the model {self._name} was closed meanwhile: make a new embedder")
        ids = np.zeros((len(tokens), max(map(len, tokens))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(tokens):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        output = session.run(None, {name: feeds[name] for name in self._inputs})[0]
        return _pooled(output, mask)


def _pooled(output: npt.NDArray[np.float32], mask: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    if output.ndim == 3:  # one vector a token; a model that pools by itself returns one a text
        output = np.matmul(mask[:, None, :].astype(np.float32), output)[:, 0, :]
    norms = np.linalg.norm(output, axis=1, keepdims=True)
    pooled: npt.NDArray[np.float32] = output / np.maximum(norms, np.float32(1e-12))
    return pooled


def _load_tokenizer(path: Path, tokens_max: int) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConfigError(f"no tokenizer can be read from {path}: give the model's own tokenizer.json") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(tokens_max)
    return tokenizer


def _open_session(path: Path, weights: Path | None) -> Any:
    # onnxruntime reports to its maker, and writes under ~/.cache, unless it is told not to before its import.
    # A setting that the user has made is left alone.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False  # plans memory for shapes that repeat; buckets hardly do
    graph: str | bytes = str(path)
    try:
        if weights is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(weights))
            graph = path.read_bytes()  # only a graph in memory may have its weights in another folder
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own errors have no common base
        raise ConfigError(f"no ONNX model can be loaded from {path}: {error}") from error
    unknown = {node.name for node in session.get_inputs()} - {"input_ids", "attention_mask", "token_type_ids"}
    if unknown:
        raise ConfigError(f"{path} wants the inputs {sorted(unknown)}: it is not a sentence encoder over token ids")
    return session


def _quantises_dynamically(path: Path) -> bool:
    return b"DynamicQuantizeLinear" in path.read_bytes()
