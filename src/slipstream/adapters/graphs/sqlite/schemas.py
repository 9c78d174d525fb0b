"""Schema versions of a graph file: each is stored as what it adds, and read once in a process."""

from __future__ import annotations

import bisect
import json
import sqlite3
import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from slipstream.adapters.graphs.evolution import SchemaDraft, evolution_reason
from slipstream.adapters.graphs.sqlite.codec import SCHEMA
from slipstream.domain.errors import CorruptionError
from slipstream.domain.positions import POSITION_MAX, Position
from slipstream.domain.schema import GraphSchema

_BEGUN = "{}"
"""What a version adds until its transaction ends; a row with this does not count as a version yet."""
_NEWEST = f"SELECT max(version) FROM schema_version WHERE added <> '{_BEGUN}'"  # noqa: S608  (our own text)
_BEHIND = """SELECT version, position, created_at, reason, added FROM schema_version
    WHERE version > ? AND version <= ? ORDER BY version"""


_KEPT_MAX = 16


class Schemas:
    """
    The schema versions of the file that this process has read. Safe to share between threads.

    Only the newest and the last used versions are kept in memory: a graph that made its types one by one has as many
    versions as types, and each version holds all types up to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._kept = {1: GraphSchema()}
        self._positions: list[int] = []

    def current(self, connection: sqlite3.Connection) -> GraphSchema:
        """Return the newest version that the connection's snapshot holds."""
        return self._of(connection, self._newest(connection))

    def at(self, connection: sqlite3.Connection, version: int) -> GraphSchema | None:
        """Return a version, None when there never was one with that number."""
        newest = self._newest(connection)
        self._of(connection, newest)
        return self._of(connection, version) if 1 <= version <= newest else None

    def versions_at(self, positions: Iterable[int]) -> list[int]:
        """Return the versions in force at the positions, as far as this process has read them."""
        with self._lock:
            return [1 + bisect.bisect_right(self._positions, position) for position in positions]

    @staticmethod
    def _newest(connection: sqlite3.Connection) -> int:
        (newest,) = connection.execute(_NEWEST).fetchone()
        return int(newest or 1)

    def _of(self, connection: sqlite3.Connection, version: int) -> GraphSchema:
        with self._lock:
            found = self._kept.get(version)
            if found is None:
                found = self._kept[version] = self._read(connection, version)
                if len(self._kept) > _KEPT_MAX:
                    newest = max(self._kept)
                    del self._kept[next(each for each in self._kept if each not in (version, newest))]
            return found

    def _read(self, connection: sqlite3.Connection, version: int) -> GraphSchema:
        """Make a version from the nearest kept one before it and what was added since; raises `CorruptionError`."""
        base = self._kept.get(max((each for each in self._kept if each < version), default=1), GraphSchema())
        last = base.version
        entity_types, relationship_types = dict(base.entity_types), dict(base.relationship_types)
        type_versions, moment, reason = dict(base.type_versions), base.created_at, base.reason
        for number, position, created_at, why, text in connection.execute(_BEHIND, (base.version, version)):
            self._check_next(number, last)
            try:
                added, moment, reason = json.loads(text), datetime.fromisoformat(created_at), str(why)
                for kind, types in (("entity_types", entity_types), ("relationship_types", relationship_types)):
                    for name, properties in added[kind].items():
                        types[name] = {**types.get(name, {}), **properties}
                        type_versions[name] = number
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                raise CorruptionError(
                    f"{self._path}: schema version {number} can not be read ({error}): restore a backup"
                ) from error
            if number == len(self._positions) + 2:
                self._positions.append(position)
            last = number
        self._check_next(version + 1, last)
        return GraphSchema(version, entity_types, relationship_types, moment, reason, type_versions)

    def _check_next(self, version: int, last: int) -> None:
        if version != last + 1:
            raise CorruptionError(f"{self._path}: schema version {last + 1} is not there: restore a backup")


def begin_version(connection: sqlite3.Connection, version: int, at: datetime) -> None:
    """Write a version into log and table, inside the open transaction; `end_version` writes what it adds."""
    position = connection.execute("INSERT INTO change(kind, new) VALUES (?, ?)", (SCHEMA, str(version))).lastrowid
    row = (version, position, at.isoformat(), _BEGUN)
    connection.execute("INSERT INTO schema_version VALUES (?, ?, ?, '', ?)", row)


def end_version(connection: sqlite3.Connection, draft: SchemaDraft) -> None:
    """Write what the version begun in this transaction adds."""
    added = {"entity_types": draft.entity_types, "relationship_types": draft.relationship_types}
    reason = evolution_reason([*draft.entity_types, *draft.relationship_types])
    connection.execute(
        "UPDATE schema_version SET reason = ?, added = ? WHERE version = ?",
        (reason, json.dumps(added), draft.base.version + 1),
    )


def head_of(connection: sqlite3.Connection) -> Position:
    """Return the newest position in the connection's snapshot, ignoring positions past `POSITION_MAX`."""
    newest = connection.execute("SELECT max(position) FROM change WHERE position <= ?", (POSITION_MAX,)).fetchone()
    return Position(newest[0] or 0)
