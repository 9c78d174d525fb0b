"""A process that commits as fast as it can and says so: `python -m tests.faults.graph_writer <graph file>`."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import Any

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.ladybug import LadybugGraph, committing

UPDATED = 300


def write_for_ever(path: Path) -> None:
    """Commit an entity, its relationship and now and then a new property; print each acknowledged position."""
    graph = LadybugGraph(path, clock=SystemClock(), buffer_pool_size_bytes=64 << 20)
    start = graph.last_commit
    with graph.transaction() as tx:
        tx.upsert_entity("Hub", "hub", {"start": start})
    for number in count(1):
        name = f"e{start}-{number}"
        properties: dict[str, Any] = {
            "n": number,
            "tags": ["a"],
            **({f"p{start}x{number}": "new"} if number % 25 == 0 else {}),
        }
        with graph.transaction() as tx:
            tx.create_entity("Person", name, properties)
            tx.relate(name, "IN", "hub", {"n": number})
        print(graph.last_commit, name, flush=True)  # noqa: T201 - this is the acknowledgement


def update_for_ever(path: Path) -> None:
    """Update scattered entities, with a checkpoint every few commits; print each acknowledged position."""
    committing.VALUES_SET_MAX = 20
    graph = LadybugGraph(path, clock=SystemClock(), buffer_pool_size_bytes=64 << 20)
    with graph.transaction() as tx:
        for number in range(UPDATED):
            tx.upsert_entity("Person", f"p{number}", {"name": f"first {number}", "n": 0, "tags": ["a"]})
    for number in count(1):
        name = f"p{number * 7919 % UPDATED}"
        graph.update_entity(name, {"name": f"{graph.last_commit} {number}", "n": number, "tags": [f"t{number}"]})
        print(graph.last_commit, name, flush=True)  # noqa: T201 - this is the acknowledgement


if __name__ == "__main__":
    (update_for_ever if sys.argv[2:] == ["updates"] else write_for_ever)(Path(sys.argv[1]))
