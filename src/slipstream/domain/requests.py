"""What is asked of an embedding service, and what decides a record's vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.stamps import NO_METADATA, MetadataValue, Vector
from slipstream.domain.temporal import TemporalEmbeddingContext


class EmbeddingRequest(NamedTuple):
    """One text to embed. `model_id` overrides the routing; `bypass_cache` computes it anew."""

    entity_type: str
    content: str
    temporal_context: TemporalEmbeddingContext | None = None
    metadata: Mapping[str, Any] = NO_METADATA
    model_id: str | None = None
    bypass_cache: bool = False


class EmbeddingResult(NamedTuple):
    """
    The vector of one request: unit-length float32, shape (dimension,).

    `quality_score` is the share of the text's tokens that fitted the model, in 0..1, None when unknown.
    """

    embedding: Vector
    model_id: str
    model_version: str
    dimension: int
    cached: bool = False
    quality_score: float | None = None
    metadata: Mapping[str, Any] = NO_METADATA


class Shown(NamedTuple):
    """What people see of a record, and what filters look at."""

    text: str
    metadata: Mapping[str, MetadataValue] = NO_METADATA


class Target(NamedTuple):
    """What the index should hold of a record, given its present state in the graph; only the vector is missing."""

    key: RecordKey
    entity_type: str
    space: Space
    fingerprint: str
    template_version: str
    request: EmbeddingRequest
    metadata: Mapping[str, MetadataValue] = NO_METADATA
    source_document_id: str | None = None
    extraction_confidence: float | None = None
    reembedding_reason: str | None = None
    """Why it is embedded anew though its text is the same; kept in its stamp."""
