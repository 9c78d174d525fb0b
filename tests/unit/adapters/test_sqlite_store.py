"""What is SQLite's own: files that are not ours, errors and their classes, many connections, the change sequence."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite import index as index_module
from slipstream.domain.errors import ConfigError, CorruptionError, InvalidInputError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, SearchFilter, VectorRecord
from slipstream.testkit.records import SPACE, make_record, unit_vector

_ALL = SearchFilter()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    yield store
    store.close()


def raw(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql).fetchall()


# ---------------------------------------------------------------------- files


def test_the_file_is_durable_by_its_settings(store: SqliteStore, path: Path) -> None:
    assert raw(path, "PRAGMA journal_mode") == [("wal",)]
    assert store._database._writer.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_a_newer_file_is_refused_with_what_to_do(path: Path) -> None:
    SqliteStore(path).close()
    raw(path, "PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match=r"newer Slipstream \(store version 99.*upgrade"):
        SqliteStore(path)


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    raw(path, "CREATE TABLE theirs (a)")
    with pytest.raises(ConfigError, match="another program"):
        SqliteStore(path)
    assert raw(path, "SELECT name FROM sqlite_schema") == [("theirs",)]


@pytest.mark.parametrize("content", [b"this is no database at all" * 400, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_damaged_file_is_corruption(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CorruptionError, match=r"index\.db is damaged"):
        SqliteStore(path)


def test_damage_inside_is_corruption(path: Path) -> None:
    store = SqliteStore(path)
    store.index.upsert([make_record(f"n{i}") for i in range(500)])
    store.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(CorruptionError):
        _open_and_scan(path)


def _open_and_scan(path: Path) -> None:
    store = SqliteStore(path)
    try:
        store.index.scan(None, 1000)
    finally:
        store.close()


@pytest.mark.parametrize("change", ["metadata = '{broken'", "key = 'ada'", "created_at = 9000000000000000000"])
def test_what_no_reader_could_make_sense_of_is_refused_by_the_file_itself(
    store: SqliteStore, path: Path, change: str
) -> None:
    store.index.upsert([make_record("ada", metadata={"a": 1})])
    with pytest.raises(sqlite3.IntegrityError, match="not a record"):
        raw(path, f"UPDATE records SET {change}")  # noqa: S608  (of this very test)
    assert store.index.stamps([entity_key("ada")])


def test_an_unreadable_stamp_is_not_there_and_is_told_by_the_self_check(store: SqliteStore, path: Path) -> None:
    store.index.upsert([make_record("ada", metadata={"a": 1})])
    raw(path, "DROP TRIGGER records_update_guard")
    raw(path, "UPDATE records SET metadata = '{broken'")
    assert store.index.stamps([entity_key("ada")]) == {}
    assert store.index.scan(None, 10) == []
    found = store.selfcheck.check(deep=False, head=lambda: Position(1))
    (damage,) = [each for each in found if each.place == "records (unreadable)"]
    assert "e:ada" in damage.what
    assert store.selfcheck.mend(damage, head=lambda: Position(1))


def test_a_file_that_can_not_be_made_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"index\.db can not be created .*choose another directory"):
        SqliteStore(tmp_path / "nowhere" / "index.db")


# ---------------------------------------------------------------------- errors


def test_a_locked_file_is_unavailable_and_readable(path: Path) -> None:
    store = SqliteStore(path, busy_timeout_s=0.01)
    store.index.upsert([make_record("ada")])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="another process is writing"):
            store.index.upsert([make_record("bob")])
        assert [stamp.key.id for stamp in store.index.scan(None, 10)] == ["ada"]
        other.execute("ROLLBACK")
    assert list(store.index.upsert([make_record("bob")])) == []
    store.close()


def test_a_full_disk_is_unavailable_and_loses_nothing(store: SqliteStore) -> None:
    store.index.upsert([make_record("ada")])
    store.journal.set("checkpoint", "1")
    writer = store._database._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    batch = [make_record(f"n{i}", 2) for i in range(2000)]
    with pytest.raises(UnavailableError, match="disk is full"), store.journal.transaction():
        _write_and_note(store, batch)
    assert store.journal.get("checkpoint") == "1"
    assert [stamp.key.id for stamp in store.index.scan(None, 10)] == ["ada"]
    writer.execute("PRAGMA max_page_count = 1000000")
    _write_and_note(store, batch)
    assert len(store.index.search(SPACE, unit_vector("q"), 5000, _ALL)) == 2001


def _write_and_note(store: SqliteStore, batch: list[VectorRecord]) -> None:
    store.journal.set("checkpoint", "2")
    store.index.upsert(batch)


def test_nothing_commits_after_sqlite_rolled_back_by_itself(store: SqliteStore) -> None:
    """As it does when the disk fails: what the caller writes next must not commit alone."""

    def fail_midway() -> None:
        store.journal.set("checkpoint", "2")
        store._database._writer.execute("ROLLBACK")
        with pytest.raises(UnavailableError, match="rolled the transaction back"):
            store.journal.set("checkpoint", "3")

    with pytest.raises(UnavailableError, match="rolled the transaction back"), store.journal.transaction():
        fail_midway()
    assert store.journal.get("checkpoint") is None
    store.journal.set("checkpoint", "4")
    assert store.journal.get("checkpoint") == "4"


@pytest.mark.parametrize(
    "fields",
    [
        {"position": 2**63},
        {"entity_type": "\ud800"},
        {"schema_version": "three"},
        {"source_document_id": Path("x")},
        {"created_at": datetime(2026, 1, 1)},  # noqa: DTZ001  (naive on purpose)
    ],
    ids=["too-big", "surrogate", "wrong-type", "unknown-type", "naive"],
)
def test_values_that_can_not_be_stored_are_refused_whole(store: SqliteStore, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        store.index.upsert([make_record("good"), make_record("bad", **fields)])  # type: ignore[arg-type]
    assert list(store.index.scan(None, 10)) == []
    store.index.upsert([make_record("good")])
    assert len(store.index.search(SPACE, unit_vector("q"), 5, _ALL)) == 1


def test_positions_are_exact_up_to_62_bits(store: SqliteStore) -> None:
    newest = 2**62 - 1
    store.index.upsert([make_record("ada", newest)])
    assert list(store.index.upsert([make_record("ada", newest - 1)])) == [entity_key("ada")]
    assert list(store.index.delete([Deletion(entity_key("ada"), Position(newest - 1))])) == [entity_key("ada")]
    assert list(store.index.delete([Deletion(entity_key("ada"), Position(newest))])) == []
    assert list(store.index.upsert([make_record("ada", newest - 1)])) == [entity_key("ada")]


def test_a_store_is_not_closed_inside_its_own_transaction(store: SqliteStore) -> None:
    with pytest.raises(ConfigError, match="leave its block"), store.journal.transaction():
        store.close()


# ---------------------------------------------------------------------- connections


def test_search_and_reads_do_not_wait_for_an_open_transaction(store: SqliteStore) -> None:
    store.index.upsert([make_record("ada", 1)])
    seen: list[object] = []

    def read() -> None:
        seen.extend(hit.stamp.position for hit in store.index.search(SPACE, unit_vector("q"), 5, _ALL))
        seen.append(store.journal.get("checkpoint"))
        seen.append(store.index.stamps([entity_key("ada")])[entity_key("ada")].records[0].position)

    with store.journal.transaction():
        store.index.upsert([make_record("ada", 2)])
        store.journal.set("checkpoint", "2")
        reader = threading.Thread(target=read)
        reader.start()
        reader.join(timeout=30)
        assert not reader.is_alive(), "a reader waits for the writer"
    assert seen == [1, None, 1]
    assert store.index.search(SPACE, unit_vector("q"), 5, _ALL)[0].stamp.position == 2


def test_writes_of_another_store_are_found_at_once(store: SqliteStore, path: Path) -> None:
    other = SqliteStore(path)
    store.index.upsert([make_record("ada", 1), make_record("bob", 1)])
    query = unit_vector("q")
    assert len(store.index.search(SPACE, query, 5, _ALL)) == len(other.index.search(SPACE, query, 5, _ALL)) == 2
    other.index.delete([Deletion(entity_key("ada"), Position(2))])
    other.index.upsert([make_record("bob", 2), make_record("eve", 2)])
    hits = store.index.search(SPACE, query, 5, _ALL)
    assert {hit.stamp.key.id: hit.stamp.position for hit in hits} == {"bob": 2, "eve": 2}
    other.close()


def test_a_matrix_that_is_too_far_behind_loads_anew(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_CHANGES_KEPT", 10)
    query = unit_vector("q")
    store.index.upsert([make_record("first")])
    assert len(store.index.search(SPACE, query, 100, _ALL)) == 1
    for i in range(30):
        store.index.upsert([make_record(f"n{i}"), make_record("again", i)])
        store.index.delete([Deletion(entity_key(f"n{i - 1}"), Position(5))])
    assert raw(path, "SELECT count(*) <= 22 FROM changes") == [(1,)]
    found = {hit.stamp.key.id for hit in store.index.search(SPACE, query, 100, _ALL)}
    assert found == {"first", "n29", "again"}


def test_a_restamp_leaves_the_vector_rows_alone(store: SqliteStore, path: Path) -> None:
    record = make_record("ada", 1)
    store.index.upsert([record])
    raw(path, "CREATE TRIGGER no_blobs BEFORE UPDATE ON vectors BEGIN SELECT raise(ABORT, 'blob rewritten'); END")
    store.index.restamp([make_record("ada", 1, schema_version=5).stamp])
    assert store.index.stamps([record.stamp.key])[record.stamp.key].records[0].schema_version == 5


def test_a_matrix_survives_being_one_of_many_spaces(store: SqliteStore) -> None:
    spaces = [type(SPACE)("m", "1", 8, generation) for generation in range(1, 13)]  # more than are kept in memory
    store.index.upsert([make_record("ada", space.generation, space) for space in spaces])
    for space in spaces * 2:
        hits = store.index.search(space, unit_vector("q"), 5, _ALL)
        assert [(hit.stamp.space, hit.stamp.position) for hit in hits] == [(space, space.generation)]


def test_vectors_are_stored_as_little_endian_float32(store: SqliteStore, path: Path) -> None:
    record = make_record("ada")
    store.index.upsert([record])
    ((blob,),) = raw(path, "SELECT vector FROM vectors")
    assert isinstance(blob, bytes)
    np.testing.assert_array_equal(np.frombuffer(blob, "<f4"), record.vector)


def test_a_search_takes_few_statements(store: SqliteStore) -> None:
    store.index.upsert([make_record(f"n{i}") for i in range(400)])
    query = unit_vector("q")
    store.index.search(SPACE, query, 10, _ALL)
    (reader,) = store._database._readers
    statements: list[str] = []
    reader.set_trace_callback(statements.append)
    assert len(store.index.search(SPACE, query, 10, _ALL)) == 10
    reader.set_trace_callback(None)
    asked = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(asked) <= 4, asked  # the space, the changes, the vectors of the best, their stamps


def test_a_matrix_follows_whatever_is_written(store: SqliteStore) -> None:
    """One matrix that follows finds what one that is loaded anew finds, after every step."""
    rng = np.random.default_rng(4)
    other = SPACE.__class__(SPACE.model_id, SPACE.model_version, SPACE.dimension, SPACE.generation + 1)
    for position in range(1, 60):
        names = [f"n{i}" for i in rng.choice(80, 9, replace=False)]
        store.index.upsert(
            [make_record(name, position, SPACE if rng.integers(0, 4) else other) for name in names[:6]]
        )
        store.index.delete([Deletion(entity_key(name), Position(position)) for name in names[6:]])
        if position % 7 == 0:
            store.index.delete([Deletion(entity_key(name), Position(position), SPACE) for name in names[:2]])
        fresh = SqliteStore(store.path)
        for space in (SPACE, other):
            for where in (_ALL, SearchFilter(entity_types=frozenset({"Person"}))):
                query = unit_vector(position)
                assert store.index.search(space, query, 7, where) == fresh.index.search(space, query, 7, where)
        fresh.close()


def test_a_warm_index_reads_no_vectors_but_those_of_the_best(store: SqliteStore) -> None:
    store.index.upsert([make_record(f"n{i}") for i in range(400)])
    store.index.warm(SPACE)
    store.index.warm(type(SPACE)("unknown", "1", 8))
    (reader,) = store._database._readers
    statements: list[str] = []
    reader.set_trace_callback(statements.append)
    store.index.search(SPACE, unit_vector("q"), 10, _ALL)
    reader.set_trace_callback(None)
    assert not [statement for statement in statements if "JOIN vectors" in statement]
