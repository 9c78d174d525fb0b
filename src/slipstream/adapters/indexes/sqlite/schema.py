"""The tables of the store, and their version."""

from __future__ import annotations

import functools
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from slipstream.adapters.indexes.sqlite.words_checking import empty_words
from slipstream.adapters.indexes.sqlite.words_schema import WORDS_STEP, is_of_words, require_fts5, unlike_words
from slipstream.domain.errors import ConfigError, CorruptionError

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 9
"""The number of steps in `_STEPS`."""
APPLICATION_ID = 0x534C4950  # "SLIP"

# Stamps and vectors are apart, so that a restamp rewrites no blobs. `changes` names every record written or removed,
# in the order of the commits: a matrix in memory follows it, whoever wrote. Times are microseconds since 1970.
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

# What audits keep, and, with triggers, what lets the file notice writes that bypass this package.
_SECOND = """
CREATE TABLE leaves (
    after TEXT PRIMARY KEY,
    digests TEXT NOT NULL,
    keys TEXT NOT NULL,
    types TEXT NOT NULL,
    terms BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audits (id INTEGER PRIMARY KEY AUTOINCREMENT, report TEXT NOT NULL) STRICT;
CREATE TABLE findings (
    audit INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (audit, kind, key)
) STRICT, WITHOUT ROWID;
"""
# Work by urgency: `rank` is the negated priority, so that one index gives the order.
_THIRD = """
ALTER TABLE work ADD COLUMN rank REAL NOT NULL DEFAULT 0;
DROP INDEX work_by_lane;
CREATE INDEX work_by_urgency ON work (lane, rank, key);
"""
# The confidence from which a rise is measured; a record of an older store has none until a restamp. And the type of
# an audit's finding.
_FOURTH = """
ALTER TABLE records ADD COLUMN embedded_confidence REAL;
ALTER TABLE findings ADD COLUMN type TEXT NOT NULL DEFAULT ''
"""
# Who owns the engine, and what other processes ask of it.
_FIFTH = """
CREATE TABLE lease (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL) STRICT;
INSERT INTO lease (id, epoch) VALUES (1, 0);
CREATE TABLE requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    operation TEXT NOT NULL,
    arguments TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    is_cancelled INTEGER NOT NULL DEFAULT 0,
    progress TEXT,
    answer TEXT
) STRICT;
CREATE INDEX requests_waiting ON requests (id) WHERE answer IS NULL
"""
# A checksum beside each named value, so that a change by another program is noticed.
_SIXTH = "ALTER TABLE named_values ADD COLUMN checksum TEXT"
# What is known of the records of an index in another store, and which of its keys were written since.
_SEVENTH = """
CREATE TABLE kept_terms (
    key TEXT NOT NULL,
    number INTEGER NOT NULL,
    type TEXT NOT NULL,
    term BLOB NOT NULL,
    schema_version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (key, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE doubted_keys (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID
"""
# Codes of vectors by blocks of record ids, and the change that all of them have reached: see `kept_codes`.
_EIGHTH = """
CREATE TABLE codes (
    space INTEGER NOT NULL,
    block INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (space, block)
) STRICT;
CREATE TABLE coded (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    sequence INTEGER,
    blocks TEXT NOT NULL,
    checksum INTEGER NOT NULL
) STRICT
"""
_STEPS = (_TABLES, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH, _SEVENTH, _EIGHTH, WORDS_STEP)
"""The statements that bring a file from each version to the next one."""
_SEGMENTS = """CREATE TABLE segments (
    after TEXT PRIMARY KEY,
    digests TEXT,
    schema_version_min INTEGER,
    schema_version_max INTEGER,
    position_max INTEGER,
    writes INTEGER NOT NULL
) STRICT, WITHOUT ROWID"""
_NEW_KEY, _OLD_KEY = "NEW.key", "OLD.key"
_KEY_OF_VECTOR = "(SELECT key FROM records WHERE id = {}.record)"
_KEY_OF_ID = "(SELECT key FROM records WHERE id = NEW.id)"
_NOTICED = (
    ("records_inserted", "AFTER INSERT ON records", _NEW_KEY),
    ("records_updated", "AFTER UPDATE ON records", _NEW_KEY),
    ("records_renamed", "AFTER UPDATE OF key ON records", _OLD_KEY),
    ("records_deleted", "AFTER DELETE ON records", _OLD_KEY),
    # OR REPLACE removes the row with the same id without firing a delete trigger.
    ("records_replaced", "BEFORE INSERT ON records", _KEY_OF_ID),
    ("records_moved", "BEFORE UPDATE ON records WHEN NEW.id <> OLD.id", _KEY_OF_ID),
    ("vectors_inserted", "AFTER INSERT ON vectors", _KEY_OF_VECTOR.format("NEW")),
    ("vectors_updated", "AFTER UPDATE ON vectors", _KEY_OF_VECTOR.format("NEW")),
    ("vectors_moved", "AFTER UPDATE ON vectors WHEN NEW.record <> OLD.record", _KEY_OF_VECTOR.format("OLD")),
    ("vectors_deleted", "AFTER DELETE ON vectors", _KEY_OF_VECTOR.format("OLD")),
)
"""Triggers: name, event, and the key whose segment becomes void."""
YEARS = "BETWEEN -62135596800000000 AND 253402300799999999"  # the years 1 to 9999
_SOUND = """
{row}key GLOB '[er]:?*'
AND {row}space IN (SELECT id FROM spaces)
AND CASE
    WHEN {row}metadata IS NULL THEN 1
    WHEN json_valid({row}metadata) THEN json_type({row}metadata) = 'object'
    ELSE 0
END
AND {row}created_at {years}
AND ({row}last_validated IS NULL OR {row}last_validated {years})
"""
"""Whether a row of `records` can be read at all, be it right or wrong."""
NOT_A_KEY = "NOT key GLOB '[er]:?*'"
_NEW_SOUND, READABLE = _SOUND.format(row="NEW.", years=YEARS), _SOUND.format(row="", years=YEARS)
READABLE_RECORD = _SOUND.format(row="r.", years=YEARS)
"""The same for a row named `r`."""
_NOT_A_RECORD = "not a record: key, space, metadata or a time can not be read"
_GUARDED = (
    ("records_insert_guard", "INSERT ON records", f"NOT ({_NEW_SOUND})", _NOT_A_RECORD),
    (
        "records_update_guard",
        "UPDATE OF key, space, metadata, created_at, last_validated ON records",
        f"NOT ({_NEW_SOUND})",
        _NOT_A_RECORD,
    ),
    ("spaces_insert_guard", "INSERT ON spaces", "NEW.id IN (SELECT id FROM spaces)", "a space never changes"),
    ("spaces_update_guard", "UPDATE ON spaces", "1", "a space never changes"),
    ("spaces_delete_guard", "DELETE ON spaces", "OLD.id IN (SELECT space FROM records)", "the space holds records"),
)
"""Triggers that refuse rows that can not be read, whoever writes them: name, event, condition, message."""


