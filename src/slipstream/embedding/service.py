"""The embedding service: routes, caches, fuses and checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.domain.models import ModelSpec
from slipstream.domain.requests import EmbeddingRequest, EmbeddingResult
from slipstream.domain.stamps import Vector
from slipstream.domain.temporal import TemporalEmbeddingContext
from slipstream.embedding.calls import Calls
from slipstream.embedding.computing import Computed, TextComputer
from slipstream.embedding.fingerprint import fingerprint, text_fingerprint
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.router import ModelRouter
from slipstream.embedding.stats import EmbeddingStats, StatsCounter
from slipstream.embedding.temporal import FusionWeights, WeightedText, applies, fuse, parts_of
from slipstream.ports.embedder import EmbeddingCache
from slipstream.ports.telemetry import NO_TRACER, Tracer


class MultiModelEmbeddingService:
    """
    Embeds texts with the model that their entity type is routed to.

    Vectors are finite, of unit length and of the model's dimension. `quality_score` is the share of the content's
    tokens that the model could take in: 1.0 for a text that fits, 0.5 for one twice too long, None for a model
    that can not count. Safe for several threads.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        router: ModelRouter | None = None,
        cache: EmbeddingCache | None = None,
        fusion: FusionWeights | None = None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._registry = registry
        self._router = router or ModelRouter(registry)
        self._fusion = fusion or FusionWeights()
        self._cache = cache
        self._stats = StatsCounter()
        self._computer = TextComputer(registry, cache, self._stats, tracer)

    def reroute(self, router: ModelRouter) -> None:
        """Route by another router from now on; requests that name their model are not affected."""
        self._router = router

    @property
    def stats(self) -> EmbeddingStats:
        """What this service has done so far."""
        return self._stats.snapshot()

    @property
    def calls(self) -> Calls:
        """The calls to models that are under way."""
        return self._computer.calls

    def embed(
        self,
        entity_type: str,
        content: str,
        temporal_context: TemporalEmbeddingContext | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        model_id: str | None = None,
    ) -> EmbeddingResult:
        """Embed one text; raises `PoisonEventError` when its model can never do it."""
        request = EmbeddingRequest(entity_type, content, temporal_context, metadata or {}, model_id)
        return self.embed_batch([request])[0]

    def embed_batch(self, requests: Sequence[EmbeddingRequest]) -> list[EmbeddingResult]:
        """
        Embed in the order of the requests: one call to each model, each distinct text once.

        Raises `TransientError` when a model is down and `PoisonEventError` when some text of the batch can not
        be embedded (the caller bisects). Nothing is returned in part, but what is computed stays in the cache.
        """
        self._stats.add(requests=len(requests))
        by_model: dict[str, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            by_model[self._router.model_for(request.entity_type, request.model_id)].append(number)
        if len(by_model) == 1:
            return self._embed_with(next(iter(by_model)), requests)
        results: dict[int, EmbeddingResult] = {}
        for model_id, numbers in by_model.items():
            embedded = self._embed_with(model_id, [requests[number] for number in numbers])
            results.update(zip(numbers, embedded, strict=True))
        return [results[number] for number in range(len(requests))]

    def embed_query(self, text: str, model_id: str) -> Vector:
        """Embed a search query with one model; raises `ConfigError` for an unknown model."""
        return self._computer.query(model_id, text)

    def spec_for(self, entity_type: str, model_id: str | None = None) -> ModelSpec:
        """Return the model that embeds a type; raises `ConfigError` for an unknown `model_id`."""
        return self._registry.spec(self._router.model_for(entity_type, model_id))

    def fusion_rule(self, temporal_context: TemporalEmbeddingContext | None) -> str:
        """Return the fusion rule that applies to a context, empty when the content alone makes the vector."""
        return self._fusion.rule if applies(temporal_context, self._fusion) else ""

    def fingerprint(self, request: EmbeddingRequest) -> str:
        """Return the digest of everything that decides the request's vector."""
        entity_type, text, context, _, model_id, _ = request
        spec = self.spec_for(entity_type, model_id)
        if context is None:
            return text_fingerprint(text, spec)
        return fingerprint(text=text, temporal_context=context, spec=spec, fusion_rule=self.fusion_rule(context))

    def count_tokens(self, texts: Sequence[str], model_id: str | None = None) -> Sequence[int]:
        """Return how many tokens each text has for a model (None: the default one)."""
        return self._registry.get(self._router.model_for("default", model_id)).count_tokens(texts)

    def close(self) -> None:
        """Close the models and the cache; closing twice is harmless."""
        self._registry.close()
        if self._cache is not None:
            self._cache.close()

    def _parts(self, request: EmbeddingRequest) -> Sequence[WeightedText] | None:
        """Return the texts that a vector is made of; None for a request without a context, as nearly all are."""
        context = request.temporal_context
        return None if context is None else parts_of(request.content, context, self._fusion)

    def _embed_with(self, model_id: str, requests: Sequence[EmbeddingRequest]) -> list[EmbeddingResult]:
        plans = [self._parts(request) for request in requests]
        wanted: dict[str, bool] = {}
        for request, plan in zip(requests, plans, strict=True):
            for text in (request.content,) if plan is None else [part.text for part in plan]:
                wanted[text] = request.bypass_cache or wanted.get(text, False)
        computed = self._computer.compute(model_id, wanted)
        spec = self._registry.spec(model_id)
        identity = (spec.id, spec.version, spec.dimension)
        qualities = self._computer.qualities(model_id, [request.content for request in requests])
        return [
            EmbeddingResult(vector, *identity, cached, quality, request.metadata)
            for request, plan, quality in zip(requests, plans, qualities, strict=True)
            for vector, cached in (computed[request.content] if plan is None else _fused(plan, computed),)
        ]


def _fused(plan: Sequence[WeightedText], computed: Mapping[str, Computed]) -> Computed:
    parts = [computed[part.text] for part in plan]
    vector = fuse([part.vector for part in parts], [part.weight for part in plan])
    return Computed(vector, all(part.cached for part in parts))
