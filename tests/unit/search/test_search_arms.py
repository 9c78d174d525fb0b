"""Searching by names, words and meaning at once: what each arm finds, and what stands in front."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from slipstream.adapters.wrappers.passing import PassingIndex
from slipstream.domain.errors import InvalidInputError, UnavailableError, UnsupportedError
from slipstream.domain.models import Space
from slipstream.domain.stamps import SearchFilter, Vector, VectorHit
from slipstream.search.hits import SearchHit
from slipstream.search.reordering import Reorderings
from slipstream.search.searcher import Searcher
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View, Words
from tests.unit.search.worded import Refusing, Worded, ids

_VIEWS = [View(type="Person", words=Words(keys=("email",)))]


@pytest.fixture
def world() -> Worded:
    world = Worded(_VIEWS)
    world.add("Person", "p1", name="Ada Lovelace", aliases=["Countess of Lovelace", "AAL"], email="ada@x.org")
    world.add("Person", "p2", name="Grace Hopper", description="wrote compilers for the navy", email="grace@x.org")
    world.add("Organization", "navy", name="US Navy", description="ships and sailors")
    world.add("CodeEntity", "c1", name="parse", description="function that reads a text")
    world.add("Concept", "k1", name="parse", description="splitting a sentence into its parts")
    world.add("Place", "beijing", name="北京大学", description="大学在中国")
    world.settle()
    return world


@pytest.mark.parametrize(
    ("text", "first", "kind"),
    [
        ("p1", "p1", "id"),
        ("ADA@X.ORG", "p1", "key"),
        ("ada lovelace", "p1", "name"),
        ("  Adá   LOVELACE ", "p1", "name"),
        ("aal", "p1", "alias"),
        ("us-navy", "navy", "name"),
        ("北京大学", "beijing", "name"),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "exact"])
def test_what_is_named_exactly_stands_in_front(world: Worded, text: str, first: str, kind: str, mode: str) -> None:
    results = world.searcher().search(text, mode=mode, explain=True)  # type: ignore[arg-type]
    assert results[0].entity_id == first
    explanation = results[0].explanation
    assert explanation is not None
    assert explanation.name_kind == kind
    assert [hit.score for hit in results] == sorted((hit.score for hit in results), reverse=True)


def test_an_id_stands_before_a_key_before_a_name_before_an_alias() -> None:
    world = Worded([View(type="T", words=Words(keys=("code",)))])
    world.add("T", "x", name="z of its own")
    world.add("T", "of-key", name="y", code="x")
    world.add("T", "of-name", name="X")
    world.add("T", "of-alias", name="w", aliases=["x"])
    world.settle()
    assert ids(world.searcher().search("x"))[:4] == ["x", "of-key", "of-name", "of-alias"]
    exact = world.searcher().search("x", mode="exact")
    assert ids(exact) == ["x", "of-key", "of-name", "of-alias"]
    assert {hit.score for hit in exact} == {1.0}


@pytest.mark.parametrize(
    ("text", "first"),
    [("parse concept", "k1"), ("Concept: parse", "k1"), ("parse code entity", "c1"), ("code entity parse", "c1")],
)
def test_a_type_word_at_either_end_chooses_among_namesakes(world: Worded, text: str, first: str) -> None:
    results = world.searcher().search(text, explain=True)
    assert results[0].entity_id == first
    assert results[0].explanation is not None
    assert "typed" in {share.arm for share in results[0].explanation.arms}
    assert ids(world.searcher().search(text, mode="exact")) == [first]


def test_type_words_count_only_where_the_whole_text_is_no_name(world: Worded) -> None:
    world.add("Concept", "k2", name="parse concept")
    world.settle()
    assert ids(world.searcher().search("parse concept", mode="exact")) == ["k2"]


def test_words_are_stemmed_and_weighed_by_how_much_of_the_query_they_explain(world: Worded) -> None:
    results = world.searcher().search("compiler writing navy", mode="keyword")
    assert ids(results)[0] == "p2"
    assert 0 < results[1].score < results[0].score <= 1


def test_a_misspelled_name_is_found(world: Worded) -> None:
    results = world.searcher().search("ada lovelcae", explain=True)
    assert results[0].entity_id == "p1"
    assert results[0].explanation is not None
    assert {share.arm for share in results[0].explanation.arms} >= {"fuzzy", "corrected"}
    assert results.explanation is not None
    assert results.explanation.corrected == "ada lovelace"


def test_a_misspelled_word_of_a_question_is_mended(world: Worded) -> None:
    results = world.searcher().search("who wrote compliers", explain=True)
    assert results[0].entity_id == "p2"
    assert results.explanation is not None
    assert results.explanation.corrected == "who wrote compilers"


def test_nothing_is_guessed_for_a_long_text_or_known_words(world: Worded) -> None:
    searcher = world.searcher()
    for text in ("compilers ships", "lovelcae " + "of the very long question " * 3):
        explained = searcher.search(text, explain=True).explanation
        assert explained is not None
        assert explained.corrected is None
        assert "fuzzy" not in explained.arms


def test_parts_of_chinese_are_found_as_words(world: Worded) -> None:
    assert ids(world.searcher().search("北京", mode="keyword")) == ["beijing"]


def test_a_type_filter_holds_for_every_arm(world: Worded) -> None:
    searcher = world.searcher()
    for mode in ("hybrid", "vector", "keyword", "exact"):
        results = searcher.search("parse", entity_type="Concept", mode=mode)
        assert set(ids(results)) == {"k1"}, mode
    assert ids(searcher.search("prase", entity_type="Person"))[0] in {"p1", "p2"}


def test_what_the_vectors_lack_is_found_by_words_and_the_frontiers_say_how_far_each_has_come(world: Worded) -> None:
    position = world.add("Person", "p3", name="Mary Somerville", description="astronomer")
    world.follow()  # the engine has not run: no vector yet
    results = world.searcher().search("Somerville astronomer")
    (hit,) = [hit for hit in results if hit.entity_id == "p3"]
    assert hit.model_id == ""
    assert hit.position == position
    assert results.frontiers["keyword"] == position
    assert results.frontiers["vector"] < position
    assert results.frontier == min(results.frontiers.values())


@pytest.mark.parametrize("mode", ["hybrid", "keyword", "exact"])
def test_what_is_gone_is_no_hit_of_any_arm(world: Worded, mode: str) -> None:
    world.graph.delete_entity("p1")  # neither the engine nor the words have noticed
    assert "p1" not in ids(world.searcher().search("Ada Lovelace", mode=mode))  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["hybrid", "keyword", "exact"])
def test_many_dead_hits_do_not_hide_the_living(mode: str) -> None:
    world = Worded()
    for number in range(120):
        world.add("Person", f"clone{number:03}", name="Ada Lovelace")
    world.add("Person", "zoe", name="Ada Lovelace")
    world.settle()
    for number in range(120):
        world.graph.delete_entity(f"clone{number:03}")
    assert ids(world.searcher().search("Ada Lovelace", k=1, mode=mode)) == ["zoe"]  # type: ignore[arg-type]


def test_a_model_that_is_down_costs_the_hits_by_meaning_alone(world: Worded) -> None:
    service = Refusing()
    searcher = world.searcher(service=service)
    results = searcher.search("compilers")
    assert ids(results) == ["p2"]
    assert results.degraded == ("vector",)
    assert [model.model_id for model in results.unasked] == [world.system.embedder.spec.id]
    assert results.frontiers.keys() == {"keyword"}
    assert searcher.search("compilers").degraded == ("vector",)
    assert service.asked == 1, "a model that has just failed is not asked again at once"
    with pytest.raises(UnavailableError, match="the model is down"):
        searcher.search("compilers", mode="vector")
    assert searcher.search("compilers", mode="keyword").degraded == ()


def test_what_is_no_fault_of_a_model_is_raised(world: Worded) -> None:
    with pytest.raises(ZeroDivisionError):
        world.searcher(service=Refusing(ZeroDivisionError)).search("compilers")


def test_one_of_several_models_that_is_down_is_named() -> None:
    small, large = HashEmbedder(dimension=8, id="small"), HashEmbedder(dimension=32, id="large")
    world = Worded(embedders=[small, large], routes={"Document": "large"})
    world.add("Person", "ada", name="Ada Lovelace")
    world.add("Document", "notes", name="Notes of Ada Lovelace")
    world.settle()
    embed = world.system.service.embed_query

    class OneDown:
        def embed_query(self, text: str, model_id: str) -> object:
            if model_id == "large":
                raise UnavailableError("down")
            return embed(text, model_id)

    results = world.searcher(service=OneDown()).search("notes of Ada")
    assert results.degraded == ("vector:large",)
    assert set(ids(results)) == {"ada", "notes"}, "its records are found by their words"
    both = world.searcher().search("notes of Ada", explain=True)
    assert both.degraded == ()
    assert both.explanation is not None
    assert both.explanation.fusion == "ranks"
    assert both[0].entity_id == "notes"


def test_words_that_can_not_be_searched_cost_their_hits_alone(world: Worded) -> None:
    searcher = world.searcher()
    world.index.close()
    results = searcher.search("Ada Lovelace")
    assert "p1" in ids(results)
    assert results.degraded == ("keyword",)
    assert results.frontiers.keys() == {"vector"}
    for mode in ("keyword", "exact"):
        with pytest.raises(UnavailableError):
            searcher.search("Ada Lovelace", mode=mode)
    with pytest.raises(UnavailableError):
        world.searcher(service=Refusing()).search("Ada Lovelace")


def test_without_words_meaning_alone_answers(world: Worded) -> None:
    searcher: Searcher = world.searcher(words=None)
    assert searcher.search("Ada Lovelace").degraded == ()
    with pytest.raises(UnsupportedError, match="words are not indexed"):
        searcher.search("Ada Lovelace", mode="exact")


def test_reading_ones_own_write_waits_for_every_arm_that_is_asked(world: Worded) -> None:
    searcher = world.searcher()
    position = world.add("Person", "p3", name="Mary Somerville")
    for mode, error in (("keyword", "word index"), ("hybrid", "word index"), ("vector", "the index")):
        with pytest.raises(UnavailableError, match=f"{error} did not reach"):
            searcher.search("Somerville", after=position, timeout_s=0.01, mode=mode)  # type: ignore[arg-type]
    world.follow()
    assert ids(searcher.search("Mary Somerville", after=position, mode="exact")) == ["p3"]
    with pytest.raises(UnavailableError, match="the index did not reach"):
        searcher.search("Somerville", after=position, timeout_s=0.01)
    world.system.settle()
    assert ids(searcher.search("Somerville", after=position))[0] == "p3"


def test_a_write_is_read_by_words_while_the_model_alone_is_behind(world: Worded) -> None:
    class Behind:
        def behind(self, position: object) -> dict[str, str]:
            del position
            return {world.system.embedder.spec.id: "it is down"}

        def wait_for_some(self, position: object, models: object, timeout_s: float) -> bool:
            del position, timeout_s
            assert not models, "words answer: no model must be up"
            return True

    position = world.add("Person", "p3", name="Mary Somerville")
    world.follow()
    results = world.searcher(patience=Behind()).search("Somerville", after=position)
    assert ids(results)[0] == "p3"
    assert results.degraded == ("vector",)
    assert results.frontier >= position


def test_a_least_schema_version_holds_for_what_is_found_by_words(world: Worded) -> None:
    version = world.graph.schema().version
    searcher = world.searcher()
    assert "p2" in ids(searcher.search("compilers", min_schema_version=version, mode="keyword"))
    assert not ids(searcher.search("compilers", min_schema_version=version + 1, mode="keyword"))


def test_metadata_holds_for_what_is_found_by_words() -> None:
    world = Worded([View(type="Person", template="{{ name }}", metadata=("country",))])
    world.add("Person", "a", name="Ada", country="uk")
    world.add("Person", "b", name="Ada", country="us")
    world.settle()
    for mode in ("hybrid", "keyword", "exact"):
        assert ids(world.searcher().search("Ada", metadata={"country": "us"}, mode=mode)) == ["b"]


class _Turned:
    """A reordering that turns the best hits round."""

    name, depth = "reranker", 4

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.seen = error, 0

    def reorder(self, text: str, hits: Sequence[SearchHit]) -> Sequence[SearchHit]:
        self.seen = len(hits)
        if self.error is not None:
            raise self.error
        return hits[::-1]


def test_hits_are_put_into_another_order_last_and_named_ones_stay_in_front(world: Worded) -> None:
    plain = ids(world.searcher().search("Ada Lovelace", k=4))
    turned = _Turned()
    searcher = world.searcher(reorderings=Reorderings(reranker=turned))
    assert ids(searcher.search("Ada Lovelace", k=2)) == [plain[0], plain[3]]
    assert turned.seen == 3
    assert ids(searcher.search("Ada Lovelace", k=2, rerank=False)) == plain[:2]
    failing = world.searcher(reorderings=Reorderings(reranker=_Turned(UnavailableError("no"))))
    results = failing.search("Ada Lovelace", k=2)
    assert ids(results) == plain[:2]
    assert results.degraded == ("reranker",)
    with pytest.raises(InvalidInputError, match="rerank"):
        world.searcher().search("Ada Lovelace", rerank=True)


def test_age_counts_among_all_that_was_found() -> None:
    world = Worded()
    for year in range(2000, 2020):
        world.add("Event", f"y{year}", name="launch of a rocket", timestamp=f"{year}-01-01T00:00:00Z")
    world.settle()
    searcher = world.searcher(now=lambda: datetime(2020, 1, 1, tzinfo=UTC))
    newest = ["y2019", "y2018", "y2017"]
    assert ids(searcher.search("launch of a rocket", k=3, half_life_days=100)) == newest
    assert ids(searcher.search("launch of a rocket", k=3, half_life_days=100, mode="vector")) == newest
    assert ids(searcher.search("rocket", k=20, sort="oldest"))[0] == "y2000"
    assert ids(searcher.search("rocket", k=3, since="2018", mode="keyword")) == ["y2018", "y2019"]


def test_a_condition_that_few_meet_has_not_every_vector_looked_through() -> None:
    asked: list[int] = []

    class Counted(PassingIndex):
        def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
            asked.append(k)
            return super().search(space, vector, k, where)

    world = Worded()
    for number in range(300):
        world.add("Note", f"n{number}", name=f"note {number}", description="about trains")
    world.add("Note", "rare", name="rare", description="about a night train")
    world.settle()
    searcher = world.searcher(index=Counted(world.system.index))
    assert ids(searcher.search('trains "night train"')) == ["rare"]
    assert asked == [50]
