"""The reference graph: everything in dictionaries. For the simulator, unit tests, and as a model for other graphs."""

from __future__ import annotations

import bisect
import heapq
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from slipstream.adapters.graphs.chains import EdgesOf, reached
from slipstream.adapters.graphs.memory_sync_view import MemorySyncView
from slipstream.adapters.graphs.order import parsed_ref
from slipstream.adapters.graphs.staging import EventDraft, NetEffect, StagedTransaction, schema_event_draft
from slipstream.adapters.graphs.values import checked_advance
from slipstream.domain.entities import (
    Adjacency,
    Direction,
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
from slipstream.domain.errors import ConfigError, PositionLostError, UnavailableError
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import KeyKind, RecordKey, RelationshipRef
from slipstream.domain.log import LogEntry, Rescan, position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.clock import Clock
from slipstream.ports.feed import Retention
from slipstream.ports.graph import GraphCapabilities
from slipstream.ports.pkg import Mutations


class MemoryFeed:
    """
    The change feed of a `MemoryGraph`.

    With `virtual_time`, `wait` sleeps on the clock instead of blocking its thread: for the simulator, where no other
    thread could wake it.
    """

    def __init__(self, clock: Clock, *, virtual_time: bool) -> None:
        self._clock = clock
        self._virtual_time = virtual_time
        self._entries: list[LogEntry] = []
        self._positions: list[Position] = []
        self._consumers: dict[str, Position] = {}
        self._trimmed = ORIGIN
        self._changed = threading.Condition()
        self._closed = False

    def head(self) -> Position:
        """Return the position of the newest entry."""
        with self._opened():
            return self._positions[-1] if self._positions else self._trimmed

    def read(self, after: Position, limit: int) -> Sequence[LogEntry]:
        """Return the next entries after `after`, in order; raises `PositionLostError` for a trimmed range."""
        with self._opened():
            if after < self._trimmed:
                raise PositionLostError(
                    f"the log was trimmed through {self._trimmed}, entries behind {after} are gone: backfill"
                )
            start = bisect.bisect_right(self._positions, after)
            return self._entries[start : start + max(limit, 0)]

    def wait(self, after: Position, timeout_s: float) -> bool:
        """Wait until there is an entry after `after`; False when the time ran out."""
        if self._virtual_time and self.head() <= after:
            self._clock.sleep(timeout_s)
            return self.head() > after
        with self._opened():
            return self._changed.wait_for(lambda: self.head() > after, timeout_s)

    def acknowledge(self, consumer: str, through: Position | None) -> None:
        """Note that a consumer needs no entry up to `through` any more; None forgets the consumer."""
        with self._opened():
            if through is None:
                self._consumers.pop(consumer, None)
            else:
                self._consumers[consumer] = max(through, self._consumers.get(consumer, ORIGIN))

    def trim(self, retention: Retention) -> int:
        """Forget the oldest entries as far as `retention` allows, never the head; returns how many."""
        with self._opened():
            now, left_bytes, count = self._clock.now(), sum(map(_size_bytes, self._entries)), 0
            floor = min(self._consumers.values(), default=self.head())
            for position, entry in zip(self._positions[:-1], self._entries, strict=False):
                is_read = position <= floor and (
                    left_bytes > retention.kept_bytes or _age_s(entry, now) > retention.kept_s
                )
                if not is_read and left_bytes <= retention.limit_bytes:
                    break
                left_bytes -= _size_bytes(entry)
                count += 1
            if count:
                self._trimmed = self._positions[count - 1]
                del self._entries[:count], self._positions[:count]
            return count

    def append(self, entries: Sequence[LogEntry], *, jump: bool = False) -> None:
        """Add numbered entries, and wake waiting threads; only with `jump` may there be a gap before the first."""
        with self._opened():
            for entry in entries:
                position, head = position_of(entry), self.head()
                if position <= head or (position != head + 1 and not jump):
                    raise ConfigError(f"{entry!r} does not follow the head {head}: positions are dense")
                self._entries.append(entry)
                self._positions.append(position)
            self._changed.notify_all()

    def copy(self) -> MemoryFeed:
        """Return a log with the same entries."""
        log = MemoryFeed(self._clock, virtual_time=self._virtual_time)
        with self._changed:
            log._entries, log._positions = list(self._entries), list(self._positions)
            log._trimmed = self._trimmed
            log._consumers = dict(self._consumers)
        return log

    def close(self) -> None:
        """Refuse every later call, and wake waiting threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with self._changed:
            if self._closed:
                raise UnavailableError("the graph is closed: open another one")
            yield


def _size_bytes(entry: LogEntry) -> int:
    return 100 if isinstance(entry, Rescan) else 100 + len(repr((entry.old_data, entry.new_data)))


def _age_s(entry: LogEntry, now: datetime) -> float:
    return 0.0 if isinstance(entry, Rescan) else (now - entry.timestamp).total_seconds()


class MemoryGraph(Mutations):
    """
    An in-memory graph with its change feed in `feed`. Deterministic; safe to share between threads.

    `write_raw` and `remove_raw` change it behind the log's back, as a foreign program would.
    """

    def __init__(self, clock: Clock, *, graph_id: str = "memory", virtual_time: bool = False) -> None:
        self._clock = clock
        self._graph_id = graph_id
        self._feed = MemoryFeed(clock, virtual_time=virtual_time)
        self._entities: dict[str, Entity] = {}
        self._relationships: dict[RelationshipRef, Relationship] = {}
        self._incident: dict[str, dict[RelationshipRef, None]] = {}
        self._schemas = {1: GraphSchema()}
        self._event_ids: set[str] = set()
        self._fences: dict[RowName, Fence] = {}
        self._timeline: str | None = None
        self._lock = threading.RLock()
        self._sync_view = MemorySyncView(self._written_alone, self._entities)
        self._writing = False
        self._closed = False

    @property
    def capabilities(self) -> GraphCapabilities:
        """Not durable, within one process."""
        return GraphCapabilities(durable=False, system="memory")

    @property
    def feed(self) -> MemoryFeed:
        """The change feed."""
        return self._feed

    @property
    def sync_view(self) -> MemorySyncView:
        """The sync view."""
        return self._sync_view

    # -- reading --

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        """Read the current state of the keys together with the head."""
        with self._opened():
            states = {key: state for key in keys if (state := self._state(key, hops)) is not None}
            return GraphSnapshot(self._feed.head(), states)

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        """Return the next keys with their types, ordered by their encoded text."""
        start = "" if after is None else after.encode()
        with self._opened():
            found = [KeyedType(entity.key, entity.type) for entity in self._entities.values()]
            found += [
                KeyedType(relationship.key, ref.type)
                for ref, relationship in self._relationships.items()
                if relationship_types is None or ref.type in relationship_types
            ]
        behind = (item for item in found if item.key.encode() > start)
        return heapq.nsmallest(max(limit, 0), behind, key=lambda item: item.key.encode())

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        """Return the relationships of the entities, both directions, in order."""
        start = None if after is None else after.order
        with self._opened():
            found = [
                item
                for entity_id in set(entity_ids)
                for ref in self._incident.get(entity_id, ())
                if hop_types is None or ref.type in hop_types
                for item in self._seen_from(entity_id, ref)
            ]
        behind = (item for item in found if start is None or item.order > start)
        return heapq.nsmallest(max(limit, 0), behind, key=lambda item: item.order)

    def nearby(self, entity_ids: Sequence[str], limit: int) -> Sequence[Adjacency]:
        """Return the first relationships of each of the entities, in order."""
        with self._opened():
            return [item for each in sorted(set(entity_ids)) for item in self.adjacent([each], None, None, limit)]

    def schema(self) -> GraphSchema:
        """Return the current schema version."""
        with self._opened():
            return self._schemas[len(self._schemas)]

    def schema_at(self, version: int) -> GraphSchema | None:
        """Return an older schema version."""
        with self._opened():
            return self._schemas.get(version)

    def counts(self, relationship_types: Collection[str] | None = None) -> Mapping[str, int]:
        """Return how many entities and relationships there are, by type; types without any are left out."""
        counts: dict[str, int] = {}
        with self._opened():
            for entity in self._entities.values():
                counts[entity.type] = counts.get(entity.type, 0) + 1
            for ref in self._relationships:
                if relationship_types is None or ref.type in relationship_types:
                    counts[ref.type] = counts.get(ref.type, 0) + 1
        return counts

    def close(self) -> None:
        """Refuse every later call."""
        self._closed = True
        self._feed.close()

    # -- writing --

    @contextmanager
    def transaction(self) -> Iterator[StagedTransaction]:
        """Open a write transaction: commits on leaving the block, rolls back on an exception."""
        with self._opened():
            if self._writing:
                raise ConfigError("a transaction is open in this thread already: they do not nest")
            self._writing = True
            staged = StagedTransaction(self, self._schemas[len(self._schemas)], self._feed.head())
            try:
                yield staged
                self._apply(staged.finish())
                staged.position = self._feed.head()
            finally:
                staged.abandon()
                self._writing = False

    def advance(self, position: Position) -> Position:
        """Make the log's head at least `position`, with a rescan there."""
        with self._written_alone():
            checked_advance(position)
            if position > self._feed.head():
                self._feed.append([Rescan(position)], jump=True)
            return self._feed.head()

    @property
    def identity(self) -> str:
        """The name that the graph was made with."""
        with self._opened():
            return self._graph_id

    @property
    def timeline(self) -> str | None:
        """The mark that was set last."""
        with self._opened():
            return self._timeline

    def mark_timeline(self, mark: str) -> None:
        """Set the mark."""
        with self._written_alone():
            self._timeline = mark

    def copy(self) -> MemoryGraph:
        """Return a graph with the same content and log, as a backup of a closed file would have."""
        graph = MemoryGraph(self._clock, graph_id=self._graph_id)
        with self._lock:
            graph._feed = self._feed.copy()
            graph._entities.update(self._entities)
            graph._relationships.update(self._relationships)
            graph._incident.update({end: dict(refs) for end, refs in self._incident.items()})
            graph._schemas.update(self._schemas)
            graph._event_ids.update(self._event_ids)
            graph._fences.update(self._fences)
            graph._timeline = self._timeline
            graph._sync_view.put(self._sync_view.read(list(self._entities)).values())
        return graph

    def write_raw(self, entity: Entity) -> None:
        """Put an entity past the log, as a foreign program would."""
        with self._opened():
            self._entities[entity.id] = entity

    def remove_raw(self, entity_id: str) -> None:
        """Remove an entity and its relationships past the log."""
        with self._opened():
            for ref in list(self._incident.get(entity_id, ())):
                self._remove_relationship(ref)
            del self._entities[entity_id]

    # -- what a staged transaction asks (CommittedState) --

    def entity(self, entity_id: str) -> Entity | None:
        """Return a committed entity."""
        return self._entities.get(entity_id)

    def relationship(self, ref: RelationshipRef, types: tuple[str, str]) -> Relationship | None:  # noqa: ARG002
        """Return a committed relationship; `types` are not needed here."""
        return self._relationships.get(ref)

    def relationships_of(self, entity_id: str) -> Sequence[Relationship]:
        """Return the committed relationships of an entity."""
        return [self._relationships[ref] for ref in self._incident.get(entity_id, ())]

    def has_event(self, event_id: str) -> bool:
        """Whether an event id has been recorded."""
        return event_id in self._event_ids

    def committed_fences(self) -> Mapping[RowName, Fence]:
        """Return every fence."""
        return self._fences

    # -- inside --

    @contextmanager
    def _written_alone(self) -> Iterator[None]:
        with self._opened():
            if self._writing:
                raise ConfigError("a transaction is open in this thread already: they do not nest")
            yield

    @contextmanager
    def _opened(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise UnavailableError("the graph is closed: open another one")
            yield

    def _apply(self, effect: NetEffect) -> None:
        at = self._clock.now()
        old = self._schemas[len(self._schemas)]
        new = effect.schema.finish(at) if effect.schema else None
        schema = new or old
        if new is not None:
            self._schemas[new.version] = new
            self._append([schema_event_draft(old, new)], schema.version)
        for change in effect.relationships:
            ref = (change.after or change.before).ref  # type: ignore[union-attr]
            self._remove_relationship(ref)
            if change.after is not None:
                self._put_relationship(change.after)
        for entity_change in effect.entities:
            if entity_change.after is not None:
                self._entities[entity_change.after.id] = entity_change.after
            elif entity_change.before is not None:
                del self._entities[entity_change.before.id]
        self._event_ids.update(effect.event_ids)
        self._fences.update(effect.fences)
        self._append(effect.events, schema.version)

    def _append(self, drafts: Sequence[EventDraft], schema_version: int) -> None:
        at, head = self._clock.now(), self._feed.head()
        self._feed.append(
            [
                draft.numbered(self._graph_id, Position(head + number), at, schema_version)
                for number, draft in enumerate(drafts, start=1)
            ]
        )

    def _put_relationship(self, relationship: Relationship) -> None:
        ref = relationship.ref
        self._relationships[ref] = relationship
        for end in (ref.source_id, ref.target_id):
            self._incident.setdefault(end, {})[ref] = None

    def _remove_relationship(self, ref: RelationshipRef) -> None:
        if self._relationships.pop(ref, None) is not None:
            for end in {ref.source_id, ref.target_id}:
                del self._incident[end][ref]

    def _state(self, key: RecordKey, hops: Mapping[str, Sequence[Hop]]) -> RecordState | None:
        if key.kind is KeyKind.ENTITY:
            entity = self._entities.get(key.id)
            if entity is None:
                return None
            return EntityState(entity, {hop: self._neighbours(entity.id, hop) for hop in hops.get(entity.type, ())})
        ref = parsed_ref(key.id)
        relationship = None if ref is None else self._relationships.get(ref)
        if relationship is None:
            return None
        ref = relationship.ref
        return RelationshipState(relationship, self._entities[ref.source_id], self._entities[ref.target_id])

    def _neighbours(self, entity_id: str, hop: Hop) -> Sequence[Neighbour]:
        if hop.depth > 1:
            return tuple(Neighbour(self._entities[i], edge) for i, edge in reached(entity_id, hop, self._edges(hop)))
        return self._next_to(entity_id, hop)[: hop.limit]

    def _edges(self, hop: Hop) -> EdgesOf:
        return lambda ids: ((i, item.relationship) for i in ids for item in self._next_to(i, hop))

    def _next_to(self, entity_id: str, hop: Hop) -> Sequence[Neighbour]:
        found: dict[RelationshipRef, Neighbour] = {}
        for ref in self._incident.get(entity_id, ()):
            if ref.type != hop.relationship_type:
                continue
            for item in self._seen_from(entity_id, ref):
                if hop.direction in (Direction.BOTH, item.direction):
                    found[ref] = Neighbour(self._entities[item.neighbour_id], self._relationships[ref])
        return tuple(sorted(found.values(), key=lambda item: (item.entity.id, item.relationship.ref)))

    def _seen_from(self, entity_id: str, ref: RelationshipRef) -> Iterator[Adjacency]:
        if ref.source_id == entity_id:
            target = self._entities[ref.target_id]
            yield Adjacency(entity_id, ref, Direction.OUT, target.id, target.type)
        if ref.target_id == entity_id:
            source = self._entities[ref.source_id]
            yield Adjacency(entity_id, ref, Direction.IN, source.id, source.type)
