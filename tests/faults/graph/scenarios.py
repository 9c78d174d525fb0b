"""
What a worker does until a fault ends it.

It says `try <entity> <entity that goes>` before each commit, and `ack <position> <both again>` behind it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph, opening
from slipstream.adapters.graphs.sqlite.layout import LAYOUT, LAYOUT_VERSION
from slipstream.ports.feed import Retention
from tests.faults.preload import Fault, Kind, arm

Say = Callable[[str], None]
Scenario = Callable[[Path, Fault, Say, int], None]

COMMITS = 24
BATCHES, BATCH_SIZE = 2, 500
LARGE_TEXT = "harbour" * 2_900
"""So that a batch has 10 MB; one word, which is embedded quickly."""
STEP = ("CREATE TABLE later(x)", "CREATE TABLE later_too(x)")


def _armed(fault: Fault, listing: int) -> None:
    arm(fault, listing if fault.kind is Kind.COUNT else -1)


def _opened(path: Path) -> SqliteGraph:
    return SqliteGraph(path / "graph.db", clock=SystemClock())


def commit_single(graph: SqliteGraph, number: int, start: int, say: Say) -> None:
    """Commit an entity with its relationship, now and then with a new property, or taking an older one away."""
    name = f"e{start}-{number}"
    properties: dict[str, Any] = {"n": number, "name": name, "text": LARGE_TEXT[: number * 37 % 900]}
    if number % 4 == 0:
        properties[f"p{start}x{number}"] = "new"
    gone = f"e{start}-{number - 3}" if number % 5 == 4 else ""
    say(f"try {name} {gone}")
    with graph.transaction() as tx:
        tx.create_entity("Person", name, properties)
        tx.relate(name, "IN", "hub", {"n": number})
        if gone:
            tx.delete_entity(gone)
        if number % 3 == 0:
            tx.update_entity("hub", {"name": f"hub {name}"})
    say(f"ack {tx.position} {name} {gone}")


def ensure_hub(graph: SqliteGraph) -> None:
    """Commit what all others are related to."""
    with graph.transaction() as tx:
        tx.upsert_entity("Hub", "hub", {"name": "hub", "pair": 0})


def single(path: Path, fault: Fault, say: Say, listing: int) -> None:
    """Commit small ones."""
    _armed(fault, listing)
    graph = _opened(path)
    ensure_hub(graph)
    start = graph.feed.head()
    for number in range(COMMITS):
        commit_single(graph, number, start, say)
    graph.close()


def large(path: Path, fault: Fault, say: Say, listing: int) -> None:
    """Commit 10 MB at once."""
    graph = _opened(path)
    ensure_hub(graph)
    start = graph.feed.head()
    _armed(fault, listing)
    for batch in range(BATCHES):
        with graph.transaction() as tx:
            for number in range(BATCH_SIZE):
                name = f"b{start}-{batch}-{number}"
                tx.create_entity("Person", name, {"n": number, "name": name, "text": LARGE_TEXT})
                tx.relate(name, "IN", "hub", {"n": number})
        say(f"ack {tx.position} {name} ")
    graph.close()


def checkpoint(path: Path, fault: Fault, say: Say, listing: int) -> None:
    """Bring the write-ahead log into the file again and again, in both ways."""
    graph = _opened(path)
    ensure_hub(graph)
    start = graph.feed.head()
    _armed(fault, listing)
    for number in range(COMMITS):
        commit_single(graph, number, start, say)
        if number % 3 == 2:
            with closing(sqlite3.connect(path / "graph.db")) as connection:
                connection.execute(f"PRAGMA wal_checkpoint({'PASSIVE' if number % 2 else 'TRUNCATE'})")
    graph.close()


def trim(path: Path, fault: Fault, say: Say, listing: int) -> None:
    """Acknowledge and forget the log behind each few commits."""
    graph = _opened(path)
    ensure_hub(graph)
    start = graph.feed.head()
    _armed(fault, listing)
    for number in range(COMMITS):
        commit_single(graph, number, start, say)
        if number % 4 == 3:
            graph.feed.acknowledge("reader", graph.feed.head())
            graph.feed.trim(Retention(kept_bytes=0, kept_s=0))
    graph.close()


def migrate(path: Path, fault: Fault, say: Say, listing: int) -> None:
    """Bring a file to the next version, which has two tables more, and commit."""
    opening.LAYOUT = (*LAYOUT, STEP)  # type: ignore[attr-defined, assignment]
    opening.LAYOUT_VERSION = LAYOUT_VERSION + 1  # type: ignore[attr-defined]
    _armed(fault, listing)
    graph = _opened(path)
    commit_single(graph, 0, graph.feed.head(), say)
    graph.close()


SCENARIOS: dict[str, Scenario] = {
    "single": single,
    "large": large,
    "checkpoint": checkpoint,
    "trim": trim,
    "migrate": migrate,
}
