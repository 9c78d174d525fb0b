"""What a migration would do and cost, estimated from a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import EmbeddingRequest
from slipstream.ports.clock import Clock
from slipstream.ports.costs import measured_cost, rendered
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.scans import PAGE
from slipstream.recipes.view_recipe import ViewRecipe

_PROBE_TEXTS = 64
"""Texts that are rendered, counted and embedded to tell what all of them would cost."""
_STAMP_BYTES = 600
"""About what the index keeps of a record beside its vector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationPlan:
    """Texts are counted; tokens, seconds and bytes are estimated from a sample of `sampled` texts."""

    types: Mapping[str, int]
    texts: int
    sampled: int
    tokens: int
    embed_s: float
    disk_bytes: int


class Planning:
    """Counts and samples; writes nothing."""

    def __init__(self, graph: GraphReader, service: EmbeddingService, clock: Clock) -> None:
        self._graph, self._service, self._clock = graph, service, clock

    def plan(self, recipe: ViewRecipe, types: set[str]) -> MigrationPlan:
        """Return what it takes to build the records of some types ("" stands for every type that nothing names)."""
        counts = {
            name: n
            for name, n in sorted(self._graph.counts().items())
            if n and self._is_covered(recipe, name) and (name in types or ("" in types and _is_unnamed(recipe, name)))
        }
        texts = sum(counts.values())
        probe = self._requests(recipe, frozenset(counts))
        cost = measured_cost(self._service, self._clock, probe).scaled_to(texts)
        return MigrationPlan(
            types=counts,
            texts=texts,
            sampled=len(probe),
            tokens=cost.tokens,
            embed_s=cost.embed_s,
            disk_bytes=4 * cost.numbers + _STAMP_BYTES * texts,
        )

    def _is_covered(self, recipe: ViewRecipe, name: str) -> bool:
        if name in self._graph.schema().entity_types:
            return True
        return any(view.is_relationship and view.type == name for view in recipe.views.views)

    def _requests(self, recipe: ViewRecipe, types: frozenset[str]) -> list[EmbeddingRequest]:
        """Return the requests of a sample: of each type its first keys, about `_PROBE_TEXTS` in all."""
        quota = dict.fromkeys(types, -(-_PROBE_TEXTS // max(1, len(types))))
        found: list[EmbeddingRequest] = []
        after: RecordKey | None = None
        while any(quota.values()) and (rows := self._graph.scan(after, PAGE)):
            after = rows[-1].key
            chosen: list[RecordKey] = []
            for row in rows:
                if quota.get(row.type, 0) > 0:
                    quota[row.type] -= 1
                    chosen.append(row.key)
            found += rendered(self._graph, recipe, chosen)
        return found


def _is_unnamed(recipe: ViewRecipe, name: str) -> bool:
    return recipe.declaration is not None and name not in recipe.declaration.named_types()
