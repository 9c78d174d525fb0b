"""Reads facts of a SQLite file that can not be opened as usual: read-only, bounded, on a full disk too."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from slipstream.adapters.sqlite.errors import mapped, mapped_errors
from slipstream.domain.errors import NotFoundError

T = TypeVar("T")

_WAIT_S = 1.0
_NEEDED = {
    "json": "SELECT '{\"a\": 1}' ->> 'a'",
    "STRICT": "CREATE TABLE a(b INTEGER) STRICT",
    "FTS5": "CREATE VIRTUAL TABLE c USING fts5(d)",
}
_LOOK = "SELECT count(*) FROM sqlite_schema"
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""Primary codes of errors for which opening the file in another way does not help."""


class FileGlimpse:
    """
    Facts of one file, by queries. Writes nothing, and keeps no lock.

    On a full disk a connection has no room for what it needs beside the file: the file is then read alone, without
    its write-ahead log, and `is_old` is True. Raises `NotFoundError` when there is no file, `UnavailableError` when
    it can not be read now, `CorruptionError` when it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self.is_old = False
        """Whether what the write-ahead log holds could not be read."""

    def value(self, query: str, **parameters: Any) -> Any:
        """Return the one value that a query gives, None when it gives none."""
        connection = self._opened()
        with mapped_errors(self.path):
            row = connection.execute(query, parameters).fetchone()
        return None if row is None else row[0]

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Return what a question that only reads returns."""
        connection = self._opened()
        with mapped_errors(self.path):
            return question(connection)

    def open(self) -> bool:
        """Open the file, unless it is open already; returns True."""
        return self._opened() is not None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            if not self.path.is_file():
                raise NotFoundError(f"{self.path} is not there")
            try:
                self._connection = self._connected("mode=ro")
            except sqlite3.Error as error:
                if (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _LOCKED:
                    raise mapped(error, self.path) from error
                with mapped_errors(self.path):
                    self._connection = self._connected("mode=ro&immutable=1")
                self.is_old = _has_content(self.path.with_name(f"{self.path.name}-wal"))
        return self._connection

    def _connected(self, how: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?{how}"
        connection = sqlite3.connect(address, uri=True, timeout=_WAIT_S, isolation_level=None)
        try:
            connection.execute(_LOOK).fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lacking() -> list[str]:
    """Return what this SQLite lacks of that which our files need."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return [name for name, statement in _NEEDED.items() if not _runs(connection, statement)]


def _runs(connection: sqlite3.Connection, statement: str) -> bool:
    try:
        connection.execute(statement)
    except sqlite3.Error:
        return False
    return True


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
