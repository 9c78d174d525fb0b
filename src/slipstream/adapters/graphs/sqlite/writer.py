"""A write transaction: each typed mutation is a statement at once, and triggers of the file log it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from slipstream.adapters.graphs.evolution import SchemaDraft
from slipstream.adapters.graphs.sqlite.codec import encode_properties, readable_properties
from slipstream.adapters.graphs.sqlite.fences import FenceRows
from slipstream.adapters.graphs.sqlite.layout import PROPERTIES_SIZE_MAX
from slipstream.adapters.graphs.sqlite.schemas import begin_version, end_version, head_of
from slipstream.adapters.graphs.staging import checked_ref, merged
from slipstream.adapters.graphs.values import check_id, check_properties, check_type_name, same_properties
from slipstream.domain.entities import Entity, Properties, PropertyValue
from slipstream.domain.erasure import MARK_AFTER, MARK_PREFIX, is_mark_of
from slipstream.domain.errors import (
    AlreadyExistsError,
    InvalidInputError,
    NotFoundError,
    PoisonEventError,
)
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema, PropertyTypes

_INSERT_ENTITY = "INSERT INTO entity(id, type, properties) VALUES (?, ?, ?) ON CONFLICT(id) DO NOTHING"
_ENTITY = "SELECT type, CAST(properties AS BLOB) FROM entity WHERE id = ?"
_INSERT_RELATIONSHIP = """INSERT INTO relationship(source, type, target, key, properties) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT(source, type, target, key) DO NOTHING"""
_RELATIONSHIPS_OF = "SELECT type, source, target, key FROM relationship WHERE source = ? OR target = ?"
_MARKED_ONCE = f"SELECT event_id FROM once WHERE event_id >= '{MARK_PREFIX}' AND event_id < '{MARK_AFTER}'"  # noqa: S608
_THIS_RELATIONSHIP = "source = ? AND type = ? AND target = ? AND key = ?"
_TAKEN = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


class SqliteTransaction(FenceRows):
    """The mutations of one transaction block; see `ports.graph.GraphTransaction`."""

    def __init__(self, connection: sqlite3.Connection, schema: GraphSchema, now: datetime) -> None:
        super().__init__(connection)
        self._now = now
        self._schema = SchemaDraft(schema)
        self._has_version = False
        self.position: Position = head_of(connection)

    # ------------------------------------------------------------------ entities

    def create_entity(self, entity_type: str, entity_id: str, properties: Properties | None = None) -> None:
        """Create an entity; raises `AlreadyExistsError` when the id is taken, under whatever type."""
        given = self._checked_entity(entity_type, entity_id, properties)
        if not self._insert_entity(entity_type, entity_id, given):
            raise AlreadyExistsError(
                f"entity {entity_id!r} exists already as {self._existing_entity(entity_id).type!r}: update_entity or "
                "upsert_entity changes it"
            )

    def update_entity(self, entity_id: str, properties: Properties) -> None:
        """Merge properties into an entity; raises `NotFoundError`."""
        self._check_open()
        checked = check_properties(properties, check_id(entity_id, "entity_id"))
        existing = self._existing_entity(entity_id)
        self._change_entity(existing, existing.type, merged(existing.properties, checked))

    def upsert_entity(self, entity_type: str, entity_id: str, properties: Properties) -> None:
        """Make the entity have exactly this type and these properties, whatever was there before."""
        given = self._checked_entity(entity_type, entity_id, properties)
        existing = self._entity(entity_id)  # first: an insert runs all guards before it finds the id taken
        if existing is None:
            self._insert_entity(entity_type, entity_id, given)
        else:
            self._change_entity(existing, entity_type, given)

    def delete_entity(self, entity_id: str) -> None:
        """Delete an entity and its relationships, with an event for each; raises `NotFoundError`."""
        self._check_open()
        check_id(entity_id, "entity_id")
        if self._connection.execute("DELETE FROM entity WHERE id = ?", (entity_id,)).rowcount == 0:
            raise _no_entity(entity_id)

    def rename_entity(self, entity_id: str, new_id: str) -> Mapping[str, str]:
        """Rename an entity, and return its relationships' new ids by the old ones; see the port for errors."""
        self._check_open()
        check_id(entity_id, "entity_id")
        given = (check_id(new_id, "new_id"), entity_id)
        refs = [RelationshipRef(*row) for row in self._connection.execute(_RELATIONSHIPS_OF, (entity_id, entity_id))]
        try:
            if self._connection.execute("UPDATE entity SET id = ? WHERE id = ?", given).rowcount == 0:
                raise _no_entity(entity_id)
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode in _TAKEN:
                raise AlreadyExistsError(f"entity {new_id!r} exists already: choose another id") from error
            raise InvalidInputError(str(error), field="new_id") from error
        return {ref.id: ref.renamed(entity_id, new_id).id for ref in refs}

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity as this transaction has left it."""
        self._check_open()
        return self._entity(entity_id)

    def has_relationship(self, relationship_id: str) -> bool:
        """Whether there is a relationship, as this transaction has left it."""
        self._check_open()
        statement = f"SELECT 1 FROM relationship WHERE {_THIS_RELATIONSHIP}"  # noqa: S608  (our own text)
        return (
            self._connection.execute(statement, _place(RelationshipRef.parse(relationship_id))).fetchone() is not None
        )

    # ------------------------------------------------------------------ relationships

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
        relationship_id = ref.id
        given = merged({}, check_properties(properties, relationship_id))
        if not self._insert_relationship(ref, given):
            if not replace:
                raise AlreadyExistsError(
                    f"relationship {relationship_id!r} exists already: pass replace=True or a discriminator"
                )
            self._change_relationship(ref, self._existing_relationship(ref), given)
        return relationship_id

    def update_relationship(self, relationship_id: str, properties: Properties) -> None:
        """Merge properties into a relationship; raises `NotFoundError`."""
        self._check_open()
        ref = RelationshipRef.parse(relationship_id)
        existing = self._existing_relationship(ref)
        self._change_relationship(ref, existing, merged(existing, check_properties(properties, ref.id)))

    def unrelate(self, relationship_id: str) -> None:
        """Delete a relationship; raises `NotFoundError`."""
        self._check_open()
        ref = RelationshipRef.parse(relationship_id)
        statement = f"DELETE FROM relationship WHERE {_THIS_RELATIONSHIP}"  # noqa: S608  (our own text)
        if self._connection.execute(statement, _place(ref)).rowcount == 0:
            raise _no_relationship(relationship_id)

    def once(self, event_id: str) -> bool:
        """Record an event id; False when an earlier or this transaction has recorded it already."""
        self._check_open()
        check_id(event_id, "event_id")
        if self.has_marks and any(is_mark_of(mark, event_id) for (mark,) in self._connection.execute(_MARKED_ONCE)):
            return False
        return self._connection.execute("INSERT OR IGNORE INTO once VALUES (?)", (event_id,)).rowcount > 0

    def extend_schema(
        self, entity_types: Mapping[str, PropertyTypes], relationship_types: Mapping[str, PropertyTypes]
    ) -> bool:
        """Add types and properties as one version, whether anything has them or not."""
        self._check_open()
        grew = self._schema.extend(entity_types, relationship_types)
        if grew:
            self._begin_version()
        return grew

    # ------------------------------------------------------------------ the end

    def finish(self) -> None:
        """Complete the schema version begun here, and move `position` to that of the commit."""
        self._open = False
        if self._has_version:
            end_version(self._connection, self._schema)
        self.position = head_of(self._connection)

    def abandon(self) -> None:
        """Refuse every later call."""
        self._open = False

    # ------------------------------------------------------------------ inside

    def _checked_entity(self, entity_type: str, entity_id: str, properties: Properties | None) -> dict[str, Any]:
        self._check_open()
        check_type_name(entity_type, "entity_type")
        return merged({}, check_properties(properties, check_id(entity_id, "entity_id")))

    def _entity(self, entity_id: str) -> Entity | None:
        row = self._connection.execute(_ENTITY, (entity_id,)).fetchone()
        return None if row is None else Entity(entity_id, row[0], readable_properties(row[1], entity_id))

    def _existing_entity(self, entity_id: str) -> Entity:
        existing = self._entity(entity_id)
        if existing is None:
            raise _no_entity(entity_id)
        return existing

    def _insert_entity(self, entity_type: str, entity_id: str, given: dict[str, PropertyValue]) -> bool:
        """Insert an entity; False, and nothing happens, when the id is taken."""
        text = _text(given)
        if not self._schema.knows_entity(entity_type, given):
            if self._entity(entity_id) is not None:
                return False  # and so the schema stays as it is
            self._admit_entity(entity_type, given)
        return self._connection.execute(_INSERT_ENTITY, (entity_id, entity_type, text)).rowcount > 0

    def _change_entity(self, existing: Entity, entity_type: str, given: dict[str, PropertyValue]) -> None:
        if existing.type == entity_type and _are_same(existing.properties, given):
            return
        text = _text(given)
        self._admit_entity(entity_type, given)
        self._connection.execute(
            "UPDATE entity SET type = ?, properties = ? WHERE id = ?", (entity_type, text, existing.id)
        )

    def _relationship(self, ref: RelationshipRef) -> Properties | None:
        statement = f"SELECT CAST(properties AS BLOB) FROM relationship WHERE {_THIS_RELATIONSHIP}"  # noqa: S608  (our own text)
        row = self._connection.execute(statement, _place(ref)).fetchone()
        return None if row is None else readable_properties(row[0], ref.id)

    def _existing_relationship(self, ref: RelationshipRef) -> Properties:
        existing = self._relationship(ref)
        if existing is None:
            raise _no_relationship(ref.id)
        return existing

    def _insert_relationship(self, ref: RelationshipRef, given: dict[str, PropertyValue]) -> bool:
        """Insert a relationship; False, and nothing happens, if it exists. Raises `NotFoundError` for no such end."""
        text = _text(given)
        if not self._schema.knows_relationship(ref.type, given):
            self._check_ends(ref)
            if self._relationship(ref) is not None:
                return False  # and so the schema stays as it is
            self._admit_relationship(ref.type, given)
        try:
            return self._connection.execute(_INSERT_RELATIONSHIP, (*_place(ref), text)).rowcount > 0
        except sqlite3.IntegrityError:
            self._check_ends(ref)
            raise

    def _check_ends(self, ref: RelationshipRef) -> None:
        for end in (ref.source_id, ref.target_id):
            if self._connection.execute("SELECT 1 FROM entity WHERE id = ?", (end,)).fetchone() is None:
                raise _no_entity(end)

    def _change_relationship(
        self, ref: RelationshipRef, existing: Properties, given: dict[str, PropertyValue]
    ) -> None:
        if _are_same(existing, given):
            return
        text = _text(given)
        self._admit_relationship(ref.type, given)
        statement = f"UPDATE relationship SET properties = ? WHERE {_THIS_RELATIONSHIP}"  # noqa: S608  (our own text)
        self._connection.execute(statement, (text, *_place(ref)))

    def _admit_entity(self, name: str, given: dict[str, PropertyValue]) -> None:
        if self._schema.admit_entity(name, given):
            self._begin_version()

    def _admit_relationship(self, name: str, given: dict[str, PropertyValue]) -> None:
        if self._schema.admit_relationship(name, given):
            self._begin_version()

    def _begin_version(self) -> None:
        """Log a new schema version before the mutation that needs it; once in a transaction."""
        if not self._has_version:
            begin_version(self._connection, self._schema.base.version + 1, self._now)
            self._has_version = True


def _are_same(existing: Properties, given: Properties) -> bool:
    try:
        return same_properties(existing, given)
    except PoisonEventError:  # unreadable properties are replaced
        return False


def _text(given: Properties) -> str:
    text = encode_properties(given)
    if len(text) > PROPERTIES_SIZE_MAX:
        raise InvalidInputError(
            f"have {len(text)} characters as JSON, at most {PROPERTIES_SIZE_MAX} are kept: store less, or elsewhere",
            field="properties",
        )
    return text


def _place(ref: RelationshipRef) -> tuple[str, str, str, str]:
    return ref.source_id, ref.type, ref.target_id, ref.discriminator


def _no_entity(entity_id: str) -> NotFoundError:
    return NotFoundError(f"entity {entity_id!r} does not exist: look at its id, or create it first")


def _no_relationship(relationship_id: str) -> NotFoundError:
    return NotFoundError(
        f"relationship {relationship_id!r} does not exist: look at its id, or relate the entities first"
    )
