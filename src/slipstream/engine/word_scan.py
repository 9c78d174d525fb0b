"""Scans of word rows: why one is due, how far it is, and which keys are next. It survives a restart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from slipstream.domain.journal_names import WORDS_FRONTIER, WORDS_SCAN
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import NamedValues
from slipstream.ports.words import WordRows
from slipstream.views.words import WordViews


class ScanReason(StrEnum):
    """Why all word rows, or those of some types, are compared with the graph."""

    FILL = "first fill"
    VIEWS = "views changed"
    RESCAN = "write of unknown effect"
    LOST = "log trimmed"


_STRONG = (ScanReason.FILL, ScanReason.VIEWS)
"""What explains any difference, the stronger first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordScan:
    """
    One scan, as the journal keeps it.

    Not `is_explained`: the graph may be the side that is damaged, so it is weighed before anything is written.
    """

    reason: ScanReason
    is_explained: bool
    consumed: Position
    """How far the log is read beside it: the words' frontier when it ends."""
    views: str
    """The digest of the views that it makes rows by."""
    types: frozenset[str] | None = None
    """Entity and relationship types that are compared; None: all."""
    after: str | None = None
    """The last key that was dealt with, encoded."""
    done: int = 0
    total: int = 0
    """Keys that were compared, and how many there were to compare when it began: an estimate while mutations flow."""

    def merged(self, other: WordScan) -> WordScan:
        """Return one scan that does what both do, from its beginning."""
        types = None if self.types is None or other.types is None else self.types | other.types
        strong = min(
            (scan.reason for scan in (self, other) if scan.reason in _STRONG), key=_STRONG.index, default=None
        )
        is_explained = strong is not None or (self.is_explained and other.is_explained)
        return replace(other, reason=strong or other.reason, is_explained=is_explained, types=types)

    def dump(self) -> str:
        """Return the text that the journal keeps."""
        types = None if self.types is None else sorted(self.types)
        told = {"reason": self.reason.value, "explained": self.is_explained, "consumed": self.consumed}
        place = {"views": self.views, "types": types, "after": self.after, "done": self.done, "total": self.total}
        return json.dumps({**told, **place})

    @classmethod
    def load(cls, text: str | None) -> WordScan | None:
        """Return what `dump` wrote; None where no scan is due."""
        if text is None:
            return None
        found = json.loads(text)
        return cls(
            reason=ScanReason(found["reason"]),
            is_explained=found["explained"],
            consumed=Position(found["consumed"]),
            views=found["views"],
            types=None if found["types"] is None else frozenset(found["types"]),
            after=found["after"],
            done=found["done"],
            total=found["total"],
        )


def consumed_for_words(journal: NamedValues) -> Position:
    """Return how far the log was read for the word rows, `ORIGIN` when it never was."""
    scan = WordScan.load(journal.get(WORDS_SCAN))
    return Position(int(journal.get(WORDS_FRONTIER) or ORIGIN)) if scan is None else scan.consumed


class KeyPage(NamedTuple):
    """The next keys of a scan."""

    keys: Sequence[RecordKey]
    looked_at: int
    """How many keys were passed, those of other types included."""
    after: str | None
    """Where the scan goes on; None at its end."""


class WordKeys:
    """Every key that has a word row or may need one, in key order, of graph and rows together."""

    def __init__(self, graph: GraphReader, words: WordRows, views: WordViews) -> None:
        self._graph, self._words, self._views = graph, words, views

    def count(self) -> int:
        """Return how many keys there are, about."""
        return max(sum(self._graph.counts(self._covered()).values()), self._words.count())

    def page(self, after: str | None, limit: int, types: frozenset[str] | None) -> KeyPage:
        """Return the next keys of some types (None: of all) behind the encoded key `after`."""
        behind = None if after is None else RecordKey.decode(after)
        rows = self._graph.scan(behind, limit, self._covered())
        stamps = self._words.scan(behind, limit)
        last = [page[-1].key.encode() for page in (rows, stamps) if len(page) >= limit]
        through = min(last) if last else None
        found: dict[str, tuple[RecordKey, set[str]]] = {}
        for key, type_name in [*((r.key, r.type) for r in rows), *((s.key, s.entity_type) for s in stamps)]:
            encoded = key.encode()
            if through is None or encoded <= through:
                found.setdefault(encoded, (key, set()))[1].add(type_name)
        ordered = [found[encoded] for encoded in sorted(found)]
        keys = [key for key, told in ordered if types is None or not types.isdisjoint(told)]
        return KeyPage(keys, len(ordered), through)

    def _covered(self) -> frozenset[str]:
        return frozenset(filter(self._views.covers_relationships, self._graph.schema().relationship_types))
