"""The graph, as the engine reads it and as its users write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from slipstream.domain.entities import Adjacency, GraphSnapshot, Hop, KeyedType, Properties
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema


@dataclass(frozen=True, slots=True)
class GraphCapabilities:
    """Optional abilities of a graph adapter."""

    cypher: bool = False
    """`query` and `execute` run Cypher."""
    multi_process: bool = False
    """Another process may write at the same time."""
    durable: bool = True
    """Commits survive a kill."""
    system: str = "other"
    """The store's name in telemetry, as OpenTelemetry spells it (`db.system.name`)."""


@runtime_checkable
class Graph(Protocol):
    """
    The property graph, read side.

    Reads never block writers for long and hold nothing open when they return. Every method raises
    `UnavailableError` when the graph can not be reached now; repeating the call is always harmless.
    """

    @property
    def capabilities(self) -> GraphCapabilities:
        """What this adapter can do beyond the contract."""
        ...

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """
        Read the current state of the keys, all in ONE read transaction together with the head it sees.

        `hops` maps an entity type to the hops to follow from entities of that type. Neighbours come ordered by
        (neighbour id, relationship id) and cut to the hop's limit after ordering, so that the same graph always
        gives the same state. A hop of more than one step gives every entity once, nearest first, those of one
        distance by id, with the relationship of the smallest id that reaches it; no step is taken from what the
        limit cuts off. Absent keys are absent from the result; duplicates in `keys` are allowed.
        """
        ...

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[KeyedType]:
        """
        Return the next `limit` keys with their types, ordered by `RecordKey.encode()`, starting behind `after`.

        Entities and relationships both. A key that exists during the whole scan is returned exactly once.
        """
        ...

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """
        Return the relationships of the entities, both directions, of the given types (None: all).

        Ordered by (entity id, relationship id, direction), starting behind `after`, at most `limit`. A
        self-relationship appears once for each direction. Unknown ids and types have no relationships.
        """
        ...

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        ...

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return an older schema version, None when there never was one with that number."""
        ...

    def counts(self) -> Mapping[str, int]:
        """Return how many entities and relationships there are, by type."""
        ...

    def close(self) -> None:
        """Release everything; closing twice is harmless. A closed graph raises `UnavailableError`."""
        ...


class GraphTransaction(Protocol):
    """
    Mutations that commit together, each with its change event, or not at all.

    A mutation that changes nothing (same properties) writes no event. Properties: `update_*` merges, and None
    removes a property. Unknown types and properties extend the schema, as a version of its own with its event.
    Raises `InvalidInputError` for bad names, ids or values, and leaves the transaction usable.
    """

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
        """Record an event id; False when an earlier or this transaction has recorded it already."""
        ...


@runtime_checkable
class WritableGraph(Graph, Protocol):
    """A graph that Slipstream owns the writes of: a mutation and its log entry commit in one transaction."""

    def transaction(self) -> AbstractContextManager[GraphTransaction]:
        """Open a write transaction: commits on leaving the block, rolls back on an exception. One at a time."""
        ...

    @property
    def last_commit(self) -> Position:
        """The position of the newest commit of this process (the head at open, before the first)."""
        ...

    def advance(self, position: Position) -> Position:
        """
        Make the log's head at least `position`, durably, and return the head.

        For a graph that is older than its index (restored from a backup): what is committed next must be newer
        than all that was. Appends one `Rescan` of everything at `position`, behind a gap in the numbers; does
        nothing, and appends nothing, when the head is there already. Raises `InvalidInputError` past 62 bits.
        """
        ...

    @property
    def timeline(self) -> str | None:
        """The mark that `mark_timeline` left last, None before the first. A restored backup brings its own back."""
        ...

    def mark_timeline(self, mark: str) -> None:
        """Leave a mark in the graph, durably. It is no change of the graph: nothing is logged."""
        ...

    def query(self, cypher: str, **params: Any) -> list[dict[str, Any]]:
        """Run a read-only Cypher query; raises `InvalidInputError` (field `cypher`) when it would write."""
        ...

    def execute(self, cypher: str, **params: Any) -> Position:
        """
        Run arbitrary Cypher, writes included, and return the position of its commit.

        A write commits together with a `Rescan` log entry of what it can have touched. Schema statements are
        refused with `UnsupportedError`: types and properties are extended by the typed mutations.
        """
        ...
