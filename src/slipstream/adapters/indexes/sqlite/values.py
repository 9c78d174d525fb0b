"""
Checksums of the journal's named values.

Each value steers the engine (its checkpoint, the live generation), and most look valid even after a change by another
program. So each is written with a checksum; rows of older versions have none, and are taken as they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

from slipstream.domain.errors import CorruptionError

_PUT = "REPLACE INTO named_values (name, value, checksum) VALUES (?, ?, ?)"


def value_checksum(name: str, value: str) -> str:
    """Return the checksum to store beside a value."""
    return blake2b(f"{len(name)}:{name}{value}".encode(), digest_size=8).hexdigest()


def put_value(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Set a value, inside the open transaction."""
    connection.execute(_PUT, (name, value, value_checksum(name, value)))


def get_value(connection: sqlite3.Connection, name: str, path: Path) -> str | None:
    """Return a value, None when there is none; raises `CorruptionError` for one that another program has changed."""
    row = connection.execute("SELECT value, checksum FROM named_values WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    value = str(row[0])
    if row[1] is not None and row[1] != value_checksum(name, value):
        raise CorruptionError(
            f"{path}: the value {name!r} was changed past Slipstream, or is damaged: restore a backup of the file, "
            "or delete it: it is built anew from the graph"
        )
    return value


def values_changed(connection: sqlite3.Connection) -> Mapping[str, str]:
    """Return the values that another program has changed, by place, with what is wrong."""
    rows = connection.execute("SELECT name, value, checksum FROM named_values WHERE checksum IS NOT NULL")
    return {
        f"named_values.{name}": "it was changed past Slipstream, or is damaged"
        for name, value, checksum in rows
        if checksum != value_checksum(name, value)
    }
