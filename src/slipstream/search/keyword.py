"""The keyword arm: records by the words of the query, the rarest ones first so that long questions stay cheap."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.words import Types
from slipstream.search.query_language import ParsedQuery
from slipstream.search.ranking import Found, Ranking
from slipstream.search.words import SearchedWords

ROWS_MAX = 1_500
"""In how many rows the words that are looked for may stand, all together; the rarest word is always looked for."""
_BM25_MAX = 2.2
"""The most that a word can add to a bm25, in its inverse document frequency: k1 + 1."""
_IDF_MIN = 1e-6
_COUNTED_AT_ONCE = 10_000
_COUNTED_EVERY_S = 10.0


class Plan(NamedTuple):
    """What the keyword arm makes of a query."""

    query: ParsedQuery
    words: tuple[str, ...]
    """The plain words that are looked for."""
    unknown: tuple[str, ...]
    """The plain words that stand in no row."""
    score_max: float
    """The bm25 of a row that has every word of the query as often as can be."""


class KeywordArm:
    """Finds records by words. Safe for threads."""

    def __init__(self, words: SearchedWords) -> None:
        self._words = words
        self._counted: tuple[Position, float, int] = (ORIGIN, -math.inf, 0)
        """At which frontier and when the rows were counted, and how many there were."""

    def plan(self, query: ParsedQuery) -> Plan:
        """Return what is looked for: the words whose rows add up to `ROWS_MAX`, the rarest first."""
        every = query.all_words()
        known = self._words.index.frequencies(every) if every else {}
        return Plan(
            query,
            _rarest(query.words, known),
            tuple(word for word in query.words if not known[word]),
            _score_max(every, known, self._count()),
        )

    def search(self, plan: Plan, types: Types, limit: int) -> Ranking:
        """Return the best records, each with the share of the query that it explains, in 0..1."""
        if not (plan.words or plan.query.prefixes or plan.query.conditions):
            return Ranking("keyword", (), is_exhausted=True)
        hits = self._words.index.match(plan.query.tree(plan.words), types, limit)
        most = plan.score_max or max((hit.score for hit in hits), default=1.0)
        found = [Found(hit.key, hit.entity_type, min(1.0, hit.score / most)) for hit in hits]
        return Ranking("keyword", found, len(found) < limit)

    def _count(self) -> int:
        """Return about how many rows there are: of many rows it is not counted at every change."""
        frontier, now = self._words.frontier(), time.monotonic()
        at, counted_at, count = self._counted
        if at != frontier and (count < _COUNTED_AT_ONCE or now - counted_at > _COUNTED_EVERY_S):
            count = self._words.index.count()
            self._counted = (frontier, now, count)
        return count


def _rarest(words: Sequence[str], known: Mapping[str, int]) -> tuple[str, ...]:
    taken: list[str] = []
    rows = 0
    for word in sorted((word for word in words if known[word]), key=lambda word: known[word]):
        rows += known[word]
        if taken and rows > ROWS_MAX:
            break
        taken.append(word)
    return tuple(taken)


def _score_max(words: Sequence[str], known: Mapping[str, int], count: int) -> float:
    total = 0.0
    for word in words:
        rows = known[word]
        total += max(_IDF_MIN, math.log((max(count, rows) - rows + 0.5) / (rows + 0.5)))
    return _BM25_MAX * total
