"""What texts would cost to embed, measured on some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import EmbeddingRequest
from slipstream.ports.clock import Clock
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Cost:
    """What it takes to embed `texts` texts."""

    texts: int = 0
    tokens: int = 0
    embed_s: float = 0.0
    numbers: int = 0
    """Dimensions of all vectors together."""

    def scaled_to(self, texts: int) -> Cost:
        """Return what `texts` texts of the same kind would cost."""
        share = texts / self.texts if self.texts else 0.0
        return Cost(texts, round(self.tokens * share), self.embed_s * share, round(self.numbers * share))


def rendered(graph: GraphReader, recipe: Recipe, keys: Sequence[RecordKey]) -> list[EmbeddingRequest]:
    """Return the requests that would embed some keys, past the cache; keys that can not be rendered have none."""
    found: list[EmbeddingRequest] = []
    for state in graph.read(keys, recipe.hops()).states.values() if keys else ():
        try:
            target = recipe.target(state)
        except PoisonEventError:
            continue  # it becomes a dead letter
        if target is not None:
            found.append(target.request._replace(bypass_cache=True))
    return found


def measured_cost(service: EmbeddingService, clock: Clock, requests: Sequence[EmbeddingRequest]) -> Cost:
    """Embed some texts, and return what that took."""
    if not requests:
        return Cost()
    service.embed_batch(requests[:1])  # loads the model, which is no part of what a text costs
    started = clock.monotonic()
    results = service.embed_batch(requests)
    elapsed_s = clock.monotonic() - started
    tokens = sum(
        service.count_tokens([request.content], service.spec_for(request.entity_type, request.model_id).id)[0]
        for request in requests
    )
    return Cost(len(requests), tokens, elapsed_s, sum(result.dimension for result in results))
