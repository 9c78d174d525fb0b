"""A worker on a disk that is full or fails for a while: it says how each attempt ended, and goes on to its end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.ports.feed import Retention
from tests.faults.graph.scenarios import LARGE_TEXT, Say, Scenario, ensure_hub
from tests.faults.preload import Fault, arm, disarm

ATTEMPTS = 6


def _opened(path: Path) -> SqliteGraph:
    return SqliteGraph(path / "graph.db", clock=SystemClock())


def commit_single(graph: SqliteGraph, number: int, start: int, say: Say) -> None:
    """Commit an entity with its relationship and a new property."""
    name = f"e{start}-{number}"
    with graph.transaction() as tx:
        tx.create_entity("Person", name, {"n": number, f"p{start}x{number}": "new"})
        tx.relate(name, "IN", "hub", {"n": number})
    say(f"ack {tx.position} {name} ")


def _attempt(graph: SqliteGraph, number: int, start: int, say: Say) -> None:
    try:
        commit_single(graph, number, start, say)
    except UnavailableError as error:
        say(f"failed e{start}-{number} {' '.join(str(error).split())}")


def _look(graph: SqliteGraph, say: Say) -> None:
    """Read what a reader needs: a state with its position, and the feed."""
    snapshot = graph.read([entity_key("hub")], {})
    entries = graph.feed.read(snapshot.position, 10)
    say(f"read {len(snapshot.states)} {len(entries)}")


def commits(path: Path, fault: Fault, say: Say, _: int) -> None:
    """Commit while the disk fails, and as soon as it does not."""
    graph = _opened(path)
    ensure_hub(graph)
    start = graph.feed.head()
    commit_single(graph, 0, start, say)
    _look(graph, say)
    arm(fault)
    for number in range(1, ATTEMPTS + 1):
        _attempt(graph, number, start, say)
        _look(graph, say)
    disarm()
    commit_single(graph, ATTEMPTS + 1, start, say)
    graph.close()
    say("closed")


def large_commit(path: Path, fault: Fault, say: Say, _: int) -> None:
    """Run out of room amid a commit that does not fit into memory, then commit a small one."""
    graph = _opened(path)
    ensure_hub(graph)
    start = graph.feed.head()
    arm(fault)
    try:
        with graph.transaction() as tx:
            for number in range(3_000):
                tx.create_entity("Person", f"large-{number}", {"n": number, "text": LARGE_TEXT})
                tx.relate(f"large-{number}", "IN", "hub", {"n": number})
    except UnavailableError as error:
        say(f"failed large-0 {' '.join(str(error).split())}")
    _look(graph, say)
    disarm()
    commit_single(graph, 0, start, say)
    graph.close()
    say("closed")


def upkeep(path: Path, fault: Fault, say: Say, _: int) -> None:
    """Acknowledge, trim and leave a mark while the disk fails, then close while it still does."""
    graph = _opened(path)
    ensure_hub(graph)
    start = graph.feed.head()
    for number in range(ATTEMPTS):
        commit_single(graph, number, start, say)
    arm(fault)
    for _again in range(2):
        with suppress(UnavailableError):
            graph.feed.acknowledge("reader", graph.feed.head())
        with suppress(UnavailableError):
            graph.feed.trim(Retention(kept_bytes=0, kept_s=0))
        with suppress(UnavailableError):
            graph.mark_timeline("mark")
        _look(graph, say)
    graph.close()
    say("closed")
    disarm()


def opening(path: Path, fault: Fault, say: Say, _: int) -> None:
    """Open while the disk fails, then when it does not."""
    arm(fault)
    try:
        _opened(path).close()
    except UnavailableError as error:
        say(f"failed - {' '.join(str(error).split())}")
    disarm()
    graph = _opened(path)
    ensure_hub(graph)
    commit_single(graph, 0, graph.feed.head(), say)
    graph.close()
    say("closed")


DISK_SCENARIOS: dict[str, Scenario] = {
    "disk commits": commits,
    "disk large": large_commit,
    "disk upkeep": upkeep,
    "disk opening": opening,
}
