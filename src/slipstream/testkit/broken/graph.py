"""Graphs with one fault each, built on the in-memory reference."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.graphs.staging import EventDraft, NetEffect, StagedTransaction
from slipstream.domain.entities import (
    Adjacency,
    Direction,
    EntityState,
    GraphSnapshot,
    Hop,
    KeyedType,
    Neighbour,
    Properties,
    Relationship,
)
from slipstream.domain.events import PKGEventType
from slipstream.domain.keys import RecordKey, RelationshipRef
from slipstream.domain.positions import Position
from slipstream.testkit.clock import ManualClock


class _BrokenGraph(MemoryGraph):
    def __init__(self) -> None:
        super().__init__(ManualClock())


class LosesEvents(_BrokenGraph):
    """Writes the data of every third event's transaction, but not that event."""

    def _append(self, drafts: Sequence[EventDraft], schema_version: int) -> None:
        kept = [draft for number, draft in enumerate(drafts, start=self.feed.head() + 1) if number % 3]
        super()._append(kept, schema_version)


class PositionBeforeText(_BrokenGraph):
    """Takes the position first and reads the texts later: a newer text gets an older position."""

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        position = self.feed.head()
        for _ in range(200):  # room for the writer to come in between
            states = super().read(keys, hops).states
        return GraphSnapshot(position, states)


class PositionAfterText(_BrokenGraph):
    """Reads the texts first and takes the position later: an older text gets a newer position."""

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        states = super().read(keys, hops).states
        for _ in range(200):  # room for the writer to come in between
            position = super().read(keys, hops).position
        return GraphSnapshot(position, states)


class SilentRelationshipDeletion(_BrokenGraph):
    """Deletes an entity's relationships with it, but keeps their events to itself."""

    def _apply(self, effect: NetEffect) -> None:
        gone = {draft.entity_id for draft in effect.events if draft.type is PKGEventType.ENTITY_DELETED}
        spoken = [
            draft
            for draft in effect.events
            if draft.type is not PKGEventType.RELATIONSHIP_DELETED or gone.isdisjoint(draft.endpoints or ())
        ]
        super()._apply(replace(effect, events=spoken))


class ForgetsNeighbourOrder(_BrokenGraph):
    """Gives neighbours in whatever order they were related, and cuts before ordering."""

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        snapshot = super().read(keys, hops)
        states = {
            key: state._replace(neighbours={hop: list(found)[::-1] for hop, found in state.neighbours.items()})
            if isinstance(state, EntityState)
            else state
            for key, state in snapshot.states.items()
        }
        return GraphSnapshot(snapshot.position, states)


class TakesOneStep(_BrokenGraph):
    """Looks no further than the next neighbours, whatever the depth."""

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        short = {name: [hop._replace(depth=1) for hop in of_type] for name, of_type in hops.items()}
        snapshot = super().read(keys, short)
        states = {
            key: state._replace(
                neighbours={hop: state.neighbours[hop._replace(depth=1)] for hop in hops[state.entity.type]}
            )
            if isinstance(state, EntityState) and state.entity.type in hops
            else state
            for key, state in snapshot.states.items()
        }
        return GraphSnapshot(snapshot.position, states)


class KeepsFailedBlocks(_BrokenGraph):
    """Commits what a block did before it failed."""

    def transaction(self) -> _Forgiving:  # type: ignore[override]
        return _Forgiving(self)


class _Forgiving:
    """A transaction block that commits whatever happens."""

    def __init__(self, graph: _BrokenGraph) -> None:
        self._graph = graph
        self._staged: StagedTransaction | None = None

    def __enter__(self) -> StagedTransaction:
        self._staged = StagedTransaction(self._graph, self._graph.schema(), self._graph.feed.head())
        return self._staged

    def __exit__(self, *_: object) -> None:
        if self._staged is not None:
            self._graph._apply(self._staged.finish())  # noqa: SLF001 - the fault is to commit from outside


class ScanSkipsTheLast(_BrokenGraph):
    """Loses the last key of every full page of a scan."""

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        page = super().scan(after, limit, relationship_types)
        return page if len(page) < limit or limit == 1 else [*page[:-2], page[-1]]


class EchoesEvents(_BrokenGraph):
    """Reports every creation and update a second time."""

    def _append(self, drafts: Sequence[EventDraft], schema_version: int) -> None:
        echoes = [replace(draft, type=PKGEventType.ENTITY_UPDATED, old=draft.new) for draft in drafts if draft.new]
        super()._append([*drafts, *echoes], schema_version)


class ForgetsTheRescan(_BrokenGraph):
    """Advances its head without logging a rescan."""

    def advance(self, position: Position) -> Position:
        if position > self.feed.head():
            self.feed._trimmed = position  # noqa: SLF001 - the fault is here
            del self.feed._entries[:], self.feed._positions[:]  # noqa: SLF001
        return self.feed.head()


