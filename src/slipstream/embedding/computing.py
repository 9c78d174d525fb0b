"""Distinct texts to vectors, by way of the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.domain.errors import ConfigError, InvalidInputError, PoisonEventError, TransientError
from slipstream.domain.models import ModelSpec
from slipstream.domain.stamps import Vector, checked_vector
from slipstream.embedding.calls import Calls
from slipstream.embedding.fingerprint import cache_key
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.stats import StatsCounter
from slipstream.ports.embedder import Cutting, EmbeddingCache, QueryEmbedding
from slipstream.ports.telemetry import NO_TRACER, AttributeValue, Tracer

_UNIT_TOLERANCE = 1e-6
_SPECIAL_TOKENS_MAX = 8
"""Tokens that a model adds around a text, at most."""


class Computed(NamedTuple):
    """The vector of one text, and whether it came from the cache."""

    vector: Vector
    cached: bool


class TextComputer:
    """Embeds distinct texts: looks into the cache, calls the model once for the rest, checks what it returns."""

    def __init__(
        self, registry: ModelRegistry, cache: EmbeddingCache | None, stats: StatsCounter, tracer: Tracer = NO_TRACER
    ) -> None:
        self._registry = registry
        self._tracer = tracer
        self._cache = cache
        self._stats = stats
        self.calls = Calls()

    def compute(self, model_id: str, wanted: Mapping[str, bool]) -> dict[str, Computed]:
        """
        Return the vectors of the texts; the value of each in `wanted` says whether to compute it even if cached.

        Raises `PoisonEventError` when the model returns the wrong number of rows, or a row that is no vector;
        an error of the model itself names it (`model_id`).
        """
        with self._call_of(model_id):
            return self._computed(model_id, wanted)

    def query(self, model_id: str, text: str) -> Vector:
        """
        Return the vector to search by: that of the text, unless the model embeds a query in another way.

        Such a vector is not cached: the cache holds what texts are. Raises what `compute` does.
        """
        with self._call_of(model_id):
            spec = self._registry.spec(model_id)
            if not spec.asks_otherwise:
                return self._computed(model_id, {text: False})[text].vector
            embedder = self._registry.get(model_id)
            if not isinstance(embedder, QueryEmbedding):
                raise ConfigError(
                    f"model {model_id!r} says that it asks otherwise, and has no embed_queries: add it to "
                    f"{type(embedder).__name__}, or leave `asks_otherwise` out of its spec"
                )
            return self._embedded(spec, [text], embedder.embed_queries)[0]

    @contextmanager
    def _call_of(self, model_id: str) -> Iterator[None]:
        """Count a call of a model that is under way, and name the model in its errors."""
        try:
            with self.calls.under_way(model_id):
                yield
        except (TransientError, ConfigError) as error:
            error.model_id = model_id
            raise

    def _computed(self, model_id: str, wanted: Mapping[str, bool]) -> dict[str, Computed]:
        spec = self._registry.spec(model_id)
        cache = self._cache if spec.cacheable else None
        keys = {} if cache is None else {text: cache_key(spec, text) for text in wanted}
        asked = {text: key for text, key in keys.items() if not wanted[text]}
        found = {} if cache is None else self._cached(cache, spec, asked)
        missing = [text for text in wanted if text not in found]
        if not missing:
            return found
        fresh = dict(zip(missing, self._embedded(spec, missing, self._registry.get(model_id).embed), strict=True))
        if cache is not None:
            # Texts that were cut are not cached: only the call that embeds them tells how much of them was used.
            shares = dict(zip(missing, self._shares(model_id, missing), strict=True))
            cache.put({keys[text]: row for text, row in fresh.items() if shares[text] is None})
        return found | {text: Computed(row, cached=False) for text, row in fresh.items()}

    def _embedded(
        self, spec: ModelSpec, texts: Sequence[str], embed: Callable[[Sequence[str]], npt.NDArray[np.float32]]
    ) -> list[Vector]:
        """Return what a call of the model makes of the texts, and count it."""
        attributes: dict[str, AttributeValue] = {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.request.model": spec.id,
            "gen_ai.embeddings.dimension.count": spec.dimension,
            "slipstream.batch.texts": len(texts),
        }
        with self._tracer.span(f"embeddings {spec.id}", attributes):
            rows = checked_rows(embed(texts), texts, spec)
        self._stats.add(computed=len(texts), calls=1)
        return rows

    def qualities(self, model_id: str, texts: Sequence[str]) -> list[float | None]:
        """Return the share of each text's tokens that fits the model, None where that is not known."""
        spec = self._registry.spec(model_id)
        if not spec.counts_tokens:
            return list(self._shares(model_id, texts))
        # A token stands for at least one byte, so a short text fits without being counted.
        room = spec.tokens_max - _SPECIAL_TOKENS_MAX
        long = list({text: None for text in texts if 4 * len(text) > room and _bytes_max(text) > room})
        counts = dict(zip(long, self._registry.get(model_id).count_tokens(long), strict=True)) if long else {}
        if not counts:
            return [1.0] * len(texts)
        return [min(1.0, spec.tokens_max / max(counts.get(text, 1), 1)) for text in texts]

    def _shares(self, model_id: str, texts: Sequence[str]) -> Sequence[float | None]:
        """Return how much of each text went into its vector, None where the embedder does not tell."""
        embedder = self._registry.get(model_id)
        return embedder.shares(texts) if isinstance(embedder, Cutting) else [None] * len(texts)

    def _cached(self, cache: EmbeddingCache, spec: ModelSpec, keys: Mapping[str, str]) -> dict[str, Computed]:
        held = cache.get(list(keys.values()))
        found = {
            text: Computed(_frozen(held[key]), cached=True)
            for text, key in keys.items()
            if key in held and held[key].shape == (spec.dimension,)
        }
        self._stats.add(cached=len(found))
        return found


def checked_rows(matrix: npt.NDArray[np.float32], texts: Sequence[str], spec: ModelSpec) -> list[Vector]:
    """
    Return the rows as unit-length float32 vectors, read-only, since equal texts share them.

    Raises `PoisonEventError` when their number or one of them is wrong: a model can drop or spoil a single text,
    so the batch is refused and the caller bisects it.
    """
    if len(matrix) != len(texts):
        raise PoisonEventError(
            f"model {spec.id!r} returned {len(matrix)} vectors for {len(texts)} texts; "
            "embed them one by one to find the text that it drops"
        )
    array = np.asarray(matrix, dtype=np.float32)
    if array.shape == (len(texts), spec.dimension):
        norms = np.sqrt(np.einsum("ij,ij->i", array, array, dtype=np.float64))
        if bool(np.all(np.abs(norms - 1.0) < _UNIT_TOLERANCE)):  # False for NaN
            return list(_frozen(array))  # rows of a read-only array are read-only
    return [_checked_row(row, number, texts, spec) for number, row in enumerate(array)]


def _checked_row(row: npt.NDArray[np.float32], number: int, texts: Sequence[str], spec: ModelSpec) -> Vector:
    try:
        return _frozen(checked_vector(row, spec.dimension))
    except InvalidInputError as error:
        raise PoisonEventError(
            f"model {spec.id!r} returned no usable vector for text {number + 1} of {len(texts)} "
            f"({len(texts[number])} characters): {error}"
        ) from error


def _frozen(vector: Vector) -> Vector:
    view = vector.view()
    view.flags.writeable = False
    return view


def _bytes_max(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)
