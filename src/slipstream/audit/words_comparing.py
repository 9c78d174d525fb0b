"""
One word row on both sides, and the rule that makes an audit of them exact while mutations flow.

As `comparing` does it for vectors: a row that looks wrong is looked at again. The graph is read (at position G), the
follower of the words is waited for until it has come to G, and only then is the row read. A row that differs from
the graph as of G, although the follower has passed G and the row is of nothing newer, has diverged; it has to look
the same twice. What the follower has not come to, or is still to compare in a scan, is owed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple, Protocol

from slipstream.audit.pacing import Pace, paced
from slipstream.audit.words_found import WORD_OWED, WORD_UNSETTLED, WordsFound, word_kind
from slipstream.domain.digests import TERM_SIZE_BYTES, Digest
from slipstream.domain.entities import RecordState
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.words import WordRow, WordStamp, digest_of
from slipstream.ports.graph import GraphReader
from slipstream.ports.words import WordRows
from slipstream.views.words import WordViews

PATIENCE_S = 30.0
"""How long an audit waits for the follower; each wait in vain leaves a quarter of it for the next one."""
_ROUNDS_MAX = 8


class Reflection(Enum):
    """Whether word rows reflect the graph up to a position."""

    REFLECTED = "reflected"
    OWED = "owed"
    """The follower is still to come to it, or to compare every row."""
    IDLE = "idle"
    """Nobody is at work: what lags is wrong."""


class Reflects(Protocol):
    """Waits for the follower of the words."""

    def __call__(self, position: Position, patience_s: float) -> Reflection:
        """Return how far the rows are; waits `patience_s` at most, and not at all for a scan."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedWords:
    """What an auditor needs to audit word rows; without `reflects` what lags counts as divergent."""

    rows: WordRows
    views: WordViews
    reflects: Reflects | None = None
    frontier: Callable[[], Position] | None = None
    changes: Callable[[Position, Position], Iterable[RecordKey] | None] | None = None
    """Returns the keys of records that commits behind a position and up to another one touch; None: not known."""


class ComparedRow(NamedTuple):
    """One row as it stands on both sides."""

    key: RecordKey
    wanted: WordRow | None
    held: WordRow | None
    stamp: WordStamp | None
    """What the index says that it holds; there may be no texts to it."""
    kind: str | None
    """Kind of finding; None when both sides agree."""

    @property
    def entity_type(self) -> str:
        """The type, as far as it is known."""
        known = self.wanted or self.held or self.stamp
        return "" if known is None else known.entity_type

    def looks_like(self, other: ComparedRow) -> bool:
        """Whether nothing about the row has changed between two looks at it."""
        mine, others = (self.kind, self.held, self.stamp), (other.kind, other.held, other.stamp)
        return mine == others and _digest(self.wanted) == _digest(other.wanted)


