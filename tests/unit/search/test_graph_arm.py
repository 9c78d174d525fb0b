"""The graph arm: PageRank against values computed by hand and by networkx, what it moves, and its bounds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations

import networkx as nx
import numpy as np
import pytest

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.search.graph_arm import GraphArm, GraphArmSettings, personalised_pagerank
from slipstream.search.hits import SearchHit
from slipstream.testkit.clock import ManualClock


def _graph(count: int, pairs: Sequence[tuple[int, int]]) -> MemoryGraph:
    graph = MemoryGraph(ManualClock())
    with graph.transaction() as tx:
        for number in range(count):
            tx.create_entity("Thing", f"n{number}", {})
        for source, target in pairs:
            tx.relate(f"n{source}", "NEAR", f"n{target}")
    return graph


def _hits(*numbers: int) -> list[SearchHit]:
    return [SearchHit(f"n{number}", "Thing", 1.0, f"n{number}", "", "model") for number in numbers]


def _order(hits: Sequence[SearchHit]) -> list[int]:
    return [int(hit.entity_id[1:]) for hit in hits]


def test_two_nodes_by_hand() -> None:
    """From a only: a = 0.15 + 0.85 b and b = 0.85 a, so a = 0.15 / (1 - 0.7225)."""
    ranks = personalised_pagerank(np.array([[0, 1]]), np.array([1.0, 0.0]), iterations=300)
    assert ranks == pytest.approx([0.15 / 0.2775, 0.85 * 0.15 / 0.2775])


@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_networkx_says(seed: int) -> None:
    chance = random.Random(seed)
    count = 30
    pairs = sorted({tuple(sorted(chance.sample(range(count), 2))) for _ in range(40)})
    weights = {node: chance.random() for node in chance.sample(range(count), 4)}
    graph = nx.Graph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(pairs)
    # Its `pagerank` needs SciPy; the matrix that it is the fixed point of does not.
    matrix = np.asarray(nx.google_matrix(graph, alpha=0.85, personalization=weights))
    expected = np.linalg.matrix_power(matrix, 500)[0]
    seeds = np.array([weights.get(node, 0.0) for node in range(count)])
    ranks = personalised_pagerank(np.array(pairs), seeds, iterations=300)
    assert ranks == pytest.approx([expected[node] for node in range(count)], abs=1e-9)
    assert ranks.sum() == pytest.approx(1.0)


def test_what_is_near_the_best_hits_moves_up() -> None:
    graph = _graph(8, [(0, 5), (1, 5), (2, 7)])  # 5 is related to both best hits, 7 to one that is no seed
    hits = _hits(0, 1, 2, 3, 4, 5, 6)
    assert _order(GraphArm(graph, GraphArmSettings(seeds=2)).reorder("asked", hits))[:3] == [0, 1, 5]
    strong = GraphArm(graph, GraphArmSettings(seeds=2, weight=1.0))
    assert _order(strong.reorder("asked", hits))[:3] == [5, 0, 1]


def test_without_relationships_nothing_moves() -> None:
    hits = _hits(3, 1, 2)
    assert GraphArm(_graph(4, [])).reorder("asked", hits) == hits


@pytest.mark.parametrize("seed", range(10))
def test_it_only_reorders(seed: int) -> None:
    chance = random.Random(seed)
    graph = _graph(40, chance.sample(list(combinations(range(40), 2)), 80))
    hits = _hits(*chance.sample(range(60), 25))  # some of them are of nothing in the graph: relationships, say
    found = GraphArm(graph).reorder("asked", hits)
    assert sorted(map(id, found)) == sorted(map(id, hits))
    assert found == GraphArm(graph).reorder("asked", hits)


def test_the_hub_of_a_large_graph_is_read_within_bounds() -> None:
    graph = _graph(300, [(0, number) for number in range(1, 300)])
    arm = GraphArm(graph, GraphArmSettings(nodes_max=60, edges_max=20))
    places, edges = arm._around(["n0", "n250"])
    assert len(places) <= 60
    assert len(edges) <= 60 * 20
    assert sum(1 for edge in edges if 0 in edge) <= 22  # of the hub 20, and each that names it from its own side
