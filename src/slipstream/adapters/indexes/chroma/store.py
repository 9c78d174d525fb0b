"""Chroma's collections as what the index needs of them: one a space, one for tombstones, pages of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from slipstream.adapters.indexes.chroma.codec import (
    PREFIX,
    TOMBSTONES,
    Fields,
    collection_name,
    fields_space,
    space_fields,
)
from slipstream.domain.models import Space
from slipstream.domain.stamps import MetadataValue, Vector

_GET_MAX = 2_000
"""Ids asked for at once: SQLite allows few parameters."""
_LIST_MAX = 5_000
_COLLECTIONS_MAX = 100

# Inner product of unit vectors is their cosine. Chroma's own "cosine" scales vectors again when it stores them, so
# that they come back with other last bits and no checksum would hold.
_HNSW = {"space": "ip", "ef_construction": 200, "ef_search": 256, "max_neighbors": 16}
_TOMBSTONE_HNSW = {"space": "l2", "ef_construction": 16, "ef_search": 16, "max_neighbors": 4}

PutFields = Mapping[str, MetadataValue | None]


class Neighbour(NamedTuple):
    """A search result as Chroma knows it."""

    id: str
    score: float
    fields: Fields


class Store:
    """
    The collections as they are now.

    Made anew for each call: handles are bound to ids, and a collection of the same name may be another one by then.
    """

    def __init__(self, client: Any, batch_max: int) -> None:
        self._client = client
        self._batch_max = batch_max
        self._spaces: dict[Space, Any] = {}
        self._tombstones: Any = None
        for collection in _listed(client):
            if collection.name == TOMBSTONES:
                self._tombstones = collection
            elif collection.name.startswith(PREFIX):
                self._spaces[fields_space(collection.name, collection.metadata)] = collection

    @property
    def spaces(self) -> list[Space]:
        """The spaces that have a collection, in order."""
        return sorted(self._spaces)

    def check(self) -> None:
        """Read from every collection, which fails when its files are broken."""
        for collection in [*self._spaces.values(), self._tombstones]:
            if collection is not None:
                collection.count()
                collection.get(limit=1, include=["embeddings"])

    # ------------------------------------------------------------------ records

    def fields(self, space: Space, ids: Iterable[str]) -> dict[str, Fields]:
        """Return the metadata of those that are there."""
        found: dict[str, Fields] = {}
        for page in _pages(list(ids) if space in self._spaces else (), _GET_MAX):
            got = self._spaces[space].get(ids=page, include=["metadatas"])
            found.update(
                (identity, fields or {}) for identity, fields in zip(got["ids"], got["metadatas"], strict=True)
            )
        return found

    def vectors(self, space: Space, ids: Iterable[str]) -> dict[str, Vector]:
        """Return the vectors of those that are there."""
        found: dict[str, Vector] = {}
        for page in _pages(list(ids) if space in self._spaces else (), _GET_MAX):
            got = self._spaces[space].get(ids=page, include=["embeddings"])
            found.update((i, np.asarray(v, np.float32)) for i, v in zip(got["ids"], got["embeddings"], strict=True))
        return found

    def ids(self) -> set[str]:
        """Return the ids of all records."""
        found: set[str] = set()
        for collection in self._spaces.values():
            offset = 0
            while page := collection.get(limit=_LIST_MAX, offset=offset, include=[])["ids"]:
                found.update(page)
                offset += len(page)
        return found

    def matching(self, space: Space, where: Mapping[str, Any] | None, limit: int) -> int:
        """Count the records that a condition lets through, up to a limit."""
        collection = self._spaces[space]
        if where is None:
            return min(int(collection.count()), limit)
        return len(collection.get(where=where, limit=limit, include=[])["ids"])

    def nearest(self, space: Space, vector: Vector, k: int, where: Mapping[str, Any] | None) -> list[Neighbour]:
        """Ask the HNSW graph for up to `k` neighbours."""
        if space not in self._spaces:
            return []
        got = self._spaces[space].query(
            query_embeddings=[vector], n_results=k, where=where, include=["distances", "metadatas"]
        )
        rows = zip(got["ids"][0], got["distances"][0], got["metadatas"][0], strict=True)
        return [Neighbour(identity, _score(distance), fields or {}) for identity, distance, fields in rows]

    def put(self, space: Space, ids: Sequence[str], vectors: Sequence[Vector], fields: Sequence[PutFields]) -> None:
        """Write records; the collection is made when it is not there."""
        if space not in self._spaces:
            self._spaces[space] = _made(self._client, collection_name(space), space_fields(space), _HNSW)
        for part in _ranges(len(ids), self._batch_max):
            self._spaces[space].upsert(ids=ids[part], embeddings=list(vectors[part]), metadatas=list(fields[part]))

    def change(self, space: Space, ids: Sequence[str], fields: Sequence[PutFields]) -> None:
        """Change metadata only; `None` removes a key."""
        for part in _ranges(len(ids), self._batch_max):
            self._spaces[space].update(ids=ids[part], metadatas=list(fields[part]))

    def remove(self, space: Space, ids: Sequence[str]) -> None:
        """Remove records."""
        for page in _pages(ids, self._batch_max):
            self._spaces[space].delete(ids=page)

    # ------------------------------------------------------------------ tombstones

    def tombstones(self, ids: Iterable[str] | None = None) -> dict[str, int]:
        """Return the positions of the tombstones of these ids, or of all."""
        found: dict[str, int] = {}
        if self._tombstones is None:
            return found
        if ids is None:
            return self._all_tombstones()
        for page in _pages(list(ids), _GET_MAX):
            got = self._tombstones.get(ids=page, include=["metadatas"])
            found.update(_positions(got))
        return found

    def _all_tombstones(self) -> dict[str, int]:
        found: dict[str, int] = {}
        while True:
            got = self._tombstones.get(limit=_LIST_MAX, offset=len(found), include=["metadatas"])
            if not got["ids"]:
                return found
            found.update(_positions(got))

    def bury(self, positions: Mapping[str, int]) -> None:
        """Write tombstones."""
        if positions and self._tombstones is None:
            self._tombstones = _made(self._client, TOMBSTONES, {"kind": "tombstones"}, _TOMBSTONE_HNSW)
        for page in _pages(list(positions), self._batch_max):
            self._tombstones.upsert(
                ids=page,
                embeddings=[_place(identity) for identity in page],
                metadatas=[{"position": positions[identity]} for identity in page],
            )

    def unbury(self, ids: Sequence[str]) -> None:
        """Remove tombstones."""
        for page in _pages(ids, self._batch_max):
            self._tombstones.delete(ids=page)


def _listed(client: Any) -> Iterator[Any]:
    offset = 0
    while page := client.list_collections(limit=_COLLECTIONS_MAX, offset=offset):
        yield from page
        if len(page) < _COLLECTIONS_MAX:
            return
        offset += len(page)


def _made(client: Any, name: str, fields: Fields, hnsw: Mapping[str, Any]) -> Any:
    return client.create_collection(
        name, configuration={"hnsw": dict(hnsw)}, metadata=dict(fields), embedding_function=None, get_or_create=True
    )


def _positions(got: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    return (
        (identity, int(fields["position"])) for identity, fields in zip(got["ids"], got["metadatas"], strict=True)
    )


def _place(identity: str) -> list[float]:
    """Return a vector of one number for a tombstone: Chroma wants one, and equal ones would be slow to insert."""
    return [int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=3).digest(), "big") / 2**24]


def _score(distance: float) -> float:
    score = 1.0 - float(distance)
    return min(1.0, max(-1.0, score)) if score == score else -1.0  # noqa: PLR0124  (a damaged vector gives NaN)


def _pages(items: Sequence[str], size: int) -> Iterator[list[str]]:
    return (list(items[part]) for part in _ranges(len(items), size))


def _ranges(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