def _noticing() -> dict[str, str]:
    """Return the statements that make the file notice every write, by the name of what they make."""
    triggers = {
        name: f"CREATE TRIGGER {name} {event} BEGIN UPDATE segments SET digests = NULL, writes = writes + 1 "  # noqa: S608
        f"WHERE after = (SELECT max(after) FROM segments WHERE after < {key}); END"
        for name, event, key in _NOTICED
    }
    guards = {
        name: f"CREATE TRIGGER {name} BEFORE {event} WHEN {condition} BEGIN SELECT raise(ABORT, '{words}'); END"
        for name, event, condition, words in _GUARDED
    }
    return {"segments": _SEGMENTS} | triggers | guards


def _found_noticing(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return kind, name and statement of those of `_noticing` that are in the file."""
    names = ", ".join(f"'{name}'" for name in _noticing())
    return connection.execute(f"SELECT type, name, sql FROM sqlite_schema WHERE name IN ({names})").fetchall()  # noqa: S608


def _notice(connection: sqlite3.Connection, path: Path) -> None:
    """
    Make sure that the file notices every write; if it did not, everything is checked and digested anew.

    Copying tables without their triggers, or dropping these, must not blind the audit.
    """
    wanted, found = _noticing(), _found_noticing(connection)
    if {name: sql for _, name, sql in found} == wanted:
        return
    for kind, name, _ in sorted(found, reverse=True):  # triggers before the table that they write to
        connection.execute(f"DROP {kind} {name}")
    unsound = f"SELECT id FROM records WHERE NOT ({READABLE})"  # noqa: S608
    connection.execute(f"DELETE FROM vectors WHERE record IN ({unsound})")  # noqa: S608
    removed = connection.execute(f"DELETE FROM records WHERE id IN ({unsound})").rowcount  # noqa: S608
    if removed:
        logger.warning("%s: removed %d rows that no reader could make sense of", path, removed)
    for statement in wanted.values():
        connection.execute(statement)
    connection.execute("INSERT INTO segments (after, writes) VALUES ('', 0)")


def mend_schema(connection: sqlite3.Connection, path: Path) -> None:
    """Put back triggers, indexes and the word index inside the open transaction; no other table can be put back."""
    _notice(connection, path)
    if unlike_words(connection):
        empty_words(connection)
    found = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index'"))
    for name, statement in _declared().indexes.items():
        if found.get(name) != statement:
            connection.execute(f"DROP INDEX IF EXISTS {name}")
            connection.execute(statement)


def unlike_schema(connection: sqlite3.Connection) -> list[str]:
    """
    Return the triggers, indexes and tables of words that are missing, or differ from those of this version.

    Raises `CorruptionError` when another table or a column is missing.
    """
    declared = _declared()
    for name, columns in declared.tables.items():
        if not is_of_words(name) and not columns <= _columns(connection, name):
            raise CorruptionError(f"the table {name} is gone, or a column of it: delete the file, it is built anew")
    found = dict(connection.execute("SELECT name, sql FROM sqlite_schema"))
    wanted = _noticing() | dict(declared.indexes)
    return [name for name, statement in wanted.items() if found.get(name) != statement] + unlike_words(connection)


class _Declared(NamedTuple):
    tables: Mapping[str, frozenset[object]]
    indexes: Mapping[str, str]


@functools.cache
def _declared() -> _Declared:
    """Return the tables and indexes that the steps make, as SQLite describes them."""
    with closing(sqlite3.connect(":memory:")) as probe:
        for step in _STEPS:
            for statement in step.split(";"):
                probe.execute(statement)
        names = probe.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        tables = {name: _columns(probe, name) for (name,) in names.fetchall()}
        indexes = probe.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
        return _Declared(tables, dict(indexes.fetchall()))


def _columns(connection: sqlite3.Connection, table: str) -> frozenset[object]:
    return frozenset(connection.execute('SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?)', (table,)))


def prepare_file(connection: sqlite3.Connection, path: Path) -> None:
    """
    Create the tables in a new file; raises `ConfigError` for a file that is not ours or of a newer version.

    A file that needs no change is not written, so that a process that only reads it waits for nobody.
    """
    if _is_prepared(connection, path):
        return
    connection.execute("BEGIN IMMEDIATE")  # two processes may open a new file at the same time
    try:
        version = _version(connection, path)
        require_fts5(connection)
        for step in _STEPS[version:]:
            for statement in step.split(";"):
                connection.execute(statement)
        if version < SCHEMA_VERSION:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        _notice(connection, path)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _is_prepared(connection: sqlite3.Connection, path: Path) -> bool:
    connection.execute("BEGIN")
    try:
        noticing = {name: sql for _, name, sql in _found_noticing(connection)}
        return _version(connection, path) == SCHEMA_VERSION and noticing == _noticing()
    finally:
        connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the tables, 0 for a new file."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables == 0 and application in (0, APPLICATION_ID):
        return 0
    if application != APPLICATION_ID:
        raise ConfigError(f"{path} is the database of another program: choose another path")
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"{path} was written by a newer Slipstream (store version {version}, this one reads up to "
            f"{SCHEMA_VERSION}): upgrade slipstream-pkg"
        )
    return int(version)
