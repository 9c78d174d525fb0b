"""Raw hooks for a ladybug graph: its file, opened by the vendor's own driver while our adapter has closed it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import ladybug

from slipstream.adapters.graphs.ladybug import LadybugGraph
from slipstream.adapters.graphs.ladybug.outbox import OutboxLog
from slipstream.adapters.graphs.staging import StagedTransaction
from slipstream.domain.entities import Entity
from slipstream.testing.clock import ManualClock
from slipstream.testing.suites.graph import GraphSuite, LoggedGraph

POOL_BYTES = 64 * 1024 * 1024


def opened(directory: Path) -> LadybugGraph:
    """Open the graph of a directory."""
    return LadybugGraph(directory / "graph", clock=ManualClock(), buffer_pool_size_bytes=POOL_BYTES)


def run_raw(path: Path, cypher: str, **params: Any) -> list[list[Any]]:
    """Run a statement with the vendor's driver on a file that nobody else has open."""
    database = ladybug.Database(str(path), buffer_pool_size=POOL_BYTES)
    connection = ladybug.Connection(database)
    try:
        return list(connection.execute(cypher, params).get_all())
    finally:
        connection.close()
        database.close()


class Handle:
    """A graph that can be closed and opened again behind the test's back."""

    def __init__(self, directory: Path, *, after_every_commit: bool = False) -> None:
        self._directory = directory
        self._after_every_commit = after_every_commit
        self.inner = opened(directory)

    def reopen(self, cypher: str = "", **params: Any) -> None:
        """Close and open again, running a raw statement in between."""
        self.inner.close()
        if cypher:
            run_raw(self._directory / "graph", cypher, **params)
        self.inner = opened(self._directory)

    @property
    def log(self) -> OutboxLog:
        """The log of the graph as it is open now."""
        return self.inner.log

    @contextmanager
    def _reopening(self) -> Iterator[StagedTransaction]:
        with self.inner.transaction() as tx:
            yield tx
        self.reopen()

    def transaction(self) -> AbstractContextManager[StagedTransaction]:
        """Open a transaction; the reopening variant closes and opens the graph behind it."""
        return self._reopening() if self._after_every_commit else self.inner.transaction()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class LadybugSuite(GraphSuite):
    """The suite over a ladybug file."""

    after_every_commit = False

    def open_graph(self, directory: Path) -> LoggedGraph:
        return Handle(directory, after_every_commit=self.after_every_commit)

    def reopened(self, graph: LoggedGraph) -> LoggedGraph:
        assert isinstance(graph, Handle)
        graph.reopen()
        return graph

    def read_raw(self, graph: LoggedGraph, entity_type: str, entity_id: str) -> dict[str, Any] | None:
        assert isinstance(graph, Handle)
        graph.inner.close()
        rows = run_raw(graph._directory / "graph", f"MATCH (n:{entity_type} {{id: $id}}) RETURN n", id=entity_id)
        graph.inner = opened(graph._directory)
        stored = rows[0][0] if rows else None
        return stored and {k: v for k, v in stored.items() if v is not None and k != "id" and not k.startswith("_")}

    def write_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        assert isinstance(graph, Handle)
        given = ", ".join(f"{name}: ${name}" for name in entity.properties)
        graph.reopen(f"CREATE (:{entity.type} {{id: $id, {given}}})", id=entity.id, **entity.properties)
        return graph

    def remove_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        assert isinstance(graph, Handle)
        graph.reopen(f"MATCH (n:{entity.type} {{id: $id}}) DELETE n", id=entity.id)
        return graph
