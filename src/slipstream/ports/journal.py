"""The engine's durable memory: checkpoint, unfinished work, dead letters, queue topics."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol, runtime_checkable

from slipstream.domain.keys import RecordKey
from slipstream.domain.work import DeadLetter, Lane, LetterSize, WorkItem

DELAY_S_MAX = 3_600.0
"""The longest that a message may be put off."""


class NamedValues(Protocol):
    """Small durable texts by name; with the errors of `Journal`, which has them too."""

    def get(self, name: str) -> str | None:
        """Return a named value, None when it was never set."""
        ...

    def set(self, name: str, value: str | None) -> None:
        """Set a named value; None removes it."""
        ...


@runtime_checkable
class Journal(Protocol):
    """
    Small durable state. Every call outside `transaction` is a durable transaction of its own.

    There is at most one work item for each key. Repeating a call is harmless. Raises `UnavailableError` when the
    store is down; what writes raises `LeaseLostError` in a process that does not run the engine (any more).
    """

    def transaction(self) -> AbstractContextManager[None]:
        """
        Make the calls inside one atomic, durable step (of this thread); nests by joining the outer one.

        Writes of an index that shares the store (`IndexCapabilities.transactional`) join it too.
        """
        ...

    def get(self, name: str) -> str | None:
        """Return a named value (the checkpoint, a backfill's cursor), None when it was never set."""
        ...

    def set(self, name: str, value: str | None) -> None:
        """Set a named value; None removes it."""
        ...

    def put_work(self, items: Sequence[WorkItem]) -> None:
        """
        Add or replace work items by key.

        Replacing keeps the smaller known `position`, the lane that `merged_lane` says, the higher priority, and
        `force` once it is set.
        """
        ...

    def remove_work(self, keys: Sequence[RecordKey]) -> None:
        """Forget the work items of these keys; absent ones are no error."""
        ...

    def work(self, after: WorkItem | None, limit: int, lane: Lane | None = None) -> Sequence[WorkItem]:
        """Return up to `limit` work items behind `after` by `WorkItem.order`, of one lane (None: of all)."""
        ...

    def work_count(self, lane: Lane | None = None) -> int:
        """Return how many work items there are."""
        ...

    def close(self) -> None:
        """Release everything; closing twice is harmless."""
        ...


@runtime_checkable
class DeadLetters(Protocol):
    """
    Keys and events that failed for good. Ids are unique: burying the same id again replaces the letter.

    Durable, atomic, and with the errors of `Journal`, whose transaction it joins. Unknown ids and keys are no error.
    """

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters durably."""
        ...

    def letters(self, after: str | None, limit: int) -> Sequence[DeadLetter]:
        """Return letters ordered by id behind `after`."""
        ...

    def find(self, ids: Sequence[str]) -> Sequence[DeadLetter]:
        """Return the letters with these ids, in id order; unknown ids are left out."""
        ...

    def remove(self, ids: Sequence[str]) -> int:
        """Forget letters by id; returns how many there were."""
        ...

    def remove_keys(self, keys: Sequence[RecordKey]) -> int:
        """Forget the letters of these keys (they have been reconciled since); returns how many."""
        ...

    def letter_count(self) -> int:
        """Return how many letters there are."""
        ...

    def refused_size(self) -> LetterSize:
        """Return how many letters have no key, and how many bytes their errors and payloads hold."""
        ...


@runtime_checkable
class MessageStore(Protocol):
    """
    Durable first-in-first-out topics, for the queue: a message stays until it is acknowledged.

    Durable, atomic, and with the errors of `Journal`, whose transaction it joins. Appending twice makes two messages.
    """

    def append(self, topic: str, payloads: Sequence[str], due_at: datetime | None = None) -> Sequence[int]:
        """
        Append JSON payloads durably; returns their ids, which grow.

        They are not delivered before `due_at`, which is at most `DELAY_S_MAX` ahead.
        """
        ...

    def pending(self, topic: str, after: int, limit: int, due_by: datetime) -> Sequence[tuple[int, str]]:
        """
        Return unacknowledged messages with id > `after` that are due, in id order.

        One that is due later than `DELAY_S_MAX` behind `due_by` is due too: the clock has been set back since.
        """
        ...

    def acknowledge(self, topic: str, ids: Sequence[int]) -> None:
        """Forget messages; unknown ids are no error."""
        ...

    def depth(self, topic: str) -> int:
        """Return how many messages are unacknowledged, due or not."""
        ...

    def size_bytes(self, topic: str) -> int:
        """Return how many bytes the unacknowledged messages hold, 0 for an unknown topic."""
        ...
