"""What a search says of itself, in words."""

from __future__ import annotations

from dataclasses import asdict

from slipstream.domain.positions import Position
from slipstream.search.explanations import ArmShare, HitExplanation, SearchExplanation
from slipstream.search.telling import arms_told, hit_told, lack_told, search_told

ARMS = (ArmShare("exact", 1, 1.0, 0.0), ArmShare("vector", 3, 0.61234, 0.61234, "minilm"))


def test_a_hit_says_what_each_arm_says_of_it() -> None:
    told = HitExplanation(ARMS, name_kind="alias", matched=("ada", "engine"), snippet="ada's engine")
    assert hit_told(asdict(told)) == (
        "it is an alias of it; exact: rank 1, 1.000; vector (minilm): rank 3, 0.612, adds 0.612; words: ada, engine"
    )
    assert next(arms_told(asdict(told)["arms"])) == "exact: rank 1, 1.000"
    assert hit_told(asdict(HitExplanation(()))) == ""


def test_a_search_says_what_it_asked() -> None:
    asked = SearchExplanation(
        mode="hybrid",
        arms={"vector": 50, "keyword": 7},
        words=("lovelace",),
        corrected="lovelace",
        filters={"entity_type": "Person", "narrowing": "from 2026-01-01"},
        fusion="scores",
    )
    assert list(search_told(asdict(asked), {"vector": Position(7), "keyword": Position(9)})) == [
        "mode hybrid: hits of vector 50, keyword 7, put together by scores",
        "up to position 7 by vector, 9 by keyword",
        "words: lovelace",
        "also searched for: lovelace",
        "only: entity_type Person; from 2026-01-01",
    ]
    assert list(search_told(asdict(SearchExplanation("exact")), {})) == ["mode exact: hits of none"]


def test_what_is_lacking_is_said_for_people() -> None:
    assert "no model answered" in lack_told("vector")
    assert "minilm" in lack_told("vector:minilm")
    assert lack_told("graph") != "graph"
    assert lack_told("keyword") != "keyword"
    assert lack_told("something new") == "something new"
