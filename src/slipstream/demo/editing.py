"""Corpus edits: applied to a graph, and told what they should have left in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from slipstream.app.pkg import PKG
from slipstream.app.slipstream import Slipstream
from slipstream.demo.corpus.edits import Edit, EditKind
from slipstream.domain.entities import Entity, EntityState, Properties
from slipstream.domain.keys import KeyKind, RecordKey, RelationshipRef, entity_key, relationship_key
from slipstream.domain.positions import Position


def apply_edit(pkg: PKG, edit: Edit) -> Position:
    """Commit one edit as one transaction and return its position."""
    with pkg.transaction() as tx:
        if edit.kind is EditKind.DELETE:
            tx.delete_entity(edit.entity.id)
        elif edit.kind is EditKind.CREATE:
            tx.upsert_entity(edit.entity.type, edit.entity.id, edit.entity.properties)
        elif edit.changed:
            tx.update_entity(edit.entity.id, edit.changed)
        if edit.relationship is not None:
            ref = edit.relationship.ref
            tx.relate(
                ref.source_id,
                ref.type,
                ref.target_id,
                edit.relationship.properties,
                discriminator=ref.discriminator,
                replace=True,
            )
    return pkg.feed.head()


def entities_of(slip: Slipstream) -> list[Entity]:
    """Return the entities of a graph, ordered by id."""
    entities: list[Entity] = []
    after: RecordKey | None = None
    while page := slip.pkg.scan(after, 1_000):
        states = slip.pkg.read([row.key for row in page if row.key.kind is KeyKind.ENTITY], {}).states
        entities.extend(state.entity for state in states.values() if isinstance(state, EntityState))
        after = page[-1].key
    return sorted(entities, key=lambda entity: entity.id)


@dataclass(slots=True)
class Expected:
    """What edits should have left in the graph, of the entities and relationships that they touched."""

    entities: dict[str, Properties | None] = field(default_factory=dict)
    relationships: dict[RelationshipRef, bool] = field(default_factory=dict)

    def follow(self, edits: Iterable[Edit]) -> None:
        """Take in the next edits."""
        for edit in edits:
            entity = edit.entity
            if edit.kind is EditKind.DELETE:
                self.entities[entity.id] = None
                gone = [ref for ref in self.relationships if entity.id in (ref.source_id, ref.target_id)]
                self.relationships.update(dict.fromkeys(gone, False))
            else:
                self.entities[entity.id] = dict(entity.properties)
            if edit.relationship is not None:
                self.relationships[edit.relationship.ref] = True

    def differing(self, pkg: PKG) -> set[RecordKey]:
        """Return the keys whose state in the graph is another one."""
        entities = {entity_key(entity_id): wanted for entity_id, wanted in self.entities.items()}
        relationships = {relationship_key(ref.id): wanted for ref, wanted in self.relationships.items()}
        states = pkg.read([*entities, *relationships], {}).states
        found = {
            key: dict(state.entity.properties) for key, state in states.items() if isinstance(state, EntityState)
        }
        differing = {key for key, wanted in entities.items() if found.get(key) != wanted}
        return differing | {key for key, wanted in relationships.items() if (key in states) != wanted}
