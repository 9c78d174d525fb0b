"""All that a process may write to the store's file without owning the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from slipstream.adapters.indexes.sqlite.journal import SqliteJournal
from slipstream.adapters.sqlite.connections import Database
from slipstream.domain.errors import LeaseLostError
from slipstream.domain.keys import RecordKey
from slipstream.domain.work import DeadLetter, WorkItem

CURSOR_PREFIXES = ("import:",)
"""Prefixes of the named values that a guest may set: the progress of its own import."""


class GuestJournal(SqliteJournal):
    """
    A `SqliteJournal` for any process that writes into the graph, also for one that does not own the engine.

    It reads everything, and writes, past the fence, only what an import leaves: letters of refused lines, cursors,
    messages. Made by `SqliteStore`.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database, guarded=False)

    def _refuse(self, what: str) -> NoReturn:
        raise LeaseLostError(
            f"{self._database.path}: {what} is for the process that runs the engine alone: ask it, or wait until it "
            "has ended"
        )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Refuse: only the engine's owner writes several things as one."""
        self._refuse("a transaction")
        yield

    def set(self, name: str, value: str | None) -> None:
        """Set or remove a cursor of an import."""
        if not name.startswith(CURSOR_PREFIXES):
            self._refuse(f"the value {name!r}")
        super().set(name, value)

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep letters of refused lines, which have no key; refuse others, for only the engine buries keys."""
        if any(letter.key is not None for letter in letters):
            self._refuse("burying a key")
        super().bury(letters)

    def put_work(self, items: Sequence[WorkItem]) -> None:
        """Refuse."""
        self._refuse(f"work ({len(items)} keys)")

    def remove_work(self, keys: Sequence[RecordKey]) -> None:
        """Refuse."""
        self._refuse(f"removing work ({len(keys)} keys)")

    def remove(self, ids: Sequence[str]) -> int:
        """Refuse."""
        self._refuse(f"forgetting dead letters ({len(ids)})")

    def remove_keys(self, keys: Sequence[RecordKey]) -> int:
        """Refuse."""
        self._refuse(f"forgetting dead letters ({len(keys)} keys)")

    def acknowledge(self, topic: str, ids: Sequence[int]) -> None:
        """Refuse."""
        self._refuse(f"acknowledging messages of {topic} ({len(ids)})")
