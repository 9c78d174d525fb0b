"""
The generator of tampering: a value of every column of every table of a SQLite file, changed by its kind.

Tables and columns are asked of the file, so that a new one is tampered with as soon as it is there. What is changed
is changed past triggers and checks, and leaves the schema as it was: nobody hears of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

KEYED = {
    "meta": "name",
    "named_values": "name",
    "sqlite_sequence": "name",
    "consumer": "name",
    "embedding_metadata": "key",
    "segments": "scope",  # Chroma writes these two in an order that differs from run to run
}
"""Tables in which every name is a thing of its own: the first row of each of them is tampered with."""
_TABLES = (
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND (name NOT LIKE 'sqlite_%' OR name = 'sqlite_sequence')"
)
_KEPT = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow')"


@dataclass(frozen=True, slots=True)
class Case:
    """One value to change."""

    table: str
    column: str
    way: str
    row: str = ""
    """Which name of a keyed table; else the first one that has a value, or the first one."""

    def __str__(self) -> str:
        return f"{self.table}{f'[{self.row}]' if self.row else ''}.{self.column}: {self.way}"


class RefusedError(Exception):
    """The file itself does not take the value."""


def cases_of(path: Path, tables: Sequence[str] = ()) -> list[Case]:
    """Return every case of a file, or of some of its tables; one without a row is an error of whoever made it."""
    with closing(sqlite3.connect(path)) as connection:
        return list(_cases(connection, tables or tables_of(connection)))


def tables_of(connection: sqlite3.Connection) -> list[str]:
    """Return the tables of a file that keep something: a virtual one has others for that."""
    kept = {name for (name,) in connection.execute(_KEPT)}
    return [table for (table,) in connection.execute(_TABLES) if table in kept]


def _cases(connection: sqlite3.Connection, tables: Sequence[str]) -> Iterator[Case]:
    for table in tables:
        names = connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", (table,)).fetchall()
        key = KEYED.get(table) if (KEYED.get(table),) in names else None
        rows = connection.execute(f"SELECT DISTINCT {key} FROM {table}").fetchall() if key else [("",)]  # noqa: S608
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0], f"{table} has no row"  # noqa: S608
        for (row,) in rows:
            for (column,) in names:
                ways = _WAYS[type(_value(connection, table, column, row))]
                for way in _RENAMED if column == key else ways:
                    yield Case(table, column, way, row)


_WAYS: Mapping[type, Sequence[str]] = {
    int: ("one more", "one less", "huge", "negative", "null", "text"),
    float: ("a little more", "infinite", "null"),
    bytes: ("a bit flipped", "cut", "null"),
    str: ("longer", "another", "empty", "null"),
    NoneType: ("a text", "a number"),
}
_RENAMED = ("another", "null")
_FIXED: Mapping[str, object] = {
    "huge": 2**62 + 7,
    "negative": -7,
    "null": None,
    "text": "x",
    "a text": "x",
    "a number": 7,
    "empty": "",
    "infinite": float("inf"),
}
_HEX: Mapping[str, str] = {"a": "b", "f": "e"}
"""What keeps a hexadecimal text one: whether an id is refused does not depend on its last digit."""
_MADE: Mapping[str, Callable[[Any], object]] = {
    "one more": lambda value: value + 1,
    "one less": lambda value: value - 1,
    "a little more": lambda value: value + 0.125,
    "a bit flipped": lambda value: bytes([value[0] ^ 64]) + value[1:] if value else value,
    "cut": lambda value: value[:-1],
    "longer": lambda value: f"{value}x",
    "another": lambda value: value[:-1] + _HEX.get(value[-1], chr(ord(value[-1]) ^ 1)) if value else "y",
}


def _where(connection: sqlite3.Connection, table: str, column: str, row: str) -> str:
    (is_keyed,) = connection.execute("SELECT wr FROM pragma_table_list WHERE name = ?", (table,)).fetchone()
    if row:
        quoted = row.replace("'", "''")
        named = f"{KEYED[table]} = '{quoted}'"
        return named if is_keyed else f"rowid = (SELECT min(rowid) FROM {table} WHERE {named})"  # noqa: S608
    found = connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk", (table,)).fetchall()
    names = ", ".join(name for (name,) in found) if is_keyed else "rowid"
    first = f"SELECT {names} FROM {table} ORDER BY {column} IS NULL, {names} LIMIT 1"  # noqa: S608
    return f"({names}) = ({first})" if is_keyed and len(found) > 1 else f"{names} = ({first})"


def _value(connection: sqlite3.Connection, table: str, column: str, row: str) -> object:
    where = _where(connection, table, column, row)
    return connection.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()[0]  # noqa: S608


def tamper(path: Path, case: Case) -> None:
    """Change the value; raises `RefusedError` where the file does not take it, or takes it for the same."""
    with untriggered(path) as connection:
        change(connection, case)


def change(connection: sqlite3.Connection, case: Case) -> None:
    """Change the value through a connection that `untriggered` gave."""
    before = _value(connection, case.table, case.column, case.row)
    new = _MADE[case.way](before) if case.way in _MADE else _FIXED[case.way]
    if new == before:
        raise RefusedError("it is that already")
    where = _where(connection, case.table, case.column, case.row)
    try:
        cursor = connection.execute(f"UPDATE {case.table} SET {case.column} = ? WHERE {where}", (new,))  # noqa: S608
    except (sqlite3.IntegrityError, OverflowError) as error:
        raise RefusedError(str(error)) from error
    assert cursor.rowcount == 1, case


@contextmanager
def untriggered(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection past triggers and checks; the schema is as it was afterwards, to the letter."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("BEGIN IMMEDIATE")
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        yield connection
        for _, statement in triggers:
            connection.execute(statement)
        connection.execute("COMMIT")
