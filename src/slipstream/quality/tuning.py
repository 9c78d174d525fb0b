"""
Weights of the arms of a hybrid search, chosen on one half of the questions and judged on the other.

Each question is asked once, with what every arm adds to each hit. Other weights only scale these shares, so thousands
of them can be tried without another search. What stands in front whatever its score (an exact name) stays there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from slipstream.quality.questions import Question
from slipstream.quality.search_figures import Answer, ranks_of
from slipstream.quality.search_measuring import Progress

DEPTH = 50
"""How many hits of a question are put in another order: those behind them are taken as not to be reached."""
STEPS = (0.0, 0.25, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0)
"""By what a weight is multiplied, one weight at a time."""
ROUNDS_MAX = 6
GAIN_MIN = 1e-4
"""A change that gains less is not made: between weights that are equally good, those in force stay."""

Floats = npt.NDArray[np.float64]


class ScoredHit(NamedTuple):
    """One hit of a hybrid search, and what each arm adds to its score."""

    id: str
    shares: Mapping[str, float]
    group: int = 0
    """Hits of a smaller group stand in front of the others, whatever their scores: names that fit exactly."""


Evidence = Callable[[str, int], Sequence[ScoredHit]]
"""Returns the best `k` hits for a text with their shares, by the weights in force."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """Weights that answer best on the tuning half."""

    weights: Mapping[str, float]
    before: Mapping[str, float]
    """The weights in force."""
    objective: float
    """Mean of recall@1 and recall@5 over classes, on the tuning half."""
    objective_before: float
    tried: int


class Material:
    """The hits of many questions with their shares, as arrays."""

    def __init__(self, arms: Sequence[str], questions: Sequence[Question]) -> None:
        self.arms = tuple(arms)
        shape = (len(questions), DEPTH, len(arms))
        self._questions = questions
        self._shares = np.zeros(shape)
        self._groups = np.full(shape[:2], np.iinfo(np.int32).max, dtype=np.int64)
        self._relevant = np.zeros(shape[:2], dtype=bool)
        self._ids: list[list[str]] = []
        self._wanted = np.array([len(question.expected) for question in questions])
        names = list(dict.fromkeys(question.class_name for question in questions))
        self._classes = np.array([names.index(question.class_name) for question in questions], dtype=np.int64)
        self._sizes = np.bincount(self._classes)

    @property
    def neutral(self) -> Floats:
        """The factors of the weights in force."""
        return np.ones(len(self.arms))

    def factors(self, weights: Mapping[str, float], chosen: Mapping[str, float]) -> Floats:
        """Return by what shares are multiplied where other weights are chosen."""
        return np.array([chosen[arm] / weights[arm] if weights[arm] else 1.0 for arm in self.arms])

    def add(self, hits: Sequence[ScoredHit]) -> None:
        """Add the hits of the next question."""
        row = len(self._ids)
        expected = set(self._questions[row].expected)
        self._ids.append([hit.id for hit in hits[:DEPTH]])
        for place, hit in enumerate(hits[:DEPTH]):
            self._groups[row, place] = hit.group
            self._relevant[row, place] = hit.id in expected
            for arm, share in hit.shares.items():
                if arm in self.arms:
                    self._shares[row, place, self.arms.index(arm)] = share

    def objective(self, factors: Floats) -> float:
        """Return the mean of recall@1 and recall@5, each class counting once, by shares times these factors."""
        relevant = np.take_along_axis(self._relevant, self._order(factors), axis=1)
        first = relevant[:, 0].astype(np.float64)
        five = relevant[:, :5].sum(axis=1) / np.minimum(5, self._wanted)
        return float((np.bincount(self._classes, (first + five) / 2) / self._sizes).mean())

    def answers(self, factors: Floats, arm: str) -> list[Answer]:
        """Return where the answers stand by these factors, as the answers of an arm."""
        return [
            Answer(
                question.digest,
                question.class_name,
                len(question.expected),
                {arm: ranks_of([ids[place] for place in order if place < len(ids)], question.expected)},
            )
            for question, ids, order in zip(self._questions, self._ids, self._order(factors), strict=True)
        ]

    def _order(self, factors: Floats) -> npt.NDArray[np.intp]:
        scores = self._shares @ factors
        return np.lexsort((-scores, self._groups), axis=1)


def gathered(
    evidence: Evidence,
    arms: Sequence[str],
    questions: Sequence[Question],
    on_question: Progress | None = None,
) -> Material:
    """Ask every question once."""
    material = Material(arms, questions)
    for number, question in enumerate(questions, start=1):
        material.add(evidence(question.text, DEPTH))
        if on_question is not None:
            on_question(number, len(questions))
    return material


def tuned(material: Material, weights: Mapping[str, float]) -> Tuned:
    """Choose weights, one after the other until none gains; the first arm's stays, as only their ratio matters."""
    factors = material.neutral
    best = before = material.objective(factors)
    tried = 1
    for _ in range(ROUNDS_MAX):
        at_start = best
        for place in range(1, len(material.arms)):
            base = factors[place]
            for step in STEPS:
                candidate = factors.copy()
                candidate[place] = base * step
                found = material.objective(candidate)
                tried += 1
                if found > best + GAIN_MIN:
                    best, factors = found, candidate
        if best - at_start <= GAIN_MIN:
            break
    chosen = {arm: round(weights[arm] * float(factors[place]), 4) for place, arm in enumerate(material.arms)}
    return Tuned(chosen, dict(weights), best, before, tried)
