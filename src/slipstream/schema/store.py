"""`SchemaVersionedEmbeddingStore`: a vector index seen as embeddings with their full metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy.typing as npt

from slipstream.domain.errors import ConfigError, InvalidInputError
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
        recipe: Recipe | None = None,
        mark: Mark | None = None,
        places: Places | None = None,
    ) -> None:
        self.index = index
        self.clock = clock
        self.recipe = recipe
        self._models, self._journal = models, journal
        self._schema_source, self._places = schema, places or OneGeneration()
        self._mark = mark or self._put_work
        self._evolved = int(journal.get(_SCHEMA_VERSION) or 1)

    # ------------------------------------------------------------------ schema

    def schema(self) -> GraphSchema:
        """Return the current schema: the graph's, or what events have told where no graph is known."""
        return self._schema_source() if self._schema_source is not None else GraphSchema(self._evolved)

    @property
    def current_schema_version(self) -> int:
        """The current schema version."""
        return self.schema().version

    def evolve_schema(self, version: int) -> None:
        """Note that the schema has reached a version; an older one is ignored."""
        if version > self._evolved:
            self._journal.set(_SCHEMA_VERSION, str(version))
            self._evolved = version

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
            source_document_id=source_document_id,
            metadata=dict(metadata or {}),
        )
        self.index.upsert([VectorRecord(stamp, vector)])
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
        self.index.delete([Deletion(key, self._held_position(key) if position is None else position)])

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
        for space, types in self._places.scopes(spec, entity_type):
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
        self, entity_ids: Sequence[str] | None = None, schema_version: int | None = None, reason: str = "requested"
    ) -> int:
        """
        Mark embeddings to be computed anew, all of them, and return how many records were marked.

        Either by entity ids, or by schema version: every record stamped with that version or an older one. Ids
        without an embedding are marked too, so that a missing one is made. Durable before it returns.
        """
        if (entity_ids is None) == (schema_version is None):
            raise ConfigError("mark_for_reembedding takes either entity_ids or schema_version")
        if entity_ids is not None:
            pages = _pages([entity_key(entity_id) for entity_id in dict.fromkeys(entity_ids)])
        else:
            pages = self._keys_up_to(schema_version or 0)
        return sum(self._flag(page, reason) for page in pages)

    def mark_dirty(self, keys: Sequence[RecordKey], reason: str, *, force: bool = False) -> None:
        """Ask for keys to be made equal to the graph; what is equal already costs no embedding, unless `force`."""
        self._mark(keys, reason, force)

    def _flag(self, keys: Sequence[RecordKey], reason: str) -> int:
        held = self.index.stamps(keys)
        flagged = [
            replace(stamp, needs_reembedding=True, reembedding_reason=reason)
            for stamps in held.values()
            for stamp in stamps.records
            if not stamp.needs_reembedding
        ]
        # The mark first: a flag without a mark would wait for ever, a mark without a flag still does the work.
        self._mark(keys, reason, True)
        if flagged:
            self.index.restamp(flagged)
        return len(keys)

    def _keys_up_to(self, schema_version: int) -> Iterator[list[RecordKey]]:
        after: RecordKey | None = None
        while page := self.index.scan(after, _PAGE):
            keys = [stamp.key for stamp in page if stamp.schema_version <= schema_version]
            if keys:
                yield list(dict.fromkeys(keys))
            after = page[-1].key

    def _put_work(self, keys: Sequence[RecordKey], reason: str, force: bool) -> None:
        self._journal.put_work([WorkItem(key, Lane.REPAIR, reason=reason, force=force) for key in keys])


def _pages(keys: Sequence[RecordKey]) -> Iterator[list[RecordKey]]:
    for start in range(0, len(keys), _PAGE):
        yield list(keys[start : start + _PAGE])
