"""
Checks of a file's structure: SQLite's own, and comparisons of indexes with their tables.

A missing or surplus entry of an index is no error to SQLite: rows are not found, or found twice. Its
`integrity_check` finds that, but reads every page; the comparisons here read only rows and index entries.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

INTEGRITY_ERRORS_MAX = 100
_SHOWN_MAX = 3
_OF_INDEX = re.compile(r"index (\w+)$")
_TABLES = (
    "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'"
)


@dataclass(frozen=True, slots=True)
class Index:
    """One index of a table that covers every row of it."""

    name: str
    table: str
    columns: tuple[str, ...]
    is_unique: bool
    primary: str
    """What identifies a row in both: `rowid`, or the columns of the primary key, separated by commas."""
    whole: str
    """The clause that makes a scan read the table itself and no index."""

    def same_row(self, one: str, other: str) -> str:
        """Return the SQL condition that an entry belongs to a row."""
        names = dict.fromkeys([*self.columns, *self.primary.split(", ")])
        return " AND ".join(f"{one}.{name} IS {other}.{name}" for name in names)


def indexes_of(connection: sqlite3.Connection) -> Iterator[Index]:
    """Yield the indexes that cover every row; partial ones are left to `integrity_check`."""
    for table, is_keyed in connection.execute(_TABLES).fetchall():
        listed = connection.execute(
            'SELECT name, "unique", origin FROM pragma_index_list(?) WHERE NOT partial', (table,)
        ).fetchall()
        primary, whole = "rowid", "NOT INDEXED"
        if is_keyed:  # the table is the b-tree of its primary key, so that index has nothing to be compared with
            (own,) = [name for name, _, origin in listed if origin == "pk"]
            # Here NOT INDEXED would still let SQLite scan a shorter index.
            primary, whole = ", ".join(_columns(connection, own)), f"INDEXED BY {own}"
            listed = [row for row in listed if row[0] != own]
        for name, is_unique, _ in listed:
            yield Index(name, table, tuple(_columns(connection, name)), bool(is_unique), primary, whole)


def _columns(connection: sqlite3.Connection, index: str) -> list[str]:
    found = connection.execute("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (index,))
    return [str(name) for (name,) in found]


def unlike_table(connection: sqlite3.Connection, index: Index) -> str | None:
    """Return how an index differs from its table, None when it does not."""
    # count(*) would use the shortest index, whatever the clause says.
    by_it = f"{index.table} AS i INDEXED BY {index.name}"
    rows = _total(connection, f"{index.table} {index.whole}")
    entries = _total(connection, by_it)
    unfound = f"NOT EXISTS (SELECT 1 FROM {by_it} WHERE {index.same_row('i', 'r')})"  # noqa: S608  (names only)
    missing = _total(connection, f"{index.table} AS r {index.whole} WHERE {unfound}")
    if missing:
        return f"{missing} of {rows} rows are not found by it"
    return None if rows == entries else f"it has {entries} entries for {rows} rows"


def repeated(connection: sqlite3.Connection, index: Index, *, past_it: bool) -> list[tuple[object, ...]]:
    """Return the values that are more than once in a unique index, or (`past_it`) in its table."""
    columns = ", ".join(index.columns)
    source = index.whole if past_it else f"INDEXED BY {index.name}"
    statement = f"SELECT {columns} FROM {index.table} {source} GROUP BY {columns} HAVING count(*) > 1"  # noqa: S608
    return connection.execute(statement).fetchall()


def _total(connection: sqlite3.Connection, source: str) -> int:
    return int(connection.execute(f"SELECT total(1) FROM {source}").fetchone()[0])  # noqa: S608  (our own text)


def integrity(connection: sqlite3.Connection) -> Mapping[str, str]:
    """Return what `PRAGMA integrity_check` says, by place: an index, `constraints`, or `pages`."""
    said: dict[str, list[str]] = {}
    for (line,) in connection.execute(f"PRAGMA integrity_check({INTEGRITY_ERRORS_MAX})"):
        if line != "ok":
            said.setdefault(_place(line), []).append(line)
    return {place: _shortened(lines) for place, lines in said.items()}


def _place(line: str) -> str:
    of_index = _OF_INDEX.search(line)
    if of_index is not None and ("row " in line or "entr" in line or "non-unique" in line):
        return f"index {of_index.group(1)}"
    return (
        "constraints"
        if line.startswith(("NULL value in", "CHECK constraint", "NUMERIC", "TEXT", "non-"))
        else "pages"
    )


def _shortened(lines: list[str]) -> str:
    more = f" and {len(lines) - _SHOWN_MAX} more" if len(lines) > _SHOWN_MAX else ""
    return f"{'; '.join(lines[:_SHOWN_MAX])}{more}"


def rebuild(
    connection: sqlite3.Connection, name: str, newest: Mapping[str, str], untriggered: frozenset[str]
) -> None:
    """
    Rebuild an index from its table, inside the open transaction; of rows that a unique index repeats, one stays.

    `newest` gives the order by table (default: rowid). Deleting a duplicate row of an `untriggered` table fires no
    trigger: the trigger would log the row that stays as deleted.
    """
    index = next((each for each in indexes_of(connection) if each.name == name), None)
    if index is not None and index.is_unique and index.primary == "rowid":
        # Newer versions of SQLite fail to delete a row that has no index entry, unless this is on.
        connection.execute("PRAGMA writable_schema = ON")
        try:
            _keep_newest(connection, index, newest.get(index.table, "rowid"), index.table in untriggered)
        finally:
            connection.execute("PRAGMA writable_schema = OFF")
    connection.execute(f"REINDEX {name}")


def _keep_newest(connection: sqlite3.Connection, index: Index, newest: str, is_untriggered: bool) -> None:
    triggers: list[tuple[str, str]] = []
    if is_untriggered:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?", (index.table,)
        ).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    ranked = (
        f"SELECT rowid AS number, row_number() OVER (PARTITION BY {', '.join(index.columns)} "  # noqa: S608
        f"ORDER BY {newest} DESC) AS rank FROM {index.table} NOT INDEXED"
    )
    gone = connection.execute(f"SELECT number FROM ({ranked}) WHERE rank > 1").fetchall()  # noqa: S608
    connection.executemany(f"DELETE FROM {index.table} WHERE rowid = ?", gone)  # noqa: S608  (our own text)
    for _, statement in triggers:
        connection.execute(statement)
