"""The journal in the store's file: named values, work, dead letters, messages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

from slipstream.adapters.indexes.sqlite.codec import Row, microseconds, moment, select_in
from slipstream.adapters.indexes.sqlite.values import get_value, put_value
from slipstream.adapters.sqlite.connections import Database
from slipstream.domain.erasure import Erased
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.work import DeadLetter, Lane, LetterSize, WorkItem
from slipstream.ports.journal import DELAY_S_MAX

_WORK_COLUMNS = "key, lane, position, attempts, due_at, reason, error, force, rank"
_PUT_WORK = f"""
INSERT INTO work ({_WORK_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    lane = CASE
        WHEN min(lane, excluded.lane) = {int(Lane.MIGRATION)}
            AND (max(lane, excluded.lane) = {int(Lane.REPAIR)} OR coalesce(position, excluded.position) IS NOT NULL)
        THEN max(lane, excluded.lane) ELSE min(lane, excluded.lane)
    END,
    position = min(coalesce(position, excluded.position), coalesce(excluded.position, position)),
    attempts = excluded.attempts, due_at = excluded.due_at, reason = excluded.reason, error = excluded.error,
    force = max(force, excluded.force), rank = min(rank, excluded.rank)
"""  # noqa: S608  (names of columns, no values)
# Rows that can not be read, written by another program, are left out; the self-check names and removes them.
_READABLE_WORK = f"key GLOB '[er]:?*' AND lane IN ({', '.join(str(int(lane)) for lane in Lane)})"
_LETTER_COLUMNS = "id, key, error, attempts, failed_at, position, payload"
_BURY = f"REPLACE INTO letters ({_LETTER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  (names of columns)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DELAY_MAX = timedelta(seconds=DELAY_S_MAX)


class SqliteJournal:
    """
    A `Journal`, `DeadLetters` and `MessageStore`. Made by `SqliteStore`, shares transactions with its index.

    Its writes go through the fence of the database, since they are the engine's, unless it is not `guarded`.
    """

    def __init__(self, database: Database, *, guarded: bool = True) -> None:
        self._database, self._guarded = database, guarded
        self._closed = False
        self._erased: tuple[Erased, ...] = ()

    def forget(self, erased: Erased) -> None:
        """Keep no cursor at a key of an erased entity from now on: scans that run have it in memory."""
        self._erased = (*self._erased, erased)

    def _require_open(self) -> None:
        if self._closed:
            raise UnavailableError(f"the journal in {self._database.path} is closed; open the store anew")

    def _writing(self, *, is_single: bool = False) -> AbstractContextManager[sqlite3.Connection]:
        self._require_open()
        return self._database.writing(guarded=self._guarded, is_single=is_single)

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        self._require_open()
        return self._database.reading()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the block one atomic, durable step, the index's writes in it included."""
        self._require_open()
        with self._database.transaction(guarded=self._guarded):
            yield

    # ------------------------------------------------------------------ values and work

    def get(self, name: str) -> str | None:
        """Return a named value."""
        with self._reading() as connection:
            return get_value(connection, name, self._database.path)

    def set(self, name: str, value: str | None) -> None:
        """Set or remove a named value."""
        with self._writing(is_single=True) as connection:
            if value is None:
                connection.execute("DELETE FROM named_values WHERE name = ?", (name,))
            else:
                put_value(connection, name, self._without_erased(value))

    def _without_erased(self, value: str) -> str:
        """Return a value as it may be kept; called while nobody else writes, so that no scrub comes between."""
        if not value.startswith(("{", "[")):  # only what is JSON has a cursor
            return value
        told = [erased for erased in self._erased if erased.is_told_in(value)]
        if not told:
            return value
        found = json.loads(value)
        for erased in told:
            found = erased.cursors_back(found)
        return json.dumps(found)

    def put_work(self, items: Sequence[WorkItem]) -> None:
        """Add work items, merged with the ones that are there."""
        rows = [
            (
                item.key.encode(),
                int(item.lane),
                item.position,
                item.attempts,
                None if item.due_at is None else microseconds(item.due_at),
                item.reason,
                item.error,
                item.force,
                -item.priority,
            )
            for item in items
        ]
        with self._writing() as connection:
            connection.executemany(_PUT_WORK, rows)

    def remove_work(self, keys: Sequence[RecordKey]) -> None:
        """Forget work items."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM work WHERE key = ?", ((key.encode(),) for key in keys))

    def work(self, after: WorkItem | None, limit: int, lane: Lane | None = None) -> Sequence[WorkItem]:
        """Return work items, the most urgent first."""
        conditions = ["(lane, rank, key) > (?, ?, ?)" if after else "", "lane = ?" if lane is not None else ""]
        where = " AND ".join(filter(None, [*conditions, _READABLE_WORK]))
        parameters = [*(after.order if after else ()), *([lane] if lane is not None else []), limit]
        query = f"SELECT {_WORK_COLUMNS} FROM work WHERE {where} ORDER BY lane, rank, key LIMIT ?"  # noqa: S608
        with self._reading() as connection:
            return [_work_item(row) for row in connection.execute(query, parameters)]

    def work_count(self, lane: Lane | None = None) -> int:
        """Count work items."""
        condition, parameters = ("", ()) if lane is None else ("AND lane = ?", (int(lane),))
        with self._reading() as connection:
            return _count(connection, f"work WHERE {_READABLE_WORK} {condition}", *parameters)

    # ------------------------------------------------------------------ dead letters

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters, by id."""
        rows = [
            (
                letter.id,
                None if letter.key is None else letter.key.encode(),
                letter.error,
                letter.attempts,
                microseconds(letter.failed_at),
                letter.position,
                letter.payload,
            )
            for letter in letters
        ]
        with self._writing() as connection:
            connection.executemany(_BURY, rows)

    def letters(self, after: str | None, limit: int) -> Sequence[DeadLetter]:
        """Return letters by id."""
        query = f"SELECT {_LETTER_COLUMNS} FROM letters WHERE ? IS NULL OR id > ? ORDER BY id LIMIT ?"  # noqa: S608
        with self._reading() as connection:
            return [_letter(row) for row in connection.execute(query, (after, after, limit))]

    def find(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        """Return the letters with these ids."""
        query = f"SELECT {_LETTER_COLUMNS} FROM letters WHERE id IN ({{}})"  # noqa: S608  (names of columns)
        with self._reading() as connection:
            found = [_letter(row) for row in select_in(connection, query, dict.fromkeys(ids))]
        return sorted(found, key=lambda letter: letter.id)

    def remove(self, ids: Sequence[str]) -> int:
        """Forget letters by id."""
        with self._writing() as connection:
            return connection.executemany("DELETE FROM letters WHERE id = ?", ((i,) for i in ids)).rowcount

    def remove_keys(self, keys: Sequence[RecordKey]) -> int:
        """Forget the letters of these keys."""
        with self._writing() as connection:
            rows = ((key.encode(),) for key in keys)
            return connection.executemany("DELETE FROM letters WHERE key = ?", rows).rowcount

    def letter_count(self) -> int:
        """Count letters."""
        with self._reading() as connection:
            return _count(connection, "letters")

    def refused_size(self) -> LetterSize:
        """Add up the letters without a key."""
        size = "length(CAST(error AS BLOB)) + coalesce(length(CAST(payload AS BLOB)), 0)"
        query = f"SELECT count(*), sum({size}) FROM letters WHERE key IS NULL"  # noqa: S608  (our own text)
        with self._reading() as connection:
            count, size_bytes = connection.execute(query).fetchone()
        return LetterSize(int(count), int(size_bytes or 0))

    # ------------------------------------------------------------------ messages

    def append(self, topic: str, payloads: Sequence[str], due_at: datetime | None = None) -> Sequence[int]:
        """Append messages; their ids are never given out again."""
        due = None if due_at is None else microseconds(due_at)
        insert = "INSERT INTO messages (topic, payload, due_at) VALUES (?, ?, ?)"
        with self._writing() as connection:
            return [int(connection.execute(insert, (topic, payload, due)).lastrowid or 0) for payload in payloads]

    def pending(self, topic: str, after: int, limit: int, due_by: datetime) -> Sequence[tuple[int, str]]:
        """Return due messages by id."""
        query = """
            SELECT id, payload FROM messages
            WHERE topic = ? AND id > ? AND (due_at IS NULL OR NOT due_at BETWEEN ? AND ?) ORDER BY id LIMIT ?
        """
        not_yet = (microseconds(due_by) + 1, microseconds(due_by + _DELAY_MAX))
        with self._reading() as connection:
            return connection.execute(query, (topic, after, *not_yet, limit)).fetchall()

    def acknowledge(self, topic: str, ids: Sequence[int]) -> None:
        """Forget messages of the topic."""
        with self._writing() as connection:
            connection.executemany("DELETE FROM messages WHERE id = ? AND topic = ?", ((i, topic) for i in ids))

    def depth(self, topic: str) -> int:
        """Count messages of the topic."""
        with self._reading() as connection:
            return _count(connection, "messages WHERE topic = ?", topic)

    def size_bytes(self, topic: str) -> int:
        """Add up the messages of the topic."""
        query = "SELECT coalesce(sum(length(CAST(payload AS BLOB))), 0) FROM messages WHERE topic = ?"
        with self._reading() as connection:
            return int(connection.execute(query, (topic,)).fetchone()[0])

    def close(self) -> None:
        """Refuse further calls; the file is closed by the store. Closing twice is harmless."""
        self._closed = True


def _count(connection: sqlite3.Connection, source: str, *parameters: object) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {source}", parameters).fetchone()  # noqa: S608  (our own text)
    return int(count)


def _work_item(row: Row) -> WorkItem:
    key, lane, position, attempts, due_at, reason, error, force, rank = row
    return WorkItem(
        key=RecordKey.decode(key),
        lane=Lane(lane),
        position=position if position is None else Position(position),
        attempts=attempts,
        due_at=moment(due_at),
        reason=reason,
        error=error,
        force=bool(force),
        priority=-rank,
    )


def _letter(row: Row) -> DeadLetter:
    identity, key, error, attempts, failed_at, position, payload = row
    return DeadLetter(
        id=identity,
        key=None if key is None else RecordKey.decode(key),
        error=error,
        attempts=attempts,
        failed_at=_EPOCH + timedelta(microseconds=failed_at),
        position=position if position is None else Position(position),
        payload=payload,
    )
