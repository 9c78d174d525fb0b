"""
A transaction that is staged in memory and applied at commit.

Mutations see what this transaction did before, on top of the committed state. Nothing reaches the store until
the block ends, so that a schema extension can commit first and a failed block leaves no trace. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from slipstream.adapters.graphs.evolution import SchemaDraft, evolution_data
from slipstream.adapters.graphs.staged_fences import CommittedFences, StagedFences
from slipstream.adapters.graphs.values import check_id, check_properties, check_type_name, same_properties
from slipstream.domain.entities import Entity, Properties, PropertyValue, Relationship
from slipstream.domain.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from slipstream.domain.events import PKGEvent, PKGEventType, deterministic_event_id
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import ID_SIZE_MAX, RelationshipRef
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema, PropertyTypes
from slipstream.domain.values import jsonable

RELATIONSHIP_ID_SIZE_MAX = 8 * ID_SIZE_MAX


class CommittedState(CommittedFences, Protocol):
    """What a staged transaction asks of the store, all under the writer's lock."""

    def entity(self, entity_id: str) -> Entity | None:
        """Return a committed entity."""
        ...

    def relationship(self, ref: RelationshipRef, types: tuple[str, str]) -> Relationship | None:
        """Return a committed relationship between existing entities of the given types."""
        ...

    def relationships_of(self, entity_id: str) -> Sequence[Relationship]:
        """Return the committed relationships of an entity, both directions, each once."""
        ...

    def has_event(self, event_id: str) -> bool:
        """Whether an event id has been recorded."""
        ...


@dataclass(frozen=True, slots=True)
class EventDraft:
    """A change event that has no position yet."""

    type: PKGEventType
    entity_id: str
    entity_type: str
    old: Mapping[str, Any] | None = None
    new: Mapping[str, Any] | None = None
    endpoints: tuple[str, str, str, str] | None = None
    """Source id, source type, target id, target type."""

    def numbered(self, graph_id: str, position: Position, at: datetime, schema_version: int) -> PKGEvent:
        """Return the event at its place in the log."""
        data = self.new if self.new is not None else (self.old or {})
        document, confidence = data.get("source_document_id"), data.get("extraction_confidence")
        is_number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
        source_id, source_type, target_id, target_type = self.endpoints or (None, None, None, None)
        return PKGEvent(
            event_id=deterministic_event_id((graph_id, position)),
            event_type=self.type,
            entity_id=self.entity_id,
            entity_type=self.entity_type,
            timestamp=at,
            old_data=None if self.old is None or self._hides_a_change() else jsonable(self.old),
            new_data=None if self.new is None else jsonable(self.new),
            source_document_id=document if isinstance(document, str) else None,
            extraction_confidence=confidence if is_number and 0.0 <= confidence <= 1.0 else None,  # type: ignore[operator]
            schema_version=schema_version,
            position=position,
            source_id=source_id,
            source_type=source_type,
            target_id=target_id,
            target_type=target_type,
        )

    def _hides_a_change(self) -> bool:
        """
        Whether a time became its own ISO text, or the other way round: as JSON both look the same.

        Such an event leaves the old data out, so that it does not look like no change.
        """
        old, new = self.old or {}, self.new or {}
        return any(
            type(value) is not type(new[name]) and jsonable(value) == jsonable(new[name])
            for name, value in old.items()
            if isinstance(value, datetime) or isinstance(new.get(name), datetime)
            if name in new
        )


def schema_event_draft(old: GraphSchema, new: GraphSchema) -> EventDraft:
    """Return the event of a schema evolution."""
    old_data, new_data = evolution_data(old, new)
    return EventDraft(PKGEventType.SCHEMA_EVOLVED, "schema", "Schema", old_data, new_data)


@dataclass(frozen=True, slots=True)
class EntityChange:
    """An entity before and after a transaction; None where it does not exist."""

    before: Entity | None
    after: Entity | None


@dataclass(frozen=True, slots=True)
class RelationshipChange:
    """A relationship before and after a transaction, with its endpoints' types at that time."""

    before: Relationship | None
    after: Relationship | None
    types_before: tuple[str, str] | None
    types_after: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class NetEffect:
    """The net effect of a transaction, and every event on the way there."""

    entities: Sequence[EntityChange] = ()
    relationships: Sequence[RelationshipChange] = ()
    events: Sequence[EventDraft] = ()
    event_ids: Sequence[str] = ()
    schema: SchemaDraft | None = None
    fences: Mapping[RowName, Fence] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.entities or self.relationships or self.events or self.event_ids or self.fences)


