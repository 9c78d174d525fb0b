"""The PKG as users know it: one object over the ports of its graph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from slipstream.domain.entities import Adjacency, EntityPage, EntityState, GraphSnapshot, Hop, KeyedType
from slipstream.domain.errors import CorruptionError, UnsupportedError
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.cypher import Cypher
from slipstream.ports.erasing import GraphErasing
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.graph import (
    EntityListing,
    GraphCapabilities,
    GraphReader,
    GraphTransaction,
    GraphWriter,
    RestoreMarks,
)
from slipstream.ports.pkg import Mutations
from slipstream.ports.selfcheck import SelfCheck
from slipstream.ports.sql import Sql
from slipstream.ports.sync_view import SyncView

_FREE_ATTEMPTS_MAX = 3
_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphPorts:
    """The ports of one open graph; None for an ability that its adapter does not have."""

    reader: GraphReader
    writer: GraphWriter
    feed: ChangeFeed
    marks: RestoreMarks
    sync_view: SyncView
    cypher: Cypher | None = None
    sql: Sql | None = None
    selfcheck: SelfCheck | None = None
    erasing: GraphErasing | None = None
    close: Callable[[], None]


class PKG(Mutations):
    """What users read, write and ask. For several mutations that commit together use `transaction()`."""

    def __init__(self, graph: GraphPorts) -> None:
        self._graph = graph
        self._last_commit, self._noting = ORIGIN, threading.Lock()

    @property
    def capabilities(self) -> GraphCapabilities:
        """What this graph can do beyond the contract."""
        return self._graph.reader.capabilities

    @property
    def feed(self) -> ChangeFeed:
        """The change feed: what committed, in commit order."""
        return self._graph.feed

    @property
    def identity(self) -> str:
        """What tells this graph from every other one; its copies have it too."""
        return self._graph.marks.identity

    @property
    def last_commit(self) -> Position:
        """The newest position committed through this object, to wait for; `ORIGIN` before the first commit."""
        return self._last_commit

    @contextmanager
    def transaction(self) -> Iterator[GraphTransaction]:
        """Open a write transaction: commits on leaving the block, rolls back on an exception. One at a time."""
        with self._graph.writer.transaction() as tx:
            yield tx
        with self._noting:  # another thread may already have noted a later commit
            self._last_commit = max(self._last_commit, tx.position)

    # ------------------------------------------------------------------ reading

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """Read the current state of the keys in one read transaction; see `ports.graph.GraphReader`."""
        return self._graph.reader.read(keys, hops)

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        """Return the next keys with their types, in order."""
        return self._graph.reader.scan(after, limit, relationship_types)

    def of_type(self, entity_type: str, after: str | None, limit: int) -> EntityPage:
        """Return the next entities of a type; see `ports.graph.EntityListing`."""
        reader = self._graph.reader
        return (reader.of_type if isinstance(reader, EntityListing) else self._scanned)(entity_type, after, limit)

    def _scanned(self, entity_type: str, after: str | None, limit: int) -> EntityPage:
        """Return what `of_type` does, of a graph that lists nothing by type: all entities are looked at."""
        found: list[str] = []
        start = None if after is None else entity_key(after)
        while len(found) <= limit and (rows := self.scan(start, _PAGE, ())):
            found += [row.key.id for row in rows if row.type == entity_type]
            start = rows[-1].key
        states = self.read([entity_key(name) for name in found[:limit]], {}).states.values()
        items = tuple(state.entity for state in states if isinstance(state, EntityState))
        return EntityPage(items, found[limit - 1] if len(found) > limit else None)

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Return the relationships of the entities, both directions, in order."""
        return self._graph.reader.adjacent(entity_ids, hop_types, after, limit)

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """Return the first relationships of each of the entities, in order."""
        return self._graph.reader.nearby(entity_ids, limit)

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        return self._graph.reader.schema()

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return an older schema version, None when there never was one with that number."""
        return self._graph.reader.schema_at(version)

    def counts(self, relationship_types: Collection[str] | None = None) -> Mapping[str, int]:
        """Return how many entities and relationships there are, by type; given types, only relationships of these."""
        return self._graph.reader.counts(relationship_types)

    def close(self) -> None:
        """Release everything; closing twice is harmless."""
        self._graph.close()

    # ------------------------------------------------------------------ asking

    def query(self, cypher: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run a read-only Cypher query; raises `InvalidInputError` (field `cypher`) when it would write."""
        return self._cypher.query(cypher, parameters)

    def execute(self, cypher: str, /, **parameters: Any) -> Position:
        """
        Run Cypher that writes, and return the position of its commit.

        Its effects are typed mutations of one transaction, all or nothing. Raises `UnsupportedError` for an effect
        that can not be told exactly.
        """
        for _ in range(_FREE_ATTEMPTS_MAX):
            planned = self._cypher.plan(cypher, parameters)
            with self.transaction() as tx:
                stands = tx.position == planned.position
                if stands:
                    planned.apply(tx)
            if stands:
                return tx.position
        with self.transaction() as tx:  # other writers keep invalidating the plan: make it while they wait
            planned = self._cypher.plan(cypher, parameters)
            if tx.position != planned.position:
                raise CorruptionError(f"planned at {planned.position}, but the graph stands at {tx.position}")
            planned.apply(tx)
        return tx.position

    def query_sql(self, statement: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run read-only SQL over the tables of the graph file (docs/graph.md)."""
        if self._graph.sql is None:
            raise UnsupportedError("this graph does not speak SQL: read it with `get`, `entities` and `neighbours`")
        return self._graph.sql.query(statement, parameters)

    @property
    def _cypher(self) -> Cypher:
        if self._graph.cypher is None:
            raise UnsupportedError(
                "this graph does not speak Cypher: read it with `get`, `entities` and `neighbours`"
            )
        return self._graph.cypher
