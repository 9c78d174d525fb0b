"""Embedding models and the cache of their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from slipstream.domain.models import ModelSpec
from slipstream.domain.stamps import Vector


@runtime_checkable
class Embedder(Protocol):
    """
    One embedding model.

    A vector depends on its text alone, never on what else is in the batch (within `spec.tolerance`). Raises
    `TransientError` when the model can not answer now, `ConfigError` when it never will as it is set up, and
    `PoisonEventError` for a text it can never embed while it takes others; the error's `texts` may name such texts.
    """

    @property
    def spec(self) -> ModelSpec:
        """Identity and limits of the model."""
        ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors, shape (len(texts), dimension), in the order of the texts."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Return how many tokens each text has, in their order (an estimate where the model does not tell)."""
        ...

    def close(self) -> None:
        """Release the model; closing twice is harmless."""
        ...


@runtime_checkable
class Cutting(Protocol):
    """What an embedder can say besides, when it cuts texts that are too long for its model."""

    def shares(self, texts: Sequence[str]) -> Sequence[float | None]:
        """
        Return how much of each text went into its vector, in the order of the texts; never fails.

        None for a text that was sent whole to a model that may have cut it without telling.
        """
        ...


@runtime_checkable
class QueryEmbedding(Protocol):
    """What an embedder has besides, whose model embeds a query in another way than a text (`spec.asks_otherwise`)."""

    def embed_queries(self, queries: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return unit-length vectors to search by, in the order of the queries; raises what `embed` does."""
        ...


@runtime_checkable
class EmbeddingCache(Protocol):
    """
    Vectors by content: losing an entry is harmless, a wrong one is not. Keys are digests of model and text.

    A cache that fails raises nothing: it returns nothing, and keeps nothing.
    """

    def get(self, keys: Sequence[str]) -> Mapping[str, Vector]:
        """Return the cached vectors among the keys; a damaged entry counts as absent."""
        ...

    def put(self, vectors: Mapping[str, Vector]) -> None:
        """Keep vectors, evicting the least recently used past the size limit."""
        ...

    def close(self) -> None:
        """Release everything; closing twice is harmless."""
        ...
