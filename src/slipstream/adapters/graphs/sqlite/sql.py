"""A user's SQL over the graph file: one read-only statement, within limits."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from slipstream.adapters.sqlite.errors import mapped
from slipstream.domain.errors import InvalidInputError, QueryLimitError

STATEMENT_SIZE_MAX = 100_000
_READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_REFUSED_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
_STEPS_PER_LOOK = 10_000
_VALUE_BYTES_MAX = 64 * 1024 * 1024
"""Longest value, in bytes: longer than the properties of one entity can be."""
_ANSWER_BYTES_MAX = 4 * _VALUE_BYTES_MAX
_WRONG = (
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_SCHEMA,  # raised for a `CREATE TABLE` that the authorizer refuses
)


class SqliteSql:
    """See `ports.sql.Sql`. Each call has a connection of its own, which can not write."""

    def __init__(self, path: Path, *, timeout_s: float = 30.0, rows_max: int = 100_000) -> None:
        self._path, self._timeout_s, self._rows_max = path, timeout_s, rows_max

    def query(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run one read-only statement, and return its rows by column name; see the port for errors."""
        if not statement.strip() or len(statement) > STATEMENT_SIZE_MAX:
            raise InvalidInputError(f"send one statement of at most {STATEMENT_SIZE_MAX} characters", field="sql")
        deadline = time.monotonic() + self._timeout_s
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
                connection.set_authorizer(_only_reading)
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_BYTES_MAX)
                connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_PER_LOOK)
                return self._rows(connection.execute(statement, dict(parameters)))
        except (sqlite3.Error, sqlite3.Warning, OverflowError, UnicodeEncodeError) as error:
            raise self._told(error) from error

    def _rows(self, cursor: sqlite3.Cursor) -> list[dict[str, Any]]:
        if cursor.description is None:
            raise InvalidInputError("returns nothing: send a SELECT", field="sql")
        columns = [column[0] for column in cursor.description]
        if len(set(columns)) < len(columns):
            raise InvalidInputError("two columns have one name: tell them apart with AS", field="sql")
        rows: list[dict[str, Any]] = []
        size = 0
        for row in cursor:
            size += sum(len(value) for value in row if isinstance(value, str | bytes))
            if len(rows) == self._rows_max:
                raise QueryLimitError(f"more than {self._rows_max} rows: add a LIMIT, or raise [query] rows_max")
            if size > _ANSWER_BYTES_MAX:
                raise QueryLimitError(f"more than {_ANSWER_BYTES_MAX} bytes: ask for less")
            rows.append(dict(zip(columns, row, strict=True)))
        return rows

    def _told(self, error: Exception) -> Exception:
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_INTERRUPT:
            return QueryLimitError(f"took more than {self._timeout_s:g} s: ask for less, or raise [query] timeout_s")
        if code == sqlite3.SQLITE_TOOBIG:
            return QueryLimitError(f"a value of more than {_VALUE_BYTES_MAX} bytes: ask for less")
        is_callers = code is None or code & 0xFF in _WRONG
        return InvalidInputError(f"{error}", field="sql") if is_callers else mapped(error, self._path)


def _only_reading(action: int, first: str | None, second: str | None, *_: object) -> int:
    is_refused = action not in _READS or (
        action == sqlite3.SQLITE_FUNCTION and str(second or first).lower() in _REFUSED_FUNCTIONS
    )
    return sqlite3.SQLITE_DENY if is_refused else sqlite3.SQLITE_OK
