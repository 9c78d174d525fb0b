"""Telling why each hit is one: the rank, score and share of each arm, and the words that matched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slipstream.domain.keys import RecordKey
from slipstream.domain.word_queries import AnyOf, Term, WordQuery
from slipstream.domain.words import Excerpt, NameKind, WordFields
from slipstream.search.arms import Arms, Asking, WordArms
from slipstream.search.explanations import ArmShare, HitExplanation, SearchExplanation
from slipstream.search.fusing import Fused, share
from slipstream.search.hits import SearchHit
from slipstream.search.joining import Joined
from slipstream.search.ranking import Named, Ranking
from slipstream.search.weights import FusionWeights
from slipstream.search.words import SearchedWords

_NOTHING = Excerpt((), "")


class Shares:
    """What each arm says of the hits of one search."""

    def __init__(self, fused: Fused, weights: FusionWeights, k: int, *, is_hybrid: bool) -> None:
        self._fused, self._weights, self._k, self._is_hybrid = fused, weights, k, is_hybrid
        self._ranks = [{hit.key: rank for rank, hit in enumerate(each.hits, 1)} for each in fused.rankings]

    def explanation(self, key: RecordKey, excerpt: Excerpt) -> HitExplanation:
        """Return why a record is a hit."""
        return HitExplanation(tuple(self.of(key)), self._name_kind(key), excerpt.words, excerpt.snippet)

    def of(self, key: RecordKey) -> Iterator[ArmShare]:
        """Yield what each arm that found a record says of it."""
        for ranking, ranks in zip(self._fused.rankings, self._ranks, strict=True):
            if (rank := ranks.get(key)) is not None:
                yield self._share(ranking, rank)

    def _share(self, ranking: Ranking, rank: int) -> ArmShare:
        hit = ranking.hits[rank - 1]
        added = hit.score
        if self._is_hybrid:
            added = share(ranking, rank, hit, self._weights, self._k, self._fused.by)
        return ArmShare(ranking.arm, rank, hit.score, added, ranking.model[0] if ranking.model else None)

    def _name_kind(self, key: RecordKey) -> str | None:
        for ranking, ranks in zip(self._fused.rankings, self._ranks, strict=True):
            if isinstance(ranking, Named) and key in ranks:
                return NameKind(ranking.kinds[ranks[key] - 1]).name.lower()
        return None


def told(asking: Asking, arms: Arms, fused: Fused) -> SearchExplanation:
    """Return what each arm of a search was asked."""
    counts: dict[str, int] = {}
    for ranking in fused.rankings:
        counts[ranking.arm] = counts.get(ranking.arm, 0) + len(ranking.hits)
    words = arms.words
    return SearchExplanation(
        mode=asking.options.mode,
        arms=counts,
        words=words.plan.words if words is not None and words.plan is not None else (),
        corrected=words.mended.text if words is not None and words.mended is not None else None,
        filters=dict(_filters(asking)),
        fusion=fused.by,
    )


def excerpts_of(
    words: SearchedWords | None, arms: Arms, joined: Sequence[Joined], hits: Sequence[SearchHit]
) -> list[Excerpt]:
    """Return where the words of a search stand in the texts of its hits, as the graph has them now."""
    found = [_NOTHING] * len(hits)
    if words is None or arms.words is None:
        return found
    query = _looked_for(arms.words)
    told = [_told(words, each, hit) for each, hit in zip(joined, hits, strict=True)]
    for stemmer in sorted({stemmer for _, stemmer in told}):
        places = [at for at, (_, of_text) in enumerate(told) if of_text == stemmer]
        excerpts = words.index.excerpts(query, [told[at][0] for at in places], stemmer)
        for at, excerpt in zip(places, excerpts, strict=True):
            found[at] = excerpt
    return found


def _looked_for(arms: WordArms) -> WordQuery:
    mended = () if arms.mended is None else arms.mended.words
    wanted = dict.fromkeys([*arms.query.words, *mended])
    return AnyOf((*arms.query.conditions, *arms.query.prefixes, *(Term(word) for word in wanted)))


def _told(words: SearchedWords, joined: Joined, hit: SearchHit) -> tuple[str, str]:
    """Return the text of a record that is searched by words, and the stemmer of its words."""
    fields: WordFields | None = None if joined.state is None else words.views.fields(joined.state)
    if fields is None:
        return hit.text, "english"
    return " \n".join(part for part in (fields.name, *fields.aliases, fields.body) if part), fields.stemmer


def _filters(asking: Asking) -> Iterator[tuple[str, str]]:
    options = asking.options
    if options.entity_type is not None:
        yield "entity_type", options.entity_type
    if options.min_schema_version is not None:
        yield "min_schema_version", str(options.min_schema_version)
    for name, value in options.metadata.items():
        yield f"metadata.{name}", str(value)
    if asking.narrowing.line:
        yield "narrowing", asking.narrowing.line
