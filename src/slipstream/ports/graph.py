"""The graph: as the engine reads it, as its users write it, and whether it is still the same one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from slipstream.domain.entities import Adjacency, EntityPage, GraphSnapshot, Hop, KeyedType, Properties, StatePage
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema, PropertyTypes
from slipstream.ports.fences import Fences, Records


@dataclass(frozen=True, slots=True)
class GraphCapabilities:
    """Optional abilities of a graph adapter."""

    durable: bool = True
    """Commits survive a kill."""
    system: str = "other"
    """The store's name in telemetry, as OpenTelemetry spells it (`db.system.name`)."""


@runtime_checkable
class GraphReader(Protocol):
    """
    The property graph, read side.

    Every read sees committed state only, of every writer, also inside a transaction of the same thread; and all that
    was committed when it began. It never blocks writers for long and holds nothing open when it returns. Every method
    raises `UnavailableError` when the graph can not be reached now; repeating the call
    is always harmless.
    """

    @property
    def capabilities(self) -> GraphCapabilities:
        """What this adapter can do beyond the contract."""
        ...

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """
        Read the current state of the keys, and a position; nothing in it is older than that.

        Where a store has snapshots, all of it and the head come from ONE read transaction. Else the head is read
        first: what commits meanwhile may be seen, in part too, and comes as an event of its own.
        `hops` maps an entity type to the hops to follow from entities of that type. Neighbours come ordered by
        (neighbour id, source id, discriminator) and cut to the hop's limit after ordering, so that the same graph
        always gives the same state. A hop of more than one step gives every entity once, nearest first, those of one
        distance by id, with the relationship of the smallest id that reaches it; no step is taken from what the
        limit cuts off. Absent keys are absent from the result; duplicates in `keys` are allowed.
        """
        ...

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        """
        Return the next `limit` keys with their types, ordered by `RecordKey.encode()`, starting behind `after`.

        Every entity, and the relationships of the given types (None: all); unknown types have none, and one that is
        given twice counts once. A key that exists during the whole scan is returned exactly once. `after` need not
        exist any more.
        """
        ...

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """
        Return the relationships of the entities, both directions, of the given types (None: all).

        Ordered by `Adjacency.order`, starting behind `after`, at most `limit`. A self-relationship appears once for
        each direction. Unknown ids and types have no relationships.
        """
        ...

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """
        Return the first `limit` relationships of each entity.

        For each they are those that `adjacent` returns for it alone, in the same order; all of one snapshot where a
        store has such. The cost does not grow with the number of relationships behind the limit.
        """
        ...

    def schema(self) -> GraphSchema:
        """Return the current schema version: the types and properties of everything that a feed has returned."""
        ...

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return an older schema version, None when there never was one with that number."""
        ...

    def counts(self, relationship_types: Collection[str] | None = None) -> Mapping[str, int]:
        """
        Return how many entities and relationships there are, by type; types without any are left out.

        Of relationships only the given types are counted (None: all); the others are not read.
        """
        ...

    def close(self) -> None:
        """Release everything; closing twice is harmless. A closed graph raises `UnavailableError`."""
        ...


@runtime_checkable
class StateScan(Protocol):
    """A graph that can scan states, not keys alone; optional, as callers fall back to `scan` and `read`."""

    def states(
        self,
        after: str,
        through: str | None,
        limit: int,
        hops: Mapping[str, Sequence[Hop]],
        relationship_types: Collection[str] | None = None,
    ) -> StatePage:
        """
        Return the next states behind the encoded key `after`, up to and including `through` (None: to the end).

        They are the states that `read` returns for the keys that `scan` returns, at most `limit` keys. Raises
        `UnavailableError` when the graph can not be reached now.
        """
        ...


@runtime_checkable
class EntityListing(Protocol):
    """A graph that can list the entities of one type; optional, as callers fall back to `scan` and `read`."""

    def of_type(self, entity_type: str, after: str | None, limit: int) -> EntityPage:
        """
        Return up to `limit` entities of a type, behind a page's `next` (None: the first ones).

        In an order of the store's own, which stays while they do: an entity that is there all the while comes exactly
        once, but for one that is replaced or retyped meanwhile. An unknown type has none. Raises `InvalidInputError`
        (field `after`) for what no page gave.
        """
        ...


class GraphMutations(Protocol):
    """
    Mutations that commit together, each with its change event, or not at all. Each sees those before it.

    A mutation that changes nothing (same properties) writes no event. Properties: `update_*` merges, and None
    removes a property. Unknown types and properties extend the schema, as a version of its own with its event.
    Raises `InvalidInputError` for bad names, ids or values, and leaves the transaction usable.
    """

    @property
    def position(self) -> Position:
        """
        The position of the commit, to wait for, once the block has ended; until then the head that it began at.

        A transaction that changed nothing keeps the head that it began at.
        """
        ...

    def create_entity(self, entity_type: str, entity_id: str, properties: Properties | None = None) -> None:
        """Create an entity; raises `AlreadyExistsError` when the id is taken, under whatever type."""
        ...

    def update_entity(self, entity_id: str, properties: Properties) -> None:
        """Merge properties into an entity; raises `NotFoundError`."""
        ...

    def upsert_entity(self, entity_type: str, entity_id: str, properties: Properties) -> None:
        """Make the entity have exactly this type and these properties, whatever was there before."""
        ...

    def delete_entity(self, entity_id: str) -> None:
        """Delete an entity and its relationships, with an event for each; raises `NotFoundError`."""
        ...

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
        """
        Create a relationship and return its id.

        Parallel relationships differ in `discriminator`. Raises `NotFoundError` for a missing endpoint and
        `AlreadyExistsError` for one that exists, unless `replace`: then it gets exactly these properties.
        """
        ...

    def update_relationship(self, relationship_id: str, properties: Properties) -> None:
        """Merge properties into a relationship; raises `NotFoundError`."""
        ...

    def unrelate(self, relationship_id: str) -> None:
        """Delete a relationship; raises `NotFoundError`."""
        ...

    def once(self, event_id: str) -> bool:
        """
        Record an event id; False when an earlier or this transaction has recorded it already.

        So a transaction whose outcome is not known can be repeated without being applied twice.
        """
        ...


class GraphTransaction(GraphMutations, Records, Fences, Protocol):
    """
    Mutations, reads of what they have left so far, and fences of feeds: all commit together, or not at all.

    Raises `ConfigError` when the block has ended.
    """


@runtime_checkable
class SchemaTransaction(Protocol):
    """A `GraphTransaction` that can take in a schema by itself: optional; without it a schema grows with its data."""

    def extend_schema(
        self, entity_types: Mapping[str, PropertyTypes], relationship_types: Mapping[str, PropertyTypes]
    ) -> bool:
        """
        Add types and properties as one version, whether anything has them or not; False when all were known.

        Known properties keep their types, and repeating a call is harmless. Raises `InvalidInputError` for a name
        that no type can have, or that is a type of the other kind (entity, relationship) already.
        """
        ...


@runtime_checkable
class GraphWriter(Protocol):
    """A graph whose mutation and log entry commit in one transaction."""

    def transaction(self) -> AbstractContextManager[GraphTransaction]:
        """
        Open a write transaction: commits on leaving the block, rolls back on an exception.

        One at a time: others, of other processes too, wait for it, so leave the block soon. Transactions do not nest
        (`ConfigError`). When the block has ended, every reader sees the commit. Raises `UnavailableError` when the
        store could not commit: then nothing was kept, unless the connection to it was lost just then (`once` tells).
        """
        ...


@runtime_checkable
class RestoreMarks(Protocol):
    """
    Tells a graph that was restored from a backup, or replaced, from the one that an index was built from.

    Each call is a durable, atomic step, and harmless when it is repeated. Raises `UnavailableError` when the graph
    can not be reached now; what writes raises `ConfigError` inside an open transaction of the same thread.
    """

    @property
    def identity(self) -> str:
        """What tells this graph from every other one: made with it, never changed, and taken along by every copy."""
        ...

    @property
    def timeline(self) -> str | None:
        """The mark that `mark_timeline` left last, None before the first. A restored backup brings its own back."""
        ...

    def mark_timeline(self, mark: str) -> None:
        """Leave a mark in the graph, durably. It is no change of the graph: nothing is logged."""
        ...

    def advance(self, position: Position) -> Position:
        """
        Make the log's head at least `position`, durably, and return the head.

        For a graph that is older than its index: later commits must be newer than all that the index has. Appends one
        `Rescan` of everything at `position`, behind a gap in the numbers; does nothing, and appends nothing, when the
        head is there already. Raises `InvalidInputError` past 62 bits.
        """
        ...
