"""Opens a graph file: makes a new one, brings an old one to this version, puts changed triggers back."""

from __future__ import annotations

import functools
import logging
import os
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from slipstream.adapters.graphs.sqlite.codec import RESCAN
from slipstream.adapters.graphs.sqlite.layout import APPLICATION_ID, LAYOUT, LAYOUT_VERSION, TABLES, TRIGGERS
from slipstream.adapters.sqlite.connections import make_private
from slipstream.domain.errors import ConfigError, CorruptionError, UnavailableError
from slipstream.domain.positions import POSITION_MAX

logger = logging.getLogger(__name__)


def is_prepared(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is of this version and nothing needs mending; raises what `prepare_graph` raises."""
    if _version(connection, path) != LAYOUT_VERSION or what_is_wrong(connection, path):
        return False
    return connection.execute("SELECT 1 FROM meta WHERE name = 'graph_id'").fetchone() is not None


def prepare_graph(connection: sqlite3.Connection, path: Path) -> None:
    """
    Make the tables of a new file, or bring those of an older one to this version, keeping a copy of it.

    Raises `ConfigError` for a file of another program or of a newer version, `CorruptionError` when a table is gone.
    """
    if 0 < _version(connection, path) < LAYOUT_VERSION:
        _keep_copy(connection, path)
    connection.execute("BEGIN IMMEDIATE")  # two processes may open a new file at the same time
    try:
        version = _version(connection, path)
        for step in LAYOUT[version:]:
            for statement in step:
                connection.execute(statement)
        if version < LAYOUT_VERSION:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {LAYOUT_VERSION}")
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('graph_id', ?)", (uuid.uuid4().hex,))
        mend(connection, path, is_new=version == 0)
        mend_positions(connection, path)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the layout, 0 for a new file."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables == 0 and application in (0, APPLICATION_ID):
        return 0
    if application != APPLICATION_ID:
        raise ConfigError(f"{path} is the database of another program: choose another directory")
    if version > LAYOUT_VERSION:
        raise ConfigError(
            f"{path} was written by a newer Slipstream (graph version {version}, this one reads up to "
            f"{LAYOUT_VERSION}): upgrade slipstream-pkg"
        )
    return int(version)


def _keep_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Keep a copy of a file before it is changed: the copy gets its name once it is whole and on the disk."""
    version = _version(connection, path)
    copy = path.with_name(f"{path.name}.version-{version}")
    begun = copy.with_name(f"{copy.name}.begun")
    journal = begun.with_name(f"{begun.name}-journal")
    try:
        for left in (journal, begun):  # left by an interrupted attempt
            left.unlink(missing_ok=True)
        make_private(begun)
        connection.execute("VACUUM INTO ?", (str(begun),))
        _sync(begun)
        begun.replace(copy)
        _sync(path.parent)
    except OSError as error:
        raise UnavailableError(
            f"{path} is of an older version, and no copy of it could be made ({error.strerror}): nothing was changed"
        ) from error
    finally:
        begun.unlink(missing_ok=True)
    logger.warning("%s is brought from version %d to %d; a copy is kept in %s", path, version, LAYOUT_VERSION, copy)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class LayoutGuard:
    """Checks tables, triggers and indexes whenever a program has changed the file's schema. Safe for threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: int | None = None

    def is_whole(self, connection: sqlite3.Connection) -> bool:
        """Whether nothing needs to be put back; nearly free while the schema has not changed."""
        (layout,) = connection.execute("PRAGMA schema_version").fetchone()
        if layout != self._seen:
            if what_is_wrong(connection, self._path):
                return False
            self._seen = layout
        return True

    def keep(self, connection: sqlite3.Connection) -> None:
        """Put back what is wrong, inside the open transaction and before anything is written."""
        if not self.is_whole(connection):
            mend(connection, self._path)
        mend_positions(connection, self._path)


def mend_positions(connection: sqlite3.Connection, path: Path) -> None:
    """Remove positions past `POSITION_MAX`, which another program wrote: the log would run out of numbers."""
    (newest,) = connection.execute("SELECT max(position) FROM change").fetchone()
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'change'").fetchone()
    given = row[0] if row is not None and isinstance(row[0], int) else 0
    if max(newest or 0, given) <= POSITION_MAX:
        return
    connection.execute("DELETE FROM change WHERE position > ?", (POSITION_MAX,))
    last = "SELECT coalesce(max(position), 0) FROM change"
    connection.execute(f"UPDATE sqlite_sequence SET seq = ({last}) WHERE name = 'change'")  # noqa: S608  (our own text)
    logger.warning("%s: took position %d out of the log, which another program had written", path, newest or given)
    connection.execute("INSERT INTO change(kind) VALUES (?)", (RESCAN,))


def what_is_wrong(connection: sqlite3.Connection, path: Path) -> list[str]:
    """
    Return the triggers, indexes and derived tables that are missing or changed.

    Raises `CorruptionError` when another table is gone or was made differently, for its content and constraints can
    not be put back, and `ConfigError` when a newer Slipstream has changed the file meanwhile.
    """
    _version(connection, path)
    found = dict(connection.execute("SELECT name, sql FROM sqlite_schema"))
    unlike = [name for name, shape in _shapes().items() if not shape <= _shape(connection, name)]
    for name in unlike:
        if name not in _DERIVED:
            raise CorruptionError(
                f"the table {name} of {path} is gone, or a column or key of it (dropped or replaced by another "
                "program): restore a backup of the file"
            )
    # Tables first: triggers and indexes depend on them.
    return unlike + [name for name, sql in {**TRIGGERS, **_INDEXES}.items() if found.get(name) != sql]


def mend(connection: sqlite3.Connection, path: Path, *, is_new: bool = False) -> None:
    """
    Put back what is missing or changed, inside the open transaction, and log a rescan of all types.

    The rescan stands for what was written while a trigger was missing, which is not in the log.
    """
    wrong = what_is_wrong(connection, path)
    for name in wrong:
        kind = "TRIGGER" if name in TRIGGERS else "INDEX" if name in _INDEXES else "TABLE"
        connection.execute(f"DROP {kind} IF EXISTS {name}")
        connection.execute({**TRIGGERS, **TABLES}[name])
    if wrong and not is_new:
        logger.warning("%s: put back %s, which another program had changed or dropped", path, ", ".join(wrong))
        connection.execute("INSERT INTO change(kind) VALUES (?)", (RESCAN,))


_INDEXES = {name: sql for name, sql in TABLES.items() if sql.startswith("CREATE INDEX")}


_DERIVED = frozenset({"sync_state"})
"""Tables that may be made anew, empty: the engine fills them."""


@functools.cache
def _shapes() -> dict[str, frozenset[object]]:
    """Return the columns and keys of each table of ours."""
    with closing(sqlite3.connect(":memory:")) as probe:
        for statement in TABLES.values():
            probe.execute(statement)
        return {name: _shape(probe, name) for name in TABLES if name not in _INDEXES}


def _shape(connection: sqlite3.Connection, table: str) -> frozenset[object]:
    """Return the columns, and the columns of each unique key; additions of other programs do not matter."""
    columns = connection.execute('SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', (table,))
    unique = connection.execute('SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (table,))
    keys = (connection.execute("SELECT name FROM pragma_index_info(?)", row).fetchall() for row in unique.fetchall())
    return frozenset([*columns, *(tuple(column for (column,) in key) for key in keys)])
