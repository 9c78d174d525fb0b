"""Raw hooks for a graph file: SQLite's own module, as a program that knows nothing of Slipstream uses it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.graphs.sqlite.feed import SqliteFeed
from slipstream.adapters.graphs.sqlite.writer import SqliteTransaction
from slipstream.domain.entities import Entity
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.suites.graph import GraphSuite, LoggedGraph


def opened(directory: Path) -> SqliteGraph:
    """Open the graph of a directory."""
    return SqliteGraph(directory / "graph.db", clock=ManualClock())


def run_raw(path: Path, statement: str, *parameters: Any) -> list[Any]:
    """Run a statement in a connection of its own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, parameters).fetchall()


class Handle:
    """A graph that can be closed and opened again behind the test's back."""

    def __init__(self, directory: Path, *, after_every_commit: bool = False) -> None:
        self._directory = directory
        self._after_every_commit = after_every_commit
        self.inner = opened(directory)

    def reopen(self) -> None:
        """Close and open again."""
        self.inner.close()
        self.inner = opened(self._directory)

    @property
    def feed(self) -> SqliteFeed:
        """The feed of the graph as it is open now."""
        return self.inner.feed

    @contextmanager
    def _reopening(self) -> Iterator[SqliteTransaction]:
        with self.inner.transaction() as tx:
            yield tx
        self.reopen()

    def transaction(self) -> AbstractContextManager[SqliteTransaction]:
        """Open a transaction; the reopening variant closes and opens the graph behind it."""
        return self._reopening() if self._after_every_commit else self.inner.transaction()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class SqliteSuite(GraphSuite):
    """The suite over a graph file."""

    after_every_commit = False
    logs_foreign_writes = True

    def open_graph(self, directory: Path) -> LoggedGraph:
        return Handle(directory, after_every_commit=self.after_every_commit)

    def reopened(self, graph: LoggedGraph) -> LoggedGraph:
        assert isinstance(graph, Handle)
        graph.reopen()
        return graph

    def read_raw(self, graph: LoggedGraph, entity_type: str, entity_id: str) -> dict[str, Any] | None:
        assert isinstance(graph, Handle)
        statement = "SELECT properties FROM entity WHERE type = ? AND id = ?"
        rows = run_raw(graph.inner.path, statement, entity_type, entity_id)
        return json.loads(rows[0][0]) if rows else None

    def write_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        assert isinstance(graph, Handle)
        statement = "INSERT INTO entity(id, type, properties) VALUES (?, ?, ?)"
        run_raw(graph.inner.path, statement, entity.id, entity.type, json.dumps(entity.properties))
        return graph

    def remove_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        assert isinstance(graph, Handle)
        run_raw(graph.inner.path, "DELETE FROM entity WHERE id = ?", entity.id)
        return graph

    def age_log(self, graph: LoggedGraph, seconds: float) -> None:
        assert isinstance(graph, Handle)
        run_raw(graph.inner.path, "UPDATE change SET at = at - ?", int(seconds * 1000))

    def second_handle(self, graph: LoggedGraph) -> LoggedGraph | None:
        assert isinstance(graph, Handle)
        return opened(graph.inner.path.parent)
