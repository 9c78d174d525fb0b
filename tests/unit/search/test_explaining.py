"""Why a hit is one, and why a record is none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.keys import entity_key
from slipstream.domain.work import DeadLetter
from slipstream.search.weights import FusionWeights
from slipstream.views.declaration import View
from tests.unit.search.worded import Refusing, Worded, ids


@pytest.fixture
def world() -> Worded:
    knows = View(type="KNOWS", template="{{ source.name }} knows {{ target.name }}", is_relationship=True)
    world = Worded([View(type="Person", metadata=("country",)), knows])
    world.add("Person", "ada", name="Ada Lovelace", description="She wrote programs.", country="uk")
    world.add("Person", "grace", name="Grace Hopper", description="Wrote compilers for the navy, and more compilers.")
    world.add("Concept", "compiler", name="compiler", description="a program that translates programs")
    world.graph.relate("ada", "KNOWS", "grace")
    world.settle()
    return world


def test_every_arm_tells_rank_score_and_share_and_the_shares_add_up(world: Worded) -> None:
    results = world.searcher().search("wrote compilers", explain=True)
    weights = FusionWeights()
    (best,) = [hit for hit in results if hit.entity_id == "grace"]
    assert best.explanation is not None
    assert best.explanation.name_kind is None
    shares = {share.arm: share for share in best.explanation.arms}
    assert shares["keyword"].rank == 1
    assert shares["keyword"].share == pytest.approx(weights.keyword * shares["keyword"].score)
    assert shares["vector"].model_id == best.model_id
    for hit in results:
        assert hit.explanation is not None
        told = {share.arm: share.share for share in hit.explanation.arms}
        if told.keys() >= {"vector"}:
            assert sum(told.values()) == pytest.approx(hit.score)


def test_what_was_asked_is_told(world: Worded) -> None:
    results = world.searcher().search(
        "wrote compilers",
        explain=True,
        entity_type="Person",
        metadata={"country": "uk"},
        since=None,
        min_confidence=None,
    )
    told = results.explanation
    assert told is not None
    assert told.mode == "hybrid"
    assert told.fusion == "scores"
    assert set(told.words) == {"wrote", "compilers"}
    assert told.filters == {"entity_type": "Person", "metadata.country": "uk"}
    assert told.arms["vector"] == 1
    assert told.arms["exact"] == 0


def test_matched_words_and_a_snippet_are_those_of_the_live_text(world: Worded) -> None:
    searcher = world.searcher()
    (hit, *_) = searcher.search("compiler navy", explain=True, entity_type="Person", mode="keyword")
    assert hit.explanation is not None
    assert hit.explanation.matched == ("compilers", "navy")
    assert "compilers" in hit.explanation.snippet
    world.graph.update_entity("grace", {"description": "A compiler of books for the Navy."})
    (hit, *_) = searcher.search("compiler navy", explain=True, entity_type="Person", mode="keyword")
    assert hit.explanation is not None
    assert hit.explanation.matched == ("compiler", "Navy")


def test_nothing_is_explained_unless_it_is_asked_for(world: Worded) -> None:
    results = world.searcher().search("wrote compilers")
    assert results.explanation is None
    assert {hit.explanation for hit in results} == {None}


# ---------------------------------------------------------------------- why not


class _Letters:
    def __init__(self, *letters: DeadLetter) -> None:
        self._letters = letters

    def find(self, ids: Any) -> list[DeadLetter]:
        return [letter for letter in self._letters if letter.id in ids]


def test_a_hit_is_found_at_its_rank(world: Worded) -> None:
    told = world.searcher().why_not("Ada Lovelace", "ada")
    assert (told.reason, told.rank) == ("found", 1)
    assert {share.arm for share in told.arms} >= {"exact", "vector"}


def test_the_rank_of_what_is_further_behind_is_that_of_a_longer_search() -> None:
    world = Worded()
    for number in range(150):
        world.add(
            "Note", f"n{number:03}", name=f"note {number}", description="about trains " + "and boats " * (number % 7)
        )
    world.settle()
    searcher = world.searcher()
    for at in (20, 70, 149):
        name = ids(searcher.search("trains", k=150))[at]
        told = searcher.why_not("trains", name, k=10)
        assert told.reason == "rank"
        assert told.rank is not None
        assert told.rank > 10
        assert told.arms
    assert searcher.why_not("trains", name, k=150).reason == "found"
    assert f"number {told.rank}" in told.line


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"entity_type": "Concept"}, "of type Person"),
        ({"metadata": {"country": "us"}}, "its country is 'uk', not 'us'"),
        ({"min_confidence": 0.5}, "extraction_confidence"),
        ({"source": "a.pdf"}, "a.pdf"),
        ({"since": "2020"}, "no time"),
        ({"min_schema_version": 99}, "version"),
    ],
)
def test_the_filter_that_leaves_it_out_is_named(world: Worded, asked: dict[str, Any], line: str) -> None:
    told = world.searcher().why_not("Ada Lovelace", "ada", **asked)
    assert told.reason == "filtered"
    assert line in told.line


def test_what_the_query_itself_rules_out_is_filtered(world: Worded) -> None:
    told = world.searcher().why_not("wrote -compilers", "grace")
    assert told.reason == "filtered"
    assert "-" in told.line


def test_what_is_not_in_the_graph_is_deleted_or_unknown(world: Worded) -> None:
    searcher = world.searcher()
    assert searcher.why_not("Ada", "nobody").reason == "unknown"
    world.graph.delete_entity("ada")
    assert searcher.why_not("Ada", "ada").reason == "deleted"


def test_what_has_no_vector_or_no_words_yet(world: Worded) -> None:
    world.add("Person", "mary", name="Mary Somerville")
    searcher = world.searcher()
    assert searcher.why_not("stars", "mary").reason == "not_yet_embedded"
    assert searcher.why_not("Mary Somerville", "mary", mode="exact").reason == "not_yet_in_words"
    letters: Any = _Letters(DeadLetter("e:mary", entity_key("mary"), "too long", 3, datetime.now(UTC)))
    told = searcher.why_not("stars", "mary", letters=letters)
    assert told.reason == "dead_letter"
    assert "too long" in told.line
    world.follow()
    assert searcher.why_not("Mary Somerville", "mary", mode="exact").reason == "found"
    assert searcher.why_not("stars", "mary", mode="keyword").reason == "no_such_word"


def test_no_such_word_is_all_that_can_be_said_while_the_model_is_down(world: Worded) -> None:
    told = world.searcher(service=Refusing()).why_not("astronomer", "ada")
    assert told.reason == "no_such_word"
    assert "no model answers" in told.line


def test_a_relationship_is_asked_for_by_its_id(world: Worded) -> None:
    results = world.searcher().search("Ada Lovelace knows Grace Hopper", entity_type="KNOWS")
    told = world.searcher().why_not("Ada Lovelace knows Grace Hopper", results[0].entity_id)
    assert told.reason == "found"
