"""What searches are worth on questions: figures of each arm by class, and its gain over the vectors alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from slipstream.quality.bootstrap import RESAMPLES, Floats, Interval, paired_differences
from slipstream.quality.metrics import ndcg, recall_within, reciprocal_rank

K = 10
"""How many hits of a search are looked at."""
VECTOR, HYBRID = "vector", "hybrid"
"""The arm that others are held against, and what answers a search that names no arm."""
MISSES_MAX = 20
"""Questions of a class that are listed as missed."""


class ArmFigures(NamedTuple):
    """
    Means over questions, each in 0..1.

    `recall_5` is what was found of the expected among the first 5, of as many as can be there; `recall_1` says how
    often the first hit is right. `mrr` and `ndcg` look at the first 10.
    """

    recall_1: float
    recall_5: float
    recall_10: float
    mrr: float
    ndcg: float


FIGURES = ArmFigures._fields


class Answer(NamedTuple):
    """Where the answers to one question stood among the first `K` hits of each arm."""

    digest: str
    class_name: str
    expected: int
    """How many records answer it."""
    ranks: Mapping[str, tuple[int, ...]]

    def figures(self, arm: str) -> ArmFigures:
        """Return the figures of one arm."""
        ranks = self.ranks[arm]
        found = [rank if rank in ranks else -rank for rank in range(1, K + 1)]
        expected = [*ranks, *range(K + 1, K + 1 + self.expected - len(ranks))]
        return ArmFigures(
            recall_within(found, expected, 1),
            recall_within(found, expected, 5),
            recall_within(found, expected, K),
            reciprocal_rank(found, expected),
            ndcg(found, expected, K),
        )


def ranks_of(found: Sequence[str], expected: Iterable[str]) -> tuple[int, ...]:
    """Return the ranks at which expected ids stand among the first `K` found, each once, the best first."""
    wanted = set(expected)
    return tuple(rank for rank, each in enumerate(dict.fromkeys(found[:K]), start=1) if each in wanted)


class Latency(NamedTuple):
    """How long searches of an arm took, in milliseconds."""

    p50_ms: float
    p95_ms: float


class Miss(NamedTuple):
    """A question of which an arm has found nothing among the first 5, and what it has found instead."""

    class_name: str
    text: str
    expected: tuple[str, ...]
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClassQuality:
    """One class of questions, or all of them (the macro average: each class counts once)."""

    name: str
    questions: int
    arms: Mapping[str, ArmFigures]
    gains: Mapping[str, Mapping[str, Interval]]
    """By arm and figure: how much better than the vectors alone, with the 95 % interval of the paired bootstrap."""


@dataclass(frozen=True, slots=True)
class SearchQuality:
    """One measurement of searches on questions."""

    questions: int
    seed: int
    macro: ClassQuality
    classes: tuple[ClassQuality, ...]
    latency: Mapping[str, Latency] = field(default_factory=dict)
    misses: tuple[Miss, ...] = ()
    """Of the hybrid search, or else of the last arm: at most `MISSES_MAX` of a class."""
    id: int | None = None
    """By which it is kept, None when it is not."""
    at: str = ""
    position: int = 0
    half: str | None = None
    """The half of the questions that was asked; None: all."""
    notes: tuple[str, ...] = ()


def search_figures(
    answers: Sequence[Answer], seed: int = 0, resamples: int = RESAMPLES
) -> tuple[ClassQuality, tuple[ClassQuality, ...]]:
    """Return the figures of all arms that answered: the macro average, and each class."""
    arms = list(answers[0].ranks) if answers else []
    grouped = _by_class(answers)
    tables = {arm: {name: _table(of_class, arm) for name, of_class in grouped.items()} for arm in arms}
    gains = {
        arm: paired_differences(
            {name: table - tables[VECTOR][name] for name, table in tables[arm].items()}, seed, resamples
        )
        for arm in arms
        if arm != VECTOR and VECTOR in tables
    }
    classes = tuple(
        ClassQuality(
            name,
            len(of_class),
            {arm: _means(tables[arm][name]) for arm in arms},
            {arm: _named(by_class[name]) for arm, (by_class, _) in gains.items()},
        )
        for name, of_class in grouped.items()
    )
    macro = ClassQuality(
        "macro",
        len(answers),
        {arm: ArmFigures(*_mean([each.arms[arm] for each in classes])) for arm in arms},
        {arm: _named(of_all) for arm, (_, of_all) in gains.items()},
    )
    return macro, classes


@dataclass(frozen=True, slots=True)
class SearchDifference:
    """What one arm finds in a run, beside what an arm (the same, or another one) has found in an earlier one."""

    arm: str
    questions: int
    """Those that both were asked: only these are compared."""
    macro: Mapping[str, Interval]
    classes: Mapping[str, Mapping[str, Interval]]
    """By class and figure: how much better the second one is, with its 95 % interval."""


def difference(
    old: Sequence[Answer], new: Sequence[Answer], arm: str = HYBRID, *, other: str | None = None, seed: int = 0
) -> SearchDifference:
    """Compare `arm` of two runs on the questions of both; `other` is the arm of the old one, if not the same."""
    known = {answer.digest: answer for answer in old}
    pairs = [(known[answer.digest], answer) for answer in new if answer.digest in known]
    grouped: dict[str, list[tuple[Answer, Answer]]] = {}
    for pair in pairs:
        grouped.setdefault(pair[1].class_name, []).append(pair)
    by_class, macro = paired_differences(
        {
            name: np.array([np.subtract(last.figures(arm), first.figures(other or arm)) for first, last in of_class])
            for name, of_class in grouped.items()
        },
        seed,
    )
    return SearchDifference(
        arm, len(pairs), _named(macro), {name: _named(figures) for name, figures in by_class.items()}
    )


def _by_class(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    grouped: dict[str, list[Answer]] = {}
    for answer in answers:
        grouped.setdefault(answer.class_name, []).append(answer)
    return grouped


def _table(answers: Sequence[Answer], arm: str) -> Floats:
    return np.array([answer.figures(arm) for answer in answers], dtype=np.float64)


def _means(table: Floats) -> ArmFigures:
    return ArmFigures(*(float(value) for value in table.mean(axis=0)))


def _mean(figures: Sequence[ArmFigures]) -> list[float]:
    return [sum(column) / len(figures) for column in zip(*figures, strict=True)]


def _named(intervals: Sequence[Interval]) -> dict[str, Interval]:
    return dict(zip(FIGURES, intervals, strict=False))
