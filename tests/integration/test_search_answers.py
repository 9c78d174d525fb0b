"""k hits where k live ones exist, behind however many deletions the index has not seen; filters hold exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.adapters.indexes.chroma import ChromaIndex
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.domain.stamps import MetadataValue
from slipstream.ports.index import VectorIndex
from slipstream.search.searcher import Searcher
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View
from tests.depth import examples

VIEWS = [View(name, template="{name}", metadata=("year", "open", "place", "share")) for name in ("Note", "Task")]
both_indexes = pytest.mark.parametrize("index", ["sqlite", "chroma"])


@contextmanager
def opened(root: Path, index: str) -> Iterator[VectorIndex]:
    """An index of that kind, on disk."""
    if index == "chroma":
        with closing(ChromaIndex.embedded(root / "chroma")) as chroma:
            yield chroma
    else:
        with closing(SqliteStore(root / "index.db")) as store:
            yield store.index


@contextmanager
def lagging(root: Path, index: str, first: World, then: World) -> Iterator[Searcher]:
    """Search where the index has seen the first world, and the graph is the other one."""
    with opened(root, index) as stored:
        system = MemorySystem(index=stored, views=VIEWS)
        with system.graph.transaction() as tx:
            for number, thing in first.items():
                tx.create_entity(thing.type, f"n{number}", thing.properties)
        system.settle()
        with system.graph.transaction() as tx:
            for number in first:
                if number not in then:
                    tx.delete_entity(f"n{number}")
                elif then[number] != first[number]:
                    tx.update_entity(f"n{number}", then[number].properties)
        yield Searcher(
            system.graph,
            stored,
            system.service,
            system.places.live,
            frontier=lambda: system.engine.frontier,
            wait=lambda *_: True,
        )


@dataclass(frozen=True, slots=True)
class Thing:
    type: str = "Note"
    name: str = "meeting notes"
    metadata: dict[str, MetadataValue] = field(default_factory=dict)

    @property
    def properties(self) -> dict[str, MetadataValue]:
        return {"name": self.name, **self.metadata}


World = dict[int, Thing]


@both_indexes
@pytest.mark.parametrize("k", [1, 3, 20])
def test_behind_hundreds_of_nearer_deletions_the_live_ones_are_found(tmp_path: Path, index: str, k: int) -> None:
    near = {number: Thing(name="meeting notes draft") for number in range(600)}
    far = {number: Thing(name=f"minutes number {number} of the meeting") for number in range(600, 620)}
    with lagging(tmp_path, index, near | far, far) as searcher:
        hits = searcher.search("meeting notes draft", k=k)
    assert len(hits) == k
    assert {hit.entity_id for hit in hits} <= {f"n{number}" for number in far}


@both_indexes
def test_where_fewer_are_alive_all_of_them_are_found(tmp_path: Path, index: str) -> None:
    first = {number: Thing() for number in range(300)}
    with lagging(tmp_path, index, first, {7: first[7], 9: first[9]}) as searcher:
        assert {hit.entity_id for hit in searcher.search("meeting", k=10)} == {"n7", "n9"}


@both_indexes
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"year": 2024}, {"n0", "n4"}),
        ({"year": 2024.0}, {"n0", "n4"}),
        ({"open": True}, {"n1"}),
        ({"open": 1}, {"n2"}),
        ({"place": "Oslo"}, {"n0", "n1"}),
        ({"place": "oslo"}, set()),
        ({"year": 2024, "place": "Oslo"}, {"n0"}),
        ({"share": 0.5}, {"n3"}),
        ({"year": 2**60}, {"n5"}),
        ({"year": 2**60 + 1}, set()),
        ({"unknown": 1}, set()),
    ],
    ids=lambda value: str(value if isinstance(value, dict) else sorted(value)),
)
def test_metadata_is_compared_exactly(
    tmp_path: Path, index: str, asked: dict[str, MetadataValue], found: set[str]
) -> None:
    values: list[dict[str, MetadataValue]] = [
        {"year": 2024, "place": "Oslo"},
        {"year": 2025, "place": "Oslo", "open": True},
        {"year": 2025, "open": 1},
        {"share": 0.5},
        {"year": 2024.0},
        {"year": 2**60},
    ]
    world = {number: Thing(metadata=each) for number, each in enumerate(values)}
    with lagging(tmp_path, index, world, world) as searcher:
        assert {hit.entity_id for hit in searcher.search("meeting", k=10, metadata=asked)} == found


@both_indexes
def test_what_has_another_value_by_now_is_no_hit_of_the_old_one(tmp_path: Path, index: str) -> None:
    first = {number: Thing(metadata={"year": 2024}) for number in range(5)}
    then = {**first, 2: Thing(metadata={"year": 2030})}
    with lagging(tmp_path, index, first, then) as searcher:
        hits = searcher.search("meeting", k=4, metadata={"year": 2024})
        assert {hit.entity_id for hit in hits} == {"n0", "n1", "n3", "n4"}
        assert len(searcher.search("meeting", k=5)) == 5


NAMES = st.sampled_from(["meeting notes", "draft of the meeting", "minutes", "shopping list"])
THINGS = st.builds(
    Thing,
    type=st.sampled_from(["Note", "Task"]),
    name=NAMES,
    metadata=st.fixed_dictionaries({}, optional={"year": st.sampled_from([1, 1.5, True, "1", 2024])}),
)


@both_indexes
@settings(
    max_examples=examples(10, 150), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_a_search_finds_k_of_what_is_alive_and_fits(index: str, data: st.DataObject) -> None:
    first = dict(enumerate(data.draw(st.lists(THINGS, min_size=1, max_size=40), label="indexed")))
    gone = data.draw(st.sets(st.sampled_from(sorted(first))), label="deleted since")
    then = {number: thing for number, thing in first.items() if number not in gone}
    k = data.draw(st.integers(1, 45), label="k")
    wanted_type = data.draw(st.sampled_from([None, "Note", "Task"]), label="type")
    wanted_year = data.draw(st.sampled_from([None, 1, 1.5, True, "1", 2024]), label="year")
    fitting = {f"n{number}" for number, thing in then.items() if fits(thing, wanted_type, wanted_year)}
    metadata = {} if wanted_year is None else {"year": wanted_year}
    with TemporaryDirectory() as root, lagging(Path(root), index, first, then) as searcher:
        hits = searcher.search("meeting notes", k=k, entity_type=wanted_type, metadata=metadata)
    found = [hit.entity_id for hit in hits]
    assert len(found) == len(set(found)) == min(k, len(fitting))
    assert set(found) <= fitting
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)


def fits(thing: Thing, wanted_type: str | None, wanted_year: MetadataValue | None) -> bool:
    if wanted_type is not None and thing.type != wanted_type:
        return False
    held = thing.metadata.get("year")
    return wanted_year is None or (held == wanted_year and isinstance(held, bool) is isinstance(wanted_year, bool))
