"""
The contract of the sync view, as one class of tests.

An adapter's test file derives from `SyncViewSuite` and gives `open_graph`. Every test takes nothing but the graph,
so that the suite runs over deliberately broken views too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest

from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.positions import Position
from slipstream.ports.sync_view import EntitySync, SyncState, SyncView
from slipstream.testkit.suites.graph.base import (
    LoggedGraph,
    create,
    entries,
    properties,
    raises,
    relate,
    scanned,
    update,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class ViewedGraph(LoggedGraph, Protocol):
    """A graph with its change log and its sync view."""

    @property
    def sync_view(self) -> SyncView:
        """The sync view."""
        ...


def fresh(entity_id: str, position: int = 3, verified: datetime | None = NOON) -> SyncState:
    """Return a row of an embedded entity."""
    at = NOON - timedelta(hours=1, microseconds=7)
    return SyncState(entity_id, "Person", EntitySync.FRESH, "minilm", 2, Position(position), at, verified)


def bare(entity_id: str, state: EntitySync = EntitySync.UNCOVERED) -> SyncState:
    """Return a row of an entity without a record."""
    return SyncState(entity_id, "Tag", state)


class SyncViewSuite(ABC):
    """The tests of `ports.sync_view.SyncView` beside the graph that it belongs to."""

    @abstractmethod
    def open_graph(self, directory: Path) -> ViewedGraph:
        """Open the graph that lives in a directory; a fresh directory gives an empty one."""

    def reopened(self, graph: ViewedGraph) -> ViewedGraph:
        """Return the graph closed and opened again, itself where nothing outlives a process."""
        return graph

    @pytest.fixture
    def graph(self, tmp_path: Path) -> Iterator[ViewedGraph]:
        """Give an empty graph."""
        graph = self.open_graph(tmp_path)
        yield graph
        graph.close()

    # -- rows --

    def test_rows_are_read_back_as_they_were_put(self, graph: ViewedGraph) -> None:
        states = graph.sync_view
        rows = [fresh("a"), bare("b"), fresh("c", verified=None), bare("d", EntitySync.PENDING)]
        states.put(rows)
        assert states.read(["a", "b", "c", "d", "a", "nobody"]) == {row.entity_id: row for row in rows}
        assert states.read([]) == {}
        found = states.read(["a"])["a"]
        assert found.embedded_at is not None
        assert found.embedded_at.utcoffset() == timedelta(0)

    def test_a_row_is_replaced_as_a_whole_and_the_last_one_counts(self, graph: ViewedGraph) -> None:
        states = graph.sync_view
        states.put([fresh("a"), fresh("b")])
        states.put([fresh("a", 4), bare("a", EntitySync.PENDING), fresh("b", 9)])
        assert states.read(["a", "b"]) == {"a": bare("a", EntitySync.PENDING), "b": fresh("b", 9)}
        states.put([fresh("a", 5)])
        states.put([fresh("a", 5)])
        assert states.read(["a"]) == {"a": fresh("a", 5)}
        assert states.counts() == {EntitySync.FRESH: 2}

    def test_many_rows_at_once_and_hostile_ids(self, graph: ViewedGraph) -> None:
        states = graph.sync_view
        ids = [f"p{number:03}" for number in range(300)] + [
            "' OR 1=1",
            "`x`",
            "ü\u2028\U0001f600",
            "K:a:b",
            "x" * 1024,
        ]
        states.put(fresh(entity_id, number) for number, entity_id in enumerate(ids))
        assert {row.position for row in states.read(ids).values()} == set(range(len(ids)))
        assert states.counts() == {EntitySync.FRESH: len(ids)}
        states.put(bare(entity_id) for entity_id in ids[::2])
        assert states.counts() == {EntitySync.FRESH: len(ids) // 2, EntitySync.UNCOVERED: (len(ids) + 1) // 2}
        states.remove(ids[10:])
        assert states.read(ids).keys() == set(ids[:10])

    def test_removing_is_idempotent(self, graph: ViewedGraph) -> None:
        states = graph.sync_view
        states.put([fresh("a"), fresh("b"), fresh("c")])
        states.remove(["a", "b", "a", "nobody"])
        states.remove(["a"])
        states.remove([])
        states.put([])
        assert states.read(["a", "b", "c"]) == {"c": fresh("c")}

    def test_rows_are_found_by_state_in_order(self, graph: ViewedGraph) -> None:
        states = graph.sync_view
        states.put(bare(name, EntitySync.DEAD_LETTER) for name in ("c", "a", "b"))
        states.put([fresh("d")])
        assert [row.entity_id for row in states.find(EntitySync.DEAD_LETTER, 2)] == ["a", "b"]
        assert [row.entity_id for row in states.find(EntitySync.DEAD_LETTER, 9)] == ["a", "b", "c"]
        assert states.find(EntitySync.DIVERGENT, 9) == []
        assert states.find(EntitySync.FRESH, 0) == []

    def test_only_fresh_rows_that_are_not_excepted_are_verified(self, graph: ViewedGraph) -> None:
        states = graph.sync_view
        later = NOON + timedelta(hours=1)
        rows = [fresh("a"), fresh("b", verified=None), fresh("c"), fresh("d", verified=later), bare("e")]
        states.put(rows)
        half = NOON + timedelta(minutes=30)
        assert states.mark_verified(half, ["c", "nobody"]) == 2
        found = states.read(list("abcde"))
        assert [found[name].last_verified for name in "abcde"] == [half, half, NOON, later, None]
        assert found["a"] == replace(rows[0], last_verified=half)
        assert states.mark_verified(half, ["c"]) == 0
        assert states.mark_verified(later) == 3

    def test_rows_are_verified_a_few_at_a_time(self, graph: ViewedGraph) -> None:
        states = graph.sync_view
        states.put(fresh(name) for name in "abcde")
        later = NOON + timedelta(hours=1)
        assert [states.mark_verified(later, ["c"], 2) for _ in range(3)] == [2, 2, 0]
        found = states.read(list("abcde"))
        assert [found[name].last_verified for name in "abcde"] == [later, later, NOON, later, later]

    def test_rows_of_absent_entities_are_pruned(self, graph: ViewedGraph) -> None:
        states = graph.sync_view
        create(graph, "a", "b")
        relate(graph, "a", "K", "b")
        states.put(fresh(name) for name in ("a", "b", "x", "y", "z", "K:a:b"))
        assert states.prune(3) == 3
        assert states.prune(9) == 1
        assert states.prune(9) == 0
        assert states.read(["a", "b", "x", "y", "z"]).keys() == {"a", "b"}
        with graph.transaction() as tx:
            tx.delete_entity("a")
        assert states.prune(9) == 1
        assert states.read(["a", "b"]).keys() == {"b"}

    # -- beside the graph --

    def test_no_write_is_a_change_of_the_graph(self, graph: ViewedGraph) -> None:
        create(graph, "a", "b", name="Ada")
        relate(graph, "a", "K", "b")
        states = graph.sync_view
        before = (entries(graph), graph.counts(), graph.schema(), scanned(graph, 10), properties(graph, "a"))
        head = graph.feed.head()
        states.put([fresh("a"), bare("b"), fresh("ghost")])
        states.mark_verified(NOON + timedelta(days=1))
        states.remove(["b"])
        states.prune(10)
        assert not graph.feed.wait(head, 0.0)
        assert graph.feed.head() == head
        assert graph.read([], {}).position == head
        assert before == (entries(graph), graph.counts(), graph.schema(), scanned(graph, 10), properties(graph, "a"))
        update(graph, "a", name="Eve")
        assert graph.feed.head() == head + 1
        assert states.read(["a"])["a"].state is EntitySync.FRESH

    def test_rows_survive_closing_and_leave_the_graph_unchanged(self, graph: ViewedGraph) -> None:
        create(graph, "a", name="Ada")
        graph.sync_view.put([fresh("a"), bare("gone")])
        before = (entries(graph), graph.counts(), graph.schema())
        again = self.reopened(graph)
        assert again.sync_view.read(["a", "gone"]) == {"a": fresh("a"), "gone": bare("gone")}
        assert before == (entries(again), again.counts(), again.schema())

    def test_it_waits_its_turn_and_ends_with_its_graph(self, graph: ViewedGraph) -> None:
        create(graph, "a")
        states = graph.sync_view
        with graph.transaction() as tx:
            tx.update_entity("a", {"name": "Ada"})
            raises(ConfigError, states.put, [fresh("a")])
        graph.close()
        calls = [
            lambda: states.put([fresh("a")]), lambda: states.remove(["a"]), lambda: states.read(["a"]),
            lambda: states.find(EntitySync.FRESH, 1), lambda: states.mark_verified(NOON), states.counts,
            lambda: states.prune(1),
        ]  # fmt: skip
        for call in calls:
            raises(UnavailableError, call)
