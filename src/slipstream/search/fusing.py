"""Putting the arms together: what each hit is worth, and which stand in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import VectorHit
from slipstream.domain.words import NameKind
from slipstream.search.ranking import Candidate, Found, Named, Ranking
from slipstream.search.weights import FusionWeights

SCORES, RANKS = "scores", "ranks"
_STEPS = {NameKind.ID: 5, NameKind.KEY: 4, NameKind.NAME: 3, NameKind.ALIAS: 2}
"""How far in front each kind of exact name stands; what is named beside its type stands one in front."""


class Fused(NamedTuple):
    """All that the arms found, best first."""

    candidates: list[Candidate]
    rankings: tuple[Ranking, ...]
    by: str
    """`scores` or `ranks`."""

    @property
    def is_exhausted(self) -> bool:
        """Whether no arm has more hits than these."""
        return all(ranking.is_exhausted for ranking in self.rankings)


def merged(rankings: Sequence[Ranking]) -> list[Ranking]:
    """Return one ranking by vectors for each model: scores of one model compare, in whichever generation."""
    by_model: dict[tuple[str, str] | None, list[Ranking]] = {}
    for ranking in rankings:
        by_model.setdefault(ranking.model, []).append(ranking)
    return [of_model[0] if len(of_model) == 1 else _one(of_model) for of_model in by_model.values()]


def _one(rankings: Sequence[Ranking]) -> Ranking:
    best: dict[RecordKey, Found] = {}
    for hit in sorted((hit for ranking in rankings for hit in ranking.hits), key=lambda hit: -hit.score):
        best.setdefault(hit.key, hit)
    hits = sorted(best.values(), key=lambda hit: (-hit.score, hit.key.encode()))
    return Ranking("vector", hits, all(ranking.is_exhausted for ranking in rankings), rankings[0].model)


def fuse(rankings: Sequence[Ranking], weights: FusionWeights, k: int) -> Fused:
    """
    Return every record that an arm found, once, best first, ties by key; those with exact names in front.

    By scores where the vectors are of one model at most; else by ranks.
    """
    by = fused_by(rankings)
    found: dict[RecordKey, Candidate] = {}
    floor = 0.0
    for ranking in rankings:
        is_vector = ranking.arm == "vector"
        for rank, hit in enumerate(ranking.hits, 1):
            added = share(ranking, rank, hit, weights, k, by)
            candidate = found.get(hit.key)
            if candidate is None:
                found[hit.key] = candidate = Candidate(hit.key, hit.entity_type, floor + added, hit.stamp)
            else:
                candidate.score += added
            if is_vector and candidate.cosine is None:
                candidate.cosine, candidate.stamp = hit.score, hit.stamp
        if is_vector and by == SCORES and ranking.hits:
            floor = _floor(ranking, weights.depth)
    _bring_forward(found, rankings, weights)
    ordered = sorted(found.values(), key=lambda each: (-each.total, each.key.encode()))
    return Fused(ordered, tuple(rankings), by)


def _floor(ranking: Ranking, depth: int) -> float:
    """
    Return the cosine that a hit counts by which the vectors lack: that of the last one that is asked for.

    Where they have fewer, it has no vector yet, and nothing is known: it counts as the one in the middle.
    """
    return ranking.hits[depth - 1 if len(ranking.hits) >= depth else len(ranking.hits) // 2].score


def fuse_vectors(rankings: Sequence[Sequence[VectorHit]]) -> list[VectorHit]:
    """Join the answers of several spaces, each key once: of one model by score, of several by rank."""
    told = [_of_vectors(hits) for hits in rankings if hits]
    return [VectorHit(each.stamp, each.score) for each in alone(merged(told)).candidates if each.stamp is not None]


def _of_vectors(hits: Sequence[VectorHit]) -> Ranking:
    space = hits[0].stamp.space
    found = [Found(hit.stamp.key, hit.stamp.entity_type, hit.score, hit.stamp) for hit in hits]
    return Ranking("vector", found, is_exhausted=True, model=(space.model_id, space.model_version))


def alone(rankings: Sequence[Ranking]) -> Fused:
    """Return what one arm found, as it is; of several models by ranks, the best of each first."""
    ranked = sorted(
        ((rank, hit) for ranking in rankings for rank, hit in enumerate(ranking.hits)),
        key=lambda each: (each[0], each[1].key.encode()),
    )
    found: dict[RecordKey, Candidate] = {}
    for _, hit in ranked:
        if hit.key not in found:
            cosine = None if hit.stamp is None else hit.score
            found[hit.key] = Candidate(hit.key, hit.entity_type, hit.score, hit.stamp, cosine)
    return Fused(list(found.values()), tuple(rankings), RANKS if len(rankings) > 1 else SCORES)


def fused_by(rankings: Sequence[Ranking]) -> str:
    """Return whether hits are ordered by `scores`, or by `ranks`, as the cosines of several models do not compare."""
    return SCORES if sum(ranking.arm == "vector" and bool(ranking.hits) for ranking in rankings) <= 1 else RANKS


def share(ranking: Ranking, rank: int, hit: Found, weights: FusionWeights, k: int, by: str) -> float:
    """Return what one arm adds to the score of a hit; `rank` is from 1."""
    arm = ranking.arm
    if by == RANKS:
        weight = {
            "vector": weights.rank_vector,
            "keyword": weights.rank_keyword,
            "fuzzy": weights.rank_fuzzy,
            "corrected": weights.rank_corrected,
        }.get(arm, 0.0)
        return weight / (weights.rank_k + rank) if rank <= max(k, weights.rank_depth) else 0.0
    if arm == "vector":
        return hit.score
    if arm == "keyword":
        return weights.keyword * hit.score
    if arm == "corrected":
        return weights.corrected * hit.score / (ranking.hits[0].score or 1.0)
    return weights.fuzzy / hit.score if arm == "fuzzy" else 0.0


def _bring_forward(found: dict[RecordKey, Candidate], rankings: Sequence[Ranking], weights: FusionWeights) -> None:
    for ranking in rankings:
        if isinstance(ranking, Named):
            for hit, kind in zip(ranking.hits, ranking.kinds, strict=True):
                steps = _STEPS[kind] if ranking.arm == "exact" else 1
                found[hit.key].front = max(found[hit.key].front, steps * weights.tier)
