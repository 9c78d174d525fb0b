"""
What puts the best hits into another order, behind all arms: off unless asked for, by configuration or by a search.

A reordering adds no hit and drops none. One that fails costs the search nothing but its order: the results say so.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from slipstream.domain.errors import InvalidInputError, SlipstreamError
from slipstream.search.hits import SearchHit
from slipstream.search.options import SearchOptions

logger = logging.getLogger(__name__)

GRAPH_ARM = "graph_arm"
RERANKER = "reranker"


class Reordering(Protocol):
    """Puts hits into another order."""

    @property
    def name(self) -> str:
        """What results are degraded by when it fails."""
        ...

    @property
    def depth(self) -> int:
        """How many of the best hits it looks at; those behind them keep their places."""
        ...

    def reorder(self, text: str, hits: Sequence[SearchHit]) -> Sequence[SearchHit]:
        """
        Return the same hits, each once, in their new order; `hits` are at most `depth`, best first.

        Raises a `SlipstreamError` when it can not tell.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorderings:
    """What there is to reorder hits, and what of it a search uses that does not say."""

    graph_arm: Reordering | None = None
    """Moves up what is near the best hits in the graph."""
    reranker: Reordering | None = None
    """Reads the best hits again with a second model; a search that does not say uses it."""
    uses_graph_arm: bool = False
    """Whether a search that does not say uses the graph arm."""

    def chosen(self, options: SearchOptions) -> tuple[Reordering, ...]:
        """
        Return what a search uses, in turn: nothing where hits are sorted by time.

        Raises `InvalidInputError` when it asks for something that this PKG has not.
        """
        wanted = (
            (self.graph_arm, "graph_arm", self.uses_graph_arm if options.graph_arm is None else options.graph_arm),
            (self.reranker, "rerank", self.reranker is not None if options.rerank is None else options.rerank),
        )
        found = []
        for reordering, name, is_wanted in wanted:
            if not is_wanted:
                continue
            if reordering is None:
                raise InvalidInputError(f"is not to be had here: {_REMEDIES[name]}", field=name)
            found.append(reordering)
        return tuple(found) if options.sort == "score" else ()


_REMEDIES = {
    "graph_arm": "there is no graph to ask, for it and the index do not belong together",
    "rerank": "name the directory of a model with `reranker` under [search] in slipstream.toml",
}


def depth_of(chosen: Sequence[Reordering], k: int) -> int:
    """Return how many hits are to be found for a search of `k`: what is reordered may come from behind them."""
    return max(k, *(each.depth for each in chosen), 0)


def reordered(
    chosen: Sequence[Reordering], text: str, hits: Sequence[SearchHit], *, fixed: int = 0
) -> tuple[list[SearchHit], tuple[str, ...]]:
    """
    Return the hits in their new order, and the names of what failed.

    The first `fixed` hits stay where they are: their names are what was asked for. Scores stay what the arms say.
    """
    ordered, failed = list(hits), []
    for each in chosen:
        best = ordered[fixed : max(fixed, each.depth)]
        if len(best) < 2:
            continue
        try:
            ordered[fixed : fixed + len(best)] = each.reorder(text, best)
        except SlipstreamError as error:
            logger.warning("hits keep their order, for the %s failed: %s", each.name, error)
            failed.append(each.name)
    return ordered, tuple(failed)
