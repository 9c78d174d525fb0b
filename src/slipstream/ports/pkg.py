"""Mutations one by one, each a transaction of its own."""

from __future__ import annotations

from typing import Protocol

from slipstream.domain.entities import Properties
from slipstream.domain.positions import Position
from slipstream.ports.graph import GraphWriter


class Mutations(GraphWriter, Protocol):
    """
    Single mutations on top of `transaction`, which is all that an adapter has to have.

    Each returns the position of its commit, to wait for (`sync.wait`, `search(after=…)`). For several mutations that
    commit together, and for batches, use `transaction()`.
    """

    def create_entity(self, entity_type: str, entity_id: str, properties: Properties | None = None) -> Position:
        """Create an entity; raises `AlreadyExistsError` when the id is taken, under whatever type."""
        with self.transaction() as tx:
            tx.create_entity(entity_type, entity_id, properties)
        return tx.position

    def update_entity(self, entity_id: str, properties: Properties) -> Position:
        """Merge properties into an entity (None removes one); raises `NotFoundError`."""
        with self.transaction() as tx:
            tx.update_entity(entity_id, properties)
        return tx.position

    def upsert_entity(self, entity_type: str, entity_id: str, properties: Properties) -> Position:
        """Make the entity have exactly this type and these properties, whatever was there before."""
        with self.transaction() as tx:
            tx.upsert_entity(entity_type, entity_id, properties)
        return tx.position

    def delete_entity(self, entity_id: str) -> Position:
        """Delete an entity and its relationships; raises `NotFoundError`."""
        with self.transaction() as tx:
            tx.delete_entity(entity_id)
        return tx.position

    def relate(
        self,
        source_id: str,
        relationship_type: str,
        target_id: str,
        properties: Properties | None = None,
        *,
        discriminator: str = "",
        replace: bool = False,
    ) -> Position:
        """
        Create a relationship.

        Its id is `RelationshipRef(type, source, target, discriminator).id`; parallel ones differ in
        `discriminator`. Raises `NotFoundError` for a missing endpoint, and `AlreadyExistsError` unless `replace`.
        """
        with self.transaction() as tx:
            tx.relate(
                source_id, relationship_type, target_id, properties, discriminator=discriminator, replace=replace
            )
        return tx.position

    def update_relationship(self, relationship_id: str, properties: Properties) -> Position:
        """Merge properties into a relationship; raises `NotFoundError`."""
        with self.transaction() as tx:
            tx.update_relationship(relationship_id, properties)
        return tx.position

    def unrelate(self, relationship_id: str) -> Position:
        """Delete a relationship; raises `NotFoundError`."""
        with self.transaction() as tx:
            tx.unrelate(relationship_id)
        return tx.position
