"""Stamps of what the graph never had: a position past its head would fence off every repair, so they go first."""

from __future__ import annotations

from collections.abc import Sequence

from slipstream.apply.records import forget_tombstones, remove
from slipstream.audit.classes import head_of
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex

_EVER = Position(2**63 - 1)


def unfence(graph: GraphReader, index: VectorIndex, keys: Sequence[RecordKey]) -> int:
    """Remove what is held of the keys past the graph's head; returns how many records."""
    held = index.stamps(keys)
    head = head_of(graph)  # read last: nothing that was committed can be past it
    future = [
        Deletion(key, stamp.position, stamp.space)
        for key, known in held.items()
        for stamp in known.records
        if not head.reaches(stamp)
    ]
    remove(index, future)
    if any(known.tombstone is not None and known.tombstone > head.position for known in held.values()):
        # The older ones go too: they only guard against writes that were under way when they were made.
        forget_tombstones(index, _EVER)
    return len(future)
