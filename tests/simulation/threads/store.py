"""
What is durable: index, journal and lease of one PKG, and how each process of it writes there.

A transaction works on copies, which become what everybody sees when it commits, as in SQLite; there is one writer at
a time, of whatever process. The index takes part (as in SQLite) or stands apart (as Chroma does): then every record
is written on its own, at once, with a switch point before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from slipstream.adapters.indexes.memory import MemoryIndex, MemoryJournal
from slipstream.adapters.indexes.memory_lease import LeaseRoom, MemoryLease
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, Stamp, VectorRecord
from tests.simulation.threads.ports import Faults
from tests.simulation.threads.primitives import Lock
from tests.simulation.threads.scheduler import Process, Scheduler, SimulationError, Task
from tests.simulation.threads.words import Rows

SILENCE_S_MAX = 1.0


class Durable:
    """The files of a PKG, which survive every crash, and the one lock of those who write them."""

    def __init__(self, scheduler: Scheduler, *, together: bool) -> None:
        self.scheduler, self.together = scheduler, together
        self.index, self.journal = MemoryIndex(), MemoryJournal()
        self.words: Rows = {}
        self.room = LeaseRoom(lambda: scheduler.now, SILENCE_S_MAX)
        self.writer = Lock(scheduler, "writer")
        self.owners: dict[MemoryLease, Process] = {}
        self.changes = 0
        """How often something was written."""
        self.refused = 0
        """How many writes were refused for their epoch."""
        self.late: set[RecordKey] = set()
        """Keys that a process has written in an index that stands apart after it had lost its lease."""
        self.on_write: Callable[[Sequence[Deletion]], None] = lambda _: None
        """Told of every write of the index, with the deletions in it."""
        self.on_vacuum: Callable[[Position], None] = lambda _: None
        """Told up to where tombstones are forgotten."""

    def written(self, deletions: Sequence[Deletion] = ()) -> None:
        """Note that something has become durable."""
        self.changes += 1
        try:
            self.on_write(deletions)
        except SimulationError as error:
            self.scheduler.fail(error)


@dataclass(eq=False)
class Transaction:
    """What one task has written and not committed yet."""

    journal: MemoryJournal
    index: MemoryIndex
    deletions: list[Deletion]
    words: Rows


def copied_journal(journal: MemoryJournal) -> MemoryJournal:
    """Return a journal of its own that holds the same."""
    copy = MemoryJournal()
    copy._state = journal._state.copy()
    return copy


def copied_index(index: MemoryIndex) -> MemoryIndex:
    """Return an index of its own that holds the same."""
    copy = MemoryIndex()
    copy._records = {key: dict(spaces) for key, spaces in index._records.items()}
    copy._tombstones = dict(index._tombstones)
    return copy


class Handle:
    """How one process uses the files: under its lease, whose epoch is compared inside every write."""

    def __init__(self, durable: Durable, process: Process, faults: Faults) -> None:
        self.durable, self.process, self.faults = durable, process, faults
        self.lease = MemoryLease(durable.room)
        self.open: dict[Task, Transaction] = {}
        self.journal, self.index = JournalHandle(self), IndexHandle(self)

    @property
    def mine(self) -> Transaction | None:
        """The transaction that the calling task is in."""
        return self.open.get(self.durable.scheduler.current)

    def acquire(self) -> bool:
        """Try to take the lease: inside a write of the file, as the epoch is a row of it."""
        durable = self.durable
        with durable.writer:
            holder = durable.room.holder
            if holder is not None and holder in durable.owners:
                holder.stalled = durable.owners[holder].is_stopped
            return self.lease.acquire(0)

    def check(self) -> None:
        """Raise `LeaseLostError` unless nobody has taken over."""
        try:
            self.lease.check()
        except Exception:
            self.durable.refused += 1
            raise

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write to copies, and put them in place at the end; inside of one, simply go on."""
        mine = self.mine
        if mine is not None:
            yield mine
            return
        durable = self.durable
        self.faults.point("begin")
        with self.writing():
            mine = Transaction(copied_journal(durable.journal), copied_index(durable.index), [], dict(durable.words))
            self.open[durable.scheduler.current] = mine
            try:
                yield mine
                self.faults.point("commit")
                self.commit(mine)
            finally:
                del self.open[durable.scheduler.current]
        self.faults.point("commit done")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer, under an epoch that is compared where nobody can change it any more."""
        with self.durable.writer:
            self.check()
            yield

    def commit(self, mine: Transaction) -> None:
        """Make a transaction what everybody sees."""
        durable = self.durable
        self.prove_ownership()
        durable.journal._state, durable.words = mine.journal._state, mine.words
        if durable.together:
            durable.index._records, durable.index._tombstones = mine.index._records, mine.index._tombstones
        durable.written(mine.deletions)

    def prove_ownership(self) -> None:
        """See to it, from outside, that nobody writes under an epoch that is not the newest."""
        if self.durable.room.holder is not self.lease:
            self.durable.scheduler.fail(
                SimulationError(f"{self.process.name} has written although another process has taken over")
            )


class JournalHandle:
    """A `Journal`, `DeadLetters` and `MessageStore` of one process."""

    _READS = ("get", "work", "work_count", "letters", "letter_count", "find", "pending", "depth")

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything in the block, or nothing."""
        with self._handle.transaction():
            yield

    def __getattr__(self, name: str) -> Any:
        handle = self._handle

        def read(*args: Any, **named: Any) -> Any:
            handle.faults.point(f"journal.{name}", 0.5)
            mine = handle.mine
            return getattr(mine.journal if mine else handle.durable.journal, name)(*args, **named)

        def write(*args: Any, **named: Any) -> Any:
            with handle.transaction() as mine:
                handle.faults.point(f"journal.{name}")
                return getattr(mine.journal, name)(*args, **named)

        self.__dict__[name] = read if name in self._READS else write
        return self.__dict__[name]


