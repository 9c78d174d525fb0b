"""Sync views with one fault each, built on the in-memory reference."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.graphs.memory_sync_view import MemorySyncView
from slipstream.domain.log import Rescan
from slipstream.domain.positions import Position
from slipstream.ports.sync_view import SyncState
from slipstream.testkit.clock import ManualClock


class _BrokenViewGraph(MemoryGraph):
    def __init__(self) -> None:
        super().__init__(ManualClock())
        self._sync_view = self._broken()

    def _broken(self) -> MemorySyncView:
        raise NotImplementedError

    def _echo(self) -> None:
        self.feed.append([Rescan(Position(self.feed.head() + 1))])


class EchoesWrites(_BrokenViewGraph):
    """Logs its own writes as changes of the graph, so that the engine would never come to rest."""

    def _broken(self) -> MemorySyncView:
        graph = self

        class Echoing(MemorySyncView):
            def put(self, states: Iterable[SyncState]) -> None:
                super().put(states)
                graph._echo()

        return Echoing(self._written_alone, self._entities)


class KeepsHalfABatch(_BrokenViewGraph):
    """Acknowledges a batch of which it has written every other row."""

    def _broken(self) -> MemorySyncView:
        class Halving(MemorySyncView):
            def put(self, states: Iterable[SyncState]) -> None:
                super().put(list(states)[::2])

        return Halving(self._written_alone, self._entities)


class VerifiesEverything(_BrokenViewGraph):
    """Marks even the excluded rows as verified."""

    def _broken(self) -> MemorySyncView:
        class Credulous(MemorySyncView):
            def mark_verified(self, at: datetime, except_ids: Collection[str] = (), limit: int | None = None) -> int:
                del except_ids
                return super().mark_verified(at, (), limit)

        return Credulous(self._written_alone, self._entities)


class ReplacesInPart(_BrokenViewGraph):
    """Keeps the old value of a column that the new row leaves empty."""

    def _broken(self) -> MemorySyncView:
        class Merging(MemorySyncView):
            def put(self, states: Iterable[SyncState]) -> None:
                held = list(states)
                super().put(_merged(row, self.read([row.entity_id]).get(row.entity_id)) for row in held)

        return Merging(self._written_alone, self._entities)


class PrunesTheLiving(_BrokenViewGraph):
    """Forgets rows of entities that are still there."""

    def _broken(self) -> MemorySyncView:
        return MemorySyncView(self._written_alone, frozenset())


class ForgetsRemovals(_BrokenViewGraph):
    """Removes the first row of a call only."""

    def _broken(self) -> MemorySyncView:
        class Forgetful(MemorySyncView):
            def remove(self, entity_ids: Iterable[str]) -> None:
                super().remove(_first(list(entity_ids)))

        return Forgetful(self._written_alone, self._entities)


def _first(entity_ids: Sequence[str]) -> Sequence[str]:
    return entity_ids[:1]


def _merged(new: SyncState, old: SyncState | None) -> SyncState:
    if old is None:
        return new
    return SyncState(
        new.entity_id,
        new.entity_type,
        new.state,
        new.model_id or old.model_id,
        new.schema_version or old.schema_version,
        new.position or old.position,
        new.embedded_at or old.embedded_at,
        new.last_verified or old.last_verified,
    )


BROKEN_SYNC_VIEWS: tuple[type[_BrokenViewGraph], ...] = (
    EchoesWrites,
    KeepsHalfABatch,
    VerifiesEverything,
    ReplacesInPart,
    PrunesTheLiving,
    ForgetsRemovals,
)
