"""What the engine still owed at the moment of a copy, read from the copy's journal and log, without an engine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

from slipstream.audit.incremental import Changes
from slipstream.audit.words_comparing import Reflection
from slipstream.domain.journal_names import (
    CHECKPOINT,
    FULL_SCAN,
    RESTAMPED,
    SELECTIONS,
    SWEEP_DUE,
    WORDS_FRONTIER,
    WORDS_SCAN,
)
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.ports.scans import PAGE


class OwedInCopy:
    """
    A `Settle` for an audit of a copy that nobody works on: nothing is waited for, and what is owed is not judged.

    A key is owed if the log names it after the checkpoint, if it has a work item or a dead letter, or if it is
    flagged to be embedded anew. While a comparison of everything is due, or the log does not tell, every key is owed.
    """

    def __init__(
        self, graph: GraphReader, index: VectorIndex, journal: Journal, letters: DeadLetters, changes: Changes
    ) -> None:
        self._graph, self._index, self._journal = graph, index, journal
        self._letters, self._changes = letters, changes

    def __call__(
        self,
        position: Position,  # noqa: ARG002  (of a copy, which stands still)
        keys: Sequence[RecordKey],
        patience_s: float,  # noqa: ARG002
    ) -> Collection[RecordKey]:
        """Return those of the keys that the engine was still to bring up to date."""
        if self._named is None:
            return keys
        held = self._index.stamps(keys)
        flagged = {key for key, found in held.items() if any(stamp.needs_reembedding for stamp in found.records)}
        return [key for key in keys if key in self._named or key in flagged]

    @property
    def is_restamp_due(self) -> bool:
        """Whether stamps may be of an older schema version than the graph's."""
        return int(self._journal.get(RESTAMPED) or 0) < self._graph.schema().version

    @cached_property
    def _named(self) -> frozenset[RecordKey] | None:
        """Every key that log, work items or dead letters name as owed; None when all may be owed."""
        if any(self._journal.get(name) is not None for name in (FULL_SCAN, SELECTIONS, SWEEP_DUE)):
            return None
        head = self._graph.read([], {}).position
        changed = self._changes(Position(int(self._journal.get(CHECKPOINT) or 0)), head)
        return None if changed is None else frozenset((*changed, *self._at_work(), *self._buried()))

    def _at_work(self) -> Iterable[RecordKey]:
        page = self._journal.work(None, PAGE)
        while page:
            yield from (item.key for item in page)
            page = self._journal.work(page[-1], PAGE)

    def _buried(self) -> Iterable[RecordKey]:
        page = self._letters.letters(None, PAGE)
        while page:
            yield from (letter.key for letter in page if letter.key is not None)
            page = self._letters.letters(page[-1].id, PAGE)


class WordsOwedInCopy:
    """A `Reflects` for an audit of a copy that nobody works on: what its follower had not come to is not judged."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __call__(self, position: Position, patience_s: float) -> Reflection:  # noqa: ARG002  (it stands still)
        """Return whether the rows reflected the graph up to a position when the copy was made."""
        is_scanned, frontier = self._journal.get(WORDS_SCAN) is None, int(self._journal.get(WORDS_FRONTIER) or 0)
        return Reflection.REFLECTED if is_scanned and frontier >= position else Reflection.OWED
