"""The graph in one SQLite file: entities, relationships, schema versions and the change log that triggers write."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipstream.adapters.graphs.sqlite.codec import RESCAN
from slipstream.adapters.graphs.sqlite.erasing import SqliteGraphErasing
from slipstream.adapters.graphs.sqlite.feed import SqliteFeed
from slipstream.adapters.graphs.sqlite.opening import LayoutGuard, is_prepared, prepare_graph
from slipstream.adapters.graphs.sqlite.reader import (
    count_by_type,
    list_of_type,
    read_adjacent,
    read_nearby,
    read_states,
    scan_keys,
)
from slipstream.adapters.graphs.sqlite.schemas import Schemas, head_of
from slipstream.adapters.graphs.sqlite.selfcheck import graph_check
from slipstream.adapters.graphs.sqlite.states import scan_states
from slipstream.adapters.graphs.sqlite.sync_view import SqliteSyncView
from slipstream.adapters.graphs.sqlite.writer import SqliteTransaction
from slipstream.adapters.graphs.values import checked_advance
from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.queueing import WriterQueue
from slipstream.domain.entities import Adjacency, EntityPage, GraphSnapshot, Hop, KeyedType, StatePage
from slipstream.domain.errors import ConfigError, IncidentError
from slipstream.domain.incidents import IncidentKind, incident
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphCapabilities
from slipstream.ports.pkg import Mutations
from slipstream.ports.selfcheck import SelfCheck

_BUSY_TIMEOUT_S = 30.0
"""How long to wait for a program that writes the file without taking its place in the queue."""


class SqliteGraph(Mutations):
    """
    A durable graph in one file, shared by any number of processes; its change feed is `feed`.

    Programs that know nothing of Slipstream may write the file too: docs/graph.md is their contract.
    """

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path, self._clock = Path(path), clock
        self._writing_thread: int | None = None
        queue = WriterQueue(self._path.with_name(f"{self._path.name}-lock"))
        self._database = Database(
            self._path,
            prepare_graph,
            is_prepared=is_prepared,
            busy_timeout_s=_BUSY_TIMEOUT_S,
            queue=queue,
            reads_own_writes=False,
            on_replaced=_replaced,
        )
        self._schemas, self._layout = Schemas(self._path), LayoutGuard(self._path)
        with self._database.reading() as connection:
            (self._graph_id,) = connection.execute("SELECT value FROM meta WHERE name = 'graph_id'").fetchone()
        self._feed = SqliteFeed(self._database, self._exclusive, self._schemas, self._layout, self._graph_id)
        self._sync_view = SqliteSyncView(self._database, self._exclusive)
        self._check = graph_check(self._database, self._exclusive)
        self.erasing = SqliteGraphErasing(self._database, self._exclusive)

    @property
    def capabilities(self) -> GraphCapabilities:
        """Any number of processes; durable."""
        return GraphCapabilities(system="sqlite")

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def feed(self) -> SqliteFeed:
        """The change feed, of all writers of the file."""
        return self._feed

    @property
    def sync_view(self) -> SqliteSyncView:
        """The sync view: the table `sync_state`."""
        return self._sync_view

    @property
    def selfcheck(self) -> SelfCheck:
        """What looks for damage in the file."""
        return self._check

    # ------------------------------------------------------------------ reading

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """Read the current state of the keys in one read transaction, together with the head that it sees."""
        with self._database.reading() as connection:
            head = head_of(connection)  # the first read takes the snapshot
            return GraphSnapshot(head, read_states(connection, keys, hops))

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        """Return the next keys with their types, ordered by their encoded text."""
        with self._database.reading() as connection:
            return scan_keys(connection, after, max(limit, 0), relationship_types)

    def states(
        self,
        after: str,
        through: str | None,
        limit: int,
        hops: Mapping[str, Sequence[Hop]],
        relationship_types: Collection[str] | None = None,
    ) -> StatePage:
        """Return the next states in one read transaction, together with the head that it sees."""
        with self._database.reading() as connection:
            head = head_of(connection)
            states, last = scan_states(connection, after, through, max(limit, 1), hops, relationship_types)
            return StatePage(GraphSnapshot(head, states), last)

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Return the relationships of the entities, both directions, in order."""
        with self._database.reading() as connection:
            return read_adjacent(connection, entity_ids, hop_types, after, limit)

    def of_type(self, entity_type: str, after: str | None, limit: int) -> EntityPage:
        """Return the next entities of a type."""
        with self._database.reading() as connection:
            return list_of_type(connection, entity_type, after, limit)

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """Return the first relationships of each of the entities, in order."""
        with self._database.reading() as connection:
            return read_nearby(connection, entity_ids, limit)

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        with self._database.reading() as connection:
            return self._schemas.current(connection)

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return an older schema version."""
        with self._database.reading() as connection:
            return self._schemas.at(connection, version)

    def counts(self, relationship_types: Collection[str] | None = None) -> Mapping[str, int]:
        """Return how many entities and relationships there are, by type; types without any are left out."""
        with self._database.reading() as connection:
            return count_by_type(connection, relationship_types)

    # ------------------------------------------------------------------ writing

    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """Open a write transaction: commits on leaving the block, rolls back on an exception."""
        with self._exclusive() as connection:
            transaction = SqliteTransaction(connection, self._schemas.current(connection), self._clock.now())
            try:
                yield transaction
                transaction.finish()
            finally:
                transaction.abandon()

    def advance(self, position: Position) -> Position:
        """Make the log's head at least `position`, durably, with a rescan there."""
        checked_advance(position)
        with self._exclusive() as connection:
            if position > head_of(connection):
                connection.execute("INSERT INTO change(position, kind) VALUES (?, ?)", (position, RESCAN))
            return head_of(connection)

    @property
    def identity(self) -> str:
        """The id that the file was given when it was made."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = 'graph_id'").fetchone()
        return self._graph_id if row is None else str(row[0])

    @property
    def timeline(self) -> str | None:
        """The mark that was set last."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = 'timeline'").fetchone()
        return None if row is None else str(row[0])

    def mark_timeline(self, mark: str) -> None:
        """Set the mark, durably."""
        with self._exclusive() as connection:
            connection.execute("REPLACE INTO meta VALUES ('timeline', ?)", (mark,))

    def close(self) -> None:
        """Release everything, after the open transaction has ended; closing twice is harmless."""
        if self._writing_thread == threading.get_ident():
            raise ConfigError("close() inside a transaction of this thread: leave the block first")
        self._feed.close()
        self._database.close()

    # ------------------------------------------------------------------ inside

    @contextmanager
    def _exclusive(self) -> Iterator[sqlite3.Connection]:
        """Hold the one write transaction of the file; its commit wakes waiting threads."""
        if self._database.in_transaction:
            raise ConfigError("a transaction is open in this thread already: they do not nest")
        with self._database.writing() as connection:
            self._writing_thread = threading.get_ident()
            try:
                self._layout.keep(connection)
                yield connection
            finally:
                self._writing_thread = None
        self._feed.notify()


def _replaced(path: Path) -> IncidentError:
    """Return the error for an open file that has been removed or replaced at its path."""
    if not path.exists():
        return incident(IncidentKind.MISSING, f"{path} was removed while it was open").refusal()
    return incident(IncidentKind.ANOTHER, f"{path} was replaced by another file while it was open").refusal()