class WordsComparer:
    """Compares rows, at a pace, and enters what they are into `found`."""

    def __init__(
        self, graph: GraphReader, words: AuditedWords, found: WordsFound, notes: list[str], pace: Pace
    ) -> None:
        self._graph, self.words, self.found = graph, words, found
        self._notes, self._pace = notes, pace
        self._reflects, self._patience_s = words.reflects, PATIENCE_S

    def wanted(self, states: Mapping[RecordKey, RecordState], position: Position) -> dict[RecordKey, WordRow]:
        """Return the rows that the graph asks for; a record that has none, or can have none, is absent."""
        rows = ((key, _row_or_none(self.words.views, key, state, position)) for key, state in states.items())
        return {key: row for key, row in rows if row is not None}

    def held(self, keys: Sequence[RecordKey]) -> Mapping[RecordKey, WordRow]:
        """Return the rows as they are stored, with all their texts."""
        if not keys:
            return {}
        self.found.rows_read += len(keys)
        return self.words.rows.rows(keys)

    def head(self) -> Position:
        """Return the newest position of the graph."""
        return self._graph.read([], {}).position

    def agree(self, rows: Iterable[WordRow]) -> None:
        """Enter rows that are on both sides what they should be."""
        digest = Digest.of(word_term(row.key, row.digest) for row in rows)
        found = self.found
        found.expected += digest.records
        found.held += digest.records
        found.fresh += digest.records
        found.graph, found.index = found.graph.plus(digest), found.index.plus(digest)

    # ------------------------------------------------------------------ suspects

    def decide(self, suspects: Iterable[RecordKey]) -> None:
        """Look at suspects until each has agreed once, has diverged twice alike, or never held still; enter them."""
        for keys in paced(dict.fromkeys(suspects), self._pace):
            for compared in self._decided(keys):
                self._enter(compared)
            self._pace.rest()

    def _decided(self, open_keys: list[RecordKey]) -> list[ComparedRow]:
        before: dict[RecordKey, ComparedRow] = {}
        decided: list[ComparedRow] = []
        for _ in range(_ROUNDS_MAX):
            if not open_keys:
                return decided
            looked = self._look(open_keys)
            open_keys = []
            for compared, is_settled in looked:
                last, before[compared.key] = before.get(compared.key), compared
                is_over = compared.kind in (None, WORD_OWED)
                if is_over or (is_settled and last is not None and last.looks_like(compared)):
                    decided.append(compared)
                else:
                    open_keys.append(compared.key)
        return decided + [before[key]._replace(kind=WORD_UNSETTLED) for key in open_keys]

    def _look(self, keys: Sequence[RecordKey]) -> list[tuple[ComparedRow, bool]]:
        """Return each row as it stands, and whether nothing newer is held than what the graph was read at."""
        snapshot = self._graph.read(keys, {})
        wanted = self.wanted(snapshot.states, snapshot.position)
        is_owed = not self._is_reflected(snapshot.position)
        before, held = self.words.rows.stamps(keys), self.held(keys)
        head = self.head()  # read last: no row that was read before can be past it
        after = self.words.rows.stamps(keys)
        looked = []
        for key in keys:
            row, stamp = held.get(key), before.get(key)
            kind = classify(wanted.get(key), row, stamp, head)
            told = None if kind is None else WORD_OWED if is_owed and kind != "corrupt" else word_kind(kind)
            # One that was written between the two reads, or later than the graph was read, is to be read again; what
            # is newer than the graph itself is no later commit, but damage.
            is_steady = stamp == after.get(key) and (
                stamp is None or stamp.position <= snapshot.position or stamp.position > head
            )
            looked.append((ComparedRow(key, wanted.get(key), row, stamp, told), is_steady))
        return looked

    def _is_reflected(self, position: Position) -> bool:
        """Wait for the follower; where none is at work, what lags is wrong."""
        if self._reflects is None:
            return True
        reflection = self._reflects(position, self._patience_s)
        if reflection is Reflection.IDLE:
            self._reflects = None
            self._notes.append(
                f"nobody keeps the word rows, and they are not at position {position}: what lags counts as divergent"
            )
        if reflection is Reflection.OWED:
            self._patience_s /= 4
        return reflection is not Reflection.OWED

    def _enter(self, compared: ComparedRow) -> None:
        found, kind = self.found, compared.kind
        if kind is not None:
            found.note(kind, compared.key, compared.entity_type)
        if kind in (WORD_OWED, WORD_UNSETTLED):
            return  # it is in no figure
        if compared.wanted is not None:
            found.expected += 1
            found.fresh += kind is None
            found.graph = found.graph.plus(Digest(1, word_term(compared.key, compared.wanted.digest)))
        if compared.stamp is not None:
            found.held += 1
            told = compared.stamp.digest if compared.held is None else told_digest(compared.held)
            found.index = found.index.plus(Digest(1, word_term(compared.key, told)))


def classify(wanted: WordRow | None, held: WordRow | None, stamp: WordStamp | None, head: Position) -> str | None:
    """
    Return the divergence class of one row, None when both sides agree; the gravest one comes first.

    A row whose texts are gone, or are not those of its digest, is corrupt, and so is one past `head`, which was read
    after it: no commit can have caused it.
    """
    if wanted is None or stamp is None:
        return "missing" if wanted is not None else "orphaned" if stamp is not None else None
    if held is None or held.position > head or held.entity_type != stamp.entity_type:
        return "corrupt"
    if is_alike(wanted, held):
        return None
    return "corrupt" if told_digest(held) != held.digest else "stale"


def is_alike(wanted: WordRow, held: WordRow) -> bool:
    """Whether a row holds what is wanted, digest and all; whenever it was read."""
    return wanted._replace(position=held.position) == held


def told_digest(row: WordRow) -> bytes:
    """Return the digest of what a row holds, whatever it says itself."""
    return digest_of(row.entity_type, row.stemmer, row.name, row.aliases, row.body, row.names)


def word_term(key: RecordKey, digest: bytes) -> int:
    """Return the term of a row in the digest of all rows."""
    told = key.encode().encode("utf-8", "surrogatepass") + b"\0" + digest
    return int.from_bytes(blake2b(told, digest_size=TERM_SIZE_BYTES, person=b"word row").digest())


def _digest(row: WordRow | None) -> bytes | None:
    return None if row is None else row.digest


def _row_or_none(views: WordViews, key: RecordKey, state: RecordState, position: Position) -> WordRow | None:
    try:
        return views.row(key, state, position)
    except PoisonEventError:  # the writer has logged it, and left the record without a row
        return None
