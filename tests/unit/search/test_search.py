"""Search: joined with the live graph, over several models, at a stated frontier."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from slipstream.adapters.wrappers.faults import FaultyGraph, FaultyIndex
from slipstream.adapters.wrappers.passing import PassingIndex
from slipstream.domain.entities import Entity
from slipstream.domain.errors import InvalidInputError, UnavailableError
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import SearchFilter, Vector, VectorHit
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.recipes.in_force import RecipePair
from slipstream.search.searcher import Searcher
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import Via, View


def _searcher(system: MemorySystem, graph: GraphReader | None = None, index: VectorIndex | None = None) -> Searcher:
    def wait(position: Position, timeout_s: float) -> bool:
        del timeout_s
        return system.engine.frontier >= position

    return Searcher(
        graph or system.graph,
        index or system.index,
        system.service,
        system.places.live,
        frontier=lambda: system.engine.frontier,
        wait=wait,
    )


@pytest.fixture
def system() -> MemorySystem:
    system = MemorySystem()
    with system.graph.transaction() as tx:
        tx.create_entity("Person", "ada", {"name": "Ada Lovelace", "description": "wrote programs"})
        tx.create_entity("Person", "grace", {"name": "Grace Hopper", "description": "wrote compilers"})
        tx.create_entity("Organization", "navy", {"name": "US Navy"})
        tx.create_entity("Concept", "war", {"name": "war"})
        tx.relate("grace", "MEMBER_OF", "navy")
        tx.relate("navy", "FIGHTS", "war")
    system.settle()
    return system


def test_the_nearest_come_first_with_their_live_state(system: MemorySystem) -> None:
    results = _searcher(system).search("Grace Hopper wrote compilers", k=2)
    assert results[0].entity_id == "grace"
    assert results[0].name == "Grace Hopper"
    assert "compilers" in results[0].text
    assert results[0].score >= results[1].score
    assert results.frontier == system.graph.feed.head()


def test_a_hit_whose_entity_is_gone_is_never_returned(system: MemorySystem) -> None:
    system.graph.delete_entity("grace")  # the engine has not run: the index still holds the vector
    results = _searcher(system).search("Grace Hopper wrote compilers", k=1)
    assert [hit.entity_id for hit in results] != ["grace"]
    assert len(results) == 1


def test_many_dead_hits_do_not_hide_the_living(system: MemorySystem) -> None:
    with system.graph.transaction() as tx:
        for number in range(40):
            tx.create_entity("Person", f"clone{number}", {"name": "Grace Hopper", "description": "wrote compilers"})
    system.settle()
    for number in range(40):
        system.graph.delete_entity(f"clone{number}")
    assert _searcher(system).search("Grace Hopper wrote compilers", k=1)[0].entity_id == "grace"


def test_filters_by_type_and_schema_version(system: MemorySystem) -> None:
    searcher = _searcher(system)
    assert {hit.entity_type for hit in searcher.search("anything", entity_type="Person")} == {"Person"}
    version = system.graph.schema().version
    assert len(searcher.search("anything", min_schema_version=version)) == 4
    assert len(searcher.search("anything", min_schema_version=version + 1)) == 0


def test_metadata_filters() -> None:
    system = MemorySystem(views=[View(type="Person", template="{{ name }}", metadata=("country",))])
    system.graph.create_entity("Person", "a", {"name": "A", "country": "uk"})
    system.graph.create_entity("Person", "b", {"name": "B", "country": "us"})
    system.settle()
    assert [hit.entity_id for hit in _searcher(system).search("x", metadata={"country": "us"})] == ["b"]
    system.graph.update_entity("b", {"country": "fr"})
    system.settle()
    assert system.service.stats.computed == 2 + 1  # a query; the change of metadata embedded nothing
    assert [hit.entity_id for hit in _searcher(system).search("x", metadata={"country": "fr"})] == ["b"]


def test_expanding_adds_neighbours_within_the_hops(system: MemorySystem) -> None:
    searcher = _searcher(system)
    (hit,) = searcher.search("Grace Hopper wrote compilers", k=1, expand=1)
    assert [(n.entity_id, n.relationship_type, n.hops) for n in hit.neighbours] == [("navy", "MEMBER_OF", 1)]
    (hit,) = searcher.search("Grace Hopper wrote compilers", k=1, expand=2)
    assert {n.entity_id: n.hops for n in hit.neighbours} == {"navy": 1, "war": 2}


class _CountedGraph(FaultyGraph):
    """Counts what a search asks of the graph."""

    def __init__(self, inner: GraphReader) -> None:
        self.asked: Counter[str] = Counter()
        super().__init__(inner, lambda point: self.asked.update([point]))


@pytest.mark.parametrize("hops", [0, 1, 2, 3])
def test_the_neighbours_of_all_hits_are_read_together(system: MemorySystem, hops: int) -> None:
    graph = _CountedGraph(system.graph)
    hits = _searcher(system, graph).search("anything", k=4, expand=hops)
    assert len(hits) == 4
    assert graph.asked["graph.adjacent.before"] == hops
    assert graph.asked["graph.read.before"] == 1 + bool(hops)
    near = {hit.entity_id: {n.entity_id: n.hops for n in hit.neighbours} for hit in hits}
    assert near["ada"] == {}
    assert near["war"] == {name: at for name, at in (("navy", 1), ("grace", 2)) if at <= hops}


def test_the_neighbours_of_a_hub_are_cut_and_take_none_from_others(system: MemorySystem) -> None:
    with system.graph.transaction() as tx:
        for number in range(150):
            tx.create_entity("Tag", f"tag{number:03}", {"name": f"tag {number}"})
            tx.relate("ada", "TAGGED", f"tag{number:03}")
    system.settle()
    hits = _searcher(system).search("anything", k=154, expand=2)
    near = {hit.entity_id: [n.entity_id for n in hit.neighbours] for hit in hits}
    assert near["ada"] == [f"tag{number:03}" for number in range(100)]
    assert near["tag007"] == ["ada", *(f"tag{number:03}" for number in range(100) if number != 7)][:100]
    assert sorted(near["grace"]) == ["navy", "war"]


class _LoadingIndex(PassingIndex):
    """An index that has something to load, and says when it does."""

    def __init__(self, inner: VectorIndex, load: Callable[[], object]) -> None:
        super().__init__(inner)
        self.loaded: list[Space] = []
        self._load = load

    def warm(self, space: Space) -> None:
        self.loaded.append(space)
        self._load()


def test_the_first_search_loads_index_and_model_beside_each_other(
    system: MemorySystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2, timeout=30)  # each waits until the other has begun
    index = _LoadingIndex(system.index, both.wait)
    embed = system.service.embed_query

    def embed_query(text: str, model_id: str) -> Vector:
        if not both.broken and len(calls) == 0:
            both.wait()
        calls.append(text)
        return embed(text, model_id)

    calls: list[str] = []
    monkeypatch.setattr(system.service, "embed_query", embed_query)
    searcher = _searcher(system, index=index)
    assert searcher.search("Grace Hopper wrote compilers", k=1)[0].entity_id == "grace"
    assert searcher.search("Ada Lovelace wrote programs", k=1)[0].entity_id == "ada"
    assert len(index.loaded) == len(set(index.loaded)) == 1, "once"
    assert not both.broken


def test_a_search_says_itself_what_kept_the_index_from_loading(system: MemorySystem) -> None:
    def down() -> None:
        raise UnavailableError("down")

    assert len(_searcher(system, index=_LoadingIndex(system.index, down)).search("anything")) == 4


def test_a_text_is_shown_without_a_fingerprint(system: MemorySystem, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> str:
        raise AssertionError("a search needs no fingerprint")

    monkeypatch.setattr(system.service, "fingerprint", refused)
    assert "compilers" in _searcher(system).search("Grace Hopper wrote compilers", k=1)[0].text


def test_reading_ones_own_write_or_an_error(system: MemorySystem) -> None:
    searcher = _searcher(system)
    position = system.graph.create_entity("Person", "new", {"name": "New"})
    with pytest.raises(UnavailableError, match="did not reach"):
        searcher.search("New", after=position, timeout_s=0.01)
    system.settle()
    assert searcher.search("New", k=1, after=position)[0].entity_id == "new"


def test_several_models_answer_together_and_are_never_mixed() -> None:
    small, large = HashEmbedder(dimension=8, id="small"), HashEmbedder(dimension=32, id="large")
    system = MemorySystem(embedders=[small, large], routes={"Document": "large"})
    system.graph.create_entity("Person", "ada", {"name": "Ada Lovelace"})
    system.graph.create_entity("Document", "notes", {"name": "Notes of Ada Lovelace"})
    system.settle()
    results = _searcher(system).search("Ada Lovelace")
    assert {hit.entity_id: hit.model_id for hit in results} == {"ada": "small", "notes": "large"}
    assert [stamp.space for stamp in system.index.scan(None, 10)] == [Space.of(small.spec), Space.of(large.spec)]


class _WatchedIndex(FaultyIndex):
    """Notes which spaces a search asks, and calls its hook behind each answer."""

    def __init__(self, system: MemorySystem, hook: Callable[[str], None]) -> None:
        super().__init__(system.index, hook)
        self.asked: list[Space] = []
        self._behind = hook

    def search(self, space: Space, vector: Vector, k: int, where: SearchFilter) -> Sequence[VectorHit]:
        self.asked.append(space)
        hits = super().search(space, vector, k, where)
        self._behind("index.search.after")
        return hits


@pytest.mark.parametrize("moment", ["index.search.after", "graph.read.before", "graph.read.after"])
def test_a_cut_over_amid_a_search_is_not_seen_by_it(moment: str) -> None:
    old, new = HashEmbedder(dimension=8, id="old"), HashEmbedder(dimension=32, id="new")
    system = MemorySystem(embedders=[old, new])
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.graph.create_entity("Person", "bob", {"name": "Bob"})
    system.graph.relate("ada", "KNOWS", "bob")
    knowing = View("Person", "{{ name }} knows {% for p in known %}{{ p.name }}{% endfor %}", {"known": Via("KNOWS")})
    system.settle()
    system.migrations.start(system.migrations.candidate(views=[knowing], default="new"))
    system.settle()

    def cut_over(failpoint: str) -> None:
        if failpoint == moment:
            pair = system.engine.recipes.pair
            assert pair.other is not None
            system.engine.recipes.swap(RecipePair(pair.other, pair.live))

    index = _WatchedIndex(system, cut_over)
    searcher = _searcher(system, FaultyGraph(system.graph, cut_over), index)
    seen = [
        (hit.text, hit.model_id, space.generation)
        for hit, space in ((searcher.search("Ada", k=1)[0], index.asked[-1]) for _ in range(2))
    ]
    assert seen == [("Ada", "old", 1), ("Ada knows Bob", "new", 2)]


def test_an_entity_that_can_not_be_rendered_any_more_is_still_named(system: MemorySystem) -> None:
    system.graph.write_raw(Entity("ada", "Person", {"name": "Ada Lovelace"}))
    assert "Ada Lovelace" in {hit.name for hit in _searcher(system).search("Ada Lovelace")}


@pytest.mark.parametrize(
    ("field", "arguments"), [("text", {"text": " "}), ("k", {"k": 0}), ("expand", {"expand": 9})]
)
def test_bad_calls_name_the_field(system: MemorySystem, field: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=field):
        _searcher(system).search(**{"text": "x", **arguments})
