"""
The write-back: what the index holds of each entity, shown beside the graph in its sync view.

It runs when the engine has nothing else to do, in pages of a few milliseconds, and nobody waits for it. Which keys to
look at is noted in memory when index and journal are written. Notes that did not fit, or that a crash has lost, are
made good by a catch-up: a pass over all entities that writes only the rows which differ.

The journal says `complete` only between a clean stop and the next start. So wherever a process dies, the next one
does not find that word, and catches up; a pass that dies half-way begins anew, and finds its first half done. It also
catches up for a view without a single row, which another program may have emptied.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import islice

from slipstream.domain.errors import CorruptionError, IncidentError, LeaseLostError, TransientError
from slipstream.domain.journal_names import WRITE_BACK
from slipstream.domain.keys import KeyKind, RecordKey, entity_key
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal
from slipstream.ports.sync_view import EntitySync, SyncState, SyncView
from slipstream.syncview.entity_sync import EntitySyncReader

logger = logging.getLogger(__name__)

COMPLETE = "complete"

NOTES_MAX = 20_000
"""Most keys noted in memory; past it a catch-up looks at all entities."""
_PAGE = 64
_CATCH_UP_PAGE = 128
_PRUNED_PER_STEP = 128
_VERIFIED_PAGE = 500
_QUIET_S = 0.2
"""For how long nothing must have been noted before rows are written: they wait while changes flow."""
_PATIENCE_S = 2.0
"""How long a note waits for that quiet at most."""
_BUSY_PAUSE_S = 0.25
"""How far apart pages are written while changes flow, so that hardly any change meets one."""
_PAUSE_S = 2.0
"""How long to leave a graph or index alone that could not be reached."""


class Notes:
    """Keys that were written, in the order of their first note. Safe to share between threads."""

    def __init__(self, clock: Clock, limit: int = NOTES_MAX) -> None:
        self._clock, self._limit = clock, limit
        self._keys: dict[RecordKey, None] = {}
        self._lock = threading.Lock()
        self._first_at = self._last_at = 0.0
        self.overflowed = False
        """Whether keys were forgotten for want of room."""

    def add(self, keys: Iterable[RecordKey]) -> None:
        """Note the entities among the keys."""
        entities = dict.fromkeys(key for key in keys if key.kind is KeyKind.ENTITY)
        if not entities:
            return
        with self._lock:
            self._last_at = self._clock.monotonic()
            if not self._keys:
                self._first_at = self._last_at
            self._keys.update(entities)
            if len(self._keys) > self._limit:
                self._keys.clear()
                self.overflowed = True

    def take(self, count: int) -> list[RecordKey]:
        """Remove and return the `count` oldest notes."""
        with self._lock:
            taken = list(islice(self._keys, count))
            for key in taken:
                del self._keys[key]
        return taken

    def __len__(self) -> int:
        return len(self._keys)

    def are_quiet(self, now: float) -> bool:
        """Whether nothing has been noted for a while."""
        return now - self._last_at >= _QUIET_S

    def are_old(self, now: float) -> bool:
        """Whether the oldest note has waited long enough."""
        return now - self._first_at >= _PATIENCE_S


class WriteBack:
    """
    Keeps the sync view up to date. One thread at a time calls `step`; `note` and the rest may be called by any.

    Rows are written from what index, journal and letters say at that moment, so that no order of notes and no
    repetition matters. A row that an audit found divergent stays so until its record changes or an audit clears it.
    """

    def __init__(
        self,
        states: SyncView,
        reader: EntitySyncReader,
        graph: GraphReader,
        journal: Journal,
        clock: Clock,
        notes: Notes,
    ) -> None:
        self._states, self._reader, self._graph = states, reader, graph
        self._journal, self._clock, self._notes = journal, clock, notes
        self._turn = threading.Lock()
        self._after: RecordKey | None = None
        self._is_scanned = False
        self._is_requested = False
        """Whether another thread wants the catch-up to begin anew; the thread that writes pages begins it."""
        self._verified: tuple[datetime, frozenset[str]] | None = None
        self._hurry = False
        self._in_a_hurry = 0
        """How many callers of `aside` want the processor for themselves."""
        self._counting = threading.Lock()
        self._paused_until = self._stepped_at = 0.0
        # The word goes out of the journal at once, before anything can make it untrue.
        self._catch_up_due = journal.get(WRITE_BACK) != COMPLETE or _is_empty(states)
        if not self._catch_up_due:
            journal.set(WRITE_BACK, None)

    # ------------------------------------------------------------------ life

    def finish(self, timeout_s: float | None = None) -> bool:
        """Write, in this thread, all that is due; False when the time ran out. For a stopped engine."""
        deadline = None if timeout_s is None else self._clock.monotonic() + timeout_s
        while self.is_due:
            if deadline is not None and self._clock.monotonic() >= deadline:
                return False
            with self._turn:
                self._step()
        return True

    def leave(self, timeout_s: float) -> None:
        """Close: write what there is time for, and leave word when that was all. Nothing may be written after it."""
        try:
            if self.finish(timeout_s):
                self._journal.set(WRITE_BACK, COMPLETE)
        except (TransientError, LeaseLostError, IncidentError, CorruptionError) as error:
            logger.warning("the sync view is not complete, the next start makes it good: %s", error)

    def request_catch_up(self) -> None:
        """Have every entity looked at, from the first one on: rows or index may have been changed by others."""
        self._is_requested = True

    # ------------------------------------------------------------------ working

    @property
    def is_due(self) -> bool:
        """Whether some rows may not be what they should be."""
        is_noted = self._notes.overflowed or len(self._notes) > 0
        # The turn is asked last: what was taken out of the notes just now is still being written.
        is_behind = self._is_requested or self._catch_up_due
        return is_noted or is_behind or self._verified is not None or self._turn.locked()

    def hurry(self) -> None:
        """Do not wait for a quiet moment: somebody waits for the view."""
        self._hurry = True

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let others go first: write nothing while the block runs, unless somebody waits for the view."""
        with self._counting:
            self._in_a_hurry += 1
        try:
            yield
        finally:
            with self._counting:
                self._in_a_hurry -= 1

    def step(self) -> bool:
        """Write one page, when it is time; False when nothing was written, or the store could not be reached."""
        now = self._clock.monotonic()
        if now < self._paused_until or not self.is_due or not (self._hurry or self._is_time(now)):
            return False
        if not self._turn.acquire(blocking=False):
            return False
        try:
            self._step()
        except TransientError as error:
            logger.warning("the sync view waits: %s", error)
            self._paused_until = now + _PAUSE_S
            return False
        finally:
            self._turn.release()
        self._stepped_at = self._clock.monotonic()
        self._hurry = self._hurry and self.is_due
        return True

    def _is_time(self, now: float) -> bool:
        if self._in_a_hurry:
            return False
        if self._notes.are_quiet(now):
            return True
        return self._notes.are_old(now) and now - self._stepped_at >= _BUSY_PAUSE_S

    def _step(self) -> None:
        if self._notes.overflowed:
            self._notes.overflowed = False
            self.request_catch_up()
        if self._is_requested:
            self._is_requested = False
            self._catch_up_due, self._after, self._is_scanned = True, None, False
        keys = self._notes.take(_PAGE)
        if not keys:
            if self._catch_up_due:
                self._catch_up()
            else:
                self._mark_verified()
            return
        try:
            self._bring(keys)
        except BaseException:
            self._notes.add(keys)
            raise

    def _catch_up(self) -> None:
        if self._is_scanned:
            self._catch_up_due = self._states.prune(_PRUNED_PER_STEP) > 0
            return
        page = self._graph.scan(self._after, _CATCH_UP_PAGE)
        # Entities come before relationships, which have no rows.
        keys = [row.key for row in page if row.key.kind is KeyKind.ENTITY]
        self._bring(keys)
        self._is_scanned = len(keys) < _CATCH_UP_PAGE
        self._after = None if self._is_scanned else keys[-1]

    def _bring(self, keys: Sequence[RecordKey]) -> None:
        """Make the rows of some entities equal to what index, journal and letters say now."""
        if not keys:
            return
        wanted = self._reader.read(keys)
        held = self._states.read([key.id for key in keys])
        rows = [_kept(state, held.get(key.id)) for key, state in wanted.items()]
        self._states.put([row for row in rows if row != held.get(row.entity_id)])
        self._states.remove([key.id for key in keys if key not in wanted and key.id in held])

    # ------------------------------------------------------------------ audits, and asking

    def verified(self, at: datetime, divergent: Collection[RecordKey], undecided: Collection[RecordKey] = ()) -> None:
        """
        Take in what an audit that began at `at` has found: these keys are divergent, all others are not.

        Divergent rows are written at once. The rows of the others get `at` as their `last_verified` page by page,
        except for `undecided` keys, which the audit could not decide.
        """
        found = [key for key in divergent if key.kind is KeyKind.ENTITY]
        with self._turn:
            self._declare(found)
            before = {row.entity_id for row in self._states.find(EntitySync.DIVERGENT, NOTES_MAX)}
            cleared = sorted(before - {key.id for key in found})
            for first in range(0, len(cleared), _CATCH_UP_PAGE):
                keys = [entity_key(entity_id) for entity_id in cleared[first : first + _CATCH_UP_PAGE]]
                self._states.put(self._reader.read(keys).values())
            self._verified = (at, frozenset(key.id for key in (*found, *undecided)))

    def _mark_verified(self) -> None:
        if self._verified is not None:
            at, divergent = self._verified
            if self._states.mark_verified(at, divergent, _VERIFIED_PAGE) < _VERIFIED_PAGE:
                self._verified = None

    def _declare(self, divergent: Sequence[RecordKey]) -> None:
        for first in range(0, len(divergent), _CATCH_UP_PAGE):
            states = self._reader.read(divergent[first : first + _CATCH_UP_PAGE]).values()
            fresh = [state for state in states if state.state is EntitySync.FRESH]
            self._states.put(replace(state, state=EntitySync.DIVERGENT) for state in fresh)

    def state_of(self, entity_id: str) -> SyncState | None:
        """Return how an entity stands right now, even if its row is behind; None when there is no such entity."""
        key = entity_key(entity_id)
        state = self._reader.read([key]).get(key)
        return None if state is None else _kept(state, self._states.read([entity_id]).get(entity_id))


def _kept(new: SyncState, old: SyncState | None) -> SyncState:
    """Return the new row with what audits have found of the same record, which the old row has."""
    if old is None or (new.position, new.embedded_at, new.model_id) != (old.position, old.embedded_at, old.model_id):
        return new
    if new.embedded_at is None:
        return new
    is_declared = old.state is EntitySync.DIVERGENT and new.state is EntitySync.FRESH
    times = [at for at in (new.last_verified, old.last_verified) if at is not None]
    state = EntitySync.DIVERGENT if is_declared else new.state
    return replace(new, state=state, last_verified=max(times, default=None))


def _is_empty(states: SyncView) -> bool:
    return not any(states.find(state, 1) for state in EntitySync)


def withdraw(states: SyncView, journal: Journal) -> None:
    """Empty the view: no rows are better than rows that nobody keeps up to date."""
    journal.set(WRITE_BACK, None)
    for state in EntitySync:
        while rows := states.find(state, 1_000):
            states.remove([row.entity_id for row in rows])
