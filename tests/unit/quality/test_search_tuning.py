"""Weights are found where they are known, judged on other questions, and nothing is moved in vain."""

from __future__ import annotations

import pytest

from slipstream.app.config import parse_config
from slipstream.quality.questions import Question
from slipstream.quality.search_figures import SearchQuality, difference, search_figures
from slipstream.quality.search_page import weights_toml
from slipstream.quality.search_runs import TunedSearch
from slipstream.quality.tuning import ScoredHit, gathered, tuned

WEIGHTS = {"vector": 1.0, "keyword": 0.4, "fuzzy": 0.6}
QUESTIONS = [Question(f"q{n}", ("right",), "even" if n % 2 == 0 else "odd") for n in range(20)]


def _misled(text: str, k: int) -> list[ScoredHit]:
    """The vectors are wrong by 0.3, and words say so: from a weight of 0.6 on they are heard."""
    assert k == 50
    return [
        ScoredHit("wrong", {"vector": 0.8, "keyword": 0.0}),
        ScoredHit("right", {"vector": 0.5, "keyword": 0.4 * 0.5}),
    ]


def test_the_weight_that_finds_what_is_right_is_chosen() -> None:
    material = gathered(_misled, list(WEIGHTS), QUESTIONS)
    assert material.objective(material.neutral) == pytest.approx(0.5)  # in the first five, and never first
    found = tuned(material, WEIGHTS)
    assert found.weights["keyword"] > 0.6
    assert (found.weights["vector"], found.weights["fuzzy"]) == (1.0, 0.6)
    assert found.objective_before == pytest.approx(0.5)
    assert found.objective == 1.0
    assert found.before == WEIGHTS
    before = material.answers(material.neutral, "hybrid")
    after = material.answers(material.factors(WEIGHTS, found.weights), "hybrid")
    assert [answer.ranks["hybrid"] for answer in before] == [(2,)] * 20
    assert difference(before, after).macro["recall_1"].low == 1.0
    assert len(search_figures(after)[1]) == 2


def test_what_stands_in_front_stays_there() -> None:
    def named(text: str, k: int) -> list[ScoredHit]:
        return [
            ScoredHit("named", {"vector": 0.1}, group=2),
            ScoredHit("right", {"vector": 0.9, "keyword": 0.4}, group=5),
        ]

    material = gathered(named, list(WEIGHTS), QUESTIONS)
    assert tuned(material, WEIGHTS).weights == WEIGHTS
    assert [answer.ranks["hybrid"] for answer in material.answers(material.neutral, "hybrid")] == [(2,)] * 20


def test_a_question_without_hits_and_an_unknown_arm_are_harmless() -> None:
    def some(text: str, k: int) -> list[ScoredHit]:
        return [] if text == "q0" else [ScoredHit("right", {"exact": 3.0, "vector": 0.5})]

    done: list[tuple[int, int]] = []
    material = gathered(some, list(WEIGHTS), QUESTIONS, lambda *told: done.append(told))
    assert done[-1] == (20, 20)
    assert material.objective(material.neutral) == pytest.approx(0.95)
    assert material.answers(material.neutral, "hybrid")[0].ranks == {"hybrid": ()}


def test_the_configuration_takes_what_is_printed() -> None:
    material = gathered(_misled, list(WEIGHTS), QUESTIONS)
    chosen = tuned(material, WEIGHTS)
    macro, classes = search_figures(material.answers(material.neutral, "hybrid"))
    gain = difference(material.answers(material.neutral, "hybrid"), [])
    printed = weights_toml(TunedSearch(chosen, SearchQuality(20, 0, macro, classes), gain))
    assert parse_config(printed).search.fusion().keyword == chosen.weights["keyword"]
