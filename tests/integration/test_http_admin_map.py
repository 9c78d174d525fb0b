"""The map of the vectors over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from slipstream.app import vector_map as mapping
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import Deletion
from slipstream.views.declaration import View
from tests.integration.http_admin_world import PEOPLE, World, world

VIEWS = (
    View("Organization", "{{ name }}", model="new"),
    View("WORKS_AT", "{{ source.name }} works at {{ target.name }}", is_relationship=True),
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("map"), views=VIEWS) as made:
        yield made


def _map(here: World, query: str = "") -> Any:
    return here.api.get(f"/v1/map{query}", scope="read").ok()


def test_each_record_of_the_biggest_space_has_a_place(here: World) -> None:
    found = _map(here)
    assert (found["sampled"], found["total"], found["space"]["model_id"]) == (PEOPLE + 1, PEOPLE + 1, "old")
    assert (found["types"], found["relationship_types"]) == (["Person", "WORKS_AT"], ["WORKS_AT"])
    assert [space["model_id"] for space in found["spaces"]] == ["old", "new"]
    assert found["frontier"] == here.slipstream.status().frontier
    by_id = {point[3]: point for point in found["points"]}
    assert by_id["p3"][2:] == [0, "p3", "name 3"]
    assert by_id["WORKS_AT:p0:acme"][4] == "name 0 -[WORKS_AT]-> Acme"
    assert all(-1 <= place <= 1 for point in found["points"] for place in point[:2])
    assert len({tuple(point[:2]) for point in found["points"]}) > PEOPLE // 2


def test_another_model_or_one_type_is_drawn_alone(here: World) -> None:
    other = _map(here, "?model=new")
    assert [point[3] for point in other["points"]] == ["acme"]
    people = _map(here, "?type=Person")
    assert (people["types"], people["sampled"]) == (["Person"], PEOPLE)
    for query in ("?model=none", "?type=Nobody", "?type=Person&model=new"):
        assert here.api.get(f"/v1/map{query}").status == 404
    for query in ("?limit=0", "?limit=20001", "?seed=-1"):
        assert here.api.get(f"/v1/map{query}").status == 422


def test_a_sample_is_even_and_the_same_by_its_seed(here: World) -> None:
    first, second = _map(here, "?limit=10&seed=1"), _map(here, "?limit=10&seed=2")
    assert (first["sampled"], first["total"]) == (10, PEOPLE + 1)
    ids = [{point[3] for point in found["points"]} for found in (first, second)]
    assert ids[0] != ids[1]
    choice = mapping.MapChoice(limit=10, seed=1)
    again = mapping.vector_map(here.slipstream, choice)
    assert [[point.x, point.y] for point in again.points] == [point[:2] for point in first["points"]]


def test_a_map_is_kept_while_nothing_changes(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[mapping.MapChoice] = []
    draw = mapping.vector_map

    def counting(slipstream: Any, choice: mapping.MapChoice) -> mapping.VectorMap:
        drawn.append(choice)
        return draw(slipstream, choice)

    monkeypatch.setattr("slipstream.http.routes.maps.vector_map", counting)
    monkeypatch.setattr("slipstream.http.routes.maps.FRESH_S", 0.0)
    assert _map(here, "?seed=5") == _map(here, "?seed=5")
    assert len(drawn) == 1
    here.slipstream.pkg.upsert_entity("Person", "new", {"name": "somebody new"})
    here.drain()
    assert _map(here, "?seed=5")["total"] == PEOPLE + 2
    assert len(drawn) == 2
    here.slipstream.pkg.delete_entity("new")
    here.drain()


def test_what_the_index_lacks_is_left_out(here: World) -> None:
    here.slipstream.store.index.delete([Deletion(entity_key("p5"), here.slipstream.pkg.feed.head())])
    found = mapping.vector_map(here.slipstream, mapping.MapChoice())
    assert (len(found.points), found.total) == (PEOPLE, PEOPLE + 1)
