"""Matrices that follow the file: in few rows, whatever is in the vectors, however much has changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.following import FollowingMatrix
from slipstream.domain.keys import entity_key
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, SearchFilter
from slipstream.testkit.records import SPACE, make_record, unit_vector

_ALL = SearchFilter()
K = 10


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "index.db")) as store:
        store.index.upsert([make_record(f"n{number}", 1) for number in range(2_000)])
        yield store


def _counting(store: SqliteStore) -> list[object]:
    """Return a list that grows by one with each row that a reader is given."""
    rows: list[object] = []
    connect = store._database.connect

    def count(cursor: sqlite3.Cursor, row: tuple[object, ...]) -> tuple[object, ...]:
        del cursor
        rows.append(row)
        return row

    def connected() -> sqlite3.Connection:
        connection = connect()
        connection.row_factory = count
        return connection

    store._database.connect = connected  # type: ignore[method-assign]
    while store._database._readers:
        store._database._readers.pop().close()
    return rows


def test_a_search_is_given_few_rows_however_much_has_changed(store: SqliteStore) -> None:
    """At each row Python's lock is let go, and a busy engine takes it."""
    store.index.search(SPACE, unit_vector("q"), K, _ALL)
    rows = _counting(store)
    store.index.search(SPACE, unit_vector("q"), K, _ALL)
    unchanged = len(rows)
    assert unchanged <= K + 8  # the hits, the space, how far the changes go, and the candidates
    store.index.upsert([make_record(f"n{number}", 2) for number in range(900)])
    rows.clear()
    store.index.search(SPACE, unit_vector("q"), K, _ALL)
    assert len(rows) <= unchanged + 3


def test_what_has_changed_is_found_as_by_a_matrix_that_was_loaded_anew(store: SqliteStore) -> None:
    store.index.search(SPACE, unit_vector("q"), K, SearchFilter(metadata={"a": 1}))  # follows metadata, too
    store.index.upsert([make_record(f"n{number}", 2) for number in range(0, 1_900, 2)])
    store.index.delete([Deletion(entity_key(f"n{number}"), Position(3)) for number in range(100, 900)])
    for seed in range(5):
        query = unit_vector(seed)
        found = store.index.search(SPACE, query, 50, _ALL)
        with store._database.reading() as connection:
            anew = FollowingMatrix(1, SPACE.dimension)
            anew.catch_up(connection)
            expected = dict(anew.nearest(connection, query, 50, _ALL))
        assert sorted(hit.score for hit in found) == sorted(expected.values())[-50:]


def test_vectors_of_any_bytes_come_apart_as_they_were_put_together(store: SqliteStore) -> None:
    """SQLite joins them as texts: zeros must not end one, nor bytes that are no UTF-8 be changed."""
    dimension = 64
    space = Space("any", "1", dimension, 1)
    block = np.zeros((40, dimension), np.float32)
    block[np.arange(40), np.arange(40)] = 1.0  # mostly bytes of zero
    noise = np.random.default_rng(5).standard_normal((200, dimension)).astype(np.float32)
    vectors = np.concatenate([block, noise / np.linalg.norm(noise, axis=1, keepdims=True)])
    store.index.search(space, vectors[0], 1, _ALL)
    for half in (range(0, 240, 2), range(1, 240, 2)):
        store.index.upsert([make_record(f"v{number}", 1, space, vector=vectors[number]) for number in half])
        store.index.search(space, vectors[0], 1, _ALL)
    for number, vector in enumerate(vectors):
        best = store.index.search(space, vector, 1, _ALL)[0]
        assert best.stamp.key == entity_key(f"v{number}")
        assert best.score == min(1.0, float((vector.astype(np.float64) ** 2).sum()))
