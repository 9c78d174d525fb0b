"""Codes kept in the file: what a matrix finds with them is what it finds without, whatever became of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore, kept_codes
from slipstream.adapters.indexes.sqlite import following as following_module
from slipstream.adapters.indexes.sqlite.following import FollowingMatrix
from slipstream.adapters.indexes.sqlite.kept_codes import KeptCodes
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, SearchFilter, VectorHit
from slipstream.testkit.records import SPACE, make_record, unit_vector

_ALL = SearchFilter()
OTHER = type(SPACE)(SPACE.model_id, SPACE.model_version, SPACE.dimension, SPACE.generation + 1)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_codes, "_BLOCK_BITS", 4)
    for name in ("_CHANGED", "_ALL"):
        monkeypatch.setattr(kept_codes, name, getattr(kept_codes, name).replace(">> 12", ">> 4"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = _opened(path)
    store.index.upsert([make_record(f"n{i}", 1, OTHER if i % 5 == 0 else SPACE) for i in range(100)])
    yield store
    store.close()


def _opened(path: Path) -> SqliteStore:
    store = SqliteStore(path)
    store.codes = KeptCodes(store._database, changes_min=1)
    return store


def _raw(path: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql, values)


def _keep(store: SqliteStore) -> int:
    steps = 0
    while store.codes.step():
        steps += 1
    return steps


def _found(path: Path) -> list[list[VectorHit]]:
    store = SqliteStore(path)
    queries = [unit_vector(seed) for seed in range(3)]
    found = [list(store.index.search(space, query, 200, _ALL)) for space in (SPACE, OTHER) for query in queries]
    store.index.close()
    store._database.close()  # not the store: that would keep codes
    return found


def _truth(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[VectorHit]]:
    with monkeypatch.context() as patch:
        patch.setattr(following_module, "kept_rows", lambda *_: None)
        return _found(path)


def _loads_whole(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows when a matrix reads every vector."""
    reads: list[int] = []
    monkeypatch.setattr(FollowingMatrix, "_load_vectors", _noting(FollowingMatrix._load_vectors, reads))
    return reads


def _noting(body: object, reads: list[int]) -> object:
    def noted(self: FollowingMatrix, connection: sqlite3.Connection) -> None:
        reads.append(1)
        body(self, connection)  # type: ignore[operator]

    return noted


def test_a_matrix_begins_with_kept_codes(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = _truth(path, monkeypatch)
    assert _keep(store) == 7  # blocks of sixteen ids
    reads = _loads_whole(monkeypatch)
    assert _found(path) == truth
    assert reads == []


def test_what_changed_behind_the_codes_is_followed(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keep(store)
    store.index.upsert([make_record("n7", 2, SPACE), make_record("new", 2)])
    store.index.delete([Deletion(entity_key("n8"), Position(3)), Deletion(entity_key("n10"), Position(3), OTHER)])
    reads = _loads_whole(monkeypatch)
    found = _found(path)
    assert reads == []
    assert found == _truth(path, monkeypatch)
    assert {hit.stamp.key.id for hit in found[0]} == {*(f"n{i}" for i in range(100) if i % 5 and i != 8), "new"}


def test_only_blocks_that_changed_are_coded_anew(store: SqliteStore, path: Path) -> None:
    _keep(store)
    assert _keep(store) == 0
    store.index.upsert([make_record("n7", 2)])
    assert _keep(store) == 1


def test_a_pass_that_ends_half_way_does_no_harm(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    for position in range(2, 14):
        for _ in range(int(rng.integers(0, 9))):
            store.codes.step()
        names = rng.choice(120, 12, replace=False)
        store.index.upsert([make_record(f"n{i}", position, OTHER if i % 5 == 0 else SPACE) for i in names[:8]])
        store.index.delete([Deletion(entity_key(f"n{i}"), Position(position)) for i in names[8:]])
        assert _found(path) == _truth(path, monkeypatch)
        if position % 4 == 0:
            store.codes = KeptCodes(store._database, changes_min=1)  # another process goes on


def test_closing_keeps_codes_for_the_next_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = _opened(path)
    store.index.upsert([make_record(f"n{i}") for i in range(40)])
    store.close()
    reads = _loads_whole(monkeypatch)
    assert len(_found(path)[0]) == 40
    assert reads == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE codes SET body = substr(body, 1, length(body) - 5) WHERE block = 3",
        "UPDATE codes SET body = (SELECT body FROM codes WHERE block = 2 AND space = 1) WHERE block = 3",
        "UPDATE codes SET space = 9 WHERE block = 3 AND space = 1",
        "UPDATE codes SET block = 40 WHERE block = 3",
        "UPDATE codes SET body = x''",
        "DELETE FROM codes WHERE block = 3",
        "DELETE FROM codes",
        "DELETE FROM coded",
        "UPDATE coded SET sequence = sequence + 1",
        "UPDATE coded SET sequence = NULL",
        "UPDATE coded SET blocks = '{}'",
        "UPDATE coded SET blocks = '3'",
        "UPDATE coded SET blocks = 'x'",
        "UPDATE coded SET checksum = 1",
        "DELETE FROM changes WHERE sequence % 2 = 0",
        "DELETE FROM changes",
    ],
)
def test_codes_that_were_tampered_with_are_not_used(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    _keep(store)
    truth = _truth(path, monkeypatch)
    _raw(path, damage)
    assert _found(path) == truth
    store.index.upsert([make_record("n7", 2)])
    _keep(store)
    assert _found(path) == _truth(path, monkeypatch)


def test_codes_of_a_generation_that_is_gone_go_too(store: SqliteStore, path: Path) -> None:
    _keep(store)
    store.index.delete([Deletion(entity_key(f"n{i}"), Position(2), OTHER) for i in range(0, 100, 5)])
    _keep(store)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT DISTINCT space FROM codes").fetchall() == [(1,)]
