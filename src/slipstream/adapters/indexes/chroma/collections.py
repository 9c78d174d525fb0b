"""The collections, one for each space and one for tombstones: read and written in portions that Chroma can take."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from slipstream.adapters.indexes.chroma.codec import (
    Metadata,
    collection_name,
    is_key,
    parse_space,
    space_text,
    stored_position,
)
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Vector

logger = logging.getLogger(__name__)

PREFIX = "slipstream-"
TOMBSTONES = "slipstream-tombstones"
_SPACE = "slipstream_space"
_SEAL = "slipstream_seal"
_LOST = ("finding id", "getting embedding")
"""Words in Chroma's errors about a record that has lost its vector."""
_SHOWN_MAX, _STRAYS_SHOWN_MAX = 100, 20
_PAGE = 5000  # below SQLite's limit of variables: `get` of 50,000 ids fails
_RECORDS_HNSW = {
    # Inner product, which is the cosine of vectors of unit length. Chroma's own cosine stores vectors divided by
    # their length and multiplies when reading: not bit by bit what was written, so every checksum would fail.
    "space": "ip",
    # An overwrite mends the links of all old neighbours, which costs the cube of their number: 16 took four times as
    # long as 8. The wider `ef_search` makes up for the fewer links.
    "max_neighbors": 8,
    "ef_construction": 100,
    "ef_search": 512,
    # Every write reads again all changes of the log that are not in the files yet, 17 µs for each.
    "sync_threshold": 250,
}
_TOMBSTONES_HNSW = {"space": "l2", "ef_construction": 8, "ef_search": 8, "max_neighbors": 4, "sync_threshold": 250}
"""Never searched."""


