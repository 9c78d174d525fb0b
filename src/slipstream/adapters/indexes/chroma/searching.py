"""The nearest records of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from slipstream.adapters.indexes.chroma.codec import is_key, metadata_stamp, where_clause
from slipstream.adapters.indexes.chroma.collections import vectors_of
from slipstream.domain.models import Space
from slipstream.domain.stamps import SearchFilter, Vector, VectorHit

_PAGE = 5000
_NORM_TOLERANCE = 1e-3
_Row = tuple[str, Any, float]


def nearest(handle: Any, space: Space, query: Vector, k: int, where: SearchFilter) -> list[VectorHit]:
    """
    Return up to `k` hits, best first, ties by key.

    Damaged vectors (not of unit length, NaN) are left out: they must not win a search, and the audit finds them.
    """
    clause, stored = where_clause(where), handle.count()
    if stored == 0:
        return []
    found = handle.query(
        query_embeddings=query[np.newaxis],
        n_results=min(k, stored),
        where=clause,
        include=["metadatas", "embeddings"],
    )
    rows = _sound(found["ids"][0], found["metadatas"][0], found["embeddings"][0], query)
    if len(rows) < min(k, stored) and len(rows) < _count(handle, clause, min(k, stored)):
        rows = _every(handle, query, clause)  # a narrow filter, or deleted slots, can disconnect the HNSW graph
    hits = [VectorHit(metadata_stamp(i, space, metadata), score) for i, metadata, score in rows]
    hits.sort(key=lambda hit: (-hit.score, hit.stamp.key.encode()))
    return hits[:k]


def _sound(ids: Sequence[str], metadata: Sequence[Any], vectors: Any, query: Vector) -> list[_Row]:
    """Return id, metadata and score of the undamaged records."""
    block = np.asarray(vectors, dtype=np.float64).reshape(len(ids), len(query))
    with np.errstate(over="ignore", invalid="ignore"):
        sound = np.abs(np.einsum("ij,ij->i", block, block) - 1.0) < _NORM_TOLERANCE
        scores = (block * query).sum(axis=1).clip(-1.0, 1.0)
    rows = zip(ids, metadata, scores.tolist(), sound, strict=True)
    return [(key, found, score) for key, found, score, is_sound in rows if is_sound and is_key(key)]


def _count(handle: Any, clause: dict[str, Any] | None, limit: int) -> int:
    return min(limit, len(handle.get(where=clause, limit=limit, include=[])["ids"]))


def _every(handle: Any, query: Vector, clause: dict[str, Any] | None) -> list[_Row]:
    rows: list[_Row] = []
    offset = 0
    while True:
        page = handle.get(where=clause, limit=_PAGE, offset=offset, include=["metadatas"])
        if not page["ids"]:
            return rows
        offset += len(page["ids"])
        metadata = dict(zip(page["ids"], page["metadatas"], strict=True))
        vectors = vectors_of(handle, page["ids"])
        rows.extend(_sound(list(vectors), [metadata[key] for key in vectors], list(vectors.values()), query))
