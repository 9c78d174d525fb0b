"""The embedded property graph: one ladybug database that holds the data, its schema versions and its change log."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipstream.adapters.graphs.ladybug.committing import Commits
from slipstream.adapters.graphs.ladybug.cypher import Statement, guarded
from slipstream.adapters.graphs.ladybug.foreign import run_reading, run_writing, shown_rows
from slipstream.adapters.graphs.ladybug.opening import prepare, schema_at
from slipstream.adapters.graphs.ladybug.outbox import OutboxLog, get_meta, set_meta, written
from slipstream.adapters.graphs.ladybug.reader import count_by_type, read_adjacent, read_states
from slipstream.adapters.graphs.ladybug.scanning import ScanWindows, Window, load_window
from slipstream.adapters.graphs.ladybug.snapshot import Committed, GraphShape, Snapshot
from slipstream.adapters.graphs.ladybug.store import ReadOnlyViolationError, Session, Store
from slipstream.adapters.graphs.ladybug.sync_states import LadybugSyncStates
from slipstream.adapters.graphs.staging import StagedTransaction
from slipstream.adapters.graphs.values import checked_advance
from slipstream.domain.entities import Adjacency, GraphSnapshot, Hop, KeyedType
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphCapabilities
from slipstream.ports.pkg import PKG

BUFFER_POOL_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Reading:
    """A read transaction: its session, the shape of the graph it sees, and a head that it is sure to see."""

    session: Session
    shape: GraphShape
    known_head: Position

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(self.session, self.shape)


class LadybugGraph(PKG):
    """
    A durable graph in one file, owned by this process; its change log is `log`.

    Readers run beside the one writer and see committed state only. Opening a file that was changed while it was
    closed brings ids, relationship ids and schema in line with what its tables hold.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        retention_entries: int = 100_000,
        buffer_pool_size_bytes: int = BUFFER_POOL_BYTES,
        query_timeout_s: float = 30.0,
    ) -> None:
        if retention_entries < 1:
            raise ConfigError(f"retention_entries is {retention_entries}: keep at least one entry")
        self.retention_entries = retention_entries
        self._query_timeout_s = query_timeout_s
        self._write_lock = threading.Lock()
        self._writing_thread: int | None = None
        self._windows = ScanWindows()
        self._store = Store(Path(path), buffer_pool_size_bytes)
        try:
            opened = prepare(self._store, clock)
            self._log = OutboxLog(self._store, self._exclusive)
            self._sync_states = LadybugSyncStates(self._store, self._exclusive, is_ours=opened.has_sync_view)
            self._commits = Commits(self._store, opened.graph_id, opened.shape, self._log, self._windows, clock)
            if opened.found is not None:
                with self._exclusive() as session:
                    self._commits.adopt(session, opened.found)
        except BaseException:
            self._store.close(clean=False)
            raise

    @property
    def capabilities(self) -> GraphCapabilities:
        """Cypher; one process; durable."""
        return GraphCapabilities(cypher=True, system="ladybug")

    @property
    def log(self) -> OutboxLog:
        """The change log."""
        return self._log

    @property
    def sync_states(self) -> LadybugSyncStates:
        """The sync view: a node table `SyncState`, for reading with Cypher."""
        return self._sync_states

    @property
    def last_commit(self) -> Position:
        """The position of the newest commit."""
        return self._log.head()

    @property
    def changed_while_closed(self) -> bool:
        """Whether the file may hold writes that the log does not know: unless its clean-close signature matched."""
        return not self._store.was_clean

    # -- reading --

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """Read the current state of the keys in one read transaction, together with the head that it sees."""
        with self._reading() as reading:
            head = self._log.head_seen_by(reading.session, reading.known_head)
            return GraphSnapshot(head, read_states(reading.snapshot, keys, hops, self._windows.types_of))

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[KeyedType]:
        """Return the next keys with their types, ordered by their encoded text."""
        start = "" if after is None else after.encode()
        found: list[KeyedType] = []
        while len(found) < limit:
            page, end = self._page(start, limit - len(found))
            found += page
            if end is None or len(found) >= limit:
                break
            start = end
        return found

    def _page(self, start: str, limit: int) -> tuple[list[KeyedType], str | None]:
        cached = self._windows.covering(start, limit)
        if cached is not None:
            with self._store.session():  # a closed graph refuses even what is cached
                return cached
        return self._windows.load(lambda: self._window_behind(start), start, limit)

    def _window_behind(self, start: str) -> Window:
        with self._reading() as reading:
            return load_window(reading.session, reading.shape.catalog, start)

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Return the relationships of the entities, both directions, in order."""
        with self._reading() as reading:
            return read_adjacent(reading.snapshot, reading.shape, entity_ids, hop_types, after, limit)

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        with self._store.session():
            return self._commits.shape.schema

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return an older schema version."""
        with self._store.session() as session:
            return schema_at(session, version)

    def counts(self) -> Mapping[str, int]:
        """Return how many entities and relationships there are, by type; types without any are left out."""
        with self._reading() as reading:
            return {name: count for name, count in count_by_type(reading.session, reading.shape) if count}

    def query(self, cypher: str, **params: Any) -> list[dict[str, Any]]:
        """Run a read-only Cypher query; raises `InvalidInputError` (field `cypher`) when it would write."""
        statement = self._guarded(cypher)
        with self._reading() as reading:
            columns, rows = run_reading(reading.session, statement, params, self._query_timeout_s)
            return shown_rows(columns, rows, reading.shape.schema, hides_sync_view=not statement.names_sync_view)

    # -- writing --

    @contextmanager
    def transaction(self) -> Iterator[StagedTransaction]:
        """Open a write transaction: commits on leaving the block, rolls back on an exception."""
        with self._exclusive() as session:
            shape = self._commits.shape
            staged = StagedTransaction(Committed(session, shape), shape.schema)
            try:
                yield staged
                self._commits.commit(session, staged.finish())
            finally:
                staged.abandon()

    def advance(self, position: Position) -> Position:
        """Make the log's head at least `position`, durably, with a rescan there."""
        checked_advance(position)
        with self._exclusive() as session:
            self._commits.advance(session, position)
            return self._log.head()

    @property
    def timeline(self) -> str | None:
        """The mark that was left last."""
        with self._store.session() as session:
            return get_meta(session, "timeline")

    def mark_timeline(self, mark: str) -> None:
        """Leave a mark, durably."""
        with self._exclusive() as session, written(session):
            set_meta(session, "timeline", mark)

    def execute(self, cypher: str, **params: Any) -> Position:
        """Run arbitrary Cypher, writes included, and return the position of its commit."""
        statement = self._guarded(cypher)
        try:
            with self._reading() as reading:
                run_reading(reading.session, statement, params, self._query_timeout_s)
                return reading.known_head
        except ReadOnlyViolationError:
            pass  # that is what the try was for: now as a write
        with self._exclusive() as session:
            has_view = self._sync_states.is_ours
            run_writing(session, self._commits, statement, params, self._query_timeout_s, has_sync_view=has_view)
            return self._log.head()

    def close(self) -> None:
        """Release everything, after the open transaction has ended; closing twice is harmless."""
        if self._writing_thread == threading.get_ident():
            raise ConfigError("close() inside a transaction of this thread: leave the block first")
        with self._write_lock:
            self._store.close()

    # -- inside --

    def _guarded(self, cypher: str) -> Statement:
        schema = self._commits.shape.schema
        return guarded(cypher, frozenset({*schema.entity_types, *schema.relationship_types}))

    @contextmanager
    def _exclusive(self) -> Iterator[Session]:
        """Hold the write lock, with a session to write through and every interrupted commit settled."""
        if self._writing_thread == threading.get_ident():
            raise ConfigError("a transaction is open in this thread already: they do not nest")
        with self._write_lock:
            self._writing_thread = threading.get_ident()
            try:
                with self._store.session() as session:
                    self._commits.settle(session)
                    yield session
                    self._commits.relieve(session, 0)
            finally:
                self._writing_thread = None

    @contextmanager
    def _reading(self) -> Iterator[_Reading]:
        """Open a read transaction on a shape that did not grow while it began."""
        for _ in range(_SHAPE_RETRIES_MAX):
            shape, head = self._commits.shape, self._log.head()
            with self._store.reading() as session:
                if self._commits.shape is shape:
                    yield _Reading(session, shape, head)
                    return
        raise UnavailableError("the schema kept changing while a read began: repeat the call")


_SHAPE_RETRIES_MAX = 100
