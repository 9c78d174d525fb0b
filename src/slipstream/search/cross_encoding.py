"""The best hits, read again together with the query by a second model, and put into the order of its scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

from slipstream.domain.errors import ConfigError
from slipstream.ports.rerankers import Reranker
from slipstream.search.hits import SearchHit
from slipstream.search.reordering import RERANKER

RERANKED_MAX = 20
"""How many hits it reads: a cross-encoder is slow, and what it does not read keeps its place."""


class CrossEncoding:
    """A `Reordering` by a model that reads query and text together. Raises what the model raises."""

    name = RERANKER

    def __init__(self, reranker: Reranker, depth: int = RERANKED_MAX) -> None:
        self._reranker, self.depth = reranker, depth

    def reorder(self, text: str, hits: Sequence[SearchHit]) -> Sequence[SearchHit]:
        """Return the hits, the highest score first; ties keep their order."""
        scores = list(self._reranker.scores(text, [hit.text or hit.name for hit in hits]))
        if len(scores) != len(hits) or not all(map(math.isfinite, scores)):
            raise ConfigError(
                f"the reranker gave {len(scores)} scores for {len(hits)} texts, or some that are no numbers: "
                "it is no model that scores pairs of texts"
            )
        return [hits[place] for place in sorted(range(len(hits)), key=lambda place: -scores[place])]
