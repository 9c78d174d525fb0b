"""The embedding service, as the engine uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from slipstream.domain.models import ModelSpec
from slipstream.domain.requests import EmbeddingRequest, EmbeddingResult


@runtime_checkable
class EmbeddingService(Protocol):
    """Routes texts to models. Vectors come checked: finite, unit length, of the model's dimension."""

    def spec_for(self, entity_type: str, model_id: str | None = None) -> ModelSpec:
        """Return the model that embeds a type; raises `ConfigError` for an unknown `model_id`."""
        ...

    def fingerprint(self, request: EmbeddingRequest) -> str:
        """Return the digest of everything that decides the request's vector."""
        ...

    def embed_batch(self, requests: Sequence[EmbeddingRequest]) -> Sequence[EmbeddingResult]:
        """
        Embed in the order of the requests.

        Raises `TransientError` when a model is down, and any other error when something in the batch is at
        fault: the caller bisects.
        """
        ...

    def count_tokens(self, texts: Sequence[str], model_id: str | None = None) -> Sequence[int]:
        """Return how many tokens each text has for a model (None: the default one), in the order of the texts."""
        ...