class CountsOnFromBefore(_BrokenGraph):
    """Numbers the next commit after the gap as if there were none."""

    def advance(self, position: Position) -> Position:
        super().advance(Position(min(position, self.feed.head() + 1)))
        return position


class StaysWhereItBegan(_BrokenGraph):
    """Returns the position at which a transaction began, even after its commit."""

    @contextmanager
    def transaction(self) -> Iterator[StagedTransaction]:
        with super().transaction() as tx:
            begun = tx.position
            yield tx
        tx.position = begun


class CommitsNothingSomewhere(_BrokenGraph):
    """Returns for a transaction without changes a position that the log never reaches."""

    @contextmanager
    def transaction(self) -> Iterator[StagedTransaction]:
        with super().transaction() as tx:
            begun = tx.position
            yield tx
        if tx.position == begun:
            tx.position = Position(begun + 1)


class ForgetsItsOwnRelationships(_BrokenGraph):
    """Looks at the committed relationships only, whatever the transaction did to them."""

    @contextmanager
    def transaction(self) -> Iterator[StagedTransaction]:
        with super().transaction() as tx:
            look = tx._relationship  # noqa: SLF001 - the fault is here

            def look_anew(ref: RelationshipRef) -> Relationship | None:
                tx._staged.relationships.pop(ref, None)  # noqa: SLF001
                return look(ref)

            tx._relationship = look_anew  # type: ignore[method-assign] # noqa: SLF001
            yield tx


class WritesThrough(_BrokenGraph):
    """Lets others see an update before it is committed, and takes it back when it never is."""

    @contextmanager
    def transaction(self) -> Iterator[StagedTransaction]:
        before = dict(self._entities)
        with super().transaction() as tx:
            update = tx.update_entity

            def write(entity_id: str, properties: Properties) -> None:
                update(entity_id, properties)
                entity = tx._staged.entities[entity_id]  # noqa: SLF001
                if entity is not None:
                    self._entities[entity_id] = entity

            tx.update_entity = write  # type: ignore[method-assign]
            try:
                yield tx
            except BaseException:
                self._entities.update(before)
                raise


class ForgetsEventIds(_BrokenGraph):
    """Knows the event ids of one transaction only."""

    def has_event(self, event_id: str) -> bool:  # noqa: ARG002 - the fault
        """Say that it was never recorded."""
        return False


class ScansByPrefix(_BrokenGraph):
    """Takes every relationship type that begins like a given one."""

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        if relationship_types is not None:
            given = tuple(relationship_types)
            relationship_types = [ref.type for ref in self._relationships if ref.type.startswith(given)]
        return super().scan(after, limit, relationship_types)


class ScansTypeByType(_BrokenGraph):
    """Scans each of the given types in turn, in the order in which they were given."""

    def scan(
        self, after: RecordKey | None, limit: int, relationship_types: Collection[str] | None = None
    ) -> Sequence[KeyedType]:
        if relationship_types is None:
            return super().scan(after, limit)
        found = list(super().scan(after, limit, ()))
        for name in relationship_types:
            rest = super().scan(after, 1_000_000, (name,))
            found += [item for item in rest if item.type == name]
        return found[:limit]


class PagesByNeighbour(_BrokenGraph):
    """Goes on behind the last neighbour of a page, past its other relationships."""

    def adjacent(
        self, entity_ids: Sequence[str], hop_types: frozenset[str] | None, after: Adjacency | None, limit: int
    ) -> Sequence[Adjacency]:
        if after is None:
            return super().adjacent(entity_ids, hop_types, None, limit)
        rest = super().adjacent(entity_ids, hop_types, after, 1_000_000)
        return [item for item in rest if item.order[:4] > after.order[:4]][:limit]


class CountsItselfTwice(_BrokenGraph):
    """Counts a relationship of an entity with itself once for each direction before it cuts."""

    def _next_to(self, entity_id: str, hop: Hop) -> Sequence[Neighbour]:
        found = list(super()._next_to(entity_id, hop))
        if hop.direction is not Direction.BOTH:
            return found
        selves = sum(item.entity.id == entity_id for item in found[: hop.limit])
        return found[: max(hop.limit - selves, 0)]


class AnswersAfterItsEnd(_BrokenGraph):
    """Closes the graph and goes on reading its log."""

    def close(self) -> None:
        self._closed = True


BROKEN_GRAPHS: tuple[type[_BrokenGraph], ...] = (
    LosesEvents,
    PositionBeforeText,
    PositionAfterText,
    SilentRelationshipDeletion,
    ForgetsNeighbourOrder,
    TakesOneStep,
    KeepsFailedBlocks,
    ScanSkipsTheLast,
    EchoesEvents,
    ForgetsTheRescan,
    CountsOnFromBefore,
    StaysWhereItBegan,
    CommitsNothingSomewhere,
    ForgetsItsOwnRelationships,
    WritesThrough,
    ForgetsEventIds,
    ScansByPrefix,
    ScansTypeByType,
    PagesByNeighbour,
    CountsItselfTwice,
    AnswersAfterItsEnd,
)
