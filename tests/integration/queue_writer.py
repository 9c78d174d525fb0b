"""A process that writes a graph in bulk, or one commit at a time: `python -m tests.integration.queue_writer`."""

from __future__ import annotations

import sys
from pathlib import Path

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph

BULK_ROWS = 400


def say(text: object) -> None:
    print(text, flush=True)  # noqa: T201  (what the test waits for)


def write_in_bulk(graph: SqliteGraph, transactions: int) -> None:
    """Commit one large transaction after the other."""
    for number in range(transactions):
        with graph.transaction() as tx:
            for row in range(BULK_ROWS):
                tx.create_entity("Bulk", f"bulk-{number}-{row}")
        if number == 0:
            say("begun")
    say("ended")


def write_singly(graph: SqliteGraph, commits: int) -> None:
    """Commit again and again, and say how many rows of others got in between the wish and the commit."""
    for number in range(commits):
        before = graph.feed.head()
        with graph.transaction() as tx:
            tx.create_entity("Single", f"single-{number}")
        say(tx.position - before - 1)
    say("ended")


if __name__ == "__main__":
    path, kind, count = sys.argv[1:]
    opened = SqliteGraph(Path(path), clock=SystemClock())
    say("opened")
    sys.stdin.readline()
    {"bulk": write_in_bulk, "single": write_singly}[kind](opened, int(count))
    opened.close()
