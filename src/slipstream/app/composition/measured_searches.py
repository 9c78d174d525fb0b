"""What the quality of searches is measured with: every arm, as it is asked by itself."""

from __future__ import annotations

from collections.abc import Callable

from slipstream.domain.positions import Position
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal
from slipstream.quality.search_runs import SearchParts
from slipstream.recipes.in_force import Recipes
from slipstream.search.searcher import Searcher
from slipstream.views.words import WordViews


def search_parts(
    graph: GraphReader,
    journal: Journal,
    clock: Clock,
    frontier: Callable[[], Position],
    recipes: Recipes,
    searcher: Searcher,
) -> SearchParts:
    """Return the parts, with the arms that the searcher has."""
    return SearchParts(
        graph=graph,
        journal=journal,
        clock=clock,
        frontier=frontier,
        words=lambda: WordViews(recipes.pair.live.views.views),
        arms={"vector": lambda text, k: [hit.entity_id for hit in searcher.search(text, k)]},
    )
