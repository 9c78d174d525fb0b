"""Whatever another program writes into the graph file: the log tells of it, and nothing that is wrong gets in."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.graphs.sqlite.layout import TRIGGERS
from slipstream.domain.events import PKGEvent
from slipstream.domain.positions import Position
from slipstream.testkit.clock import ManualClock
from tests.depth import first_few
from tests.property.foreign_writers import Mirror, Writer, compare, in_memory, run

SEEDS = 40
TRANSACTIONS = 40
_KEPT = TRIGGERS["entity_renamed"].split("'+e'")[1].split(";", 1)[1].split("UPDATE OR REPLACE")[0]
"""What a rename logs of the relationships of the entity whose place it takes."""
PARTS = {
    "the relationships at the other end of what is deleted": (
        "entity_deleted",
        " DELETE FROM relationship WHERE target = old.id;",
        "",
    ),
    "the id that a rename leaves": ("entity_renamed", "'-e', old.id", "'-e', new.id"),
    "the relationships of what a rename replaces": ("entity_renamed", _KEPT, ""),
    "the key of another entity": ("entity_insert_guard", "key = new.key AND", "key = 0 AND"),
    "the end of a relationship that moves": ("relationship_update_guard", "id = new.target", "id = new.source"),
    "where a relationship was": ("relationship_updated", "SELECT '-r', old.source", "SELECT '-r', new.source"),
}
"""Parts of triggers, with what takes each away."""


@pytest.mark.parametrize("seed", first_few(range(SEEDS), 16))
def test_a_mirror_kept_by_the_log_is_what_the_tables_hold(seed: int) -> None:
    with closing(in_memory()) as connection:
        statements = sum(run(connection, seed, TRANSACTIONS))
        assert statements >= TRANSACTIONS


@pytest.mark.parametrize("name", TRIGGERS)
def test_without_any_one_trigger_it_is_not(name: str) -> None:
    assert_found({other: sql for other, sql in TRIGGERS.items() if other != name})


@pytest.mark.parametrize("part", PARTS)
def test_without_a_part_of_a_trigger_it_is_not(part: str) -> None:
    name, text, instead = PARTS[part]
    assert text in TRIGGERS[name]
    assert_found({**TRIGGERS, name: TRIGGERS[name].replace(text, instead)})


def assert_found(triggers: Mapping[str, str]) -> None:
    """Fail when the random writers never notice what these triggers lack."""
    for seed in range(SEEDS):
        with closing(in_memory(triggers)) as connection:
            try:
                for _ in run(connection, seed, TRANSACTIONS):
                    pass
            except (AssertionError, ValueError, sqlite3.OperationalError):  # differs, or can not even be read
                return
    pytest.fail(f"{SEEDS} random writers did not notice")


@pytest.mark.parametrize("seed", range(3))
def test_the_feed_reads_all_of_it(tmp_path: Path, seed: int) -> None:
    graph = SqliteGraph(tmp_path / "graph.db", clock=ManualClock())
    with closing(sqlite3.connect(graph.path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")  # the other program's: many small commits, quickly
        writer, mirror, told = Writer(connection, random.Random(seed)), Mirror(), Position(0)
        for _ in range(60):
            writer.transact()
            told = read_on(graph, told)
            mirror.catch_up(connection)
            compare(connection, mirror)
            assert_schema_covers(graph, connection)
    assert told == graph.feed.head()
    graph.close()


def read_on(graph: SqliteGraph, after: Position) -> Position:
    """Read the feed to its end: every entry is an event that can be told to others, in order, and none is missing."""
    while entries := graph.feed.read(after, 7):
        for entry in entries:
            assert isinstance(entry, PKGEvent)
            assert entry.position == after + 1
            assert PKGEvent.parse(entry.model_dump_json()) == entry
            after = Position(after + 1)
    return after


def assert_schema_covers(graph: SqliteGraph, connection: sqlite3.Connection) -> None:
    """Fail for a type or a property that stands in a table and not in the schema."""
    schema = graph.schema()
    for table, types in (("entity", schema.entity_types), ("relationship", schema.relationship_types)):
        rows = connection.execute(
            f"SELECT t.type, j.key FROM {table} AS t LEFT JOIN json_each(t.properties) AS j "  # noqa: S608  (ours)
            "ON j.type <> 'null' AND j.key <> 'id'"
        )
        for name, prop in rows:
            assert name in types
            assert prop is None or prop in types[name]
