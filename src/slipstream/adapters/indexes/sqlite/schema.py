"""The tables of the store, and their version."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from slipstream.domain.errors import ConfigError

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x534C4950  # "SLIP"
_SQLITE_OLDEST = (3, 37, 0)  # STRICT tables, RETURNING

# Stamps and vectors apart: a restamp must not rewrite blobs. `changes` names every record written or removed, in
# the order of the commits: a matrix in memory follows it, whoever wrote. Times are microseconds since 1970.
_TABLES = """
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY,
    model_id TEXT NOT NULL,
    model_version TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    UNIQUE (model_id, model_version, dimension, generation)
) STRICT;
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    space INTEGER NOT NULL REFERENCES spaces,
    position INTEGER NOT NULL,
    entity_type TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    checksum TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    schema_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    template_version TEXT NOT NULL,
    confidence REAL,
    quality REAL,
    source_document TEXT,
    last_validated INTEGER,
    needs_reembedding INTEGER NOT NULL,
    reembedding_reason TEXT,
    metadata TEXT,
    UNIQUE (key, space)
) STRICT;
CREATE TABLE vectors (record INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;
CREATE TABLE tombstones (key TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_position ON tombstones (position);
CREATE TABLE changes (sequence INTEGER PRIMARY KEY, record INTEGER NOT NULL) STRICT;

CREATE TABLE named_values (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE work (
    key TEXT PRIMARY KEY,
    lane INTEGER NOT NULL,
    position INTEGER,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    reason TEXT NOT NULL,
    error TEXT,
    force INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX work_by_lane ON work (lane, key);
CREATE TABLE letters (
    id TEXT PRIMARY KEY,
    key TEXT,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    position INTEGER,
    payload TEXT
) STRICT;
CREATE INDEX letters_by_key ON letters (key);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL,
    due_at INTEGER
) STRICT;
CREATE INDEX messages_by_topic ON messages (topic, id);
"""


def check_sqlite() -> None:
    """Raise `ConfigError` when this Python's SQLite is too old."""
    if sqlite3.sqlite_version_info < _SQLITE_OLDEST:
        oldest = ".".join(map(str, _SQLITE_OLDEST))
        raise ConfigError(f"SQLite {sqlite3.sqlite_version} is too old, {oldest} is needed: use a newer Python")


def prepare_file(connection: sqlite3.Connection, path: Path) -> None:
    """Create the tables in a new file; raises `ConfigError` for a file that is not ours or of a newer version."""
    connection.execute("BEGIN IMMEDIATE")  # two processes may open a new file at the same time
    try:
        if _is_new(connection, path):
            for statement in _TABLES.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables == 0 and application in (0, _APPLICATION_ID):
        return True
    if application != _APPLICATION_ID:
        raise ConfigError(f"{path} is the database of another program: choose another path")
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"{path} was written by a newer Slipstream (store version {version}, this one reads up to "
            f"{SCHEMA_VERSION}): upgrade slipstream-pkg"
        )
    return False
