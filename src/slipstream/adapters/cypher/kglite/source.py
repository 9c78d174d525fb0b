"""The graph file as the mirror reads it: read-only, on a connection of its own, in short read transactions."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

from slipstream.adapters.sqlite.errors import mapped_errors
from slipstream.domain.errors import ConfigError, UnavailableError

BATCH = 5000
_PIECE_SIZE_MAX = 8 * 1024 * 1024
"""Characters of properties in one piece."""
_BUSY_TIMEOUT_S = 10.0
_RESCAN = "*"
_RELATIONSHIP_COLUMNS = "r.id, r.source, s.type, r.type, r.target, t.type, r.key, r.properties"
_ENDS = "CROSS JOIN entity AS s ON s.id = r.source CROSS JOIN entity AS t ON t.id = r.target"
_CHANGE_COLUMNS = "position, kind, id, type, source, target, key, at"

RelationshipKey: TypeAlias = tuple[str, str, str, str]
"""Source, type, target, key: the columns of the table's primary key."""


class Layout(NamedTuple):
    """The expected kind of file. Given by the parent, for importing the graph adapter costs the child 0.1 s."""

    application_id: int
    version: int


class EntityRow(NamedTuple):
    """An entity of the file; `properties` is JSON."""

    id: str
    type: str
    properties: str


class RelationshipRow(NamedTuple):
    """A relationship of the file, and the types of its ends; `properties` is JSON."""

    id: str
    source: str
    source_type: str
    type: str
    target: str
    target_type: str
    key: str
    properties: str