class Collections:
    """Access to the collections of one client. Not safe for threads: the index holds its lock around every call."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._batch = min(_PAGE, client.get_max_batch_size())
        self._handles: dict[Space, Any] = {}
        self._tombstones: Any = None
        self.refresh()

    def refresh(self) -> None:
        """List the collections anew: a handle is bound to an id, and invalid once a collection is made again."""
        self._handles = {}
        self._tombstones = self._client.get_or_create_collection(
            TOMBSTONES, embedding_function=None, configuration={"hnsw": _TOMBSTONES_HNSW}
        )
        offset = 0
        while page := self._client.list_collections(limit=_PAGE, offset=offset):
            offset += len(page)
            for collection in page:
                if not collection.name.startswith(PREFIX) or collection.name == TOMBSTONES:
                    continue
                space = _space_of(collection)
                if space is not None:
                    self._handles[space] = self._client.get_collection(collection.name, embedding_function=None)

    @property
    def spaces(self) -> list[Space]:
        """The spaces that have a collection, in order."""
        return sorted(self._handles)

    def open(self, space: Space) -> Any:
        """Return the collection of a space, made when it is not there."""
        if space not in self._handles:
            metadata = {_SPACE: space_text(space)}
            handle = self._client.get_or_create_collection(
                collection_name(space),
                embedding_function=None,
                configuration={"hnsw": _RECORDS_HNSW},
                metadata=metadata,
            )
            if handle.metadata != metadata:
                handle.modify(metadata=metadata)  # another client has removed it
            # At a client's first read of a collection, Chroma 1.5.9 forgets how much of the log it has applied, and
            # the next write applies all of it again (900 records: 1.3 s). So read once while it is still empty.
            handle.count()
            self._handles[space] = handle
        return self._handles[space]

    def get(self, space: Space) -> Any | None:
        """Return the collection of a space; None when there is none."""
        return self._handles.get(space)

    def drop_empty(self) -> None:
        """Remove empty collections, and with them slots and log, which Chroma would never free."""
        for space, handle in list(self._handles.items()):
            if handle.count() == 0:
                self._client.delete_collection(handle.name)
                del self._handles[space]

    # ------------------------------------------------------------------ records

    def record_count(self) -> int:
        """Return how many records the collections hold, including collections that another client has made."""
        self.refresh()
        return sum(handle.count() for handle in self._handles.values())

    def metadata(self, space: Space, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return the metadata of those ids that are in the space."""
        handle = self.get(space)
        return {} if handle is None else _metadata(handle, ids)

    def vectors(self, space: Space, ids: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors of those ids that are in the space."""
        handle = self.get(space)
        return {} if handle is None else vectors_of(handle, ids)

    def keys(self, space: Space) -> list[str]:
        """Return the keys of a space, unordered; remove records whose id is not a key: no repair could name them."""
        ids = [identity for page in _pages(self._handles[space], []) for identity in page["ids"]]
        strays = [identity for identity in ids if not is_key(identity)]
        if not strays:
            return ids
        shown = ", ".join(repr(identity[:_SHOWN_MAX]) for identity in strays[:_STRAYS_SHOWN_MAX])
        logger.warning("%s: removing %d records that are not ours: %s", self._handles[space].name, len(strays), shown)
        self.remove(space, strays)
        return [identity for identity in ids if is_key(identity)]

    def write(self, space: Space, records: Mapping[str, tuple[Vector, Metadata]]) -> None:
        """Write records by id; each portion is one transaction of Chroma's log."""
        handle = self.open(space)
        for portion in _portions(list(records), self._batch):
            vectors, metadata = zip(*(records[identity] for identity in portion), strict=True)
            handle.upsert(ids=portion, embeddings=np.stack(vectors), metadatas=list(metadata))

    def update(self, space: Space, metadata: Mapping[str, Metadata]) -> None:
        """Merge metadata into records that are there."""
        for portion in _portions(list(metadata), self._batch):
            self._handles[space].update(ids=portion, metadatas=[metadata[identity] for identity in portion])

    def remove(self, space: Space, ids: Sequence[str]) -> None:
        """Remove records."""
        for portion in _portions(ids, self._batch):
            self._handles[space].delete(ids=portion)

    # ------------------------------------------------------------------ tombstones

    def tombstones(self, ids: Sequence[str]) -> dict[str, Position]:
        """Return the positions of the tombstones of these ids."""
        return {identity: stored_position(found) for identity, found in _metadata(self._tombstones, ids).items()}

    def all_tombstones(self, through: Position | None = None, *, past: Position | None = None) -> dict[str, Position]:
        """Return every tombstone, or those up to `through` (inclusive), or those past a position (exclusive)."""
        where = None if through is None else {"position": {"$lte": int(through)}}
        if past is not None:
            where = {"position": {"$gt": int(past)}}
        found: dict[str, Position] = {}
        for page in _pages(self._tombstones, ["metadatas"], where):
            found.update((i, stored_position(m)) for i, m in zip(page["ids"], page["metadatas"], strict=True))
        return found

    def bury(self, tombstones: Mapping[str, Position]) -> None:
        """Write tombstones."""
        for portion in _portions(list(tombstones), self._batch):
            self._tombstones.upsert(
                ids=portion,
                embeddings=[_place(identity) for identity in portion],
                metadatas=[{"position": int(tombstones[identity])} for identity in portion],
            )

    def seal(self) -> str | None:
        """Return the seal, None without one; it is kept with the tombstones, whose collection always exists."""
        text = (self._tombstones.metadata or {}).get(_SEAL)
        return text if isinstance(text, str) else None

    def set_seal(self, seal: str) -> None:
        """Replace the seal."""
        self._tombstones.modify(metadata={_SEAL: seal})

    def unbury(self, ids: Sequence[str]) -> None:
        """Remove tombstones."""
        for portion in _portions(ids, self._batch):
            self._tombstones.delete(ids=portion)


def vectors_of(handle: Any, ids: Sequence[str]) -> dict[str, Vector]:
    """Return the vectors of ids in a collection; a record whose vector is lost has none."""
    found: dict[str, Vector] = {}
    for portion in _portions(ids, _PAGE):
        found.update(_portion_vectors(handle, portion))
    return found


def _portion_vectors(handle: Any, ids: list[str]) -> dict[str, Vector]:
    from chromadb.errors import InternalError

    try:
        page = handle.get(ids=ids, include=["embeddings"])
    except InternalError as error:
        if not any(words in str(error).lower() for words in _LOST):
            raise
        if len(ids) == 1:
            return {}
        middle = len(ids) // 2  # one lost vector fails the whole request
        return _portion_vectors(handle, ids[:middle]) | _portion_vectors(handle, ids[middle:])
    return dict(zip(page["ids"], np.asarray(page["embeddings"], dtype=np.float32), strict=True))


def _space_of(collection: Any) -> Space | None:
    """Return the space of a collection; None when it is not ours, or its metadata no longer tells its space."""
    text = (collection.metadata or {}).get(_SPACE)
    space = parse_space(text) if isinstance(text, str) else None
    if space is not None and collection_name(space) == collection.name:
        return space
    logger.warning("collection %r says it holds %r: it is left alone until it is written to", collection.name, text)
    return None


def _place(identity: str) -> list[float]:
    """Return a vector for a tombstone: Chroma requires one, and equal ones are slow to insert into its graph."""
    return [int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=3).digest(), "big") / 2**24]


def _portions(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    distinct = list(dict.fromkeys(ids))  # Chroma refuses duplicate ids in a request
    for at in range(0, len(distinct), size):
        yield distinct[at : at + size]


def _pages(handle: Any, include: list[str], where: Mapping[str, Any] | None = None) -> Iterator[Any]:
    offset = 0
    while True:
        page = handle.get(where=where, include=include, limit=_PAGE, offset=offset)
        if not page["ids"]:
            return
        offset += len(page["ids"])
        yield page


def _metadata(handle: Any, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for portion in _portions(ids, _PAGE):
        page = handle.get(ids=portion, include=["metadatas"])
        found.update(zip(page["ids"], page["metadatas"], strict=True))
    return found
