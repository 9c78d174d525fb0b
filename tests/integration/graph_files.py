"""A graph file as another program sees it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.events import PKGEvent
from slipstream.domain.log import Rescan
from slipstream.domain.positions import ORIGIN
from slipstream.testkit.clock import ManualClock


def opened(path: Path) -> SqliteGraph:
    """Open the graph of a directory."""
    return SqliteGraph(path / "graph.db", clock=ManualClock())


def made(path: Path) -> SqliteGraph:
    """Open a graph with two entities and what relates them."""
    graph = opened(path)
    with graph.transaction() as tx:
        tx.create_entity("Person", "ada", {"name": "Ada"})
        tx.create_entity("Person", "bob", {"name": "Bob"})
        tx.relate("ada", "KNOWS", "bob")
    return graph


def raw(path: Path) -> sqlite3.Connection:
    """Return a connection of another program's; to be closed."""
    return sqlite3.connect(path / "graph.db", isolation_level=None)


def run_raw(path: Path, statement: str, *parameters: Any) -> list[Any]:
    """Run a statement in a connection of its own."""
    with closing(raw(path)) as connection:
        return connection.execute(statement, parameters).fetchall()


def told(graph: SqliteGraph) -> list[str]:
    """Return the log from its beginning, a word for each entry."""
    return [word(entry) for entry in graph.feed.read(ORIGIN, 10_000)]


def word(entry: PKGEvent | Rescan) -> str:
    """Return what an entry says, in short."""
    return "rescan" if isinstance(entry, Rescan) else f"{entry.event_type.value} {entry.entity_id}"


def names(rows: Sequence[Any]) -> list[Any]:
    """Return the first column."""
    return [row[0] for row in rows]
