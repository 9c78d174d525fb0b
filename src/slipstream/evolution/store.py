"""`SchemaVersionedEmbeddingStore`: a vector index seen as embeddings with their full metadata."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy.typing as npt

from slipstream.apply.records import remove, store
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.models import ModelSpec, Space, SpaceScope
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.schema import GraphSchema
from slipstream.domain.stamps import (
    Deletion,
    MetadataValue,
    SearchFilter,
    Stamp,
    VectorHit,
    VectorRecord,
    checked_vector,
    vector_checksum,
)
from slipstream.domain.work import Lane, WorkItem
from slipstream.evolution.changes import data_of, schema_from_data
from slipstream.evolution.selector import MARKING, ReembeddingSelector, SelectedPage, selected_pages, selector_of
from slipstream.ports.clock import Clock
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.recipe import Recipe

_PAGE = 1_000
_SCHEMA_VERSION = "embedding_schema_version"
TOP_K_MAX = 10_000

Mark = Callable[[Sequence[RecordKey], str, bool], None]
"""Marks keys dirty, durably: keys, reason, and whether to embed even when the fingerprint is unchanged."""


class Places(Protocol):
    """Where the live generation keeps its vectors."""

    def space_for(self, entity_type: str, spec: ModelSpec) -> Space:
        """Return where a type's vectors of a model belong."""
        ...

    def scopes(self, spec: ModelSpec, entity_type: str | None) -> Sequence[SpaceScope]:
        """Return the spaces of a model that hold live records of a type (None: of any)."""
        ...


class OneGeneration:
    """The places where there is one generation, the first."""

    def space_for(self, entity_type: str, spec: ModelSpec) -> Space:
        """Return the model's only space."""
        del entity_type
        return Space.of(spec)

    def scopes(self, spec: ModelSpec, entity_type: str | None) -> Sequence[SpaceScope]:
        """Return the model's only space."""
        del entity_type
        return [SpaceScope(Space.of(spec))]


class Models(Protocol):
    """What the store needs of a model registry."""

    def spec(self, model_id: str) -> ModelSpec:
        """Return a model's identity; raises `ConfigError` for an unknown one."""
        ...

    @property
    def default(self) -> str:
        """The id of the default model."""
        ...


@dataclass(frozen=True, slots=True)
class EmbeddingMetadata:
    """Everything that is known of one embedding."""

    embedding_id: str
    entity_id: str
    entity_type: str
    model_id: str
    model_version: str
    schema_version: int
    schema_hash: str
    extraction_template_version: str
    extraction_confidence: float | None
    embedding_quality_score: float | None
    source_document_id: str | None
    created_at: datetime
    last_validated: datetime | None
    needs_reembedding: bool
    reembedding_reason: str | None
    position: Position
    fingerprint: str
    custom: Mapping[str, MetadataValue]

    @classmethod
    def of(cls, stamp: Stamp) -> EmbeddingMetadata:
        """Return the metadata view of a stamp."""
        return cls(
            embedding_id=stamp.embedding_id,
            entity_id=stamp.entity_id,
            entity_type=stamp.entity_type,
            model_id=stamp.space.model_id,
            model_version=stamp.space.model_version,
            schema_version=stamp.schema_version,
            schema_hash=stamp.schema_hash,
            extraction_template_version=stamp.extraction_template_version,
            extraction_confidence=stamp.extraction_confidence,
            embedding_quality_score=stamp.embedding_quality_score,
            source_document_id=stamp.source_document_id,
            created_at=stamp.created_at,
            last_validated=stamp.last_validated,
            needs_reembedding=stamp.needs_reembedding,
            reembedding_reason=stamp.reembedding_reason,
            position=stamp.position,
            fingerprint=stamp.fingerprint,
            custom=stamp.metadata,
        )


@dataclass(frozen=True, slots=True)
class EmbeddingMatch:
    """One result of `query_embeddings`; `score` is the cosine similarity."""

    metadata: EmbeddingMetadata
    score: float


