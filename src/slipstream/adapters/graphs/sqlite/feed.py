"""The change log of a graph file as a feed: rows as entries, waking, consumers and retention."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

from slipstream.adapters.graphs.sqlite.adopting import Brought, admit, is_new_to, what_they_bring
from slipstream.adapters.graphs.sqlite.codec import (
    RESCAN,
    SCHEMA,
    changed_key,
    entry_of,
    is_number,
    schema_event,
    version_told,
)
from slipstream.adapters.graphs.sqlite.opening import LayoutGuard
from slipstream.adapters.graphs.sqlite.schemas import Schemas, head_of
from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.errors import mapped_errors
from slipstream.domain.errors import PositionLostError, UnavailableError
from slipstream.domain.log import LogEntry
from slipstream.domain.positions import ORIGIN, POSITION_MAX, Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.feed import ChangedKey, Retention

COLUMNS = "position, kind, id, type, source, target, key, CAST(old AS BLOB), CAST(new AS BLOB), at"
_PAGE = f"""SELECT {COLUMNS},
    (SELECT e.type FROM entity AS e WHERE e.id = change.source),
    (SELECT e.type FROM entity AS e WHERE e.id = change.target)
    FROM change WHERE position > ? AND position <= ? ORDER BY position LIMIT ?"""  # noqa: S608  (names of columns)
_KEYS = """SELECT position, kind, id, type, source, target, key FROM change
    WHERE position > ? AND position <= ? ORDER BY position LIMIT ?"""
_PAGE_BYTES = 8 * 1024 * 1024
"""A page ends with the row that makes it this long."""
_TYPES_TOLD_MAX = 20_000
"""Types told in one page: each event of a schema version holds all types."""
_SIZE = "100 + length(coalesce(old, '')) + length(coalesce(new, ''))"
_NOTE_TRIMMED = """INSERT INTO meta VALUES ('trimmed', CAST(? AS TEXT)) ON CONFLICT(name) DO UPDATE
    SET value = excluded.value WHERE CAST(excluded.value AS INTEGER) > CAST(value AS INTEGER)"""
_FLOOR = "SELECT min(position) FROM consumer WHERE typeof(position) = 'integer'"
_MARK_ROWS = 500
_TRIM_ROWS = 2_000
_POLL_S, _POLL_IDLE_S = 0.003, 0.015
"""How long a commit of another process may go unnoticed: soon after the last one, and when idle."""
_IDLE_AFTER_S = 1.0

Exclusive = Callable[[], AbstractContextManager[sqlite3.Connection]]
"""Lends the one write transaction of the graph."""


class SqliteFeed:
    """The change feed of a `SqliteGraph`, of all writers of the file."""

    def __init__(
        self, database: Database, exclusive: Exclusive, schemas: Schemas, layout: LayoutGuard, graph_id: str
    ) -> None:
        self._database, self._exclusive = database, exclusive
        self._schemas, self._layout, self._graph_id = schemas, layout, graph_id
        self._committed = threading.Condition()
        self._commits = 0
        self._watch = _Watch(database)
        self._sizes = _Sizes()

    # ------------------------------------------------------------------ reading

    def head(self) -> Position:
        """Return the position of the newest entry."""
        with self._database.reading() as connection:
            return head_of(connection)

    def read(self, after: Position, limit: int) -> Sequence[LogEntry]:
        """Return the next entries after `after`, in order; raises `PositionLostError` for a trimmed range."""
        read = self._read(after, limit)
        if read is None:  # another program has changed triggers: a write transaction puts them back
            with self._exclusive():
                pass
            read = self._read(after, limit, in_any_case=True) or ([], None)
        entries, brought = read
        if brought:
            with self._exclusive() as connection:  # extend the schema before the entries are returned
                admit(connection, self._schemas, brought)
        return entries

    def changed(self, after: Position, limit: int) -> Sequence[ChangedKey] | None:
        """Return what the next entries are about, without their data; None where only `read` tells it."""
        with self._database.reading() as connection:
            if not self._layout.is_whole(connection):
                return None
            try:
                rows = connection.execute(_KEYS, (after, POSITION_MAX, max(limit, 0))).fetchall()
            except sqlite3.OperationalError as error:
                if "decode" not in str(error):
                    raise
                return None
            _check_whole(connection, after, rows)
        found = [changed_key(row) for row in rows]
        return None if None in found else [key for key in found if key is not None]

    def _read(
        self, after: Position, limit: int, *, in_any_case: bool = False
    ) -> tuple[list[LogEntry], Brought | None] | None:
        """Return the next entries, and what is new to the schema (None: nothing); None when a trigger is missing."""
        with self._database.reading() as connection:
            if not self._layout.is_whole(connection) and not in_any_case:
                return None
            rows = _page(connection, after, max(limit, 0))
            _check_whole(connection, after, rows)
            schema = self._schemas.current(connection)
            entries = self._entries(connection, rows, schema)
            is_new = any(is_new_to(schema, entry) for entry in entries)
            return entries, what_they_bring(connection, rows[: len(entries)]) if is_new else None

    def _entries(
        self, connection: sqlite3.Connection, rows: Sequence[Sequence[Any]], schema: GraphSchema
    ) -> list[LogEntry]:
        """Return the entries of rows; fewer when many are schema versions, each of which holds all types."""
        versions = self._schemas.versions_at([row[0] for row in rows])
        entries: list[LogEntry] = []
        told_max = max(1, _TYPES_TOLD_MAX // (1 + len(schema.entity_types) + len(schema.relationship_types)))
        for row, version in zip(rows, versions, strict=True):
            if row[1] != SCHEMA:
                entries.append(entry_of(row, self._graph_id, version))
                continue
            entries.append(self._schema_entry(connection, row, version))
            told_max -= 1
            if told_max <= 0:
                break
        return entries

    def _schema_entry(self, connection: sqlite3.Connection, row: Sequence[Any], version_then: int) -> LogEntry:
        version = version_told(row)
        if version is not None:
            old, now = self._schemas.at(connection, version - 1), self._schemas.at(connection, version)
            if old is not None and now is not None:
                return schema_event(old, now, self._graph_id, Position(row[0]))
        return entry_of(row, self._graph_id, version_then)

    # ------------------------------------------------------------------ waiting

    def notify(self) -> None:
        """Wake waiting threads of this process, after its commit."""
        with self._committed:
            self._commits += 1
            self._committed.notify_all()

    def wait(self, after: Position, timeout_s: float) -> bool:
        """Wait until there is an entry after `after`, from any process; False when the time ran out."""
        deadline = time.monotonic() + timeout_s
        while True:
            seen, version = self._commits, self._watch.version()
            if self.head() > after:
                return True
            if not self._wait_for_commit(seen, version, deadline):
                return False

    def _wait_for_commit(self, seen: int, version: int, deadline: float) -> bool:
        while (remaining := deadline - time.monotonic()) > 0:
            with self._committed:
                if self._committed.wait_for(lambda: self._commits != seen, min(self._watch.poll_s, remaining)):
                    return True
            if self._watch.version() != version:
                return True
        return False

    # ------------------------------------------------------------------ consumers and retention

    def acknowledge(self, consumer: str, through: Position | None) -> None:
        """Note durably that a consumer needs no entry up to `through` any more; None forgets the consumer."""
        with self._exclusive() as connection:
            if through is None:
                connection.execute("DELETE FROM consumer WHERE name = ?", (consumer,))
                return
            connection.execute(
                "INSERT INTO consumer VALUES (?, ?) ON CONFLICT(name) DO UPDATE "
                "SET position = excluded.position WHERE excluded.position > position",
                (consumer, through),
            )

    def trim(self, retention: Retention) -> int:
        """Forget the oldest entries as far as `retention` allows, in steps, never the head; returns how many."""
        with self._database.reading() as connection:
            through = self._sizes.trimmable(connection, retention)
        removed = 0
        while through is not None and (step := self._trim_step(through)):
            removed += step
        return removed

    def _trim_step(self, through: int) -> int:
        with self._exclusive() as connection:
            oldest, newest = connection.execute("SELECT min(position), max(position) FROM change").fetchone()
            if oldest is None or oldest > through:
                return 0
            rows = connection.execute(
                "SELECT position FROM change WHERE position <= ? ORDER BY position LIMIT ?",
                (min(through, newest - 1), _TRIM_ROWS),
            ).fetchall()
            if not rows:
                return 0
            connection.execute("DELETE FROM change WHERE position <= ?", rows[-1])
            connection.execute(_NOTE_TRIMMED, rows[-1])
        return len(rows)

    def close(self) -> None:
        """Release everything; closing twice is harmless."""
        self._watch.close()


class _Watch:
    """Notices commits of any process: `data_version` costs a few microseconds and reads no page."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = database.connect()
        self._version = 0
        self._moved_at = 0.0

    @property
    def poll_s(self) -> float:
        """How long to wait before the next look."""
        return _POLL_S if time.monotonic() - self._moved_at < _IDLE_AFTER_S else _POLL_IDLE_S

    def version(self) -> int:
        """Return a number that changes with each commit of another process."""
        with self._lock, mapped_errors(self._database.path):
            if self._connection is None:
                raise UnavailableError(f"{self._database.path} is closed; open it anew")
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            if version != self._version:
                self._version, self._moved_at = version, time.monotonic()
            return int(version)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None


