"""A transaction that is gathered here, and committed by a server in one piece."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Never

from slipstream.app.remote.calling import Caller
from slipstream.app.remote.serving_operations import Commit, Mutation, MutationName, mutation
from slipstream.domain.entities import Entity, Properties
from slipstream.domain.errors import ConfigError, UnsupportedError
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.positions import Position


@dataclass(frozen=True, slots=True)
class Checks:
    """What a graph accepts: each raises `InvalidInputError`, before anything is sent."""

    name: Callable[[object, str], str]
    identity: Callable[[object, str], str]
    properties: Callable[[Properties | None, str], Properties]
    relationship: Callable[[str, str, str, str], RelationshipRef]


class WireTransaction:
    """
    Mutations that commit together on the server, when the block ends.

    Names, ids and values are checked at once; whether something exists is found out by the commit, whose error names
    the mutation at fault. Nothing can be read inside of it.
    """

    def __init__(self, caller: Caller, checks: Checks) -> None:
        self._caller, self._checks = caller, checks
        self._steps: list[Mutation] = []
        self._is_open = True
        self._event_id: str | None = None
        self._position: Position | None = None

    @property
    def position(self) -> Position:
        """The position of the commit once the block has ended; until then the head of the log."""
        if self._position is None:
            return Position(self._caller.call("pkg.feed.head"))
        return self._position

    def commit(self) -> None:
        """Send what was gathered; raises what a mutation of it raises, and nothing of it is done then."""
        self._is_open = False
        if not self._steps and self._event_id is None:
            self._position = self.position
            return
        done: Commit = self._caller.call("pkg.commit", self._steps, event_id=self._event_id)
        self._position = done.position

    def end(self) -> None:
        """Take nothing more."""
        self._is_open = False

    # ------------------------------------------------------------------ mutations

    def create_entity(self, entity_type: str, entity_id: str, properties: Properties | None = None) -> None:
        """Create an entity."""
        self._add("create_entity", entity_type, entity_id, self._entity(entity_type, entity_id, properties))

    def update_entity(self, entity_id: str, properties: Properties) -> None:
        """Merge properties into an entity; None removes one."""
        self._add("update_entity", entity_id, self._values(properties, self._id(entity_id)))

    def upsert_entity(self, entity_type: str, entity_id: str, properties: Properties) -> None:
        """Make the entity have exactly this type and these properties."""
        self._add("upsert_entity", entity_type, entity_id, self._entity(entity_type, entity_id, properties))

    def delete_entity(self, entity_id: str) -> None:
        """Delete an entity and its relationships."""
        self._add("delete_entity", self._id(entity_id))

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
        """Create a relationship and return its id."""
        ref = self._checks.relationship(source_id, relationship_type, target_id, discriminator)
        values = self._values(properties, ref.id)
        self._add(
            *("relate", source_id, relationship_type, target_id, values), discriminator=discriminator, replace=replace
        )
        return ref.id

    def update_relationship(self, relationship_id: str, properties: Properties) -> None:
        """Merge properties into a relationship."""
        ref = RelationshipRef.parse(relationship_id)
        self._add("update_relationship", relationship_id, self._values(properties, ref.id))

    def unrelate(self, relationship_id: str) -> None:
        """Delete a relationship."""
        RelationshipRef.parse(relationship_id)
        self._add("unrelate", relationship_id)

    def once(self, event_id: str) -> bool:
        """
        Have the server do this transaction only if none with this event id was done before; always True.

        Whether one was is not known before the commit: it then does nothing, and returns the position it found.
        """
        self._check_open()
        if self._event_id not in (None, event_id):
            raise UnsupportedError("one transaction over a connection has one event id: open another transaction")
        self._event_id = self._checks.identity(event_id, "event_id")
        return True

    def _entity(self, entity_type: str, entity_id: str, properties: Properties | None) -> Properties:
        self._check_open()
        self._checks.name(entity_type, "entity_type")
        return self._values(properties, self._id(entity_id))

    def _id(self, entity_id: str) -> str:
        self._check_open()
        return self._checks.identity(entity_id, "entity_id")

    def _values(self, properties: Properties | None, identity: str) -> Properties:
        return self._checks.properties(properties, identity)

    def _add(self, op: MutationName, *args: Any, **kwargs: Any) -> None:
        self._check_open()
        self._steps.append(mutation(op, *args, **kwargs))

    def _check_open(self) -> None:
        if not self._is_open:
            raise ConfigError("this transaction has ended: open another one with graph.transaction()")

    # ------------------------------------------------------------------ what has to be read

    def entity(self, entity_id: str) -> Entity | None:
        """Raise: nothing is read inside of it."""
        self._refuse("entity", entity_id)

    def has_relationship(self, relationship_id: str) -> bool:
        """Raise: nothing is read inside of it."""
        self._refuse("has_relationship", relationship_id)

    def rename_entity(self, entity_id: str, new_id: str) -> Mapping[str, str]:
        """Raise: it returns what only the server can know before the commit."""
        self._refuse("rename_entity", entity_id, new_id)

    def fences(self, rows: Collection[RowName]) -> Mapping[RowName, Fence]:
        """Raise: fences are of feeds, which the server applies."""
        self._refuse("fences", rows)

    def put_fences(self, fences: Mapping[RowName, Fence]) -> None:
        """Raise: fences are of feeds, which the server applies."""
        self._refuse("put_fences", fences)

    def rows_of(self, keys: Collection[str]) -> Mapping[str, RowName]:
        """Raise: fences are of feeds, which the server applies."""
        self._refuse("rows_of", keys)

    def live_rows(
        self, space: str, before: str | None, after: str | None, limit: int
    ) -> Sequence[tuple[RowName, Fence]]:
        """Raise: fences are of feeds, which the server applies."""
        self._refuse("live_rows", space, before, after, limit)

    def _refuse(self, name: str, *what: object) -> Never:
        del what
        self._check_open()
        raise UnsupportedError(
            f"transaction.{name}: a transaction over a connection is sent whole when its block ends, so nothing can "
            "be read in it. Read before it (`get`, `find`), or open the PKG by its directory (`slipstream.open`)"
        )
