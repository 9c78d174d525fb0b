"""Scans that mark keys dirty: rescans of what a write can have touched, and backfills."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import islice

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.work import Lane
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import scan_both


class KeyScan:
    """
    Every key of some types (None: all) that is in the graph or in the index, page by page in key order.

    What differs is found by the reconciler's comparison; a scan only says where to look. Relationships whose type is
    not one that `covers` accepts have no records, and are left out.
    """

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        types: frozenset[str] | None,
        lane: Lane,
        position: Position | None,
        after: RecordKey | None = None,
        covers: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self.lane = lane
        self.position = position
        self.exhausted = False
        self._graph, self._index, self._types, self._covers = graph, index, types, covers
        self._after = after
        self._keys = self._iterate()

    def is_to_come(self, key: RecordKey, types: Collection[str]) -> bool:
        """Whether a key with records or an entity of these types is still to be given out."""
        is_behind = self._after is None or key.encode() > self._after.encode()
        return is_behind and not self.exhausted and (self._types is None or not self._types.isdisjoint(types))

    def page(self, limit: int) -> list[RecordKey]:
        """Return the next keys, none at the end. After an error the scan goes on behind the last page."""
        try:
            page = list(islice(self._keys, limit))
        except BaseException:
            self._keys = self._iterate()
            raise
        self.exhausted = not page
        self._after = page[-1] if page else self._after
        return page

    def _iterate(self) -> Iterator[RecordKey]:
        covered = frozenset(filter(self._covers, self._graph.schema().relationship_types))
        for row, stamps in scan_both(self._graph, self._index, after=self._after, relationship_types=covered):
            found = {stamp.entity_type for stamp in stamps} | ({row.type} if row else set())
            if self._types is None or not self._types.isdisjoint(found):
                yield row.key if row else stamps[0].key
