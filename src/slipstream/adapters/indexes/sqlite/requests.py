"""Requests to the engine's owner, in the store's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from slipstream.adapters.indexes.sqlite.codec import Row, microseconds
from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.watching import SqliteCommitWatch
from slipstream.domain.errors import QueryLimitError
from slipstream.ports.requests import ARGUMENTS_BYTES_MAX, WAITING_BYTES_MAX, WAITING_MAX, CommitWatch, Request

_COLUMNS = "id, operation, arguments, asked_at, attempts, is_cancelled, progress, answer"
_OPEN = "id = ? AND answer IS NULL"
_ANSWERED = """
SELECT id, asked_at < ?, length(arguments) + length(coalesce(progress, '')) + length(answer)
FROM requests WHERE answer IS NOT NULL ORDER BY id DESC
"""
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteRequests:
    """
    A `Requests` in one table. Made by `SqliteStore`.

    Callers write past the fence; the owner's writes go through it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(self, operation: str, arguments: str, asked_at: datetime) -> int:
        """Add a row, if there is room."""
        size = len(arguments.encode())
        if size > ARGUMENTS_BYTES_MAX:
            raise QueryLimitError(
                f"{operation}: the arguments take {size:,} bytes, at most {ARGUMENTS_BYTES_MAX:,} can be asked at a "
                "time: ask in parts"
            )
        insert = "INSERT INTO requests (operation, arguments, asked_at) VALUES (?, ?, ?)"
        with self._database.writing(guarded=False) as connection:
            _require_room(connection, operation, size)
            return int(connection.execute(insert, (operation, arguments, microseconds(asked_at))).lastrowid or 0)

    def waiting(self, after: int, limit: int) -> Sequence[Request]:
        """Return unanswered rows by id."""
        query = f"SELECT {_COLUMNS} FROM requests WHERE answer IS NULL AND id > ? ORDER BY id LIMIT ?"  # noqa: S608
        with self._database.reading() as connection:
            return [_request(row) for row in connection.execute(query, (after, max(limit, 0)))]

    def begin(self, request_id: int) -> int:
        """Count an attempt."""
        update = f"UPDATE requests SET attempts = attempts + 1 WHERE {_OPEN} RETURNING attempts"  # noqa: S608
        with self._database.writing() as connection:
            row = connection.execute(update, (request_id,)).fetchone()
        return 0 if row is None else int(row[0])

    def tell(self, request_id: int, progress: str) -> None:
        """Replace the progress of an unanswered row."""
        with self._database.writing() as connection:
            connection.execute(f"UPDATE requests SET progress = ? WHERE {_OPEN}", (progress, request_id))  # noqa: S608

    def answer(self, request_id: int, answer: str) -> bool:
        """Set the answer of an unanswered row."""
        with self._database.writing() as connection:
            update = f"UPDATE requests SET answer = ? WHERE {_OPEN}"  # noqa: S608  (our own text)
            return connection.execute(update, (answer, request_id)).rowcount > 0

    def look(self, request_id: int) -> Request | None:
        """Return one row."""
        query = f"SELECT {_COLUMNS} FROM requests WHERE id = ?"  # noqa: S608  (names of columns)
        with self._database.reading() as connection:
            row = connection.execute(query, (request_id,)).fetchone()
        return None if row is None else _request(row)

    def cancel(self, request_id: int) -> None:
        """Mark an unanswered row."""
        with self._database.writing(guarded=False) as connection:
            connection.execute(f"UPDATE requests SET is_cancelled = 1 WHERE {_OPEN}", (request_id,))  # noqa: S608

    def forget(self, asked_before: datetime, keep: int, keep_bytes: int) -> int:
        """Delete answered rows: the old ones, and the oldest of too many."""
        gone: list[tuple[int]] = []
        kept = kept_bytes = 0
        with self._database.reading() as connection:
            for identity, is_old, size in connection.execute(_ANSWERED, (microseconds(asked_before),)):
                if is_old or kept >= keep or kept_bytes + size > keep_bytes:
                    gone.append((identity,))
                else:
                    kept, kept_bytes = kept + 1, kept_bytes + size
        if gone:  # write only if there is something to forget
            with self._database.writing() as connection:
                connection.executemany("DELETE FROM requests WHERE id = ?", gone)
        return len(gone)

    def watch(self) -> CommitWatch:
        """Return a watch over the file."""
        return SqliteCommitWatch(self._database)


def _require_room(connection: sqlite3.Connection, operation: str, size: int) -> None:
    count, total = connection.execute(
        "SELECT count(*), coalesce(sum(length(arguments)), 0) FROM requests WHERE answer IS NULL"
    ).fetchone()
    if count >= WAITING_MAX or total + size > WAITING_BYTES_MAX:
        raise QueryLimitError(
            f"{operation}: {count:,} requests wait for the process that runs the engine, no more are taken: see "
            "whether it hangs (`slipstream status`), and try again"
        )


def _request(row: Row) -> Request:
    identity, operation, arguments, asked_at, attempts, is_cancelled, progress, answer = row
    return Request(
        id=identity,
        operation=operation,
        arguments=arguments,
        asked_at=_FIRST + timedelta(microseconds=asked_at),
        attempts=attempts,
        is_cancelled=bool(is_cancelled),
        progress=progress,
        answer=answer,
    )
