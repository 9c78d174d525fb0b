"""Tokenizer, model and pooling: from texts to unit-length vectors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.adapters.embedders.minilm.batching import length_buckets
from slipstream.adapters.embedders.minilm.sessions import Session
from slipstream.domain.errors import ConfigError, PoisonEventError, UnavailableError

_THREADS_DEFAULT_MAX = 4


class Pipeline:
    """
    A sentence encoder: tokenizer.json, a model, mean pooling over the tokens, unit length.

    One single-threaded session is run by `threads` Python threads in parallel, which is faster for short texts than
    one run on all cores. A lone text runs on the caller's thread.
    """

    def __init__(self, session: Session, tokenizer: Path, *, tokens_max: int, threads: int | None = None) -> None:
        self._name = session.name
        self._tokenizer = _load_tokenizer(tokenizer, tokens_max)
        self._specials = self._tokenizer.num_special_tokens_to_add(False)
        self._session: Session | None = session
        self._alone, self._pads = session.runs_alone, session.pads
        self._threads = threads or min(_THREADS_DEFAULT_MAX, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="slipstream-minilm")
        self.dimension = int(self._run([self._encode([""])[0]]).shape[1])

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors, in the order of the texts."""
        if self._session is None:
            raise UnavailableError(f"the model {self._name} is closed: make a new embedder")
        tokens = self._encode(texts)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        buckets = self._buckets([*map(len, tokens)])
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

    def _buckets(self, lengths: Sequence[int]) -> list[list[int]]:
        if self._alone:
            return [[number] for number in range(len(lengths))]
        return length_buckets(lengths, threads=self._threads, pads=self._pads)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, including those that the model adds and those past its limit."""
        return [
            len(encoding) + sum(len(part) - self._specials for part in encoding.overflowing)
            for encoding in self._encodings(texts)
        ]

    def close(self) -> None:
        """Release the session once running calls have ended; closing twice is harmless."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._session = None

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._encodings(texts)]

    def _encodings(self, texts: Sequence[str]) -> list[Any]:
        try:
            if len(texts) == 1:  # the batch call would go through the tokenizer's own thread pool
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
        return _pooled(session.run(ids, mask), mask)


def _pooled(output: npt.NDArray[np.float32], mask: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    if output.ndim == 3:  # one vector for each token; a model that pools by itself returns one for each text
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
