"""The same Cypher write, again and again: every one of them commits, and none slips through as a read."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.ladybug import LadybugGraph
from slipstream.domain.errors import SlipstreamError

WRITE = "MATCH (c:Concept) SET c.name = $name"


@pytest.mark.parametrize("cypher", [WRITE, "/* write */ " + WRITE, "/* read */ " + WRITE])
def test_the_same_write_commits_every_time(tmp_path: Path, cypher: str) -> None:
    graph = LadybugGraph(tmp_path / "graph.lbug", clock=SystemClock())
    try:
        graph.create_entity("Concept", "a", {"name": "first"})
        positions = []
        for number in range(5):
            positions.append(graph.execute(cypher, name=f"v{number}"))
            assert graph.query("MATCH (c:Concept) RETURN c.name AS name") == [{"name": f"v{number}"}]
            with pytest.raises(SlipstreamError, match="use execute"):
                graph.query(cypher, name="sneaked in")
        assert positions == sorted(set(positions))
        assert graph.update_entity("a", {"name": "typed"}) > positions[-1]
    finally:
        graph.close()
