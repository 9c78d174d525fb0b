"""Engines and stores that are broken on purpose, each as somebody once might have written it: all must be caught."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import Deletion, VectorRecord
from slipstream.domain.work import Lane, WorkItem
from slipstream.engine.ledger import DirtyLedger
from slipstream.engine.loop import SyncEngine
from slipstream.engine.words import WordFollower
from slipstream.ports.feed import ChangedKey
from tests.simulation.threads.schedule import Variant
from tests.simulation.threads.store import Handle, IndexHandle, JournalHandle


class SettlesEarly(SyncEngine):
    """Counts a key as reflected while its write is still under way: the frontier moves before it is durable."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.state.progress.begin_write = lambda _: None  # type: ignore[method-assign,assignment]


class ForgetsMarks(SyncEngine):
    """Drops what dirties a key that is in flight, as the key is dirty already."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        ledger = self.state.ledger

        def mark(key: RecordKey, lane: Lane, *args: Any, **named: Any) -> None:
            if not (key in ledger and ledger._entries[key].in_flight):
                DirtyLedger.mark(ledger, key, lane, *args, **named)

        ledger.mark = mark  # type: ignore[method-assign]


class MovesWordsEarly(WordFollower):
    """Tells others how far word rows are before it has written them."""

    def _take_in(self, changed: Sequence[ChangedKey]) -> None:
        if changed and self._scan is None:
            self._save(changed[-1].position, None)
        super()._take_in(changed)


class ForgetsRetries(JournalHandle):
    """Does not keep what is to be tried again, though the checkpoint passes it."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        keep = self.put_work

        def put_work(items: Sequence[WorkItem]) -> None:
            keep([item for item in items if item.reason != "retry"])

        self.__dict__["put_work"] = put_work


class ChecksBefore(Handle):
    """Compares the epoch before it waits for its turn to write, and not inside of the write."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer, under an epoch that was right a moment ago."""
        self.check()
        with self.durable.writer:
            yield


class ChecksLate(Handle):
    """Compares the epoch when everything is written."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one writer, and find out afterwards whether that was allowed."""
        with self.durable.writer:
            yield
            self.check()


class WithoutFence(IndexHandle):
    """Writes whatever comes, also where something newer is held or the key is deleted."""

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write records without a look at positions."""

        def put(index: MemoryIndex) -> None:
            for record in records:
                index._records.setdefault(record.stamp.key, {})[record.stamp.space] = record
                index._tombstones.pop(record.stamp.key, None)

        self._write("upsert", put)
        return []


class WithoutTombstones(IndexHandle):
    """Deletes without a trace, so that what was read before the delete may be written behind it."""

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Delete, and leave no tombstone."""

        def remove(index: MemoryIndex) -> Sequence[RecordKey]:
            fenced = index.delete(deletions)
            for deletion in deletions:
                index._tombstones.pop(deletion.key, None)
            return fenced

        return list(self._write("delete", remove, deletions))


BROKEN = (
    Variant("settles early", engine=SettlesEarly),
    Variant("forgets marks", engine=ForgetsMarks),
    Variant("moves the words' frontier early", follower=MovesWordsEarly),
    Variant("forgets retries", journal=ForgetsRetries),
    Variant("checks the epoch before", handle=ChecksBefore),
    Variant("checks the epoch late", handle=ChecksLate),
    Variant("writes without a fence", index=WithoutFence),
    Variant("deletes without a tombstone", index=WithoutTombstones),
)
