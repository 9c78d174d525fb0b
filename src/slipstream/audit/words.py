"""
The audit of word rows.

A full one reads every row with all its texts: beside the pages of the graph that the audit of vectors reads anyway,
so that a record is read once for both. An incremental one reads what the log says has changed since the last one
and what was wrong before, and counts the rest; where the counts differ it reads everything.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from slipstream.audit.pacing import Pace
from slipstream.audit.words_comparing import AuditedWords, Reflection, WordsComparer, is_alike
from slipstream.audit.words_found import ALL, CHANGED, CHOSEN, WordsFound
from slipstream.domain.entities import GraphSnapshot
from slipstream.domain.errors import CorruptionError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.words import WordStamp
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal
from slipstream.ports.scans import read_states

WORDS_MARK = "audit_words"
"""Where the journal keeps up to which position, and by which views, word rows were audited last."""
_SUSPECTS_AT_ONCE = 500
_CHANGES_MAX = 50_000
"""With more changes than this everything is read."""
_LOOKS_MAX = 3


class WordsAudit:
    """One audit of word rows; `found` has what it found. For one thread."""

    def __init__(self, graph: GraphReader, words: AuditedWords, notes: list[str], pace: Pace, clock: Clock) -> None:
        self._graph, self._words, self._notes = graph, words, notes
        self._pace, self._clock = pace, clock
        self._begin(ALL)

    def _begin(self, looked: str) -> None:
        self.found = WordsFound(looked)
        self._comparer = WordsComparer(self._graph, self._words, self.found, self._notes, self._pace)
        self._suspects: list[RecordKey] = []
        self._ahead: deque[WordStamp] = deque()
        self._reached: RecordKey | None = None
        self._is_read = False

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began_s = self._clock.monotonic()
        try:
            yield
        except CorruptionError as error:  # the rest of the audit goes on: the self-check tells what is damaged
            self.found.unreadable = str(error)
            self._notes.append(f"word rows could not be compared: {error}")
        finally:
            self.found.duration_s += self._clock.monotonic() - began_s

    # ------------------------------------------------------------------ everything

    def covers(self, relationship_type: str) -> bool:
        """Whether relationships of a type have rows."""
        return self._words.views.covers_relationships(relationship_type)

    def page(self, snapshot: GraphSnapshot, through: str | None) -> None:
        """
        Compare the next range of keys, up to `through` (None: to the end); `snapshot` has the records of it.

        Call it for ranges that follow each other from the first key on, then `finish`.
        """
        if self.found.unreadable is not None:
            return
        with self._timed():
            wanted = self._comparer.wanted(snapshot.states, snapshot.position)
            stamps = {stamp.key: stamp for stamp in self._until(through)}
            held = self._comparer.held(list(stamps))
            alike = [
                row
                for key, row in wanted.items()
                if (other := held.get(key)) is not None
                and other.position <= snapshot.position
                and other.entity_type == stamps[key].entity_type
                and is_alike(row, other)
            ]
            self._comparer.agree(alike)
            if len(alike) < max(len(wanted), len(stamps)):
                agreed = {row.key for row in alike}
                self._suspects += [key for key in dict.fromkeys([*wanted, *stamps]) if key not in agreed]
            if len(self._suspects) >= _SUSPECTS_AT_ONCE:
                self._decide()

    def finish(self) -> WordsFound:
        """Judge what looked wrong, and return what was found."""
        if self.found.unreadable is None:
            with self._timed():
                self._decide()
                self._end()
        return self.found

    def _decide(self) -> None:
        self._comparer.decide(self._suspects)
        self._suspects.clear()

    def _end(self) -> None:
        if self._words.frontier is not None:
            self.found.frontier = self._words.frontier()

    def _until(self, through: str | None) -> list[WordStamp]:
        """Return the stamps of the rows up to a key, which none has been returned for yet."""
        found: list[WordStamp] = []
        while True:
            while self._ahead and (through is None or self._ahead[0].key.encode() <= through):
                found.append(self._ahead.popleft())
            if self._ahead or self._is_read:
                return found
            page = self._words.rows.scan(self._reached, self._pace.page)
            self._is_read = not page
            self._ahead.extend(page)
            if page:
                self._reached = page[-1].key

    def everything(self) -> WordsFound:
        """Read every record and every row."""
        self._begin(ALL)
        after: str | None = ""
        covered = frozenset(filter(self.covers, self._graph.schema().relationship_types))
        while after is not None and self.found.unreadable is None:
            states = read_states(self._graph, after, None, self._pace.page, {}, covered)
            self.page(states.snapshot, states.through)
            after = states.through
            self._pace.rest()
        return self.finish()

    # ------------------------------------------------------------------ a part

    def chosen(self, keys: Sequence[RecordKey]) -> WordsFound:
        """Compare some keys only."""
        self._begin(CHOSEN)
        with self._timed():
            self._comparer.decide(keys)
            self._end()
        return self.found

    def changed(self, changed: Iterable[RecordKey] | None, standing: Collection[RecordKey]) -> WordsFound:
        """
        Compare what has changed (None: nobody knows) and what was wrong before, and count the rest.

        Reads everything where too much has changed, or where the counts differ.
        """
        if changed is None:
            return self._everything_because("the log does not tell what has changed since they were last audited")
        self._begin(CHANGED)
        why_all: str | None = None
        with self._timed():
            keys = dict.fromkeys([*changed, *standing])
            if len(keys) > _CHANGES_MAX:
                why_all = "too much has changed since they were last audited"
            else:
                self._comparer.decide(keys)
                why_all = None if self._count() else "there are not as many as the graph asks for"
                self._end()
        return self.found if why_all is None else self._everything_because(why_all)

    def _everything_because(self, why: str) -> WordsFound:
        self._notes.append(f"every word row was read, because {why}")
        return self.everything()

    def _count(self) -> bool:
        """
        Count both sides, if neither changes meanwhile; returns whether they fit what was found of single keys.

        What is not owed and was not found to be wrong counts as right.
        """
        found = self.found
        missing, surplus = len(found.divergences["missing"]), len(found.divergences["orphaned"])
        expected, held = self._counts()
        for _ in range(_LOOKS_MAX):
            position = self._comparer.head()
            if self._is_behind(position):
                break
            expected, held = self._counts()
            if held == expected - missing + surplus or self._comparer.head() == position:
                found.is_counted = True
                break
        if found.is_counted and held != expected - missing + surplus:
            return False
        wrong = missing + len(found.divergences["stale"]) + len(found.divergences["corrupt"])
        found.expected = max(0, expected - len(found.owed) - len(found.unsettled))
        found.held, found.fresh = held, max(0, found.expected - wrong)
        return True

    def _is_behind(self, position: Position) -> bool:
        """Whether rows are owed now; whoever audits without a follower takes them as they are."""
        return self._words.reflects is not None and self._words.reflects(position, 0.0) is Reflection.OWED

    def _counts(self) -> tuple[int, int]:
        """Return how many rows the graph asks for, and how many there are."""
        schema = self._graph.schema()
        covered = frozenset(filter(self.covers, schema.relationship_types))
        return sum(self._graph.counts(covered).values()), self._words.rows.count()


class WordsMemory:
    """Up to which position, and by which views, word rows were audited last; kept in the journal."""

    def __init__(self, journal: Journal, words: AuditedWords) -> None:
        self._journal, self._words = journal, words

    def changes(self, through: Position) -> Iterable[RecordKey] | None:
        """Return the keys of what has changed since; None when that is not known."""
        text, changes = self._journal.get(WORDS_MARK), self._words.changes
        if text is None or changes is None:
            return None
        told = json.loads(text)
        if told["views"] != self._words.views.digest:
            return None
        return changes(Position(told["position"]), through)

    def keep(self, position: Position) -> None:
        """Note that all rows were audited as of a position."""
        self._journal.set(WORDS_MARK, json.dumps({"position": position, "views": self._words.views.digest}))
