"""The nearest records of a collection."""

from __future__ import annotations

from typing import Any

import numpy as np

from slipstream.adapters.indexes.chroma.codec import is_ours, metadata_stamp, where_clause
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.models import Space
from slipstream.domain.stamps import SearchFilter, Vector, VectorHit, checked_vector

_PAGE = 5000


def checked_query(vector: Vector, space: Space) -> Vector:
    """Return the query at unit length; raises `InvalidInputError` (field `query_vector`)."""
    try:
        return checked_vector(vector, space.dimension)
    except InvalidInputError as error:
        raise InvalidInputError(str(error).partition(": ")[2], field="query_vector") from error


def nearest(handle: Any, space: Space, query: Vector, k: int, where: SearchFilter) -> list[VectorHit]:
    """Return up to `k` hits, best first, ties by key."""
    clause, stored = where_clause(where), handle.count()
    if stored == 0:
        return []
    found = handle.query(
        query_embeddings=query[np.newaxis], n_results=min(k, stored), where=clause, include=["metadatas", "distances"]
    )
    rows = list(zip(found["ids"][0], found["metadatas"][0], found["distances"][0], strict=True))
    if len(rows) < min(k, stored) and len(rows) < _count(handle, clause, min(k, stored)):
        rows = _every(handle, query, clause)  # a narrow filter, or deleted slots, can cut the graph of neighbours
    hits = [
        VectorHit(metadata_stamp(identity, space, metadata), _score(distance))
        for identity, metadata, distance in rows
        if is_ours(identity)  # a foreign record is found, and removed, by the next scan
    ]
    hits.sort(key=lambda hit: (-hit.score, hit.stamp.key.encode()))
    return hits[:k]


def _score(distance: float) -> float:
    return float(np.clip(1.0 - distance, -1.0, 1.0))


def _count(handle: Any, clause: dict[str, Any] | None, limit: int) -> int:
    return min(limit, len(handle.get(where=clause, limit=limit, include=[])["ids"]))


def _every(handle: Any, query: Vector, clause: dict[str, Any] | None) -> list[tuple[str, Any, float]]:
    rows: list[tuple[str, Any, float]] = []
    while True:
        page = handle.get(where=clause, limit=_PAGE, offset=len(rows), include=["metadatas", "embeddings"])
        if not page["ids"]:
            return rows
        distances = 1.0 - np.asarray(page["embeddings"], dtype=np.float32) @ query
        rows.extend(zip(page["ids"], page["metadatas"], distances.tolist(), strict=True))
