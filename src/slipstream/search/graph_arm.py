"""
The graph arm: what is near the best hits in the graph moves up. It reads a bounded neighbourhood, and only reorders.

Personalised PageRank: a walk over relationships, in either direction, that keeps beginning anew at the best hits.
What it visits often is close to several of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slipstream.ports.graph import GraphReader
from slipstream.search.hits import SearchHit
from slipstream.search.reordering import GRAPH_ARM

Edges = npt.NDArray[np.int64]
Ranks = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphArmSettings:
    """How far the graph arm looks, and how much it counts."""

    depth: int = 30
    """How many of the best hits it reorders."""
    seeds: int = 5
    """At how many of them a walk begins, the first more often than those behind it."""
    hops: int = 2
    nodes_max: int = 2_000
    edges_max: int = 50
    """Most relationships that are followed from one entity."""
    damping: float = 0.85
    """How likely a walk goes on, rather than beginning anew."""
    iterations: int = 20
    rank_offset: float = 5.0
    """A hit counts by one over its place plus this."""
    weight: float = 0.05
    """What the entity that is visited most gains; the first two places are 0.033 apart."""


class GraphArm:
    """A `Reordering` by the graph around the best hits. Raises what the graph raises."""

    name = GRAPH_ARM

    def __init__(self, graph: GraphReader, settings: GraphArmSettings | None = None) -> None:
        self._graph, self._settings = graph, settings or GraphArmSettings()
        self.depth = self._settings.depth

    def reorder(self, text: str, hits: Sequence[SearchHit]) -> Sequence[SearchHit]:
        """Return the hits, those that the best of them lead to further up; ties keep their order."""
        del text
        settings = self._settings
        places, edges = self._around([hit.entity_id for hit in hits])
        if not len(edges):
            return hits
        seeds = np.zeros(len(places))
        for rank, hit in enumerate(hits[: settings.seeds]):
            seeds[places[hit.entity_id]] += 1.0 / (rank + 1.0)
        ranks = personalised_pagerank(edges, seeds, damping=settings.damping, iterations=settings.iterations)
        # What a walk visits because it begins there says nothing that the other arms have not said.
        visited = np.maximum(ranks - (1.0 - settings.damping) * seeds / seeds.sum(), 0.0)
        visited /= visited.max() or 1.0
        scores = [
            1.0 / (settings.rank_offset + rank) + settings.weight * visited[places[hit.entity_id]]
            for rank, hit in enumerate(hits)
        ]
        return [hits[place] for place in sorted(range(len(hits)), key=lambda place: -scores[place])]

    def _around(self, ids: Sequence[str]) -> tuple[Mapping[str, int], Edges]:
        """Return the entities around some, each with its number, and the relationships between them."""
        settings = self._settings
        places = {entity_id: number for number, entity_id in enumerate(dict.fromkeys(ids))}
        pairs: set[tuple[int, int]] = set()
        edge = list(places)[: settings.nodes_max]
        for _ in range(settings.hops):
            reached: list[str] = []
            for row in self._graph.nearby(sorted(edge), settings.edges_max) if edge else ():
                if row.neighbour_id not in places:
                    if len(places) >= settings.nodes_max:
                        continue
                    places[row.neighbour_id] = len(places)
                    reached.append(row.neighbour_id)
                ends = places[row.entity_id], places[row.neighbour_id]
                if ends[0] != ends[1]:
                    pairs.add((min(ends), max(ends)))
            edge = reached
        return places, np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def personalised_pagerank(edges: Edges, seeds: Ranks, *, damping: float = 0.85, iterations: int = 20) -> Ranks:
    """
    Return how often a random walk visits each node, as shares of 1.

    `edges` are pairs of nodes, each walked both ways; `seeds` has a weight for each node at which a walk may begin,
    at least one of them above 0. A walk that comes to a node without edges begins anew.
    """
    start = seeds / seeds.sum()
    ends = np.concatenate([edges[:, 0], edges[:, 1]])
    others = np.concatenate([edges[:, 1], edges[:, 0]])
    degrees = np.bincount(ends, minlength=len(seeds))
    shares = np.divide(1.0, degrees, out=np.zeros(len(seeds)), where=degrees > 0)
    ranks: Ranks = start.copy()
    for _ in range(iterations):
        walked = np.bincount(others, weights=(ranks * shares)[ends], minlength=len(seeds))
        stranded = ranks[degrees == 0].sum()
        ranks = (1.0 - damping) * start + damping * (walked + stranded * start)
    return ranks
