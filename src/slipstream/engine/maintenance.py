"""What an idle engine does: move stamps to the current schema version, forget tombstones and old log entries."""

from __future__ import annotations

import json
from typing import Protocol

from slipstream.apply.records import forget_tombstones, move_stamps
from slipstream.domain.erasure import holds_mark
from slipstream.domain.errors import PositionLostError
from slipstream.domain.events import PKGEvent, deterministic_event_id
from slipstream.domain.journal_names import REMEMBERED, RESTAMPED
from slipstream.domain.keys import RecordKey
from slipstream.domain.log import position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.schema import GraphSchema
from slipstream.engine.loop import SyncEngine
from slipstream.ports.clock import Clock
from slipstream.ports.feed import INDEX_CONSUMER, ChangeFeed
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.scans import PAGE

_HOUSEKEEPING_S = 30.0


class Chore(Protocol):
    """Something else that an idle engine does, in bounded pieces."""

    @property
    def is_due(self) -> bool:
        """Whether there is something to do."""
        ...

    def step(self) -> bool:
        """Do one piece; False when there was none."""
        ...


class ViewWriter(Chore, Protocol):
    """Brings the sync view beside the graph to what the index holds."""

    def hurry(self) -> None:
        """Have the view written at once, not when there is time."""
        ...

    def finish(self, timeout_s: float | None = None) -> bool:
        """Write all of the view in the calling thread; False when the time ran out."""
        ...


class Maintenance:
    """
    Chores that never compute an embedding. Each call of `step` does one bounded piece.

    A schema evolution changes no text by itself: an entity that got a value for a new property has an event of
    its own. So the other records' stamps only move to the new version.
    """

    def __init__(
        self,
        engine: SyncEngine,
        graph: GraphReader,
        feed: ChangeFeed,
        index: VectorIndex,
        journal: Journal,
        clock: Clock,
    ) -> None:
        self._engine, self._graph, self._feed = engine, graph, feed
        self._index, self._journal, self._clock = index, journal, clock
        self._restamped = int(journal.get(RESTAMPED) or 0)
        self._after: RecordKey | None = None
        self._target: GraphSchema | None = None
        self._kept_house_at: float | None = None
        self._acknowledged: Position = ORIGIN
        self.chores: list[Chore] = []

    @property
    def restamp_due(self) -> bool:
        """Whether some stamps may still be of an older schema version."""
        oldest = self._engine.stamping.oldest
        if self._target is None and oldest is not None:
            self._restamped = min(self._restamped, oldest)  # read before the schema evolved, written after the pass
        return self._restamped < self._graph.schema().version

    @property
    def is_due(self) -> bool:
        """Whether any chore that `step` does is still to be done."""
        return self.restamp_due or any(chore.is_due for chore in self.chores)

    def step(self) -> bool:
        """Do one piece of work; False when there is none."""
        return self.restamp_step() or any(chore.step() for chore in self.chores)

    def restamp_step(self) -> bool:
        """Move a page of stamps to the current schema version; False when all are there."""
        if not self.restamp_due:
            return False
        self._restamp_page()
        return True

    def _restamp_page(self) -> None:
        # One version for the whole pass: the schema may evolve again between two pages.
        if self._target is None:
            self._engine.stamping.begin_pass()
            self._target = self._graph.schema()
        schema = self._target
        page = self._index.scan(self._after, PAGE)
        if not page:
            self._restamped = self._engine.stamping.end_pass(schema.version)
            self._after, self._target = None, None
            return
        older = [stamp for stamp in page if stamp.schema_version < schema.version]
        pending = self._engine.is_pending([stamp.key for stamp in older], migration=False)
        # A dirty key gets its stamp when it is reconciled; the index refuses what has changed meanwhile.
        move_stamps(self._index, [stamp for stamp, dirty in zip(older, pending, strict=True) if not dirty], schema)
        self._after = page[-1].key

    def keep_house(self, *, force: bool = False) -> None:
        """Forget tombstones behind the frontier and log entries far behind the checkpoint, now and then."""
        now = self._clock.monotonic()
        if not force and self._kept_house_at is not None and now - self._kept_house_at < _HOUSEKEEPING_S:
            return
        self._kept_house_at = now
        forget_tombstones(self._index, self._engine.frontier)
        if self._engine.checkpoint > self._acknowledged:
            self._acknowledged = self._engine.checkpoint
            self._feed.acknowledge(INDEX_CONSUMER, self._acknowledged)
            self.remember()
        self._feed.trim(self._engine.settings.retention)

    def remember(self) -> None:
        """Note what the log says at the checkpoint, so that the next open can tell whether it is the same graph."""
        remember(self._feed, self._journal, self._engine.checkpoint)


def remember(feed: ChangeFeed, journal: Journal, position: Position) -> None:
    """Note what the log says at a consumed position: that of a copy that was put back says something else there."""
    journal.set(REMEMBERED, json.dumps([position, told_at(feed, position)]))


def told_at(feed: ChangeFeed, position: Position) -> str | None:
    """Return a digest of what the log says at a position; None where it has no entry, has forgotten or erased it."""
    if position <= ORIGIN:
        return None
    try:
        entries = feed.read(Position(position - 1), 1)
    except PositionLostError:
        return None
    if not entries or position_of(entries[0]) != position:
        return None
    entry = entries[0]
    if isinstance(entry, PKGEvent) and holds_mark(entry.entity_id):
        return None  # it was erased, and no longer says what it did
    said = (entry.event_type, entry.entity_id, entry.timestamp) if isinstance(entry, PKGEvent) else ("rescan",)
    return deterministic_event_id(said)
