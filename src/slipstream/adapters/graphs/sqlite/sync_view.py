"""The sync view as the table `sync_state` of the graph file: readable with SQL by anyone, written by the engine."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TypeVar

from slipstream.adapters.graphs.sqlite.feed import Exclusive
from slipstream.adapters.sqlite.connections import Database
from slipstream.domain.positions import Position
from slipstream.ports.sync_view import EntitySync, SyncState

_COLUMNS = "entity_id, entity_type, state, model_id, schema_version, position, embedded_at, last_verified"
_PUT = f"REPLACE INTO sync_state ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  (names of columns)
_READ = f"SELECT {_COLUMNS} FROM sync_state WHERE entity_id IN (SELECT value FROM json_each(?))"  # noqa: S608
_FIND = f"SELECT {_COLUMNS} FROM sync_state WHERE state = ? ORDER BY entity_id LIMIT ?"  # noqa: S608
_DUE = """SELECT entity_id FROM sync_state
    WHERE state = 'fresh' AND (last_verified IS NULL OR last_verified < ?) LIMIT ?"""
_VERIFIED = """UPDATE sync_state SET last_verified = ?
    WHERE entity_id = ? AND state = 'fresh' AND (last_verified IS NULL OR last_verified < ?)"""
_ORPHANED = """SELECT entity_id FROM sync_state AS s
    WHERE NOT EXISTS (SELECT 1 FROM entity WHERE id = s.entity_id) LIMIT ?"""
_ROWS_PER_COMMIT = 500
_EVERY = -1  # LIMIT -1: no limit

T = TypeVar("T")


class SqliteSyncView:
    """The rows of the sync view; see `ports.sync_view.SyncView`."""

    def __init__(self, database: Database, exclusive: Exclusive) -> None:
        self._database, self._exclusive = database, exclusive

    def put(self, states: Iterable[SyncState]) -> None:
        """Add or replace rows by entity id."""
        rows = [_row(state) for state in {state.entity_id: state for state in states}.values()]
        for part in _parts(rows):
            with self._exclusive() as connection:
                connection.executemany(_PUT, part)

    def remove(self, entity_ids: Iterable[str]) -> None:
        """Forget the rows of these entities."""
        for part in _parts(list(dict.fromkeys(entity_ids))):
            with self._exclusive() as connection:
                connection.executemany("DELETE FROM sync_state WHERE entity_id = ?", ((i,) for i in part))

    def mark_verified(self, at: datetime, except_ids: Collection[str] = (), limit: int | None = None) -> int:
        """Set `last_verified` of up to `limit` fresh rows, except those of `except_ids`; returns how many."""
        excluded, moment = frozenset(except_ids), _time(at)
        with self._database.reading() as connection:
            rows = connection.execute(_DUE, (moment, _EVERY if limit is None else limit + len(excluded)))
            due = [row[0] for row in rows if row[0] not in excluded][:limit]
        for part in _parts(due):
            with self._exclusive() as connection:
                connection.executemany(_VERIFIED, ((moment, i, moment) for i in part))
        return len(due)

    def read(self, entity_ids: Sequence[str]) -> Mapping[str, SyncState]:
        """Return the rows of these entities by id."""
        with self._database.reading() as connection:
            rows = connection.execute(_READ, (json.dumps(list(entity_ids)),)).fetchall()
        return {state.entity_id: state for state in _states(rows)}

    def find(self, state: EntitySync, limit: int) -> Sequence[SyncState]:
        """Return the first rows in a state, ordered by entity id."""
        with self._database.reading() as connection:
            return _states(connection.execute(_FIND, (state.value, max(limit, 0))).fetchall())

    def counts(self) -> Mapping[EntitySync, int]:
        """Return how many rows there are in each state."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT state, count(*) FROM sync_state GROUP BY state").fetchall()
        known = {state.value for state in EntitySync}
        return {EntitySync(state): count for state, count in rows if state in known}

    def prune(self, limit: int) -> int:
        """Forget up to `limit` rows of entities that the graph does not hold; returns how many."""
        with self._exclusive() as connection:
            gone = connection.execute(_ORPHANED, (max(limit, 0),)).fetchall()
            connection.executemany("DELETE FROM sync_state WHERE entity_id = ?", gone)
        return len(gone)


def _row(state: SyncState) -> tuple[Any, ...]:
    return (
        state.entity_id,
        state.entity_type,
        state.state.value,
        state.model_id,
        state.schema_version,
        state.position,
        None if state.embedded_at is None else _time(state.embedded_at),
        None if state.last_verified is None else _time(state.last_verified),
    )


def _states(rows: Iterable[Sequence[Any]]) -> list[SyncState]:
    """Return rows as states, without rows of other programs that can not be read; those are then written anew."""
    found: list[SyncState] = []
    for row in rows:
        with suppress(ValueError, TypeError):
            found.append(_state(row))
    return found


def _state(row: Sequence[Any]) -> SyncState:
    entity_id, entity_type, state, model_id, schema_version, position, embedded_at, last_verified = row
    return SyncState(
        entity_id,
        entity_type,
        EntitySync(state),
        model_id,
        schema_version,
        None if position is None else Position(position),
        None if embedded_at is None else datetime.fromisoformat(embedded_at),
        None if last_verified is None else datetime.fromisoformat(last_verified),
    )


def _time(moment: datetime) -> str:
    """Return a time as text of one width, so that texts compare as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), _ROWS_PER_COMMIT):
        yield items[first : first + _ROWS_PER_COMMIT]
