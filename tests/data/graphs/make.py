"""Writes the graph files of this folder that NetworkX and igraph write: see README.md."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def with_networkx() -> None:
    import networkx as nx

    graph: Any = nx.MultiDiGraph(name="letters", year=1843)
    graph.add_node("ada", type="Person", name="Ada Lovelace", born=1815, known=True)
    graph.add_node("babbage", type="Person", name="Charles <Babbage> & Son", born=1791, score=0.5)
    graph.add_node("engine", type="Machine", name="Analytical Engine", parts="25000")
    graph.add_node(1, name="the number")
    graph.add_edge("ada", "babbage", type="WROTE_TO", year=1842)
    graph.add_edge("ada", "babbage", type="WROTE_TO", year=1843, weight=2)
    graph.add_edge("ada", "babbage", key="by hand", type="WROTE_TO", year=1844, weight=0.25)
    graph.add_edge("ada", "engine", type="DESCRIBED", id="note-g")
    graph.add_edge("babbage", "engine", type="BUILT")
    graph.add_edge("engine", 1)
    nx.write_graphml(graph, HERE / "networkx.graphml")
    graph.nodes["engine"]["parts"] = ["mill", "store"]
    graph.nodes["ada"]["of"] = {"place": "London", "since": None}
    _write("node-link-edges.json", nx.node_link_data(graph, edges="edges"))
    plain: Any = nx.Graph()
    plain.add_node("1", name="a text")
    plain.add_node(1, name="a number")
    plain.add_edge("1", "x", weight=2)
    plain.add_edge("1", "y")
    _write("node-link-links.json", nx.node_link_data(plain, edges="links"))


def with_igraph() -> None:
    import igraph  # type: ignore[import-not-found]

    graph = igraph.Graph(directed=False)
    graph.add_vertices(["ada", "babbage", "mary"])
    graph.vs["born"] = [1815, 1791, None]
    graph.vs["known"] = [True, False, True]
    graph.add_edges([("ada", "babbage"), ("ada", "mary"), ("ada", "mary")])
    graph.es["weight"] = [1.5, float("inf"), 2]
    graph.es["id"] = ["e-1", "e-2", "e-3"]
    graph.write_graphml(str(HERE / "igraph.graphml"))


def _write(name: str, data: Any) -> None:
    (HERE / name).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    {"networkx": with_networkx, "igraph": with_igraph}[sys.argv[1]]()
