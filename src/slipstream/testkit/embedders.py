"""A deterministic embedder for tests and the simulator."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.models import ModelSpec

_WORDS_HELD_MAX = 100_000
_TEXT_SHARE = 0.25
"""Weight of the whole text's digest relative to one word's, so that texts with reordered words differ."""


class HashEmbedder:
    """
    Embeds by hashing words: texts that share words are near each other, and any other change moves a vector a little.

    Needs no model file. Depends only on text, id, version and dimension, so that two versions are two models.
    `embedded` and `calls_count` record what it was asked, for tests that count calls.
    """

    def __init__(self, dimension: int = 64, id: str = "hash", version: str = "1", tokens_max: int = 8192) -> None:  # noqa: A002 - `id` is what a spec calls it
        if dimension < 2:
            raise ConfigError(f"dimension {dimension} is too small for a hash embedder: use at least 2")
        self._spec = ModelSpec(id, version, dimension, tokens_max=tokens_max, tolerance=1e-6)
        self._salt = f"{id}\0{version}\0".encode()
        self._words: dict[str, npt.NDArray[np.float32]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.embedded: list[str] = []
        """Every text ever embedded, in order."""
        self.calls_count = 0
        """How many times `embed` was called with at least one text."""
        self.fail_with: Exception | None = None
        """Raised by `embed` while it is set: an outage."""

    @property
    def spec(self) -> ModelSpec:
        """Identity and limits of the model."""
        return self._spec

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors, in the order of the texts."""
        if self._closed:
            raise UnavailableError(f"embedder {self._spec.id!r} is closed: make a new one")
        if self.fail_with is not None:
            raise self.fail_with
        rows = np.empty((len(texts), self._spec.dimension), dtype=np.float32)
        with self._lock:
            for row, text in zip(rows, texts, strict=True):
                self._embed_into(row, text)
            self.embedded.extend(texts)
            self.calls_count += bool(texts)
        rows /= np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
        return rows

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many words each text has."""
        return [len(text.split()) for text in texts]

    def reset(self) -> None:
        """Forget what was recorded."""
        with self._lock:
            self.embedded = []
            self.calls_count = 0

    def close(self) -> None:
        """Refuse further work; closing twice is harmless."""
        self._closed = True

    def _embed_into(self, row: npt.NDArray[np.float32], text: str) -> None:
        words = text.casefold().split()
        if len(words) > self._spec.tokens_max:
            words = words[: self._spec.tokens_max]
            text = " ".join(words)
        np.multiply(self._hashed(b"text", text), _TEXT_SHARE, out=row)
        for word in words:
            row += self._word(word)

    def _word(self, word: str) -> npt.NDArray[np.float32]:
        vector = self._words.get(word)
        if vector is None:
            if len(self._words) >= _WORDS_HELD_MAX:
                self._words.clear()
            vector = self._words[word] = self._hashed(b"word", word)
        return vector

    def _hashed(self, kind: bytes, text: str) -> npt.NDArray[np.float32]:
        data = self._salt + kind + text.encode("utf-8", "surrogatepass")
        digest = hashlib.shake_128(data).digest(self._spec.dimension)
        # Bytes as odd numbers around zero, so that no component, and hence no vector, is zero.
        return np.frombuffer(digest, dtype=np.uint8).astype(np.float32) * 2 - 255


class NotingEmbedder(HashEmbedder):
    """Notes what it embeds, in order; several may note into one list."""

    def __init__(self, dimension: int = 16, seen: list[str] | None = None) -> None:
        super().__init__(dimension=dimension)
        self.seen: list[str] = [] if seen is None else seen

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed as the base does, and note the texts."""
        self.seen += texts
        return super().embed(texts)
