"""Fences in the graph file: how far each foreign feed has come with its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

from slipstream.domain.erasure import MARK_AFTER, MARK_PREFIX, is_mark_of
from slipstream.domain.errors import ConfigError
from slipstream.domain.feed_changes import Place
from slipstream.domain.fences import Fence, RowName

_COLUMNS = "key, sequence, event_id, deleted, log, number, at_ms, unsent"
_ONE = f"SELECT {_COLUMNS} FROM fence WHERE space = ? AND name = ?"  # noqa: S608  (our own text, as all of this file)
# Not REPLACE: an update leaves the index on `key` alone while the key stays, as it nearly always does.
_PUT = f"""INSERT INTO fence(space, name, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT(space, name) DO UPDATE SET key = excluded.key, sequence = excluded.sequence,
    event_id = excluded.event_id, deleted = excluded.deleted, log = excluded.log, number = excluded.number,
    at_ms = excluded.at_ms, unsent = excluded.unsent"""  # noqa: S608
_OF = "SELECT space, name FROM fence WHERE key = ? AND NOT deleted ORDER BY space, name LIMIT 1"
_LIVE = f"""SELECT name, {_COLUMNS} FROM fence WHERE space = :space AND name >= :first AND name IS NOT :after
    AND NOT deleted AND (:before IS NULL OR sequence IS NULL OR sequence < :before) ORDER BY name LIMIT :limit"""  # noqa: S608


_MARKED = f"""SELECT name, {_COLUMNS} FROM fence
    WHERE space = ? AND name >= '{MARK_PREFIX}' AND name < '{MARK_AFTER}'"""  # noqa: S608


class FenceRows:
    """The part of a transaction that keeps fences; see `ports.fences.Fences`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._open = True

    def fences(self, rows: Collection[RowName]) -> Mapping[RowName, Fence]:
        """Return the fences of those rows that have one."""
        self._check_open()
        execute = self._connection.execute
        found = ((row, execute(_ONE, row).fetchone() or self._marked(row)) for row in rows)
        return {row: _fence(values) for row, values in found if values is not None}

    def _marked(self, row: RowName) -> Sequence[Any] | None:
        """Return the fence of a row whose entity was erased: a mark stands in place of its name."""
        if not self.has_marks:
            return None
        marked = self._connection.execute(_MARKED, (row.space,))
        return next((values for name, *values in marked if is_mark_of(name, row.name)), None)

    @cached_property
    def has_marks(self) -> bool:
        """Whether something was erased from this graph."""
        return self._connection.execute("SELECT 1 FROM meta WHERE name = 'erased'").fetchone() is not None

    def put_fences(self, fences: Mapping[RowName, Fence]) -> None:
        """Set fences, each replacing the one of its row."""
        self._check_open()
        self._connection.executemany(_PUT, ((*row, *_values(fence)) for row, fence in fences.items()))

    def rows_of(self, keys: Collection[str]) -> Mapping[str, RowName]:
        """Return, by encoded key, the row that the record came from."""
        self._check_open()
        found = ((key, self._connection.execute(_OF, (key,)).fetchone()) for key in keys)
        return {key: RowName(*row) for key, row in found if row is not None}

    def live_rows(
        self, space: str, before: str | None, after: str | None, limit: int
    ) -> Sequence[tuple[RowName, Fence]]:
        """Return rows of a space that are not deleted, ordered by name."""
        self._check_open()
        asked = {"space": space, "before": before, "first": after or "", "after": after, "limit": limit}
        return [(RowName(space, name), _fence(values)) for name, *values in self._connection.execute(_LIVE, asked)]

    def _check_open(self) -> None:
        if not self._open:
            raise ConfigError("this transaction has ended: open another one with graph.transaction()")


def _values(fence: Fence) -> tuple[Any, ...]:
    place = (None, None, None) if fence.place is None else (
        fence.place.log, fence.place.offset, fence.place.timestamp_ms
    )  # fmt: skip
    unsent = "\n".join(sorted(fence.unsent)) or None  # no property has a control character in its name
    return (fence.key, fence.order, fence.event_id, fence.is_deleted, *place, unsent)


def _fence(values: Sequence[Any]) -> Fence:
    key, order, event_id, deleted, log, number, at_ms, unsent = values
    return Fence(
        key=key,
        order=order,
        event_id=event_id,
        is_deleted=bool(deleted),
        place=None if log is None else Place(log, number, at_ms),
        unsent=frozenset(unsent.split("\n")) if unsent else frozenset(),
    )
