"""What a program can do to the file past its triggers: found, named, put back, and compared by fingerprints."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.graphs.sqlite.layout import TRIGGERS
from slipstream.domain.errors import CorruptionError, PositionLostError
from slipstream.domain.positions import ORIGIN, POSITION_MAX, Position
from tests.integration.graph_files import made, names, opened, raw, run_raw, told

UNLOGGED = "INSERT INTO entity(id, type) VALUES ('eve', 'Robot')"
INDEXES = ["entity_type", "entity_no_blob_io", "relationship_in", "relationship_id", "sync_state_state"]


def schema_of(path: Path) -> dict[str, str]:
    return dict(run_raw(path, "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_dropped_trigger_is_put_back_at_open(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    made(tmp_path).close()
    before = schema_of(tmp_path)
    run_raw(tmp_path, f"DROP TRIGGER {name}")
    graph = opened(tmp_path)
    assert f"put back {name}" in caplog.text
    assert schema_of(tmp_path) == before
    assert told(graph)[-1] == "rescan"
    graph.close()
    caplog.clear()
    opened(tmp_path).close()
    assert caplog.text == ""


def test_a_changed_trigger_is_put_back_while_the_graph_is_open(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph = made(tmp_path)
    before, head = schema_of(tmp_path), graph.feed.head()
    with closing(raw(tmp_path)) as other:
        other.execute("DROP TRIGGER entity_inserted")
        other.execute("CREATE TRIGGER entity_inserted AFTER INSERT ON entity BEGIN SELECT 1; END")
        other.execute(UNLOGGED)
    assert graph.feed.head() == head
    told(graph)
    assert "put back entity_inserted" in caplog.text
    assert told(graph)[head:] == ["rescan", "schema_evolved schema"]
    assert "Robot" in graph.schema().entity_types
    assert schema_of(tmp_path) == before
    graph.close()


def test_a_write_of_our_own_is_logged_even_if_nobody_reads(tmp_path: Path) -> None:
    graph = made(tmp_path)
    head = graph.feed.head()
    run_raw(tmp_path, "DROP TRIGGER entity_updated")
    with graph.transaction() as tx:
        tx.update_entity("ada", {"name": "Ada L."})
    assert tx.position == head + 2
    assert told(graph)[head:] == ["rescan", "entity_updated ada"]
    graph.close()


@pytest.mark.parametrize("name", INDEXES)
def test_a_dropped_or_other_index_is_put_back(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    made(tmp_path).close()
    before = schema_of(tmp_path)
    run_raw(tmp_path, f"DROP INDEX {name}")
    opened(tmp_path).close()
    assert f"put back {name}" in caplog.text
    assert schema_of(tmp_path) == before
    run_raw(tmp_path, f"DROP INDEX {name}")
    run_raw(tmp_path, f"CREATE INDEX {name} ON consumer(position)")
    opened(tmp_path).close()
    assert schema_of(tmp_path) == before


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE relationship"],
        ["DROP TABLE change"],
        ["ALTER TABLE entity RENAME COLUMN properties TO data"],
        ["CREATE TABLE t AS SELECT * FROM entity", "DROP TABLE entity", "ALTER TABLE t RENAME TO entity"],
        ["CREATE TABLE t AS SELECT * FROM entity", "DROP TABLE entity", "CREATE VIEW entity AS SELECT * FROM t"],
    ],
    ids=["dropped", "the log dropped", "a column renamed", "replaced as pandas does", "replaced by a view"],
)
def test_a_table_that_is_gone_or_another_one_stops_everything(tmp_path: Path, statements: list[str]) -> None:
    graph = made(tmp_path)
    with closing(raw(tmp_path)) as other:
        other.execute("PRAGMA legacy_alter_table = ON")
        for statement in statements:
            other.execute(statement)
    with pytest.raises(CorruptionError, match=r"the table \w+ of .* is gone.*restore a backup"):
        graph.feed.read(ORIGIN, 10)
    with pytest.raises(CorruptionError, match="restore a backup"), graph.transaction():
        pass
    graph.close()
    with pytest.raises(CorruptionError, match="restore a backup"):
        opened(tmp_path)


def test_what_others_add_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    graph = made(tmp_path)
    with closing(raw(tmp_path)) as other:
        other.execute("ALTER TABLE entity ADD COLUMN colour TEXT DEFAULT 'red'")
        other.execute("CREATE TABLE theirs(x)")
        other.execute("CREATE INDEX theirs_too ON entity(json_extract(properties, '$.name'))")
        other.execute("CREATE TRIGGER theirs_as_well AFTER INSERT ON entity BEGIN INSERT INTO theirs VALUES (1); END")
        other.execute("VACUUM")
    with graph.transaction() as tx:
        tx.create_entity("Person", "eve", {"name": "Eve"})
    assert told(graph)[-1] == "entity_created eve"
    graph.close()
    opened(tmp_path).close()
    assert caplog.text == ""
    assert run_raw(tmp_path, "SELECT colour, (SELECT count(*) FROM theirs) FROM entity WHERE id = 'eve'") == [
        ("red", 1)
    ]


def test_the_journal_mode_of_another_program_does_not_stick(tmp_path: Path) -> None:
    made(tmp_path).close()
    assert run_raw(tmp_path, "PRAGMA journal_mode = DELETE") == [("delete",)]
    graph = opened(tmp_path)
    assert run_raw(tmp_path, "PRAGMA journal_mode") == [("wal",)]
    with closing(raw(tmp_path)) as other, pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("PRAGMA journal_mode = DELETE")  # not while somebody has it open
    graph.close()


def test_an_edited_log_is_found(tmp_path: Path) -> None:
    graph = made(tmp_path)
    run_raw(tmp_path, "DELETE FROM change WHERE position = 3")
    with pytest.raises(PositionLostError, match="entries 3 to 3 of the log are gone: backfill"):
        graph.feed.read(ORIGIN, 10)
    assert graph.feed.read(Position(3), 10)
    graph.close()


def test_a_log_that_somebody_emptied_goes_on_behind_its_end(tmp_path: Path) -> None:
    graph = made(tmp_path)
    head = graph.feed.head()
    run_raw(tmp_path, "DELETE FROM change")
    with graph.transaction() as tx:
        tx.create_entity("Person", "eve")
    assert tx.position == head + 1
    with pytest.raises(PositionLostError):
        graph.feed.read(Position(head - 1), 10)
    graph.close()


@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO change(position, kind) VALUES ({2**63 - 1}, '+e')",  # noqa: S608
        f"UPDATE sqlite_sequence SET seq = {2**63 - 1}",  # noqa: S608
        f"INSERT INTO change(position, kind) VALUES ({POSITION_MAX + 1}, '*')",  # noqa: S608
    ],
)
def test_a_position_behind_which_nothing_could_be_written_is_taken_out(
    tmp_path: Path, statement: str, is_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    graph = made(tmp_path)
    head = graph.feed.head()
    if not is_open:
        graph.close()
    run_raw(tmp_path, statement)
    if not is_open:
        graph = opened(tmp_path)
    assert head <= graph.read([], {}).position <= head + 1
    with graph.transaction() as tx:
        tx.create_entity("Person", "eve")
    assert "out of the log" in caplog.text
    assert tx.position == head + 2
    assert told(graph)[head:] == ["rescan", "entity_created eve"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    graph.close()


def test_another_program_may_take_the_lock_for_long(tmp_path: Path) -> None:
    """Readers wait for nobody."""
    graph = made(tmp_path)
    with closing(raw(tmp_path)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO entity(id, type) VALUES ('eve', 'Person')")
        assert sorted(item.key.id for item in graph.scan(None, 2)) == ["ada", "bob"]
        assert "entity_created eve" not in told(graph)
        other.execute("COMMIT")
    assert told(graph)[-1] == "entity_created eve"
    assert names(run_raw(tmp_path, "PRAGMA quick_check")) == ["ok"]
    graph.close()
