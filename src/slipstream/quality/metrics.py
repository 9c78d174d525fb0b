"""Figures of rankings and of neighbourhoods: well-known formulas, each with its source. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt


def overlap(old: Sequence[Hashable], new: Sequence[Hashable], k: int) -> float:
    """
    Return the share of the first `k` that two rankings have in common, in 0..1.

    Divided by the longer of the two (cut to `k`), so that short lists can reach 1.0; two empty ones agree.
    """
    first, second = set(old[:k]), set(new[:k])
    longest = max(len(first), len(second))
    return len(first & second) / longest if longest else 1.0


def kendall_tau_b(old: Sequence[Hashable], new: Sequence[Hashable]) -> float:
    """
    Return Kendall's tau-b (Kendall 1945) of two top-k lists, in -1..1.

    Over all items of either; those that a list lacks are tied just behind its last (as top-k lists are completed by
    Fagin, Kumar and Sivakumar 2003). Without any pair to compare: 1.0 for equal lists, else 0.0.
    """
    items = list(dict.fromkeys([*old, *new]))
    ranks = [{item: rank for rank, item in reversed(list(enumerate(ranking)))} for ranking in (old, new)]
    pairs = [(ranks[0].get(item, len(old)), ranks[1].get(item, len(new))) for item in items]
    agreement, untied_old, untied_new = 0, 0, 0
    for (a, b), (c, d) in combinations(pairs, 2):
        sign_old, sign_new = (a > c) - (a < c), (b > d) - (b < d)
        agreement += sign_old * sign_new
        untied_old += sign_old != 0
        untied_new += sign_new != 0
    if not untied_old or not untied_new:
        return 1.0 if list(old) == list(new) else 0.0
    return agreement / math.sqrt(untied_old * untied_new)


def recall(found: Sequence[Hashable], expected: Collection[Hashable], k: int) -> float:
    """Return the share of the expected items that are among the first `k` found; 1.0 when none is expected."""
    wanted = set(expected)
    return len(wanted.intersection(found[:k])) / len(wanted) if wanted else 1.0


def recall_within(found: Sequence[Hashable], expected: Collection[Hashable], k: int) -> float:
    """
    Return how many of the expected items are among the first `k` found, of as many as can be: at most `k` of them.

    So a question with more answers than `k` can reach 1.0 too; for `k` = 1 it says whether the first one is right.
    """
    wanted = set(expected)
    return len(wanted.intersection(found[:k])) / min(k, len(wanted)) if wanted else 1.0


def reciprocal_rank(found: Sequence[Hashable], expected: Collection[Hashable]) -> float:
    """Return 1 / the rank of the first expected item found, 0.0 without one (its mean over queries is the MRR)."""
    wanted = set(expected)
    return next((1.0 / rank for rank, item in enumerate(found, start=1) if item in wanted), 0.0)


def ndcg(found: Sequence[Hashable], expected: Collection[Hashable], k: int) -> float:
    """
    Return the normalised discounted cumulative gain at `k` for binary relevance (Järvelin and Kekäläinen 2002).

    The discount is 1 / log2(1 + rank). 1.0 when nothing is expected.
    """
    wanted = set(expected)
    if not wanted:
        return 1.0
    gain = sum(_discount(rank) for rank, item in enumerate(dict.fromkeys(found[:k]), start=1) if item in wanted)
    return gain / sum(_discount(rank) for rank in range(1, min(k, len(wanted)) + 1))


def _discount(rank: int) -> float:
    return 1.0 / math.log2(1 + rank)


def skewness(values: Sequence[float], zeros: int = 0) -> float:
    """
    Return the third standardised moment of the values and as many more zeros, 0.0 when all are equal.

    Of N_k, how often each record is among others' `k` nearest, it is the measure of hubness (Radovanović, Nanopoulos
    and Ivanović 2010): far above 0, a few hubs turn up in everyone's neighbourhood.
    """
    array = np.asarray(values, dtype=np.float64)
    mean, spread = mean_and_spread(array, zeros)
    if spread < 1e-12:
        return 0.0
    count = array.size + zeros
    return (float(((array - mean) ** 3).sum()) - zeros * mean**3) / count / spread**3


def mean_and_spread(values: npt.ArrayLike, zeros: int = 0) -> tuple[float, float]:
    """Return mean and standard deviation of the values and as many more zeros; 0.0 for both without any."""
    array = np.asarray(values, dtype=np.float64)
    count = array.size + zeros
    if not count:
        return 0.0, 0.0
    mean = float(array.sum()) / count
    return mean, math.sqrt((float(((array - mean) ** 2).sum()) + zeros * mean**2) / count)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return mean, least, most, quartiles, 10th and 90th percentile (interpolated) by name; empty without values."""
    if not values:
        return {}
    array = np.asarray(values, dtype=np.float64)
    found = np.quantile(array, [0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0])
    names = ("min", "p10", "p25", "median", "p75", "p90", "max")
    return {"mean": float(array.mean()), **{name: float(value) for name, value in zip(names, found, strict=True)}}
