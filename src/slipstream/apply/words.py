"""
The one writer of word rows: makes the rows of some keys what the graph says of them now.

Whoever writes word rows asks it: the follower of the log, scans, repairs and erasures. It is level-triggered, as the
rest of the engine is: it reads the record as it is, compares, and writes what differs. So it can be asked twice, late
and in any order.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from slipstream.domain.entities import RecordState
from slipstream.domain.errors import InvalidInputError, PoisonEventError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.words import WordDeletion, WordRow
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal
from slipstream.ports.words import WordRows
from slipstream.views.words import WordViews

logger = logging.getLogger(__name__)

Settle = Callable[[], object]
"""Writes to the journal what becomes true with a write."""
BATCH = 500
"""Keys that are read and written at once: others who write the same file wait for one batch at most."""
_EVER = Position(2**63 - 1)
"""No row is newer than this: one that claims a position of the future goes too."""
_OF_A_ROW = (InvalidInputError, PoisonEventError, UnicodeError, TypeError, OverflowError)
"""What a store raises for a row that it can not hold, and never because of the store itself."""


class WordsWritten(NamedTuple):
    """What became of some keys."""

    written: int = 0
    deleted: int = 0
    unchanged: int = 0
    """Rows, and absent rows, that were right already."""
    failed: tuple[RecordKey, ...] = ()
    """Records that can not be made a row: they have none, and are found by their vectors alone."""

    def plus(self, other: WordsWritten) -> WordsWritten:
        """Return both together."""
        return WordsWritten(
            self.written + other.written,
            self.deleted + other.deleted,
            self.unchanged + other.unchanged,
            self.failed + other.failed,
        )


@dataclass(frozen=True, slots=True)
class WordDifferences:
    """In what the rows of some keys differ from the graph, as of a position."""

    position: Position = ORIGIN
    rows: Sequence[WordRow] = ()
    """To be written."""
    deletions: Sequence[WordDeletion] = ()
    """To be removed."""
    unchanged: int = 0
    failed: tuple[RecordKey, ...] = ()

    @property
    def count(self) -> int:
        """How many rows would be written or removed."""
        return len(self.rows) + len(self.deletions)

    @property
    def keys(self) -> list[RecordKey]:
        """The keys that differ."""
        return [*(row.key for row in self.rows), *(deletion.key for deletion in self.deletions)]


class WordWriter:
    """
    Writes word rows, and nobody else does. Safe for threads: one at a time reads, compares and writes.

    Without `shares_journal` the rows stand in another store than the journal: they are durable before the journal's
    part, and written again after dying in between.
    """

    def __init__(
        self, graph: GraphReader, words: WordRows, journal: Journal, views: WordViews, *, shares_journal: bool = True
    ) -> None:
        self.views, self.words = views, words
        self._graph, self._journal, self._shares_journal = graph, journal, shares_journal
        self._lock = threading.Lock()

    def reconcile(
        self, keys: Sequence[RecordKey], settle: Settle | None = None, *, anew: bool = False
    ) -> WordsWritten:
        """
        Make the rows of the keys what the graph says; returns what was done.

        With `anew` rows are removed and written again also where their digests are right, and whatever position they
        claim to be of: what lies beneath is not to be trusted.
        `settle` is called once, in the journal transaction of the last write, and writes to the journal what has
        become true with it. A record that can not be made a row is left without one, and logged. Raises
        `UnavailableError` when a store is down, and `LeaseLostError` when another process runs the engine: whole
        batches may be written then, and `settle` has not taken effect.
        """
        asked = list(dict.fromkeys(keys))
        batches = [asked[at : at + BATCH] for at in range(0, len(asked), BATCH)] or [[]]
        done = WordsWritten()
        with self._lock:
            for number, batch in enumerate(batches, 1):
                last = number == len(batches)
                done = done.plus(self._reconciled(batch, settle if last else None, anew=anew))
        return done

    def differences(self, keys: Sequence[RecordKey], *, anew: bool = False) -> WordDifferences:
        """Compare the rows of distinct keys with the graph, and write nothing; with `anew` all of them differ."""
        if not keys:
            return WordDifferences()
        held = self.words.stamps(keys)  # first: what is written meanwhile is at least as new as what is read here
        position, states = self._read(keys)
        rows: list[WordRow] = []
        deletions: list[WordDeletion] = []
        failed: list[RecordKey] = []
        for key in keys:
            row, stamp = self._row_or_none(key, states.get(key), position, failed), held.get(key)
            if row is None:
                if stamp is not None:
                    deletions.append(WordDeletion(key, _EVER if anew else position))
            elif anew or stamp is None or stamp.digest != row.digest:
                rows.append(row)
        touched = {*failed, *(row.key for row in rows), *(deletion.key for deletion in deletions)}
        return WordDifferences(position, rows, deletions, len(keys) - len(touched), tuple(failed))

    # ------------------------------------------------------------------ parts

    def _read(self, keys: Sequence[RecordKey]) -> tuple[Position, dict[RecordKey, RecordState]]:
        snapshot = self._graph.read(keys, {})
        return snapshot.position, dict(snapshot.states)

    def _row_or_none(
        self, key: RecordKey, state: RecordState | None, position: Position, failed: list[RecordKey]
    ) -> WordRow | None:
        if state is None:
            return None
        try:
            return self.views.row(key, state, position)
        except PoisonEventError as error:
            logger.warning("left without a word row: %s", error)
            failed.append(key)
            return None

    def _reconciled(self, keys: Sequence[RecordKey], settle: Settle | None, *, anew: bool) -> WordsWritten:
        found = self.differences(keys, anew=anew)
        failed = self._write(_Batch(found.rows, found.deletions, anew), settle)
        written, deleted = len(found.rows) - len(failed), len(found.deletions)
        return WordsWritten(written, deleted, found.unchanged, (*found.failed, *failed))

    def _write(self, batch: _Batch, settle: Settle | None) -> tuple[RecordKey, ...]:
        """Write, and return the keys of rows that the store does not hold; bisects for them."""
        rows = batch.rows
        if batch.is_empty and settle is None:
            return ()
        try:
            with self._writing(batch):
                if settle is not None:
                    settle()
        except _OF_A_ROW as error:
            if not rows:
                raise
            if len(rows) > 1:
                middle = len(rows) // 2
                first = self._write(batch._replace(rows=rows[:middle]), None)
                return (*first, *self._write(batch._replace(rows=rows[middle:], deletions=()), settle))
            key, position = rows[0].key, rows[0].position
            logger.warning("left without a word row: %s: %s", key.encode(), error)
            self._write(batch._replace(rows=(), deletions=[*batch.deletions, WordDeletion(key, position)]), settle)
            return (key,)
        return ()

    @contextmanager
    def _writing(self, batch: _Batch) -> Iterator[None]:
        """Write rows, and run the block in a journal transaction: that of the rows, where both share a store."""
        if not self._shares_journal:
            self._put(batch)
        with self._journal.transaction():
            if self._shares_journal:
                self._put(batch)
            yield

    def _put(self, batch: _Batch) -> None:
        if batch.anew and batch.rows:  # a store may take a row with the digest that it has for unchanged
            self.words.put((), [WordDeletion(row.key, _EVER) for row in batch.rows])
        if not batch.is_empty:
            self.words.put(batch.rows, batch.deletions)


class _Batch(NamedTuple):
    """What is written at once."""

    rows: Sequence[WordRow]
    deletions: Sequence[WordDeletion]
    anew: bool

    @property
    def is_empty(self) -> bool:
        return not self.rows and not self.deletions
