"""Graphs with one fault each, built on the in-memory reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.graphs.staging import EventDraft, Plan, StagedTransaction
from slipstream.domain.entities import EntityState, GraphSnapshot, Hop, KeyedType
from slipstream.domain.events import PKGEventType
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.testing.clock import ManualClock


class _BrokenGraph(MemoryGraph):
    def __init__(self) -> None:
        super().__init__(ManualClock())


class LosesEvents(_BrokenGraph):
    """Writes the data of every third event's transaction, but not that event."""

    def _append(self, drafts: Sequence[EventDraft], schema_version: int) -> None:
        kept = [draft for number, draft in enumerate(drafts, start=self.last_commit + 1) if number % 3]
        super()._append(kept, schema_version)


class PositionBeforeText(_BrokenGraph):
    """Takes the position first and reads the texts later: a commit in between is stamped as seen too early."""

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        position = self.last_commit
        for _ in range(200):  # room for the writer to come in between
            states = super().read(keys, hops).states
        return GraphSnapshot(position, states)


class PositionAfterText(_BrokenGraph):
    """Reads the texts first and takes the position later: it claims to have seen a commit in between."""

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        states = super().read(keys, hops).states
        for _ in range(200):  # room for the writer to come in between
            position = super().read(keys, hops).position
        return GraphSnapshot(position, states)


class SilentRelationshipDeletion(_BrokenGraph):
    """Deletes an entity's relationships with it, but keeps their events to itself."""

    def _apply(self, plan: Plan) -> None:
        gone = {draft.entity_id for draft in plan.events if draft.type is PKGEventType.ENTITY_DELETED}
        spoken = [
            draft
            for draft in plan.events
            if draft.type is not PKGEventType.RELATIONSHIP_DELETED or gone.isdisjoint(draft.endpoints or ())
        ]
        super()._apply(replace(plan, events=spoken))


class ForgetsNeighbourOrder(_BrokenGraph):
    """Gives neighbours in whatever order they were related, and cuts before ordering."""

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        snapshot = super().read(keys, hops)
        states = {
            key: replace(state, neighbours={hop: list(found)[::-1] for hop, found in state.neighbours.items()})
            if isinstance(state, EntityState)
            else state
            for key, state in snapshot.states.items()
        }
        return GraphSnapshot(snapshot.position, states)


class TakesOneStep(_BrokenGraph):
    """Looks no further than the next neighbours, whatever the depth."""

    def read(self, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> GraphSnapshot:
        short = {name: [replace(hop, depth=1) for hop in of_type] for name, of_type in hops.items()}
        snapshot = super().read(keys, short)
        states = {
            key: replace(
                state, neighbours={hop: state.neighbours[replace(hop, depth=1)] for hop in hops[state.entity.type]}
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
        self._staged = StagedTransaction(self._graph, self._graph.schema())
        return self._staged

    def __exit__(self, *_: object) -> None:
        if self._staged is not None:
            self._graph._apply(self._staged.finish())  # noqa: SLF001 - the fault is to commit from outside


class ScanSkipsTheLast(_BrokenGraph):
    """Loses the last key of every full page of a scan."""

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[KeyedType]:
        page = super().scan(after, limit)
        return page if len(page) < limit or limit == 1 else [*page[:-2], page[-1]]


class EchoesEvents(_BrokenGraph):
    """Reports every creation and update a second time."""

    def _append(self, drafts: Sequence[EventDraft], schema_version: int) -> None:
        echoes = [replace(draft, type=PKGEventType.ENTITY_UPDATED, old=draft.new) for draft in drafts if draft.new]
        super()._append([*drafts, *echoes], schema_version)


class ServesTrimmedRanges(_BrokenGraph):
    """Reads on behind a trimmed range as if nothing were missing."""

    def __init__(self) -> None:
        super().__init__()
        log = self.log
        read = log.read
        log.read = lambda after, limit: read(Position(max(after, log._trimmed)), limit)  # type: ignore[method-assign] # noqa: SLF001


class ForgetsTheRescan(_BrokenGraph):
    """Advances its head without saying that everything is to be looked at again."""

    def advance(self, position: Position) -> Position:
        if position > self.log.head():
            self.log._trimmed = position  # noqa: SLF001 - the fault is here
            del self.log._entries[:], self.log._positions[:]  # noqa: SLF001
        return self.log.head()


class CountsOnFromBefore(_BrokenGraph):
    """Numbers the next commit after the gap as if there were none."""

    def advance(self, position: Position) -> Position:
        super().advance(Position(min(position, self.last_commit + 1)))
        return position


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
    ServesTrimmedRanges,
    ForgetsTheRescan,
    CountsOnFromBefore,
)