class _Sizes:
    """The size of the log in bytes, in steps of so many rows, so that each row is measured once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._marks: list[tuple[int, int, float]] = []
        """Position, bytes since the mark before, and when the last row was written, on the monotonic clock."""

    def trimmable(self, connection: sqlite3.Connection, retention: Retention) -> int | None:
        """Return the newest position that `retention` allows to forget; None when there is none."""
        with self._lock:
            self._measure(connection)
            (floor,) = connection.execute(_FLOOR).fetchone()
            oldest_kept_s = time.monotonic() - retention.kept_s
            left, chosen = sum(size for _, size, _ in self._marks), None
            for position, size, at_s in self._marks:
                if left <= retention.limit_bytes:
                    if left - size < retention.kept_bytes and at_s >= oldest_kept_s:
                        break
                    if floor is not None and position > floor:  # a consumer still needs some of these
                        chosen = max(floor, chosen or floor)
                        break
                left, chosen = left - size, position
            return chosen

    def _measure(self, connection: sqlite3.Connection) -> None:
        (oldest,) = connection.execute("SELECT min(position) FROM change").fetchone()
        self._marks = [mark for mark in self._marks if oldest is not None and mark[0] >= oldest]
        for mark in _measured(connection, self._marks[-1][0] if self._marks else 0):
            self._marks.append(mark)


def _measured(connection: sqlite3.Connection, after: int) -> Iterator[tuple[int, int, float]]:
    # Ages do not change when the wall clock is set later; an entry with a time in the future counts as new.
    wall_s, now_s = time.time(), time.monotonic()
    rows = connection.execute(f"SELECT position, {_SIZE}, at FROM change WHERE position > ?", (after,))  # noqa: S608
    while page := rows.fetchmany(_MARK_ROWS):
        newest = max(row[2] if isinstance(row[2], int) else 0 for row in page)
        yield page[-1][0], sum(row[1] for row in page), now_s - max(0.0, wall_s - newest / 1000)


def _page(connection: sqlite3.Connection, after: Position, limit: int) -> list[tuple[Any, ...]]:
    """Return the next rows; entries written by hand may hold text that is not UTF-8."""
    try:
        return _bounded(connection.execute(_PAGE, (after, POSITION_MAX, limit)))
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
    connection.text_factory = lambda raw: raw.decode(errors="replace")
    try:
        return _bounded(connection.execute(_PAGE, (after, POSITION_MAX, limit)))
    finally:
        connection.text_factory = str


def _bounded(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    for row in cursor:
        rows.append(row)
        size += len(row[7] or b"") + len(row[8] or b"")
        if size >= _PAGE_BYTES:
            break
    cursor.close()
    return rows


def _check_whole(connection: sqlite3.Connection, after: Position, rows: Sequence[Sequence[Any]]) -> None:
    """Raise `PositionLostError` when entries after `after` are gone: trimmed, or removed by another program."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'trimmed'").fetchone()
    trimmed = int(row[0]) if row is not None and is_number(row[0]) else ORIGIN
    if after < trimmed:
        raise PositionLostError(f"the log was trimmed through {trimmed}, entries behind {after} are gone: backfill")
    expected = after + 1
    for position, kind, *_ in rows:
        if position != expected and kind != RESCAN:  # only `advance` leaves a gap, before a rescan
            raise PositionLostError(f"entries {expected} to {position - 1} of the log are gone: backfill")
        expected = position + 1
