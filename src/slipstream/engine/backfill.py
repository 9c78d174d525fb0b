"""
Backfills: the whole graph compared with the index, beside live changes, and resumable.

A chunk of keys only says where to look. Each key is read when its turn comes, together with the position of that
read, and the index refuses what is older than what it has: so a live change always beats a chunk that was read
before it, as in the watermark algorithm of DBLog (Andreakis and Papapanagiotou, 2020), but without watermarks.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from slipstream.domain.keys import RecordKey
from slipstream.domain.work import Lane
from slipstream.evolution.scanning import KeyScan
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """How far a backfill is. `total` is what the graph held when it was asked: an estimate while mutations flow."""

    done: int
    total: int
    rate: float
    """Keys a second, of this process."""

    @property
    def ratio(self) -> float:
        """Done share, in 0..1."""
        return min(1.0, self.done / self.total) if self.total else 1.0

    @property
    def eta_s(self) -> float | None:
        """Seconds still to go at this rate; None while the rate is 0."""
        return max(0, self.total - self.done) / self.rate if self.rate > 0 else None


@dataclass(slots=True)
class _Chunk:
    last: RecordKey
    size: int
    open_keys: list[RecordKey]


class Backfill:
    """
    One pass over all keys of some types. Not thread-safe: the engine's reader drives it.

    The journal holds, under `name`, how far it is; it moves when every key of a chunk has been dealt with. So a
    restart repeats a chunk or two, which costs comparisons and no embeddings.
    """

    def __init__(
        self,
        name: str,
        lane: Lane,
        types: frozenset[str] | None,
        *,
        graph: GraphReader,
        index: VectorIndex,
        journal: Journal,
        clock: Clock,
        covers: Callable[[str], bool],
    ) -> None:
        self.name, self.lane, self.types = name, lane, types
        self._graph, self._journal, self._clock, self._covers = graph, journal, clock, covers
        after, self._done = _saved(journal.get(name))
        self._scan = KeyScan(graph, index, types, lane, None, after, covers)
        self._chunks: deque[_Chunk] = deque()
        self._began_at, self._began_with = clock.monotonic(), self._done

    @property
    def is_read(self) -> bool:
        """Whether every key has been read; some may still be worked on."""
        return self._scan.exhausted

    @property
    def is_finished(self) -> bool:
        """Whether every key has been dealt with."""
        return self._scan.exhausted and not self._chunks

    def is_to_come(self, key: RecordKey, types: Collection[str]) -> bool:
        """Whether a key of these types has not been dealt with yet, as far as is known."""
        return self._scan.is_to_come(key, types) or any(key in chunk.open_keys for chunk in tuple(self._chunks))

    def page(self, limit: int) -> Sequence[RecordKey]:
        """Return the next keys, none at the end."""
        keys = self._scan.page(limit)
        if keys:
            self._chunks.append(_Chunk(keys[-1], len(keys), keys))
        return keys

    def note_done(self, is_pending: Callable[[Sequence[RecordKey]], Sequence[bool]]) -> bool:
        """Note durably the first chunks of which nothing is pending any more; returns whether there was one."""
        moved = False
        while self._chunks:
            chunk = self._chunks[0]
            pending = is_pending(chunk.open_keys)
            chunk.open_keys = [key for key, is_open in zip(chunk.open_keys, pending, strict=True) if is_open]
            if chunk.open_keys:
                break
            self._chunks.popleft()
            self._done += chunk.size
            self._journal.set(self.name, json.dumps({"after": chunk.last.encode(), "done": self._done}))
            moved = True
        return moved

    def progress(self) -> BackfillProgress:
        """Return how far it is."""
        entity_types = self._graph.schema().entity_types
        total = sum(
            count
            for name, count in self._graph.counts().items()
            if (name in entity_types or self._covers(name)) and (self.types is None or name in self.types)
        )
        passed_s = self._clock.monotonic() - self._began_at
        rate = (self._done - self._began_with) / passed_s if passed_s > 0 else 0.0
        return BackfillProgress(self._done, max(total, self._done), rate)


def _saved(text: str | None) -> tuple[RecordKey | None, int]:
    content = json.loads(text) if text else None
    if not isinstance(content, dict):  # due, but not begun
        return None, 0
    return RecordKey.decode(content["after"]), int(content["done"])


@dataclass(slots=True)
class _Due:
    lane: Lane
    types: frozenset[str] | None
    on_finished: Callable[[], None] | None


class Backfills:
    """The backfills that are due, worked on one at a time, the most urgent lane first. Safe for threads."""

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        journal: Journal,
        clock: Clock,
        covers: Callable[[str], bool],
    ) -> None:
        self._graph, self._index, self._journal, self._clock = graph, index, journal, clock
        self._covers = covers
        self._lock = threading.RLock()
        """Held over the journal's calls too, so that journal and memory agree; never taken under the engine's."""
        self._due: dict[str, _Due] = {}
        self._running: dict[str, Backfill] = {}

    def begin(
        self,
        name: str,
        lane: Lane,
        types: frozenset[str] | None = None,
        on_finished: Callable[[], None] | None = None,
        *,
        resume: bool = False,
    ) -> None:
        """Add a backfill durably, in place of an unfinished one of that name; with `resume` it goes on from there."""
        with self._lock:
            if not resume:
                self._journal.set(name, "1")
            self._running.pop(name, None)
            self._due[name] = _Due(lane, types, on_finished)

    def cancel(self, name: str) -> None:
        """Remove a backfill and its progress, durably."""
        with self._lock:
            self._due.pop(name, None)
            self._running.pop(name, None)
            self._journal.set(name, None)

    def is_to_come(self, key: RecordKey, types: Collection[str], *, migration: bool) -> Lane | None:
        """Return the lane of a backfill that has yet to reach a key, or None; the migration lane only where asked."""
        with self._lock:
            due, running = dict(self._due), dict(self._running)
        for name, found in due.items():
            if found.lane is Lane.MIGRATION and not migration:
                continue
            backfill = running.get(name)
            covers = found.types is None or not found.types.isdisjoint(types)
            if covers if backfill is None else backfill.is_to_come(key, types):
                return found.lane
        return None

    def has_any(self, *, except_for: Sequence[Lane] = ()) -> bool:
        """Whether a backfill is due in a lane that is not in `except_for`."""
        return any(due.lane not in except_for for due in list(self._due.values()))

    def current(self, *, except_for: Sequence[Lane] = ()) -> Backfill | None:
        """Return the backfill to work on, of a lane not in `except_for`; only the engine's reader asks."""
        with self._lock:
            due = [(due.lane, name) for name, due in self._due.items() if due.lane not in except_for]
            if not due:
                return None
            _, name = min(due)
            if name not in self._running:
                self._running[name] = self._made(name, self._due[name])
            return self._running[name]

    def note_done(self, backfill: Backfill, is_pending: Callable[[Sequence[RecordKey]], Sequence[bool]]) -> None:
        """Note how far a backfill is, unless another was begun in its place."""
        with self._lock:
            if self._running.get(backfill.name) is backfill:
                backfill.note_done(is_pending)

    def _made(self, name: str, due: _Due) -> Backfill:
        return Backfill(
            name,
            due.lane,
            due.types,
            graph=self._graph,
            index=self._index,
            journal=self._journal,
            clock=self._clock,
            covers=self._covers,
        )

    def finish(self, backfill: Backfill) -> None:
        """End a backfill, durably; nothing happens to one that was cancelled or replaced meanwhile."""
        with self._lock:
            due = self._due.get(backfill.name)
            if due is None or self._running.get(backfill.name) is not backfill:
                return
            with self._journal.transaction():
                self._journal.set(backfill.name, None)
                if due.on_finished is not None:
                    due.on_finished()
            del self._due[backfill.name], self._running[backfill.name]

    def progress(self) -> dict[str, BackfillProgress]:
        """Return how far each backfill is, by name."""
        with self._lock:
            due, running = dict(self._due), dict(self._running)
        return {name: (running.get(name) or self._made(name, found)).progress() for name, found in due.items()}
