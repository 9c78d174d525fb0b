"""What the quality of searches is measured with: every arm by itself, and what each adds to a hybrid search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from slipstream.domain.positions import Position
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal
from slipstream.quality.search_runs import SearchParts
from slipstream.quality.tuning import ScoredHit
from slipstream.recipes.in_force import LivePlaces, Recipes
from slipstream.search.hits import SearchHit
from slipstream.search.options import Mode
from slipstream.search.searcher import Searcher
from slipstream.search.weights import FusionWeights
from slipstream.views.words import WordViews

_IN_FRONT = {"id": 0, "key": 1, "name": 2, "alias": 3}
_TYPED, _BEHIND = 4, 5


def search_parts(
    graph: GraphReader,
    journal: Journal,
    clock: Clock,
    frontier: Callable[[], Position],
    recipes: Recipes,
    places: LivePlaces,
    searcher: Searcher,
    weights: FusionWeights,
) -> SearchParts:
    """Return the parts, with the arms that the searcher has."""

    def has_models() -> bool:
        return len({scope.space.model_id for scope in places.live(None).scopes}) > 1

    return SearchParts(
        graph=graph,
        journal=journal,
        clock=clock,
        frontier=frontier,
        words=lambda: WordViews(recipes.pair.live.views.views),
        arms={mode: partial(_asked, searcher, mode) for mode in searcher.modes},
        evidence=partial(_scored, searcher) if "hybrid" in searcher.modes else None,
        weights=lambda: _weights(weights, by_ranks=has_models()),
    )


def _asked(searcher: Searcher, mode: Mode, text: str, k: int) -> list[str]:
    return [hit.entity_id for hit in searcher.search(text, k, mode=mode)]


def _weights(weights: FusionWeights, *, by_ranks: bool) -> Mapping[str, float]:
    """Return the weights in force by their names in `[search]`; the vectors come first, and count once by scores."""
    arms = ("keyword", "corrected", "fuzzy")
    if by_ranks:
        return {f"rank_{arm}": float(getattr(weights, f"rank_{arm}")) for arm in ("vector", *arms)}
    return {"vector": 1.0, **{arm: float(getattr(weights, arm)) for arm in arms}}


def _scored(searcher: Searcher, text: str, k: int) -> list[ScoredHit]:
    """Return the hits of a hybrid search, with what each arm adds, by the names of the weights."""
    found = searcher.search(text, k, mode="hybrid", explain=True)
    prefix = "rank_" if found.explanation is not None and found.explanation.fusion == "ranks" else ""
    hits = [_hit(hit, prefix) for hit in found]
    return hits if prefix else _with_floor(hits, [hit.score for hit in found])


def _hit(hit: SearchHit, prefix: str) -> ScoredHit:
    shares: dict[str, float] = {}
    group = _BEHIND
    if hit.explanation is not None:
        for share in hit.explanation.arms:
            shares[f"{prefix}{share.arm}"] = shares.get(f"{prefix}{share.arm}", 0.0) + share.share
            if share.arm == "exact":
                group = _IN_FRONT.get(hit.explanation.name_kind or "", group)
            elif share.arm == "typed":
                group = min(group, _TYPED)
    return ScoredHit(hit.entity_id, shares, group)


def _with_floor(hits: Sequence[ScoredHit], scores: Sequence[float]) -> list[ScoredHit]:
    """
    Return the hits, those that the vectors lack with the cosine that these count by.

    It is what is left of their score; what stands in front has more than that, and counts as the least of all.
    """
    known = [hit.shares["vector"] for hit in hits if "vector" in hit.shares]
    left = [
        score - sum(hit.shares.values())
        for hit, score in zip(hits, scores, strict=True)
        if hit.group == _BEHIND and "vector" not in hit.shares
    ]
    floor = min([*known, *left], default=0.0)
    return [hit if "vector" in hit.shares else hit._replace(shares={**hit.shares, "vector": floor}) for hit in hits]