_Row = TypeVar("_Row", EntityRow, RelationshipRow)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the log of one graph, with a digest of the row there, which differs in another history."""

    graph_id: str
    position: int
    digest: str
    """Empty when there is no such row (any more)."""


@dataclass(slots=True)
class Page:
    """What the log names after a mark, up to the head or a limit."""

    mark: Mark
    is_last: bool
    """Whether the page reached the head."""
    rows: int = 0
    entity_ids: set[str] = field(default_factory=set)
    relationship_keys: set[RelationshipKey] = field(default_factory=set)


class GraphFile:
    """The file, opened anew when it was replaced. Errors are those of the graph adapter."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path, layout
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection inside a read transaction; its first statement takes the snapshot."""
        with mapped_errors(self._path):
            connection = self._opened()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:  # out of memory, SQLite has rolled back by itself
                    connection.execute("ROLLBACK")

    def _opened(self) -> sqlite3.Connection:
        try:
            status = self._path.stat()
        except OSError as error:
            self.close()
            raise UnavailableError(f"{self._path} can not be read: {error.strerror}") from error
        if self._connection is None or self._file != (status.st_dev, status.st_ino):
            self.close()
            self._connection = _connect(self._path, self._layout)
            self._file = (status.st_dev, status.st_ino)
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._file = None, None


def _connect(path: Path, layout: Layout) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None
    )
    try:
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        _check_layout(connection, path, layout)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_layout(connection: sqlite3.Connection, path: Path, layout: Layout) -> None:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != layout.application_id:
        raise ConfigError(f"{path} is no graph of Slipstream's")
    if version != layout.version:
        raise ConfigError(
            f"{path} has the layout {version}, this Slipstream reads {layout.version}: use the other's version"
        )


def head_of(connection: sqlite3.Connection) -> Mark:
    """Return the head of the log."""
    (position,) = connection.execute("SELECT max(position) FROM change").fetchone()
    return _mark_at(connection, position or 0)


def _mark_at(connection: sqlite3.Connection, position: int) -> Mark:
    (graph_id,) = connection.execute("SELECT value FROM meta WHERE name = 'graph_id'").fetchone()
    row = connection.execute(f"SELECT {_CHANGE_COLUMNS} FROM change WHERE position = ?", (position,)).fetchone()  # noqa: S608 - names of ours
    digest = "" if row is None else hashlib.sha256(repr(row).encode("utf-8", "replace")).hexdigest()
    return Mark(graph_id, position, digest)


def changes_since(connection: sqlite3.Connection, mark: Mark, limit: int | None) -> Page | None:
    """
    Return what changed after a mark.

    Returns None when the log can not tell: trimmed past the mark, of another graph or history, or with a rescan.
    """
    if not _reaches(connection, mark):
        return None
    rows = connection.execute(
        "SELECT position, kind, id, source, type, target, key FROM change "
        "WHERE position > ? ORDER BY position LIMIT ?",
        (mark.position, -1 if limit is None else limit),
    ).fetchall()
    if any(kind == _RESCAN for _, kind, *_ in rows):
        return None
    page = Page(_mark_at(connection, rows[-1][0]) if rows else mark, limit is None or len(rows) < limit, len(rows))
    for _, kind, identity, source, relationship_type, target, key in rows:
        if kind[1:] == "e":
            page.entity_ids.add(identity)
        elif kind[1:] == "r":
            page.relationship_keys.add((source, relationship_type, target, key))
    return page


def _reaches(connection: sqlite3.Connection, mark: Mark) -> bool:
    """Whether the log is the mark's and tells everything after it; the mark's own row may have been trimmed."""
    now = _mark_at(connection, mark.position)
    if now.graph_id != mark.graph_id or (now.digest and now.digest != mark.digest):
        return False
    if mark.position < erased_through(connection):
        return False  # entries behind the mark may no longer say which entity went
    (tail,) = connection.execute("SELECT min(position) FROM change").fetchone()
    return bool(now.digest) or (tail or 1) == mark.position + 1


def erased_through(connection: sqlite3.Connection) -> int:
    """Return up to where entries of the log may have lost what they said, 0 when nothing was erased."""
    row = connection.execute("SELECT CAST(value AS INTEGER) FROM meta WHERE name = 'erased'").fetchone()
    return 0 if row is None else int(row[0])


def types_of(connection: sqlite3.Connection, ids: AbstractSet[str]) -> dict[str, str]:
    """Return the types of the existing ones among the entities."""
    statement = "SELECT e.id, e.type FROM json_each(?) AS j CROSS JOIN entity AS e ON e.id = j.value"
    return {identity: kind for part in _parts(ids) for identity, kind in connection.execute(statement, (part,))}


def entities_of(connection: sqlite3.Connection, ids: AbstractSet[str]) -> Iterator[list[EntityRow]]:
    """Yield the existing ones among the entities, in pieces."""
    statement = "SELECT e.id, e.type, e.properties FROM json_each(?) AS j CROSS JOIN entity AS e ON e.id = j.value"
    for part in _parts(ids):
        yield from _pieces(EntityRow(*row) for row in connection.execute(statement, (part,)))


def relationships_of(
    connection: sqlite3.Connection, keys: AbstractSet[RelationshipKey], ends: AbstractSet[str]
) -> Iterator[list[RelationshipRow]]:
    """Yield the existing ones among the relationships, and all relationships of the `ends`, each once, in pieces."""
    chosen = f"SELECT {_RELATIONSHIP_COLUMNS} FROM json_each(?) AS j CROSS JOIN relationship AS r ON "  # noqa: S608 - ours
    by_key = (
        "r.source = json_extract(j.value, '$[0]') AND r.type = json_extract(j.value, '$[1]') "
        "AND r.target = json_extract(j.value, '$[2]') AND r.key = json_extract(j.value, '$[3]')"
    )
    seen: set[str] = set()
    for parts, condition in ((keys, by_key), (ends, "r.source = j.value"), (ends, "r.target = j.value")):
        for part in _parts(parts):
            found = (RelationshipRow(*row) for row in connection.execute(f"{chosen}{condition} {_ENDS}", (part,)))
            for piece in _pieces(row for row in found if not ends or row.id not in seen):
                if ends:
                    seen.update(row.id for row in piece)
                yield piece


def _parts(items: AbstractSet[Any]) -> Iterator[str]:
    ordered = sorted(items)
    for start in range(0, len(ordered), BATCH):
        yield json.dumps(ordered[start : start + BATCH])


def _pieces(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Yield rows in lists of a bounded number and size: properties can be long."""
    piece: list[_Row] = []
    size = 0
    for row in rows:
        piece.append(row)
        size += len(row.properties)
        if len(piece) == BATCH or size > _PIECE_SIZE_MAX:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def all_entities(file: GraphFile) -> Iterator[list[EntityRow]]:
    """
    Yield all entities in pieces, each read in a transaction of its own: not all at the same position.

    In the order of ids, so that none comes twice, and whatever is missed is in the log.
    """
    last = ""
    while True:
        with file.reading() as connection:
            rows = connection.execute(
                "SELECT id, type, properties FROM entity WHERE id > ? ORDER BY id LIMIT ?", (last, BATCH)
            )
            piece = next(_pieces(EntityRow(*row) for row in rows), None)
            rows.close()
        if piece is None:
            return
        last = piece[-1].id
        yield piece


def all_relationships(file: GraphFile) -> Iterator[list[RelationshipRow]]:
    """Yield all relationships in pieces, each read in a transaction of its own: not all at the same position."""
    last: tuple[str, ...] = ("", "", "", "")
    while True:
        with file.reading() as connection:
            rows = connection.execute(
                f"SELECT {_RELATIONSHIP_COLUMNS} FROM relationship AS r {_ENDS} "  # noqa: S608 - ours
                "WHERE (r.source, r.type, r.target, r.key) > (?, ?, ?, ?) "
                "ORDER BY r.source, r.type, r.target, r.key LIMIT ?",
                (*last, BATCH),
            )
            piece = next(_pieces(RelationshipRow(*row) for row in rows), None)
            rows.close()
        if piece is None:
            return
        final = piece[-1]
        last = (final.source, final.type, final.target, final.key)
        yield piece
