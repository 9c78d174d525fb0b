"""Vector records and the stamps that prove where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.positions import Position

Vector = npt.NDArray[np.float32]
"""A float32 array of shape (dimension,)."""
Vectors = npt.NDArray[np.float32]
"""A float32 array of shape (count, dimension)."""

MetadataValue = str | int | float | bool
NO_METADATA: Mapping[str, MetadataValue] = {}


class Stamp(NamedTuple):
    """
    Everything an index knows of a record but its vector.

    `position` is the graph position at which the text was read; `fingerprint` digests everything that decides
    the vector; `checksum` digests the vector's bytes and only ever serves to find corruption.
    """

    key: RecordKey
    entity_type: str
    position: Position
    fingerprint: str
    space: Space
    schema_version: int
    schema_hash: str
    checksum: str
    created_at: datetime
    extraction_template_version: str = ""
    extraction_confidence: float | None = None
    embedded_confidence: float | None = None
    """
    What `extraction_confidence` was when the vector was made; a restamp carries it on.

    None where it was not known, or an older version wrote the record: then the first that is known stands for it.
    """
    embedding_quality_score: float | None = None
    source_document_id: str | None = None
    last_validated: datetime | None = None
    needs_reembedding: bool = False
    reembedding_reason: str | None = None
    metadata: Mapping[str, MetadataValue] = NO_METADATA
    """What the view says to keep for filtering."""

    @property
    def entity_id(self) -> str:
        """The id of the entity or relationship."""
        return self.key.id

    @property
    def embedding_id(self) -> str:
        """Deterministic id of the record: one per key and space, so a retry can not make a duplicate."""
        space = self.space
        return f"{self.key.encode()}@{space.model_id}@{space.model_version}#{space.generation}"


def still_needing(stored: Stamp, stamp: Stamp) -> Stamp:
    """Return `stamp`, which replaces `stored` beside the same vector, still due to be embedded if `stored` was."""
    if not stored.needs_reembedding:
        return stamp
    reason = stamp.reembedding_reason or stored.reembedding_reason
    return stamp._replace(needs_reembedding=True, reembedding_reason=reason)


class VectorRecord(NamedTuple):
    """A stamp and its vector, a unit-length float32 array of shape (dimension,)."""

    stamp: Stamp
    vector: Vector


@dataclass(frozen=True, slots=True)
class Deletion:
    """
    A key to remove.

    With `space` None the key leaves every space and a tombstone at `position` stays until it is vacuumed.
    With a space, only that space's record goes (the key lives on in another one) and no tombstone is left.
    """

    key: RecordKey
    position: Position
    space: Space | None = None


class KeyStamps(NamedTuple):
    """All that an index holds of one key: its records (one per space) and the position of its tombstone."""

    records: tuple[Stamp, ...] = ()
    tombstone: Position | None = None


@dataclass(frozen=True, slots=True)
class VectorHit:
    """One search result of an index: `score` is the cosine similarity, in -1..1."""

    stamp: Stamp
    score: float


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Which records a search may return; every given condition must hold."""

    entity_types: frozenset[str] | None = None
    schema_version_min: int | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)

    def admits(self, stamp: Stamp) -> bool:
        """Whether a search may return the record; a boolean never equals a number."""
        return (
            (self.entity_types is None or stamp.entity_type in self.entity_types)
            and (self.schema_version_min is None or stamp.schema_version >= self.schema_version_min)
            and all(_is_equal(stamp.metadata.get(name), value) for name, value in self.metadata.items())
        )


def _is_equal(held: MetadataValue | None, wanted: MetadataValue) -> bool:
    return held == wanted and isinstance(held, bool) is isinstance(wanted, bool)


def vector_checksum(vector: Vector) -> str:
    """Return the digest of a vector's float32 bytes."""
    return hashlib.blake2b(np.ascontiguousarray(vector, dtype=np.float32).data, digest_size=8).hexdigest()


def block_checksums(block: Vectors) -> list[str]:
    """Return `vector_checksum` of each row."""
    size = block.shape[1] * block.itemsize
    data = np.ascontiguousarray(block, dtype=np.float32).data.cast("B")
    return [
        hashlib.blake2b(data[start : start + size], digest_size=8).hexdigest() for start in range(0, len(data), size)
    ]


def checked_vector(vector: npt.ArrayLike, dimension: int) -> Vector:
    """
    Return the vector as a unit-length float32 array of shape (dimension,).

    Raises `InvalidInputError` (field `embedding`) for a wrong shape, NaN, infinity or the zero vector.
    """
    array = np.asarray(vector, dtype=np.float32)
    if array.shape != (dimension,):
        raise InvalidInputError(
            f"shape {array.shape}, expected ({dimension},): use the model that embeds the records", field="embedding"
        )
    norm = float(np.linalg.norm(array.astype(np.float64)))
    if not np.isfinite(norm):
        raise InvalidInputError("contains NaN or infinity: give finite numbers", field="embedding")
    if norm < 1e-12:
        raise InvalidInputError("is the zero vector, which has no direction to search by", field="embedding")
    return array if abs(norm - 1.0) < 1e-6 else (array / np.float32(norm)).astype(np.float32)


def checked_query(vector: npt.ArrayLike, dimension: int) -> Vector:
    """Return a query as `checked_vector` does; raises `InvalidInputError` (field `query_vector`) where that does."""
    try:
        return checked_vector(vector, dimension)
    except InvalidInputError as error:
        raise InvalidInputError(str(error).partition(": ")[2], field="query_vector") from error
