"""The arms of one search, each asked for as many hits as are wanted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple, Self

from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.stamps import SearchFilter, Vector
from slipstream.domain.word_queries import AllOf, AnyOf
from slipstream.domain.words import WordHit
from slipstream.ports.index import VectorIndex
from slipstream.ports.recipe import LiveRecipe
from slipstream.ports.words import Types, WordSearch
from slipstream.search import fuzzy, names
from slipstream.search.ahead import Ahead
from slipstream.search.fusing import merged
from slipstream.search.hits import Unasked
from slipstream.search.keyword import KeywordArm, Plan
from slipstream.search.narrowing import Narrowing
from slipstream.search.options import SearchOptions
from slipstream.search.query_language import ParsedQuery, parsed, plain
from slipstream.search.ranking import Found, Ranking

GRAPH = "graph"
"""Degraded so: the graph does not answer, and the index alone does."""
VECTOR = "vector"
"""Degraded so: no model answered; also the arm itself."""
KEYWORD = "keyword"
"""Degraded so: words could not be searched; also names and words themselves."""
_ALLOWED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Asking:
    """One search, as it was asked."""

    text: str
    k: int
    options: SearchOptions
    query: ParsedQuery
    where: SearchFilter
    narrowing: Narrowing

    @classmethod
    def of(cls, text: str, k: int, options: SearchOptions) -> Self:
        """Return a search; raises `InvalidInputError` for what it can not narrow by."""
        where = SearchFilter(
            entity_types=None if options.entity_type is None else frozenset((options.entity_type,)),
            schema_version_min=options.min_schema_version,
            metadata=options.metadata,
        )
        query = plain(text) if options.mode == "vector" else parsed(text)
        return cls(text, k, options, query, where, options.narrowing())

    @property
    def by_vectors(self) -> bool:
        """Whether models and vectors are asked."""
        return self.options.mode in ("hybrid", "vector")

    @property
    def by_words(self) -> bool:
        """Whether names or words are asked."""
        return self.options.mode != "vector"


class VectorQuery(NamedTuple):
    """What one space is asked."""

    space: Space
    vector: Vector
    where: SearchFilter


class VectorArm:
    """The nearest vectors of each space."""

    def __init__(self, index: VectorIndex, queries: Sequence[VectorQuery]) -> None:
        self._index, self._queries = index, queries

    def rankings(self, depth: int) -> list[Ranking]:
        """Return the nearest records, one ranking for each model."""
        return merged([self._ranking(query, depth) for query in self._queries])

    def _ranking(self, query: VectorQuery, depth: int) -> Ranking:
        hits = self._index.search(query.space, query.vector, depth, query.where)
        found = [Found(hit.stamp.key, hit.stamp.entity_type, hit.score, hit.stamp) for hit in hits]
        return Ranking("vector", found, len(hits) < depth, (query.space.model_id, query.space.model_version))


class WordArms:
    """Names and words, for one search."""

    def __init__(self, index: WordSearch, keyword: KeywordArm, asking: Asking) -> None:
        self._index, self._keyword, self._asking = index, keyword, asking
        self._types: Types = asking.where.entity_types
        self.query = asking.query
        self.conditions: Conditions | None = None
        """What hits by meaning must have as well."""
        self.plan: Plan | None = None
        """What the keyword arm looks for, once it was asked."""
        self.mended: fuzzy.Mended | None = None
        """The query as it is spelled right, where that was looked for."""

    def prepare(self) -> None:
        """
        Look for what conditions the query makes, before it is embedded.

        What no record fits is no condition where meaning is asked too: its words are plain ones then.
        """
        if self.query.narrows and self._asking.by_vectors:
            self.conditions = Conditions(self._index, self.query, self._types)
            if not self.conditions.is_met:
                self.query, self.conditions = plain(self._asking.text), None

    def rankings(self, depth: int, known_types: Collection[str]) -> list[Ranking]:
        """Return what each arm found, of those that the mode asks and that have a reason to be asked."""
        mode = self._asking.options.mode
        if mode == "keyword":
            return [self._by_words(depth)]
        by_name = [names.exact(self._index, self._asking.text, self._types, depth)]
        if not by_name[0].hits:
            by_name.append(names.typed(self._index, self._asking.text, known_types, self._types, depth))
        found: list[Ranking] = [*by_name]
        if mode == "exact":
            return found
        found.append(self._by_words(depth))
        is_named = any(ranking.hits for ranking in by_name)
        if not is_named and self.plan is not None and fuzzy.is_tried(self.query, self.plan.unknown):
            found += self._fuzzy(depth, self.plan)
        return found

    def _by_words(self, depth: int) -> Ranking:
        if self.plan is None:
            self.plan = self._keyword.plan(self.query)
        return self._keyword.search(self.plan, self._types, depth)

    def _fuzzy(self, depth: int, plan: Plan) -> list[Ranking]:
        if self.mended is None:
            self.mended = fuzzy.mended(self._index, self.query, plan.unknown)
        mended_text = None if self.mended is None else self.mended.text
        found = [fuzzy.alike(self._index, self.query.text, mended_text, self._types, depth)]
        if self.mended is not None:
            right = self._keyword.plan(replace(self.query, words=self.mended.words))
            found.append(replace(self._keyword.search(right, self._types, depth), arm="corrected"))
        return found


class Conditions:
    """What a query says that hits must have, or must not: it holds for the hits of every arm."""

    def __init__(self, index: WordSearch, query: ParsedQuery, types: Types) -> None:
        self._wanted: frozenset[RecordKey] | None = None
        self._excluded: frozenset[RecordKey] = frozenset()
        self._is_known = True
        if query.conditions:
            self._wanted = _keys(index.match(AllOf(query.conditions), types, _ALLOWED_MAX))
        if query.excluded:
            self._excluded = _keys(index.match(AnyOf(query.excluded), types, _ALLOWED_MAX))
            self._is_known = len(self._excluded) < _ALLOWED_MAX

    @property
    def is_met(self) -> bool:
        """Whether any record fits what is wanted."""
        return self._wanted is None or bool(self._wanted)

    def narrowed(self, ranking: Ranking) -> Ranking:
        """
        Return those hits of an arm by meaning that fit; none where that can not be told.

        What is wanted is found by words, all of it: the vectors are not looked through for the rest.
        """
        hits = [hit for hit in ranking.hits if self._is_known and self._admits(hit.key)]
        is_enough = self._wanted is not None or not self._is_known
        return replace(ranking, hits=hits, is_exhausted=ranking.is_exhausted or is_enough)

    def _admits(self, key: RecordKey) -> bool:
        return key not in self._excluded and (self._wanted is None or key in self._wanted)


def _keys(hits: Sequence[WordHit]) -> frozenset[RecordKey]:
    return frozenset(hit.key for hit in hits)


@dataclass(slots=True)
class Arms:
    """The arms that answer one search, and what is lacking."""

    live: LiveRecipe
    vectors: VectorArm | None = None
    words: WordArms | None = None
    unasked: tuple[Unasked, ...] = ()
    degraded: tuple[str, ...] = ()
    known_types: frozenset[str] = field(init=False)
    """The types that there are records of."""
    _ahead: Ahead[list[Ranking]] | None = None
    _ahead_depth: int = 0

    def __post_init__(self) -> None:
        self.known_types = frozenset(name for scope in self.live.scopes for name in scope.homed)

    def text(self, asking: Asking) -> str:
        """Return what models embed."""
        return asking.query.text if self.words is None else self.words.query.text

    def prepare(self) -> None:
        """Make the arms of names and words ready, if their store answers."""
        if self.words is not None:
            try:
                self.words.prepare()
            except UnavailableError:
                self._do_without_words()

    def begin(self, depth: int) -> None:
        """Begin to ask names and words, while the query is embedded and vectors are looked through."""
        if self.words is not None:
            self._ahead_depth = depth
            self._ahead = Ahead(partial(self.words.rankings, depth, self.known_types), "slipstream-words-search")

    def _by_words(self, words: WordArms, depth: int) -> list[Ranking]:
        ahead, self._ahead = self._ahead, None
        found = None if ahead is None else ahead.result()  # also where it is of no use: it must have ended
        return found if found is not None and self._ahead_depth == depth else words.rankings(depth, self.known_types)

    def lack(self, unasked: Sequence[Unasked], answered: Collection[str]) -> None:
        """Note the models that could not be asked, and those that answered."""
        self.unasked = tuple(unasked)
        if unasked:
            lacks = [f"{VECTOR}:{model.model_id}" for model in unasked] if answered else [VECTOR]
            self.degraded = (*self.degraded, *lacks)

    def rankings(self, depth: int) -> list[Ranking]:
        """Return what each arm found; words that can not be searched are done without, where there are vectors."""
        found = [] if self.vectors is None else self.vectors.rankings(depth)
        if self.words is None:
            return found
        if self.words.conditions is not None:
            found = [self.words.conditions.narrowed(ranking) for ranking in found]
        try:
            return [*found, *self._by_words(self.words, depth)]
        except UnavailableError:
            if self.vectors is None or VECTOR in self.degraded:
                raise
            self._do_without_words()
            return self.rankings(depth)

    def _do_without_words(self) -> None:
        self.words, self.degraded = None, (*self.degraded, KEYWORD)