class IndexHandle:
    """A `VectorIndex` of one process."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    @property
    def capabilities(self) -> Any:
        """As of the index below, and whether it takes part in the journal's transactions."""
        durable = self._handle.durable
        return replace(durable.index.capabilities, transactional=durable.together)

    def __getattr__(self, name: str) -> Any:
        handle = self._handle
        if not hasattr(handle.durable.index, name):
            raise AttributeError(name)  # an optional ability, that this one has not

        def read(*args: Any, **named: Any) -> Any:
            handle.faults.point(f"index.{name}")
            mine = handle.mine
            index = mine.index if mine and handle.durable.together else handle.durable.index
            return getattr(index, name)(*args, **named)

        self.__dict__[name] = read
        return read

    def vacuum(self, through: Position) -> int:
        """Forget tombstones."""
        durable = self._handle.durable

        def forget(index: MemoryIndex) -> int:
            forgotten = index.vacuum(through)
            if not durable.together:
                durable.on_vacuum(through)  # they are gone, even if the caller does not hear of it
            return forgotten

        if not durable.together:
            self._handle.check()
        forgotten = int(self._write("vacuum", forget))
        if durable.together:
            durable.on_vacuum(through)
        return forgotten

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write records: all at once, or one by one where the index stands apart."""
        return self._each("upsert", records)

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Delete keys: all at once, or one by one where the index stands apart."""
        return self._each("delete", deletions)

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Replace stamps: all at once, or one by one where the index stands apart."""
        self._each("restamp", stamps)

    def _each(self, name: str, items: Sequence[Any]) -> Sequence[RecordKey]:
        handle = self._handle
        parts = [items] if handle.durable.together else [[item] for item in items]
        if not handle.durable.together:
            handle.check()  # before the whole of it: such an index can not compare the epoch itself
        fenced: list[RecordKey] = []
        for part in parts:
            deletions = part if name == "delete" else ()
            fenced += self._write(name, partial(self._apply, name, part), deletions) or ()
        return list(dict.fromkeys(fenced))

    def _apply(self, name: str, items: Sequence[Any], index: MemoryIndex) -> Any:
        """
        Write; a known limit: what was checked before another process took over may be written behind that.

        Such keys are noted: one that was deleted meanwhile, or is elsewhere, may be back until the next audit.
        """
        handle = self._handle
        if not handle.durable.together and handle.durable.room.holder is not handle.lease:
            handle.durable.late.update(_key(item) for item in items)
        return getattr(index, name)(items)

    def _write(self, name: str, do: Callable[[Any], Any], deletions: Sequence[Deletion] = ()) -> Any:
        handle = self._handle
        if not handle.durable.together:
            handle.faults.point(f"index.{name}")
            answer = do(handle.durable.index)
            handle.durable.written(deletions)
            handle.faults.point(f"index.{name} done")
            return answer
        with handle.transaction() as mine:
            handle.faults.point(f"index.{name}")
            mine.deletions += deletions
            return do(mine.index)


def _key(item: VectorRecord | Deletion | Stamp) -> RecordKey:
    return item.stamp.key if isinstance(item, VectorRecord) else item.key