class SchemaVersionedEmbeddingStore:
    """
    Embeddings by entity, each with the schema version, model and provenance it was made from.

    One embedding a key and model: storing again replaces it, so retries leave no duplicates. Vectors of
    different models live in different spaces and are never compared.
    """

    def __init__(
        self,
        index: VectorIndex,
        models: Models,
        journal: Journal,
        clock: Clock,
        *,
        schema: Callable[[], GraphSchema] | None = None,
        schema_at: Callable[[int], GraphSchema | None] | None = None,
        recipe: Recipe | None = None,
        mark: Mark | None = None,
        places: Places | None = None,
    ) -> None:
        self.index = index
        self.clock = clock
        self.journal = journal
        self.recipe = recipe
        self._models = models
        self._schema_source, self._schema_at, self._places = schema, schema_at, places or OneGeneration()
        self._mark = mark or self._put_work
        self._evolved = int(self.journal.get(_SCHEMA_VERSION) or 1)
        self._marking_lock = threading.Lock()

    # ------------------------------------------------------------------ schema

    def schema(self) -> GraphSchema:
        """Return the current schema: the graph's, or what events have told where no graph is known."""
        if self._schema_source is not None:
            return self._schema_source()
        return self.schema_at(self._evolved) or GraphSchema(self._evolved)

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return a schema version as the graph keeps it, or as an event has told it; None when it is not known."""
        if self._schema_at is not None:
            return self._schema_at(version)
        told = self.journal.get(f"{_SCHEMA_VERSION}:{version}")
        if told is not None:
            return schema_from_data(json.loads(told))
        return GraphSchema() if version == 1 else None

    @property
    def current_schema_version(self) -> int:
        """The current schema version."""
        return self.schema().version

    def evolve_schema(self, version: int, told: GraphSchema | None = None) -> None:
        """Note that the schema has reached a version, and what its types are, where that is told."""
        with self.journal.transaction():
            if told is not None:
                self.journal.set(f"{_SCHEMA_VERSION}:{told.version}", json.dumps(data_of(told)))
            if version > self._evolved:
                self.journal.set(_SCHEMA_VERSION, str(version))
        self._evolved = max(version, self._evolved)

    # ------------------------------------------------------------------ writing

    def store_embedding(
        self,
        entity_id: str,
        entity_type: str,
        embedding: npt.ArrayLike,
        model_id: str,
        extraction_confidence: float | None = None,
        source_document_id: str | None = None,
        *,
        position: Position | None = None,
        fingerprint: str = "",
        extraction_template_version: str = "",
        metadata: Mapping[str, MetadataValue] | None = None,
    ) -> str:
        """
        Store a vector of shape (model dimension,) and return its deterministic embedding id.

        Without a `position` the embedding gets that of the record it replaces, so a newer one still wins. An
        embedding stored without its fingerprint counts as stale in an audit: it can not be proven. Raises
        `InvalidInputError` for a bad vector, `ConfigError` for an unknown model.
        """
        spec = self._models.spec(model_id)
        vector = checked_vector(embedding, spec.dimension)
        key, space, schema = entity_key(entity_id), self._places.space_for(entity_type, spec), self.schema()
        stamp = Stamp(
            key=key,
            entity_type=entity_type,
            position=self._held_position(key) if position is None else position,
            fingerprint=fingerprint,
            space=space,
            schema_version=schema.version,
            schema_hash=schema.hash,
            checksum=vector_checksum(vector),
            created_at=self.clock.now(),
            extraction_template_version=extraction_template_version,
            extraction_confidence=extraction_confidence,
            embedded_confidence=extraction_confidence,
            source_document_id=source_document_id,
            metadata=dict(metadata or {}),
        )
        store(self.index, VectorRecord(stamp, vector))
        return stamp.embedding_id

    def _held_position(self, key: RecordKey) -> Position:
        held = self.index.stamps([key]).get(key)
        if held is None:
            return ORIGIN
        positions = [stamp.position for stamp in held.records]
        return max([*positions, held.tombstone or ORIGIN])

    def delete_embedding(self, entity_id: str, *, position: Position | None = None) -> None:
        """Delete an entity's embeddings of all models; an absent one is no error."""
        key = entity_key(entity_id)
        remove(self.index, [Deletion(key, self._held_position(key) if position is None else position)])

    # ------------------------------------------------------------------ reading

    def query_embeddings(
        self,
        query_vector: npt.ArrayLike,
        top_k: int = 10,
        entity_type: str | None = None,
        min_schema_version: int | None = None,
        *,
        model_id: str | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
    ) -> list[EmbeddingMatch]:
        """
        Return the `top_k` nearest embeddings of one model (default: the default model), best first.

        Raises `InvalidInputError` for a vector that is not of the model's dimension, NaN or zero, and for a
        `top_k` outside 1..10,000.
        """
        if not 1 <= top_k <= TOP_K_MAX:
            raise InvalidInputError(f"must be in 1..{TOP_K_MAX}, not {top_k}", field="top_k")
        spec = self._models.spec(model_id or self._models.default)
        try:
            vector = checked_vector(query_vector, spec.dimension)
        except InvalidInputError as error:
            raise InvalidInputError(f"{error} (model {spec.id})", field="query_vector") from error
        where = SearchFilter(
            entity_types=None if entity_type is None else frozenset((entity_type,)),
            schema_version_min=min_schema_version,
            metadata=metadata or {},
        )
        hits: list[VectorHit] = []
        for space, types, _ in self._places.scopes(spec, entity_type):
            narrowed = where if types is None or entity_type is not None else replace(where, entity_types=types)
            hits += self.index.search(space, vector, top_k, narrowed)
        hits.sort(key=lambda hit: (-hit.score, hit.stamp.key.encode()))
        return [EmbeddingMatch(EmbeddingMetadata.of(hit.stamp), hit.score) for hit in hits[:top_k]]

    def get_metadata(self, entity_id: str) -> list[EmbeddingMetadata]:
        """Return what is held of an entity: one entry a model, none when it has no embedding."""
        key = entity_key(entity_id)
        held = self.index.stamps([key]).get(key)
        return [EmbeddingMetadata.of(stamp) for stamp in held.records] if held else []

    # ------------------------------------------------------------------ re-embedding

    def mark_for_reembedding(
        self,
        entity_ids: Sequence[str] | None = None,
        schema_version: int | None = None,
        reason: str = "requested",
        *,
        model_id: str | None = None,
        entity_type: str | None = None,
        confidence_below: float | None = None,
        older_than_s: float | None = None,
        selector: ReembeddingSelector | None = None,
    ) -> int:
        """
        Mark embeddings to be computed anew, all that are selected, and return how many keys were marked.

        See `ReembeddingSelector`: what is given must all hold. Ids alone are marked also where there is no embedding,
        so that a missing one is made. Durable before it returns; the reason stays with the records. Raises
        `InvalidInputError` that names the field.
        """
        chosen = selector_of(
            selector,
            entity_ids=entity_ids,
            schema_version=schema_version,
            model_id=model_id,
            entity_type=entity_type,
            confidence_below=confidence_below,
            older_than_s=older_than_s,
        )
        pages = selected_pages(self.index, chosen.at(self.clock.now()), _PAGE)
        with self._marking(reason):
            return sum(self._flag(page, reason) for page in pages)

    @contextmanager
    def _marking(self, reason: str) -> Iterator[None]:
        """Note in the journal, for as long as the block runs, that there may be flags without marks."""
        with self._marking_lock:
            earlier = self.journal.get(MARKING)
            if earlier is None:
                self.journal.set(MARKING, reason)
            yield
            if earlier is None:  # else another call has failed, and its flags still wait for the next open
                self.journal.set(MARKING, None)

    def mark_dirty(self, keys: Sequence[RecordKey], reason: str, *, force: bool = False) -> None:
        """Ask for keys to be made equal to the graph; what is equal already costs no embedding, unless `force`."""
        self._mark(keys, reason, force)

    def _flag(self, page: SelectedPage, reason: str) -> int:
        # The flags first: after the mark they could fall on a vector that is new already.
        flagged = page.flag(self.index, reason)
        for is_flagged in (True, False):
            # A flag is about one record, a forced mark about the records of both generations.
            if keys := [key for key in page.keys if (key in flagged) is is_flagged]:
                self._mark(keys, reason, not is_flagged)
        return len(page.keys)

    def _put_work(self, keys: Sequence[RecordKey], reason: str, force: bool) -> None:
        self.journal.put_work([WorkItem(key, Lane.REPAIR, reason=reason, force=force) for key in keys])
