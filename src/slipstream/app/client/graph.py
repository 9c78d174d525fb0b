"""The graph of a server's PKG: read call by call, written one commit at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Never

from slipstream.app.client.transaction import Checks, WireTransaction
from slipstream.app.pkg import PKG, GraphPorts
from slipstream.app.remote.calling import Caller
from slipstream.domain.entities import Adjacency, EntityPage, GraphSnapshot, Hop, KeyedType
from slipstream.domain.errors import ConfigError, UnsupportedError
from slipstream.domain.keys import RecordKey
from slipstream.domain.log import LogEntry
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.feed import Retention
from slipstream.ports.graph import GraphCapabilities, GraphTransaction

_SLICE_S = 5.0
"""How long one call waits; the server waits no longer."""


class WirePKG(PKG):
    """
    The graph of a server's PKG.

    A transaction is sent whole when its block ends, so nothing can be read in it. Cypher that writes is planned and
    applied by the server.
    """

    def __init__(self, caller: Caller, checks: Checks) -> None:
        graph = WireGraph(caller)
        super().__init__(
            GraphPorts(
                reader=graph,
                writer=WireWriter(caller, checks),
                feed=WireFeed(caller),
                marks=refused("the marks of a restored graph", "they are the server's"),
                sync_view=refused("the sync view", "ask for `sync_state`, or query it with SQL"),
                close=graph.close,
            )
        )
        self._caller = caller

    def query(self, cypher: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run a read-only Cypher query; raises `InvalidInputError` (field `cypher`) when it would write."""
        found: list[dict[str, Any]] = self._caller.call("pkg.query", cypher, parameters)
        return found

    def query_sql(self, statement: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run read-only SQL over the tables of the graph file (docs/graph.md)."""
        found: list[dict[str, Any]] = self._caller.call("pkg.query_sql", statement, parameters)
        return found

    def execute(self, cypher: str, /, **parameters: Any) -> Position:
        """Run Cypher that writes, and return the position of its commit."""
        return self._noted(Position(self._caller.call("pkg.execute", cypher, parameters)))

    def _noted(self, position: Position) -> Position:
        with self._noting:
            self._last_commit = max(self._last_commit, position)
        return position


class WireGraph:
    """The read side of a server's graph."""

    capabilities = GraphCapabilities()

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """Read the state of the keys in one read transaction of the server."""
        found: GraphSnapshot = self._caller.call("pkg.read", list(keys), dict(hops))
        return found

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        """Return the next keys with their types, in order."""
        types = None if relationship_types is None else list(relationship_types)
        found: Sequence[KeyedType] = self._caller.call("pkg.scan", after, limit, types)
        return found

    def of_type(self, entity_type: str, after: str | None, limit: int) -> EntityPage:
        """Return the next entities of a type."""
        found: EntityPage = self._caller.call("pkg.of_type", entity_type, after, limit)
        return found

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Return the relationships of the entities, both directions, in order."""
        found: Sequence[Adjacency] = self._caller.call("pkg.adjacent", list(entity_ids), hop_types, after, limit)
        return found

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """Return the first relationships of each of the entities, in order."""
        found: Sequence[Adjacency] = self._caller.call("pkg.nearby", list(entity_ids), limit)
        return found

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        found: GraphSchema = self._caller.call("pkg.schema")
        return found

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return an older schema version, None when there never was one with that number."""
        found: GraphSchema | None = self._caller.call("pkg.schema_at", version)
        return found

    def counts(self, relationship_types: Collection[str] | None = None) -> Mapping[str, int]:
        """Return how many entities and relationships there are, by type."""
        types = None if relationship_types is None else list(relationship_types)
        found: Mapping[str, int] = self._caller.call("pkg.counts", types)
        return found

    def close(self) -> None:
        """Do nothing: the wire is closed by whoever opened it."""


class WireFeed:
    """The log of a server's graph, for reading."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def head(self) -> Position:
        """Return the position of the newest entry."""
        return Position(self._caller.call("pkg.feed.head"))

    def read(self, after: Position, limit: int) -> Sequence[LogEntry]:
        """Return the next entries behind a position."""
        found: Sequence[LogEntry] = self._caller.call("pkg.feed.read", after, limit)
        return found

    def wait(self, after: Position, timeout_s: float) -> bool:
        """Wait until there is an entry behind a position; False when the time ran out."""
        return waited(timeout_s, lambda slice_s: bool(self._caller.call("pkg.feed.wait", after, slice_s)))

    def acknowledge(self, consumer: str, through: Position | None) -> None:
        """Raise: what holds the log back is the server's to say."""
        _consumes(consumer, through)

    def trim(self, retention: Retention) -> int:
        """Raise: the server trims its log."""
        _consumes(retention)


def _consumes(*what: object) -> Never:
    del what
    raise UnsupportedError(
        "who holds the log back, and how long it is kept, is the server's: read it with `changes`, and keep your own "
        "place"
    )


class WireWriter:
    """Opens transactions that are sent whole when their block ends."""

    def __init__(self, caller: Caller, checks: Checks) -> None:
        self._caller, self._checks, self._here = caller, checks, threading.local()

    @contextmanager
    def transaction(self) -> Iterator[GraphTransaction]:
        """Gather mutations, and commit them on the server when the block ends; an exception forgets them."""
        if getattr(self._here, "is_open", False):
            raise ConfigError("a transaction is open in this thread already: they do not nest")
        self._here.is_open = True
        tx = WireTransaction(self._caller, self._checks)
        try:
            yield tx
            tx.commit()
        finally:
            tx.end()
            self._here.is_open = False


class Refused:
    """Stands in for what can not be had over a connection; any use of it says what to do instead."""

    def __init__(self, what: str, instead: str) -> None:
        self._what, self._instead = what, instead

    def __getattr__(self, name: str) -> Never:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnsupportedError(f"{self._what} ({name}) can not be had from a server: {self._instead}")


def refused(what: str, instead: str) -> Any:
    """Return what stands in for a part of the facade that can not be had over a connection."""
    return Refused(what, instead)


def waited(timeout_s: float | None, wait: Any) -> bool:
    """Wait in slices, each a call of `wait` with its seconds, until one returns True; False when time ran out."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left_s = _SLICE_S if deadline is None else min(_SLICE_S, deadline - time.monotonic())
        if wait(max(0.0, left_s)):
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False
