"""Scattered updates of a large graph do not fill the buffer pool: the memory they need is given back in time."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from slipstream.adapters.graphs.ladybug import LadybugGraph
from slipstream.testing.clock import ManualClock

ENTITIES = 20_000
UPDATES = 3_000
"""Without checkpoints these need 100 MB and more."""


def test_scattered_updates_fit_a_small_buffer_pool(tmp_path: Path) -> None:
    graph = LadybugGraph(tmp_path / "graph", clock=ManualClock(), buffer_pool_size_bytes=64 << 20)
    with closing(graph):
        for first in range(0, ENTITIES, 2_000):
            with graph.transaction() as tx:
                for number in range(first, first + 2_000):
                    tx.create_entity("Person", f"p{number}", {"name": f"n{number}"})
        for number in range(UPDATES):
            graph.update_entity(f"p{number * 7919 % ENTITIES}", {"name": f"x{number}"})
        graph.execute("MATCH (p:Person {id: 'p0'}) SET p.name = 'last'")
        assert graph.query("MATCH (p:Person) WHERE p.name STARTS WITH 'x' RETURN count(*) AS n") == [
            {"n": UPDATES - 1}
        ]
