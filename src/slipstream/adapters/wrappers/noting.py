"""
Wrappers that report which keys were written, for what is kept in line with index and journal.

A key is reported when the call ends, even by an error, for it may have taken effect. Inside an open journal
transaction that is before the commit, so a listener must not act on it while the engine is at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from slipstream.adapters.wrappers.passing import PassingIndex, PassingJournal
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import Deletion, Stamp, VectorRecord
from slipstream.domain.work import DeadLetter, LetterSize, WorkItem
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal

Note = Callable[[Iterable[RecordKey]], None]


class NotingIndex(PassingIndex):
    """A `VectorIndex` that notes the keys of every write."""

    def __init__(self, inner: VectorIndex, note: Note) -> None:
        super().__init__(inner)
        self._note = note

    def upsert(self, records: Sequence[VectorRecord]) -> Sequence[RecordKey]:
        """Write and note."""
        try:
            return self._inner.upsert(records)
        finally:
            self._note(record.stamp.key for record in records)

    def delete(self, deletions: Sequence[Deletion]) -> Sequence[RecordKey]:
        """Delete and note."""
        try:
            return self._inner.delete(deletions)
        finally:
            self._note(deletion.key for deletion in deletions)

    def restamp(self, stamps: Sequence[Stamp]) -> None:
        """Restamp and note."""
        try:
            self._inner.restamp(stamps)
        finally:
            self._note(stamp.key for stamp in stamps)


class NotingJournal(PassingJournal):
    """A `Journal` that notes the keys whose work begins, is put off or is done."""

    def __init__(self, inner: Journal, note: Note) -> None:
        super().__init__(inner)
        self._note = note

    def put_work(self, items: Sequence[WorkItem]) -> None:
        """Keep and note."""
        try:
            self._inner.put_work(items)
        finally:
            self._note(item.key for item in items)

    def remove_work(self, keys: Sequence[RecordKey]) -> None:
        """Forget and note."""
        try:
            self._inner.remove_work(keys)
        finally:
            self._note(keys)


class NotingLetters:
    """`DeadLetters` that note the keys that become letters or cease to be."""

    def __init__(self, inner: DeadLetters, note: Note) -> None:
        self._inner, self._note = inner, note

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep and note."""
        try:
            self._inner.bury(letters)
        finally:
            self._note(_keys(letters))

    def letters(self, after: str | None, limit: int) -> Sequence[DeadLetter]:
        """As of the letters below."""
        return self._inner.letters(after, limit)

    def find(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        """As of the letters below."""
        return self._inner.find(ids)

    def remove(self, ids: Sequence[str]) -> int:
        """Forget and note."""
        keys = list(_keys(self._inner.find(ids)))
        try:
            return self._inner.remove(ids)
        finally:
            self._note(keys)

    def remove_keys(self, keys: Sequence[RecordKey]) -> int:
        """Forget and note."""
        try:
            return self._inner.remove_keys(keys)
        finally:
            self._note(keys)

    def letter_count(self) -> int:
        """As of the letters below."""
        return self._inner.letter_count()

    def refused_size(self) -> LetterSize:
        """As of the letters below."""
        return self._inner.refused_size()


def _keys(letters: Sequence[DeadLetter]) -> Iterable[RecordKey]:
    return (letter.key for letter in letters if letter.key is not None)
