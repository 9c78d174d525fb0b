"""The store's file at one snapshot, and what must be removed from a copy of it before use."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from slipstream.adapters.indexes.sqlite.schema import prepare_file
from slipstream.adapters.sqlite.copying import PinnedFile
from slipstream.adapters.sqlite.errors import mapped_errors


class PinnedSqliteStore(PinnedFile):
    """A `PinnedIndex` over the store's file."""

    def value(self, name: str) -> str | None:
        """Return a named value."""
        with mapped_errors(self.path):
            row = self.connection.execute("SELECT value FROM named_values WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def records(self) -> int:
        """Count records."""
        with mapped_errors(self.path):
            return int(self.connection.execute("SELECT count(*) FROM records").fetchone()[0])


def make_ready(path: Path, forget: Iterable[str]) -> None:
    """
    Remove from a copy what must not happen again: the requests of processes of that time, and the named values.

    A copy of an older version is brought to this one. The copy is durable when this returns.
    """
    with mapped_errors(path), closing(sqlite3.connect(path, isolation_level=None)) as connection:
        prepare_file(connection, path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM requests")
        connection.executemany("DELETE FROM named_values WHERE name = ?", ((name,) for name in forget))
        connection.execute("COMMIT")
