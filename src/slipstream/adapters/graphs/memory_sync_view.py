"""The reference sync view: rows in a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime

from slipstream.ports.sync_view import EntitySync, SyncState


class MemorySyncView:
    """
    The rows of a `MemoryGraph`; see `ports.sync_view.SyncView`.

    `guard` holds the graph's lock and refuses a closed graph; `entities` are the graph's.
    """

    def __init__(self, guard: Callable[[], AbstractContextManager[None]], entities: Container[str]) -> None:
        self._guard = guard
        self._entities = entities
        self._rows: dict[str, SyncState] = {}

    def put(self, states: Iterable[SyncState]) -> None:
        """Add or replace rows by entity id."""
        with self._guard():
            self._rows.update({state.entity_id: state for state in states})

    def remove(self, entity_ids: Iterable[str]) -> None:
        """Forget the rows of these entities."""
        with self._guard():
            for entity_id in entity_ids:
                self._rows.pop(entity_id, None)

    def mark_verified(self, at: datetime, except_ids: Collection[str] = (), limit: int | None = None) -> int:
        """Set `last_verified` of up to `limit` fresh rows, except those of `except_ids`; returns how many."""
        excluded = frozenset(except_ids)
        with self._guard():
            due = [
                replace(row, last_verified=at)
                for row in self._rows.values()
                if row.state is EntitySync.FRESH
                and row.entity_id not in excluded
                and (row.last_verified is None or row.last_verified < at)
            ][:limit]
            self._rows.update({row.entity_id: row for row in due})
        return len(due)

    def read(self, entity_ids: Sequence[str]) -> Mapping[str, SyncState]:
        """Return the rows of these entities by id."""
        with self._guard():
            return {entity_id: self._rows[entity_id] for entity_id in entity_ids if entity_id in self._rows}

    def find(self, state: EntitySync, limit: int) -> Sequence[SyncState]:
        """Return the first rows in a state, ordered by entity id."""
        with self._guard():
            found = [row for row in self._rows.values() if row.state is state]
        return sorted(found, key=lambda row: row.entity_id)[: max(limit, 0)]

    def counts(self) -> Mapping[EntitySync, int]:
        """Return how many rows there are in each state."""
        counts: dict[EntitySync, int] = {}
        with self._guard():
            for row in self._rows.values():
                counts[row.state] = counts.get(row.state, 0) + 1
        return counts

    def prune(self, limit: int) -> int:
        """Forget up to `limit` rows of entities that the graph does not hold; returns how many."""
        with self._guard():
            gone = [entity_id for entity_id in self._rows if entity_id not in self._entities][: max(limit, 0)]
            for entity_id in gone:
                del self._rows[entity_id]
        return len(gone)