@dataclass(slots=True)
class _Staged:
    """Entities and relationships touched so far: as committed, and as they are now."""

    entities_before: dict[str, Entity | None] = field(default_factory=dict)
    entities: dict[str, Entity | None] = field(default_factory=dict)
    relationships_before: dict[RelationshipRef, Relationship | None] = field(default_factory=dict)
    relationships: dict[RelationshipRef, Relationship | None] = field(default_factory=dict)
    incident: dict[str, set[RelationshipRef]] = field(default_factory=dict)
    fully_loaded: set[str] = field(default_factory=set)
    """Entities whose committed relationships have all been loaded."""


class StagedTransaction(StagedFences):
    """The mutations of one transaction block; see `ports.graph.GraphTransaction`."""

    def __init__(self, committed: CommittedState, schema: GraphSchema, head: Position) -> None:
        super().__init__(committed)
        self._committed = committed
        self.position = head
        """Where it began; the store moves it to the commit."""
        self._schema = SchemaDraft(schema)
        self._staged = _Staged()
        self._events: list[EventDraft] = []
        self._event_ids: dict[str, None] = {}

    def create_entity(self, entity_type: str, entity_id: str, properties: Properties | None = None) -> None:
        """Create an entity; raises `AlreadyExistsError` when the id is taken, under whatever type."""
        given = self._checked_entity(entity_type, entity_id, properties)
        existing = self._entity(entity_id)
        if existing is not None:
            raise AlreadyExistsError(
                f"entity {entity_id!r} exists already as {existing.type!r}: update_entity or upsert_entity changes it"
            )
        self._put_created(entity_type, entity_id, given)

    def update_entity(self, entity_id: str, properties: Properties) -> None:
        """Merge properties into an entity; raises `NotFoundError`."""
        self._check_open()
        checked = check_properties(properties, check_id(entity_id, "entity_id"))
        existing = self._existing_entity(entity_id)
        self._put_updated(existing, merged(existing.properties, checked))

    def upsert_entity(self, entity_type: str, entity_id: str, properties: Properties) -> None:
        """Make the entity have exactly this type and these properties, whatever was there before."""
        given = self._checked_entity(entity_type, entity_id, properties)
        existing = self._entity(entity_id)
        if existing is None:
            self._put_created(entity_type, entity_id, given)
        elif existing.type == entity_type:
            self._put_updated(existing, given)
        else:
            self._change_type(existing, entity_type, given)

    def delete_entity(self, entity_id: str) -> None:
        """Delete an entity and its relationships, with an event for each; raises `NotFoundError`."""
        self._check_open()
        existing = self._existing_entity(entity_id)
        for relationship in self._relationships_of(entity_id):
            self._drop(relationship)
        self._put_deleted(existing)

    def rename_entity(self, entity_id: str, new_id: str) -> Mapping[str, str]:
        """Rename an entity, and return its relationships' new ids by the old ones; see the port for errors."""
        self._check_open()
        existing = self._existing_entity(entity_id)
        if self._entity(check_id(new_id, "new_id")) is not None:
            raise AlreadyExistsError(f"entity {new_id!r} exists already: choose another id")
        kept = self._relationships_of(entity_id)
        for relationship in kept:
            self._drop(relationship)
        self._put_deleted(existing)
        self._put_created(existing.type, new_id, dict(existing.properties))
        for relationship in kept:
            kind, source, target, key = relationship.ref.renamed(entity_id, new_id)
            ref = checked_ref(source, kind, target, key)
            self._put_relationship(ref, self._relationship(ref), dict(relationship.properties))
        return {each.ref.id: each.ref.renamed(entity_id, new_id).id for each in kept}

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity as this transaction has left it."""
        self._check_open()
        return self._entity(entity_id)

    def has_relationship(self, relationship_id: str) -> bool:
        """Whether there is a relationship, as this transaction has left it."""
        self._check_open()
        return self._relationship(RelationshipRef.parse(relationship_id)) is not None

    def relate(
        self,
        source_id: str,
        relationship_type: str,
        target_id: str,
        properties: Properties | None = None,
        *,
        discriminator: str = "",
        replace: bool = False,
    ) -> str:
        """Create a relationship and return its id; see the port for the errors."""
        self._check_open()
        ref = checked_ref(source_id, relationship_type, target_id, discriminator)
        given = merged({}, check_properties(properties, ref.id))
        self._existing_entity(source_id)
        self._existing_entity(target_id)
        existing = self._relationship(ref)
        if existing is not None and not replace:
            raise AlreadyExistsError(f"relationship {ref.id!r} exists already: pass replace=True or a discriminator")
        self._put_relationship(ref, existing, given)
        return ref.id

    def update_relationship(self, relationship_id: str, properties: Properties) -> None:
        """Merge properties into a relationship; raises `NotFoundError`."""
        self._check_open()
        existing = self._existing_relationship(relationship_id)
        checked = check_properties(properties, existing.ref.id)
        self._put_relationship(existing.ref, existing, merged(existing.properties, checked))

    def unrelate(self, relationship_id: str) -> None:
        """Delete a relationship; raises `NotFoundError`."""
        self._check_open()
        self._drop(self._existing_relationship(relationship_id))

    def once(self, event_id: str) -> bool:
        """Record an event id; False when an earlier or this transaction has recorded it already."""
        self._check_open()
        check_id(event_id, "event_id")
        if event_id in self._event_ids or self._committed.has_event(event_id):
            return False
        self._event_ids[event_id] = None
        return True

    def extend_schema(
        self, entity_types: Mapping[str, PropertyTypes], relationship_types: Mapping[str, PropertyTypes]
    ) -> bool:
        """Add types and properties as one version, whether anything has them or not."""
        self._check_open()
        return self._schema.extend(entity_types, relationship_types)

    def finish(self) -> NetEffect:
        """Close the transaction and return its net effect."""
        self._open = False
        staged = self._staged
        entities = [
            EntityChange(before, staged.entities[entity_id])
            for entity_id, before in staged.entities_before.items()
            if before is not staged.entities[entity_id]
        ]
        changes = (self._relationship_change(ref) for ref in staged.relationships)
        relationships = [
            change
            for change in changes
            if change.before is not change.after or change.types_before != change.types_after
        ]
        return NetEffect(entities, relationships, self._events, list(self._event_ids), self._schema, self._fences)

    def abandon(self) -> None:
        """Close the transaction without effect."""
        self._open = False

    # -- state as this transaction sees it --

    def _checked_entity(self, entity_type: str, entity_id: str, properties: Properties | None) -> dict[str, Any]:
        self._check_open()
        check_type_name(entity_type, "entity_type")
        return merged({}, check_properties(properties, check_id(entity_id, "entity_id")))

    def _entity(self, entity_id: str) -> Entity | None:
        staged = self._staged
        if entity_id not in staged.entities:
            staged.entities_before[entity_id] = staged.entities[entity_id] = self._committed.entity(entity_id)
        return staged.entities[entity_id]

    def _existing_entity(self, entity_id: str) -> Entity:
        existing = self._entity(check_id(entity_id, "entity_id"))
        if existing is None:
            raise NotFoundError(f"entity {entity_id!r} does not exist: look at its id, or create it first")
        return existing

    def _relationship(self, ref: RelationshipRef) -> Relationship | None:
        if ref not in self._staged.relationships:
            for end in (ref.source_id, ref.target_id):
                self._entity(end)
            source, target = (self._staged.entities_before[end] for end in (ref.source_id, ref.target_id))
            found = source and target and self._committed.relationship(ref, (source.type, target.type))
            self._note(ref, found or None)
        return self._staged.relationships[ref]

    def _note(self, ref: RelationshipRef, committed: Relationship | None) -> None:
        staged = self._staged
        staged.relationships_before[ref] = staged.relationships[ref] = committed
        for end in (ref.source_id, ref.target_id):
            self._entity(end)
            staged.incident.setdefault(end, set()).add(ref)

    def _existing_relationship(self, relationship_id: str) -> Relationship:
        ref = RelationshipRef.parse(relationship_id)
        existing = self._relationship(ref)
        if existing is None:
            raise NotFoundError(
                f"relationship {relationship_id!r} does not exist: look at its id, or relate the entities first"
            )
        return existing

    def _relationships_of(self, entity_id: str) -> list[Relationship]:
        staged = self._staged
        if entity_id not in staged.fully_loaded:
            staged.fully_loaded.add(entity_id)
            for relationship in self._committed.relationships_of(entity_id):
                if relationship.ref not in staged.relationships:
                    self._note(relationship.ref, relationship)
        refs = sorted(staged.incident.get(entity_id, ()), key=lambda ref: ref.id)
        return [found for ref in refs if (found := staged.relationships[ref]) is not None]

    def _relationship_change(self, ref: RelationshipRef) -> RelationshipChange:
        staged = self._staged
        before, after = staged.relationships_before[ref], staged.relationships[ref]
        return RelationshipChange(
            before,
            after,
            _end_types(ref, staged.entities_before) if before else None,
            _end_types(ref, staged.entities) if after else None,
        )

    # -- effects, each with its event --

    def _put_created(self, entity_type: str, entity_id: str, given: dict[str, PropertyValue]) -> None:
        self._schema.admit_entity(entity_type, given)
        self._staged.entities[entity_id] = Entity(entity_id, entity_type, given)
        self._events.append(EventDraft(PKGEventType.ENTITY_CREATED, entity_id, entity_type, None, given))

    def _put_updated(self, existing: Entity, given: dict[str, PropertyValue]) -> None:
        self._schema.admit_entity(existing.type, given)
        if same_properties(existing.properties, given):
            return
        self._staged.entities[existing.id] = Entity(existing.id, existing.type, given)
        self._events.append(
            EventDraft(PKGEventType.ENTITY_UPDATED, existing.id, existing.type, existing.properties, given)
        )

    def _put_deleted(self, existing: Entity) -> None:
        self._staged.entities[existing.id] = None
        self._events.append(
            EventDraft(PKGEventType.ENTITY_DELETED, existing.id, existing.type, existing.properties, None)
        )

    def _change_type(self, existing: Entity, entity_type: str, given: dict[str, PropertyValue]) -> None:
        """Delete under the old type and create under the new one; relationships stay, with an event for each step."""
        self._schema.admit_entity(entity_type, given)
        kept = list(self._relationships_of(existing.id))
        for relationship in kept:
            self._relationship_event(
                PKGEventType.RELATIONSHIP_DELETED, relationship.ref, relationship.properties, None
            )
        self._put_deleted(existing)
        self._put_created(entity_type, existing.id, given)
        for relationship in kept:
            self._relationship_event(
                PKGEventType.RELATIONSHIP_CREATED, relationship.ref, None, relationship.properties
            )

    def _put_relationship(
        self, ref: RelationshipRef, existing: Relationship | None, given: dict[str, PropertyValue]
    ) -> None:
        self._schema.admit_relationship(ref.type, given)
        if existing is not None and same_properties(existing.properties, given):
            return
        self._staged.relationships[ref] = Relationship(ref, given)
        kind = PKGEventType.RELATIONSHIP_CREATED if existing is None else PKGEventType.RELATIONSHIP_UPDATED
        self._relationship_event(kind, ref, None if existing is None else existing.properties, given)

    def _drop(self, relationship: Relationship) -> None:
        ref = relationship.ref
        self._relationship_event(PKGEventType.RELATIONSHIP_DELETED, ref, relationship.properties, None)
        self._staged.relationships[ref] = None

    def _relationship_event(
        self, kind: PKGEventType, ref: RelationshipRef, old: Properties | None, new: Properties | None
    ) -> None:
        source_type, target_type = _end_types(ref, self._staged.entities)
        endpoints = (ref.source_id, source_type, ref.target_id, target_type)
        self._events.append(EventDraft(kind, ref.id, ref.type, old, new, endpoints))


def checked_ref(source_id: str, relationship_type: str, target_id: str, discriminator: str) -> RelationshipRef:
    """Return the identity of a relationship; raises `InvalidInputError` for a name or an id that it can not have."""
    check_type_name(relationship_type, "relationship_type")
    check_id(source_id, "source_id")
    check_id(target_id, "target_id")
    if discriminator:
        check_id(discriminator, "discriminator")
    ref = RelationshipRef(relationship_type, source_id, target_id, discriminator)
    # Encoding makes no part more than three times as long.
    if 3 * sum(map(len, ref)) + 3 > RELATIONSHIP_ID_SIZE_MAX and len(ref.id) > RELATIONSHIP_ID_SIZE_MAX:
        raise InvalidInputError(
            f"has {len(ref.id)} characters when encoded, at most {RELATIONSHIP_ID_SIZE_MAX} : shorten the ids",
            field="relationship_id",
        )
    return ref


def _end_types(ref: RelationshipRef, entities: Mapping[str, Entity | None]) -> tuple[str, str]:
    source, target = entities[ref.source_id], entities[ref.target_id]
    if source is None or target is None:
        raise NotFoundError(
            f"an endpoint of relationship {ref.id!r} does not exist: look at its id, or create it first"
        )
    return source.type, target.type


def merged(base: Properties, changes: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    """Return the base with the changes; None removes a property."""
    return {name: value for name, value in {**base, **changes}.items() if value is not None}
