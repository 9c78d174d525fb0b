"""The static WordLlama model: a table of token vectors, averaged. No network and no neural net."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipstream.domain.errors import ConfigError, PoisonEventError, UnavailableError
from slipstream.domain.models import ModelSpec

_BEGIN_OF_TEXT = 1
_FIX = "install slipstream-pkg[static] (wordllama 0.4)"

WORDLLAMA_SPEC = ModelSpec(
    id="wordllama-l2",
    version="0.4",
    dimension=256,
    tokens_max=16_384,
    tolerance=1e-6,
    cacheable=False,
)


class WordLlamaEmbedder:
    """
    Averages the token vectors of the wordllama wheel, as its own `embed(norm=True)` does, about twice as fast.

    Only the wheel's files are read; importing its code would configure the process's logging and look for downloads.
    A text without tokens (the empty one) gets the vector of the begin-of-text token. Tokens past `tokens_max` are cut
    off, to bound the memory for one text.
    """

    def __init__(self) -> None:
        root = _wheel_root()
        self._tokenizer = _load_tokenizer(root / "tokenizers" / "l2_supercat_tokenizer_config.json")
        self._table: npt.NDArray[np.float32] | None = _load_table(root / "weights" / "l2_supercat_256.safetensors")

    @property
    def spec(self) -> ModelSpec:
        """Identity and limits of the model."""
        return WORDLLAMA_SPEC

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors, in the order of the texts."""
        table = self._table
        if table is None:
            raise UnavailableError("the WordLlama model is closed: make a new embedder")
        sums = np.empty((len(texts), table.shape[1]), dtype=np.float32)
        # Text by text, so that the few rows of each stay in the processor's cache.
        for row, encoding in zip(sums, self._encodings(texts), strict=True):
            ids = encoding.ids[: WORDLLAMA_SPEC.tokens_max] or [_BEGIN_OF_TEXT]
            table[ids].sum(axis=0, out=row)
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-12))  # the mean's direction
        return sums

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many tokens each text has, before any is cut off."""
        return [len(encoding) for encoding in self._encodings(texts)]

    def close(self) -> None:
        """Release the table; closing twice is harmless."""
        self._table = None

    def _encodings(self, texts: Sequence[str]) -> list[Any]:
        try:
            if len(texts) == 1:  # the batch call would go through the tokenizer's own thread pool
                return [self._tokenizer.encode(texts[0], add_special_tokens=False)]
            return list(self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False))
        except (UnicodeEncodeError, TypeError) as error:
            raise PoisonEventError(
                f"one of {len(texts)} texts is not valid Unicode text (a lone surrogate?): correct it at its source"
            ) from error


def _wheel_root() -> Path:
    found = importlib.util.find_spec("wordllama")
    if found is None or found.origin is None:
        raise ConfigError(f"the static model is not installed: {_FIX}")
    return Path(found.origin).parent


def _load_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConfigError(f"no tokenizer can be read from {path}: {_FIX}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _load_table(path: Path) -> npt.NDArray[np.float32]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ConfigError(f"safetensors is not installed: {_FIX}") from error
    try:
        with safe_open(path, framework="np") as file:
            table = file.get_tensor("embedding.weight").astype(np.float32)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"no WordLlama weights can be read from {path}: {_FIX}") from error
    if table.shape[1] != WORDLLAMA_SPEC.dimension:
        raise ConfigError(f"{path} has dimension {table.shape[1]}, not {WORDLLAMA_SPEC.dimension}: {_FIX}")
    return np.ascontiguousarray(table)
