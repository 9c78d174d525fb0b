"""Writes that compute no vector: stamps move or are flagged, records and tombstones go."""

from __future__ import annotations

from collections.abc import Sequence

from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.domain.stamps import Deletion, Stamp, VectorRecord
from slipstream.ports.index import VectorIndex


def store(index: VectorIndex, record: VectorRecord) -> None:
    """Write a vector that somebody else has computed; fenced, and raises what the index does."""
    index.upsert([record])


def move_stamps(index: VectorIndex, stamps: Sequence[Stamp], schema: GraphSchema) -> None:
    """Move the stamps of records to a schema version; their vectors stay."""
    if stamps:
        digest = schema.hash
        index.restamp([stamp._replace(schema_version=schema.version, schema_hash=digest) for stamp in stamps])


def flag(index: VectorIndex, stamps: Sequence[Stamp], reason: str) -> None:
    """Flag records as due to be embedded anew, with the reason; records written meanwhile stay as they are."""
    bare = [
        stamp._replace(needs_reembedding=True, reembedding_reason=reason)
        for stamp in stamps
        if not (stamp.needs_reembedding and stamp.reembedding_reason == reason)
    ]
    if bare:
        index.restamp(bare)


def remove(index: VectorIndex, deletions: Sequence[Deletion]) -> None:
    """Remove records; of a whole key a tombstone stays."""
    if deletions:
        index.delete(deletions)


def forget_tombstones(index: VectorIndex, through: Position) -> int:
    """Forget tombstones up to and including a position; returns how many."""
    return index.vacuum(through)
