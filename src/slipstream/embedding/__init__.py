"""Model registry, router, service and temporal fusion. No I/O of its own: models and cache are ports."""

from slipstream.domain.requests import EmbeddingRequest, EmbeddingResult
from slipstream.domain.temporal import TemporalEmbeddingContext
from slipstream.embedding.fingerprint import cache_key, fingerprint
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.router import ENTITY_TYPES, ModelRouter
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.embedding.stats import EmbeddingStats
from slipstream.embedding.temporal import FusionWeights

__all__ = [
    "MultiModelEmbeddingService",
    "ModelRegistry",
    "ModelRouter",
    "EmbeddingRequest",
    "EmbeddingResult",
    "TemporalEmbeddingContext",
    "FusionWeights",
    "EmbeddingStats",
    "ENTITY_TYPES",
    "cache_key",
    "fingerprint",
]
