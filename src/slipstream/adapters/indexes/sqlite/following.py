"""
Matrices that follow the file: a search first catches up with what any process has committed.

A search reads few, large rows: SQLite puts many records into one. Python's lock is released for each row that is
fetched, and beside a busy engine it may take milliseconds to get it back.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipstream.adapters.indexes.sqlite.codec import select_in
from slipstream.adapters.indexes.sqlite.kept_codes import kept_rows
from slipstream.adapters.indexes.sqlite.matrix import SpaceMatrix, kept_metadata
from slipstream.domain.stamps import MetadataValue, SearchFilter, Vector

_ROWS_AT_ONCE = 1000
_MATRICES_MAX = 8
"""How many spaces are kept in memory; the least recently searched one is forgotten first."""

_ALL = """
SELECT r.id, r.entity_type, r.schema_version, v.vector
FROM records r JOIN vectors v ON v.record = r.id WHERE r.space = ? ORDER BY r.id
"""
_TOGETHER = "json_group_array(json_array({}, length(vector))), CAST(group_concat(vector, '') AS BLOB)"
"""Columns of all rows as JSON, and their vectors end to end, in the same order."""
_CHANGED = f"""
SELECT {_TOGETHER.format("c.record, entity_type, schema_version, CASE WHEN :filtered THEN metadata END")}
FROM (SELECT DISTINCT record FROM changes WHERE sequence > :after AND sequence <= :through) c
LEFT JOIN records r ON r.id = c.record AND r.space = :space
LEFT JOIN vectors v ON v.record = r.id
"""  # noqa: S608  (names of columns, no values)
_METADATA = "SELECT id, metadata FROM records WHERE space = ? AND metadata IS NOT NULL"
_STORED = f"SELECT {_TOGETHER.format('record')} FROM vectors WHERE record IN ({{}})"  # noqa: S608


class FollowingMatrix:
    """The matrix of one space, and its place in the change sequence. Hold `lock` around every use."""

    def __init__(self, space: int, dimension: int) -> None:
        self.lock = threading.Lock()
        self._space = space
        self._matrix = SpaceMatrix(dimension)
        self._metadata: dict[int, Mapping[str, MetadataValue]] | None = None
        """None until a filter asks for some."""
        self._applied: int | None = None

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """
        Apply what was committed since the last call, or load everything when these changes are no longer kept.

        Must be the first statement of the connection's snapshot, so that the matrix is never newer than the snapshot.
        """
        oldest, newest = connection.execute(
            "SELECT (SELECT min(sequence) FROM changes), (SELECT max(sequence) FROM changes)"
        ).fetchone()
        newest = newest or 0
        if self._applied == newest:
            return
        if self._applied is None or not (oldest or 0) <= self._applied + 1 <= newest:
            self._load(connection, newest)
        else:
            self._follow(connection, self._applied, newest)
        self._applied = newest

    def _load(self, connection: sqlite3.Connection, newest: int) -> None:
        self._applied = None  # if this fails half-way, the next call loads everything
        (count,) = connection.execute("SELECT count(*) FROM records WHERE space = ?", (self._space,)).fetchone()
        self._matrix = SpaceMatrix(self._matrix.dimension)  # the old one is freed before the new one is filled
        self._matrix = SpaceMatrix(self._matrix.dimension, capacity=count + count // 16)
        self._metadata = None
        kept = kept_rows(connection, self._space, self._matrix.dimension)
        if kept is not None:
            through, blocks = kept
            for block in blocks:
                self._matrix.put_coded(block)
            self._follow(connection, through, newest)
        else:
            self._load_vectors(connection)

    def _load_vectors(self, connection: sqlite3.Connection) -> None:
        cursor = connection.execute(_ALL, (self._space,))
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            self._matrix.put(rows)

    def _follow(self, connection: sqlite3.Connection, applied: int, newest: int) -> None:
        for after in range(applied, newest, _ROWS_AT_ONCE):
            bounds = {"after": after, "through": min(after + _ROWS_AT_ONCE, newest), "space": self._space}
            given = {**bounds, "filtered": self._metadata is not None}
            rows = list(_apart(connection.execute(_CHANGED, given).fetchone()))
            self._matrix.drop(record for (record, *_), vector in rows if vector is None)
            self._matrix.put((*columns[:3], vector) for columns, vector in rows if vector is not None)
            if self._metadata is not None:
                self._note_metadata(self._metadata, ((columns[0], columns[3]) for columns, _ in rows))

    @staticmethod
    def _note_metadata(noted: dict[int, Mapping[str, MetadataValue]], rows: Iterator[tuple[int, str | None]]) -> None:
        for record, text in rows:
            held = kept_metadata(text)
            if held is None:
                noted.pop(record, None)
            else:
                noted[record] = held

    def nearest(
        self, connection: sqlite3.Connection, query: Vector, k: int, where: SearchFilter
    ) -> list[tuple[int, float]]:
        """Search as `SpaceMatrix.nearest` does, in the snapshot that the matrix has caught up with."""
        if where.metadata and self._metadata is None:
            metadata: dict[int, Mapping[str, MetadataValue]] = {}
            self._note_metadata(metadata, connection.execute(_METADATA, (self._space,)))
            self._metadata = metadata

        def read(records: Sequence[int]) -> Iterator[tuple[int, bytes]]:
            for row in select_in(connection, _STORED, records):
                yield from ((record, vector) for (record,), vector in _apart(row) if vector is not None)

        return self._matrix.nearest(query, k, where, read, self._metadata)


def _apart(row: tuple[str, bytes | None]) -> Iterator[tuple[list[Any], bytes | None]]:
    """Yield the columns and the vector of each record in a row of `_TOGETHER`."""
    start, vectors = 0, row[1] or b""
    for *columns, length in json.loads(row[0]):
        yield columns, None if length is None else vectors[start : start + length]
        start += length or 0


class Matrices:
    """The matrices of the spaces that are searched, made on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_space: OrderedDict[int, FollowingMatrix] = OrderedDict()

    def of(self, space: int, dimension: int) -> FollowingMatrix:
        """Return the matrix of a space."""
        with self._lock:
            matrix = self._by_space.get(space)
            if matrix is None:
                matrix = self._by_space[space] = FollowingMatrix(space, dimension)
            self._by_space.move_to_end(space)
            if len(self._by_space) > _MATRICES_MAX:
                self._by_space.popitem(last=False)
            return matrix

    def clear(self) -> None:
        """Free all of them."""
        with self._lock:
            self._by_space.clear()
