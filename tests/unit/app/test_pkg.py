"""The PKG as users know it: Cypher writes land whole, and only where they were planned; what is missing is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.app.pkg import PKG, GraphPorts
from slipstream.domain.entities import EntityState
from slipstream.domain.errors import ConfigError, CorruptionError, NotFoundError, UnavailableError, UnsupportedError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.cypher import PlannedWrites
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.clock import ManualClock


class Planner:
    """Plans to count one up, or `apply`; somebody else commits while it thinks, the first `disturbed` times."""

    def __init__(self, graph: MemoryGraph, disturbed: int = 0) -> None:
        self.graph, self.disturbed = graph, disturbed
        self.planned = self.behind = 0
        self.apply: Callable[[GraphTransaction], None] | None = None

    def query(self, cypher: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer what it was asked."""
        return [{"cypher": cypher, **parameters}]

    def plan(self, cypher: str, parameters: Mapping[str, Any]) -> PlannedWrites:
        """Read, be disturbed, and return what to write."""
        self.planned += 1
        position, count = self.graph.feed.head(), _count(self.graph)
        if self.planned <= self.disturbed:
            with suppress(ConfigError):  # a transaction is open: the others have to wait for it
                self.graph.update_entity("counter", {"n": count + 10})
        return PlannedWrites(
            Position(position - self.behind), self.apply or (lambda tx: tx.update_entity("counter", {"n": count + 1}))
        )

    def close(self) -> None:
        """Nothing is held."""


def _count(graph: MemoryGraph) -> int:
    state = graph.read([entity_key("counter")], {}).states[entity_key("counter")]
    assert isinstance(state, EntityState)
    count = state.entity.properties["n"]
    assert isinstance(count, int)
    return count


def _opened(disturbed: int = 0) -> tuple[PKG, MemoryGraph, Planner]:
    graph = MemoryGraph(ManualClock())
    graph.create_entity("Counter", "counter", {"n": 0})
    planner = Planner(graph, disturbed)
    ports = GraphPorts(
        reader=graph,
        writer=graph,
        feed=graph.feed,
        marks=graph,
        sync_view=graph.sync_view,
        cypher=planner,
        close=graph.close,
    )
    return PKG(ports), graph, planner


def test_a_cypher_write_is_one_commit_and_returns_its_position() -> None:
    pkg, graph, planner = _opened()
    assert pkg.execute("...") == graph.feed.head()
    assert (_count(graph), planner.planned) == (1, 1)


def test_a_cypher_write_is_planned_anew_when_somebody_else_has_committed() -> None:
    pkg, graph, planner = _opened(disturbed=3)
    assert pkg.execute("...") == graph.feed.head()
    assert (_count(graph), planner.planned) == (31, 4), "no commit of the others is lost"


def test_a_cypher_write_makes_others_wait_where_they_never_stop() -> None:
    pkg, graph, planner = _opened(disturbed=1_000)
    assert pkg.execute("...") == graph.feed.head()
    assert _count(graph) == 10 * (planner.planned - 1) + 1, "no commit of the others is lost"
    assert planner.planned < 20


def test_a_plan_for_another_graph_than_the_one_that_stands_still_is_never_applied() -> None:
    pkg, graph, planner = _opened()
    planner.behind = 1
    with pytest.raises(CorruptionError, match="planned at"):
        pkg.execute("...")
    assert _count(graph) == 0


def test_a_cypher_write_that_fails_half_way_leaves_nothing() -> None:
    pkg, graph, planner = _opened()

    def apply(tx: GraphTransaction) -> None:
        tx.update_entity("counter", {"n": 7})
        tx.update_entity("nobody", {"n": 7})

    planner.apply = apply
    head = graph.feed.head()
    with pytest.raises(NotFoundError):
        pkg.execute("...")
    assert (_count(graph), graph.feed.head()) == (0, head)


def test_parameters_of_a_query_arrive_by_name() -> None:
    pkg, _, _ = _opened()
    assert pkg.query("RETURN $x", x=1) == [{"cypher": "RETURN $x", "x": 1}]


def test_what_a_graph_does_not_speak_is_said_before_anything_happens() -> None:
    graph = MemoryGraph(ManualClock())
    ports = GraphPorts(
        reader=graph, writer=graph, feed=graph.feed, marks=graph, sync_view=graph.sync_view, close=graph.close
    )
    pkg = PKG(ports)
    for ask in (pkg.query, pkg.execute):
        with pytest.raises(UnsupportedError, match="Cypher"):
            ask("RETURN 1")
    with pytest.raises(UnsupportedError, match="SQL"):
        pkg.query_sql("SELECT 1")


def test_closing_it_closes_the_graph() -> None:
    pkg, graph, _ = _opened()
    pkg.close()
    with pytest.raises(UnavailableError):
        graph.counts()


def test_it_knows_its_own_last_commit_and_no_other() -> None:
    pkg, graph, _ = _opened()
    assert pkg.last_commit == ORIGIN
    created = pkg.create_entity("Person", "ada", {"name": "Ada"})
    assert pkg.last_commit == created
    graph.create_entity("Person", "bob", {})  # past this object
    with pytest.raises(NotFoundError):
        pkg.delete_entity("nobody")
    assert pkg.last_commit == created < graph.feed.head()
    with pkg.transaction() as tx:
        tx.update_entity("ada", {"name": "Augusta"})
    assert pkg.last_commit == tx.position == graph.feed.head()
