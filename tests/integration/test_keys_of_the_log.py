"""What the log of a graph file tells without the data of its entries: the same keys as its entries have."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.errors import PositionLostError
from slipstream.domain.events import PKGEvent
from slipstream.domain.log import position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.feed import KeyFeed, Retention


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[SqliteGraph]:
    graph = SqliteGraph(tmp_path / "graph.db", clock=SystemClock())
    yield graph
    graph.close()


def fill(graph: SqliteGraph) -> None:
    rng = random.Random(3)
    for number in range(60):
        with graph.transaction() as tx:
            tx.upsert_entity(rng.choice(["Person", "Place"]), f"n:{rng.randrange(9)}%", {f"p{number}": number})
            tx.upsert_entity("Person", "last", {"name": str(number)})
            if number % 3 == 0:
                tx.relate("last", "KNOWS", "last", {"since": number}, discriminator=f"d{number}", replace=True)
            if number % 7 == 6:
                tx.delete_entity("last")


def test_they_are_those_of_the_entries(graph: SqliteGraph) -> None:
    fill(graph)
    feed = graph.feed
    assert isinstance(feed, KeyFeed)
    entries = feed.read(ORIGIN, 10_000)
    told = feed.changed(ORIGIN, 10_000)
    assert told is not None
    assert len(entries) > 150
    assert [(each.position, each.key) for each in told] == [
        (position_of(entry), entry.key) for entry in entries if isinstance(entry, PKGEvent)
    ]
    types = [entry.entity_type for entry in entries if isinstance(entry, PKGEvent) and entry.key is not None]
    assert [each.type for each in told if each.key is not None] == types
    page = feed.changed(Position(10), 5)
    assert page == told[10:15]
    assert feed.changed(feed.head(), 5) == []


def test_a_rescan_is_left_to_reading(graph: SqliteGraph) -> None:
    fill(graph)
    head = graph.feed.head()
    graph.advance(Position(head + 10))
    assert graph.feed.changed(head, 10) is None
    assert graph.feed.changed(Position(head - 5), 5) is not None


def test_a_row_that_another_program_wrote_is_left_to_reading(graph: SqliteGraph, tmp_path: Path) -> None:
    fill(graph)
    with closing(sqlite3.connect(tmp_path / "graph.db")) as connection:
        connection.execute("INSERT INTO change (kind, id, type, at) VALUES ('??', 'x', 'Person', 0)")
        connection.commit()
    assert graph.feed.changed(Position(graph.feed.head() - 1), 10) is None


def test_a_trimmed_range_is_told(graph: SqliteGraph) -> None:
    fill(graph)
    graph.feed.trim(Retention(kept_bytes=0, kept_s=0.0))
    with pytest.raises(PositionLostError):
        graph.feed.changed(ORIGIN, 10)
