"""What another process does to a graph file: run as `python -m tests.integration.graph_process PATH ACTION …`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.entities import EntityState
from slipstream.domain.keys import entity_key
from slipstream.domain.log import position_of
from slipstream.domain.positions import Position


def opened(path: Path) -> SqliteGraph:
    """Open the graph file as the machine's clock runs."""
    return SqliteGraph(path, clock=SystemClock())


def number_of(graph: SqliteGraph, entity_id: str) -> int:
    """Return the number that an entity counts to."""
    found = graph.read([entity_key(entity_id)], {}).states[entity_key(entity_id)]
    assert isinstance(found, EntityState)
    number = found.entity.properties["n"]
    assert isinstance(number, int)
    return number


def say(word: object) -> None:
    """Tell the test something, at once."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def count(graph: SqliteGraph, entity_id: str, times: int) -> None:
    """Count one up, so often, each in a transaction that reads the number and writes the next one."""
    for _ in range(times):
        with graph.transaction() as tx:
            tx.update_entity(entity_id, {"n": number_of(graph, entity_id) + 1})


def write(graph: SqliteGraph, prefix: str, times: int) -> None:
    """Commit an entity and a relationship a time, and tell the position of each when it is acknowledged."""
    for number in range(times):
        with graph.transaction() as tx:
            tx.create_entity(f"From{prefix}", f"{prefix}{number}", {"n": number})
            tx.relate(f"{prefix}{number}", "COMES_FROM", "root")
        say(tx.position)


def die(graph: SqliteGraph, entity_id: str) -> None:
    """Kill itself in the middle of a transaction."""
    with graph.transaction() as tx:
        tx.update_entity(entity_id, {"n": -1})
        for number in range(1000):
            tx.create_entity("Ghost", f"ghost{number}", {"text": "x" * 1000})
        say("inside")
        os.kill(os.getpid(), signal.SIGKILL)


def hold(graph: SqliteGraph, entity_id: str) -> None:
    """Hold a transaction until it is told to go on."""
    with graph.transaction() as tx:
        tx.update_entity(entity_id, {"n": number_of(graph, entity_id) + 1})
        say("inside")
        sys.stdin.readline()
    say(tx.position)


def queue(graph: SqliteGraph, entity_id: str) -> None:
    """Count one up when it is told to."""
    say("open")
    sys.stdin.readline()
    say("begins")
    count(graph, entity_id, 1)


def echo(graph: SqliteGraph, after: int, times: int) -> None:
    """Wait for a commit behind a position and answer it by one of its own, so often."""
    position = Position(after)
    say("ready")
    for number in range(times):
        assert graph.feed.wait(position, 120.0)
        position = position_of(graph.feed.read(position, 1_000)[-1])
        position = graph.update_entity("pong", {"n": number + 1})
        say(position)


def main() -> None:
    """Do the action."""
    path, action, *arguments = sys.argv[1:]
    graph = opened(Path(path))
    actions = {"count": count, "write": write, "die": die, "hold": hold, "queue": queue, "echo": echo}
    given = [int(argument) if argument.isdigit() else argument for argument in arguments]
    actions[action](graph, *given)  # type: ignore[operator]
    graph.close()


if __name__ == "__main__":
    main()
