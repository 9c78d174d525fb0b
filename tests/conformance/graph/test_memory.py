"""The in-memory graph fulfils the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.entities import Entity
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.suites.graph import GraphSuite, LoggedGraph


class MemorySuite(GraphSuite):
    """The suite over the in-memory graph; its name keeps it from being collected where it is imported."""

    def open_graph(self, directory: Path) -> LoggedGraph:
        return MemoryGraph(ManualClock())

    def read_raw(self, graph: LoggedGraph, entity_type: str, entity_id: str) -> dict[str, Any] | None:
        assert isinstance(graph, MemoryGraph)
        found = graph._entities.get(entity_id)
        return dict(found.properties) if found and found.type == entity_type else None

    def write_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        assert isinstance(graph, MemoryGraph)
        graph.write_raw(entity)
        return graph

    def remove_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        assert isinstance(graph, MemoryGraph)
        graph.remove_raw(entity.id)
        return graph

    def age_log(self, graph: LoggedGraph, seconds: float) -> None:
        assert isinstance(graph, MemoryGraph)
        graph._clock.sleep(seconds)


class TestMemoryGraph(MemorySuite):
    pass
