"""A client of the remote database that keeps what the ports of a graph promise."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from slipstream.adapters.graphs.chains import other_end, reached
from slipstream.adapters.graphs.order import parsed_ref
from slipstream.adapters.graphs.staging import StagedTransaction
from slipstream.adapters.graphs.values import checked_advance
from slipstream.domain.entities import (
    Adjacency,
    Entity,
    EntityState,
    GraphSnapshot,
    Hop,
    KeyedType,
    Neighbour,
    RecordState,
    Relationship,
    RelationshipState,
)
from slipstream.domain.errors import ConfigError
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import KeyKind, RecordKey, RelationshipRef
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphCapabilities
from slipstream.ports.pkg import Mutations
from slipstream.testkit.remote.database import RemoteDatabase
from slipstream.testkit.remote.feed import RemoteFeed
from slipstream.testkit.remote.line import CALM, Line, Trouble
from slipstream.testkit.remote.store import Store

_LOCK_POLL_S = 0.000_2
_tokens = itertools.count()


class RemoteGraph(Mutations):
    """One client; others may write the same database. Safe for threads. See `ports.graph` and `ports.feed`."""

    def __init__(self, database: RemoteDatabase, clock: Clock, trouble: Trouble = CALM) -> None:
        self.database = database
        self._line = Line(database, clock, trouble)
        self._feed = RemoteFeed(self._line, clock)
        self._store = database.store
        self._clock, self._turns = clock, _Turns()

    @property
    def capabilities(self) -> GraphCapabilities:
        """Others may write at the same time."""
        return GraphCapabilities(durable=True, system="remote")

    @property
    def feed(self) -> RemoteFeed:
        """The change feed."""
        return self._feed

    # -- reading --

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """Read the head, and then the keys, in several queries: some may be newer than the head, none is older."""
        position = self._feed.head()
        return GraphSnapshot(position, self._states(keys, hops))

    def _states(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> dict[RecordKey, RecordState]:
        ids = dict.fromkeys(key.id for key in keys if key.kind is KeyKind.ENTITY)
        refs = [
            ref for key in dict.fromkeys(keys) if key.kind is KeyKind.RELATIONSHIP and (ref := parsed_ref(key.id))
        ]
        edges = self._line.ask(lambda: self._store.relationships_of(refs))
        ends = [end for ref in edges for end in (ref.source_id, ref.target_id)]
        found = self._line.ask(lambda: self._store.entities_of([*ids, *ends]))
        states: dict[RecordKey, RecordState] = {
            found[i].key: EntityState(found[i], self._neighbours(found[i], hops)) for i in ids if i in found
        }
        for ref, edge in edges.items():
            if ref.source_id in found and ref.target_id in found:
                states[edge.key] = RelationshipState(edge, found[ref.source_id], found[ref.target_id])
        return states

    def _neighbours(self, entity: Entity, hops: Mapping[str, Sequence[Hop]]) -> dict[Hop, Sequence[Neighbour]]:
        return {hop: self._reached(entity.id, hop) for hop in hops.get(entity.type, ())}

    def _reached(self, entity_id: str, hop: Hop) -> Sequence[Neighbour]:
        if hop.depth > 1:
            ends = reached(entity_id, hop, lambda ids: self._edges(ids, hop))
        else:
            edges = {edge.ref: edge for _, edge in self._edges([entity_id], hop)}
            ordered = sorted(edges.values(), key=lambda edge: (other_end(edge.ref, entity_id), edge.ref))
            ends = [(other_end(edge.ref, entity_id), edge) for edge in ordered[: hop.limit]]
        entities = self._line.ask(lambda: self._store.entities_of(other for other, _ in ends))
        return tuple(Neighbour(entities[other], edge) for other, edge in ends if other in entities)

    def _edges(self, ids: Sequence[str], hop: Hop) -> Iterable[tuple[str, Relationship]]:
        return self._line.ask(lambda: self._store.edges(ids, hop.relationship_type, hop.direction))

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        """Return the next keys with their types, ordered by their encoded text."""
        start = "" if after is None else after.encode()

        def page() -> list[KeyedType]:
            behind = (item for item in self._store.keys(relationship_types) if item.key.encode() > start)
            return heapq.nsmallest(max(limit, 0), behind, key=lambda item: item.key.encode())

        return self._line.ask(page)

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Return the relationships of the entities, both directions, in order."""

        def page() -> list[Adjacency]:
            found = self._store.adjacencies(entity_ids, hop_types)
            behind = (item for item in found if after is None or item.order > after.order)
            return heapq.nsmallest(max(limit, 0), behind, key=lambda item: item.order)

        return self._line.ask(page)

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """Return the first relationships of each of the entities, in order."""

        def first() -> list[Adjacency]:
            each = (self._store.adjacencies([one], None) for one in sorted(set(entity_ids)))
            return [item for of_one in each for item in heapq.nsmallest(limit, of_one, key=lambda item: item.order)]

        return self._line.ask(first)

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        return self._line.ask(lambda: self._store.schemas[len(self._store.schemas)])

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return an older schema version."""
        return self._line.ask(lambda: self._store.schemas.get(version))

    def counts(self, relationship_types: Collection[str] | None = None) -> Mapping[str, int]:
        """Return how many entities and relationships there are, by type."""
        counts: dict[str, int] = {}
        for item in self._line.ask(lambda: list(self._store.keys(relationship_types))):
            counts[item.type] = counts.get(item.type, 0) + 1
        return counts

    def close(self) -> None:
        """Hang up; the database goes on."""
        self._line.close()

    # -- writing --

    @contextmanager
    def transaction(self) -> Iterator[StagedTransaction]:
        """Open a write transaction: commits on leaving the block, rolls back on an exception."""
        with self._writing() as turn:
            staged = StagedTransaction(_Committed(self._line), self.schema(), self.database.head)
            try:
                yield staged
                effect = staged.finish()
                staged.position = self._commit(turn, lambda token: self.database.commit(effect, token))
            finally:
                staged.abandon()

    def advance(self, position: Position) -> Position:
        """Make the log's head at least `position`, with a rescan there."""
        checked_advance(position)
        with self._writing() as turn:
            return self._commit(turn, lambda token: self.database.jump(position, token))

    @property
    def identity(self) -> str:
        """The name that the store was made with."""
        return self._line.ask(lambda: self._store.identity)

    @property
    def timeline(self) -> str | None:
        """The mark that was set last."""
        return self._line.ask(lambda: self._store.timeline)

    def mark_timeline(self, mark: str) -> None:
        """Set the mark."""
        with self._writing():
            self._line.ask(lambda: setattr(self._store, "timeline", mark))

    # -- inside --

    @contextmanager
    def _writing(self) -> Iterator[_Turn]:
        """Hold the writers' lock; after a commit, the database releases it once everything is visible."""
        if self._turns.is_mine:
            raise ConfigError("a transaction is open in this thread already: they do not nest")
        while True:
            self._line.ask(lambda: None)
            if self.database.take_lock(_LOCK_POLL_S):
                break
        turn = _Turn()
        self._turns.is_mine = True
        try:
            yield turn
        finally:
            self._turns.is_mine = False
            if not turn.is_sent:
                self.database.release_lock()

    def _commit(self, turn: _Turn, send: Callable[[str], None]) -> Position:
        """Send a commit and wait for its end; if the answer is lost, ask for the outcome by the commit's token."""
        token = f"client-{next(_tokens)}"
        try:
            self._line.ask(lambda: send(token))
        finally:  # if only the answer was lost, the commit happens, and nobody waits for it
            turn.is_sent = self.database.has_arrived(token)
        while self.database.outcome(token) is None:
            self.database.show_piece()
            self._clock.sleep(self._line.trouble.latency_s)  # others may look at what is there of it
        position = self._line.ask(lambda: self.database.outcome(token))
        assert position is not None
        return position


class _Turn:
    """One turn as the writer."""

    def __init__(self) -> None:
        self.is_sent = False


class _Turns(threading.local):
    """Whether the present thread is the writer."""

    is_mine = False


class _Committed:
    """What a staged transaction asks of the database: each a call (see `adapters.graphs.staging.CommittedState`)."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._store: Store = line.database.store

    def entity(self, entity_id: str) -> Entity | None:
        return self._line.ask(lambda: self._store.entities.get(entity_id))

    def relationship(self, ref: RelationshipRef, types: tuple[str, str]) -> Relationship | None:  # noqa: ARG002
        return self._line.ask(lambda: self._store.relationships.get(ref))

    def relationships_of(self, entity_id: str) -> Sequence[Relationship]:
        store = self._store
        return self._line.ask(lambda: [store.relationships[ref] for ref in store.incident.get(entity_id, ())])

    def has_event(self, event_id: str) -> bool:
        return self._line.ask(lambda: event_id in self._store.event_ids)

    def committed_fences(self) -> Mapping[RowName, Fence]:
        return self._line.ask(lambda: dict(self._store.fences))
