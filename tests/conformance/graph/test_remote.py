"""The fake remote graph fulfils the contract, on a good line and a bad one, with commits of other clients."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from slipstream.adapters.clock import SystemClock
from slipstream.domain.entities import Entity
from slipstream.domain.events import PKGEvent
from slipstream.testkit.remote import CALM, ROUGH, RemoteDatabase, RemoteGraph
from slipstream.testkit.suites.graph import GraphSuite, LoggedGraph


class RemoteSuite(GraphSuite):
    """The suite over a client of a remote database."""

    trouble = CALM
    reads_snapshots = False

    def open_graph(self, directory: Path) -> LoggedGraph:
        return RemoteGraph(RemoteDatabase(SystemClock()), SystemClock(), self.trouble)

    def second_handle(self, graph: LoggedGraph) -> LoggedGraph | None:
        assert isinstance(graph, RemoteGraph)
        return type(graph)(graph.database, SystemClock(), self.trouble)

    def reopened(self, graph: LoggedGraph) -> LoggedGraph:
        assert isinstance(graph, RemoteGraph)
        return type(graph)(graph.database, SystemClock(), self.trouble)

    def read_raw(self, graph: LoggedGraph, entity_type: str, entity_id: str) -> dict[str, Any] | None:
        assert isinstance(graph, RemoteGraph)
        found = graph.database.store.entities.get(entity_id)
        return dict(found.properties) if found and found.type == entity_type else None

    def write_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        assert isinstance(graph, RemoteGraph)
        graph.database.store.put_entity(entity.id, entity)
        return graph

    def remove_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        assert isinstance(graph, RemoteGraph)
        graph.database.store.put_entity(entity.id, None)
        return graph

    def age_log(self, graph: LoggedGraph, seconds: float) -> None:
        assert isinstance(graph, RemoteGraph)
        rows = graph.database.store.rows
        for position, row in rows.items():
            assert isinstance(row.entry, PKGEvent)
            older = row.entry.model_copy(update={"timestamp": row.entry.timestamp - timedelta(seconds=seconds)})
            rows[position] = replace(row, entry=older)


class TestRemoteGraph(RemoteSuite):
    pass


class TestRemoteGraphOnABadLine(RemoteSuite):
    trouble = ROUGH
