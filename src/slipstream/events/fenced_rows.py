"""The fences of the rows in a batch of changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from slipstream.domain.feed_changes import Change, Place
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import relationship_key
from slipstream.ports.graph import GraphTransaction


class FencedRows:
    """The fences in one transaction: read for a batch at once, and written together at its end."""

    def __init__(self, tx: GraphTransaction, changes: Sequence[Change]) -> None:
        self._tx = tx
        rows = {row for change in changes for row in _rows_of(change)}
        found = tx.fences(rows)
        self._seen: dict[RowName, Fence | None] = {row: found.get(row) for row in rows}
        self._new: dict[RowName, Fence] = {}
        self._rows: dict[str, RowName] = {}

    def get(self, row: RowName) -> Fence | None:
        """Return the fence of a row, None when it has none."""
        if row not in self._seen:
            self._seen[row] = self._tx.fences([row]).get(row)
        return self._seen[row]

    def put(self, row: RowName, fence: Fence) -> None:
        """Set a fence; `flush` writes it into the transaction."""
        self._seen[row] = self._new[row] = fence
        self._rows[fence.key] = row

    def other_row_of(self, key: str, row: RowName) -> RowName | None:
        """Return another living row that a record already stands for, None when there is none."""
        found = self._rows.get(key) or self._tx.rows_of([key]).get(key)
        if found is None or found == row:
            return None
        fence = self.get(found)
        return found if fence is not None and not fence.is_deleted and fence.key == key else None

    def rename(self, entity_id: str, new_id: str) -> None:
        """Rename an entity, and with it the ids of its relationships; the fences of their rows follow."""
        for old, new in self._tx.rename_entity(entity_id, new_id).items():
            key = relationship_key(old).encode()
            row = self._rows.get(key) or self._tx.rows_of([key]).get(key)
            fence = None if row is None else self.get(row)
            if row is not None and fence is not None and fence.key == key:
                self.put(row, replace(fence, key=relationship_key(new).encode()))

    def flush(self) -> None:
        """Write the fences that were set."""
        self._tx.put_fences(self._new)
        self._new = {}


def _rows_of(change: Change) -> Iterator[RowName]:
    if change.space:
        yield RowName("", change.space)
        for name in (change.name, change.old_name, change.new_name, *change.end_names):
            if name is not None:
                yield RowName(change.space, name)


def is_behind(place: Place | None, last: Place | None) -> bool:
    """Whether a message is not newer than the last one of its log; a recreated log begins at offset 0, but later."""
    if place is None or last is None or place.log != last.log:
        return False
    return place.offset <= last.offset and place.timestamp_ms <= last.timestamp_ms
