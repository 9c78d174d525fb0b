"""Search over HTTP: the hits of Python, how fresh they are, and what they lack."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from slipstream.adapters.wrappers.faults import FaultyEmbedder
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.config import Config
from slipstream.domain.errors import UnavailableError
from slipstream.http.searching import TEXT_SIZE_MAX
from slipstream.ports.embedder import Embedder
from slipstream.search.options import HOPS_MAX, K_MAX
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View
from tests.integration.http_admin_world import LONG_S, World, made_app, serving, world

OWN = ("entity_id", "entity_type", "score", "name", "text", "model_id", "position", "properties")


@pytest.fixture(scope="module")
def slip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    views = (
        View("Person", metadata=("motto",)),
        View("WORKS_AT", template="{{ source.name }} works at {{ target.name }}", is_relationship=True),
    )
    with world(tmp_path_factory.mktemp("pkg"), views=views) as made:
        yield made


def _search(slip: World, **asked: Any) -> Any:
    return slip.api.post("/v1/search", asked).ok()


def test_hits_are_those_of_python(slip: World) -> None:
    found = _search(slip, text="motto 7", k=5, expand=1)
    expected = slip.slipstream.search("motto 7", 5, expand=1)
    assert [(hit["entity_id"], hit["score"]) for hit in found["hits"]] == [
        (hit.entity_id, hit.score) for hit in expected
    ]
    for hit, own in zip(found["hits"], expected, strict=True):
        shown = {name: hit[name] for name in OWN}
        assert shown == {name: getattr(own, name) for name in shown}
        assert [near["entity_id"] for near in hit["neighbours"]] == [near.entity_id for near in own.neighbours]
    assert (found["frontier"], found["lag_s"], found["degraded"], found["unasked"]) == (
        expected.frontier,
        0.0,
        [],
        [],
    )


def test_a_search_is_narrowed(slip: World) -> None:
    assert {hit["entity_type"] for hit in _search(slip, text="Acme", entity_type="Organization")["hits"]} == {
        "Organization"
    }
    assert [hit["entity_id"] for hit in _search(slip, text="x", metadata={"motto": "motto 3"})["hits"]] == ["p3"]
    assert _search(slip, text="x", min_schema_version=1_000)["hits"] == []
    assert _search(slip, text="x", entity_type="Nobody")["hits"] == []


def test_a_search_is_narrowed_by_time_confidence_and_source_and_ordered(slip: World) -> None:
    told = {"extraction_confidence": 0.9, "source_document_id": "diary"}
    for number, day in enumerate(("1843-09-05", "1843-10-01", "1852-11-27")):
        body = {"id": f"note {number}", "type": "Note", "properties": {"name": "a note", "timestamp": day, **told}}
        written = slip.api.post("/v1/entities", body).ok(HTTPStatus.CREATED)
        told = {}
    notes = {"text": "a note", "entity_type": "Note", "after": written["position"], "timeout_s": 60}

    def ids(**asked: Any) -> list[str]:
        return [hit["entity_id"] for hit in _search(slip, **notes, **asked)["hits"]]

    assert ids(since="1843-10", until="1851") == ["note 1"]
    assert ids(sort="newest") == ["note 2", "note 1", "note 0"]
    assert ids(min_confidence=0.9) == ids(source="diary") == ["note 0"]
    assert ids(half_life_days=365, mode="vector", k=1) == ["note 2"]
    assert ids(since="1843", time_property="born") == []


def test_an_explained_search_tells_of_each_arm(slip: World) -> None:
    found = _search(slip, text="name 7", k=3, explain=True)
    expected = slip.slipstream.search("name 7", 3, explain=True)
    assert found["frontiers"] == dict(expected.frontiers)
    assert found["explanation"]["mode"] == "hybrid"
    assert {"vector", "keyword", "exact"} <= found["explanation"]["arms"].keys()
    first, own = found["hits"][0], expected[0]
    assert own.explanation is not None
    assert [(arm["arm"], arm["rank"]) for arm in first["explanation"]["arms"]] == [
        (arm.arm, arm.rank) for arm in own.explanation.arms
    ]
    assert first["explanation"]["name_kind"] == "name"
    plain = _search(slip, text="name 7", k=3)
    assert (plain["explanation"], plain["hits"][0]["explanation"]) == (None, None)


def test_it_is_told_why_something_is_no_hit(slip: World) -> None:
    def why(entity_id: str, **asked: Any) -> Any:
        return slip.api.post("/v1/why-not", {"text": "name 7", "entity_id": entity_id, "k": 1, **asked}).ok()

    assert why("p7")["reason"] == "found"
    assert why("p7", since="1999")["reason"] == "filtered"
    behind = why("p8", mode="vector")
    assert (behind["reason"], behind["rank"] > 1) == ("rank", True)
    assert behind["arms"][0]["arm"] == "vector"
    assert why("nobody")["reason"] == "unknown"
    for wrong, field in (({"entity_id": ""}, "entity_id"), ({"explain": True}, "explain"), ({"k": 0}, "k")):
        refused = slip.api.post("/v1/why-not", {"text": "x", "entity_id": "p7", **wrong})
        assert (refused.status, refused.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, field)


def test_a_search_reads_its_own_writes(slip: World) -> None:
    body = {"id": "new", "type": "Thing", "properties": {"name": "a heliograph"}}
    written = slip.api.post("/v1/entities", body).ok(HTTPStatus.CREATED)
    found = _search(slip, text="a heliograph", k=1, after=written["position"], timeout_s=60)
    assert found["hits"][0]["entity_id"] == "new"
    assert found["frontier"] >= written["position"]


def test_a_position_that_does_not_come_in_time_is_told(slip: World) -> None:
    refused = slip.api.post("/v1/search", {"text": "x", "after": 10**6, "timeout_s": 0.1})
    assert (refused.status, refused.body["class"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "UnavailableError")
    assert int(refused.headers["retry-after"]) >= 1


def test_neighbours_and_times_are_told(slip: World) -> None:
    born = {"$datetime": "1815-12-10T00:00:00+00:00"}
    slip.api("PATCH", "/v1/entities/p0?wait_s=60", {"properties": {"born": born}}).ok()
    (hit,) = _search(slip, text="name 0", metadata={"motto": "motto 0"}, expand=1)["hits"]
    assert hit["properties"]["born"] == born
    assert hit["neighbours"] == [
        {
            "entity_id": "acme",
            "entity_type": "Organization",
            "name": "Acme",
            "relationship_type": "WORKS_AT",
            "direction": "out",
            "hops": 1,
        }
    ]


def test_a_relationship_can_be_found(slip: World) -> None:
    hits = _search(slip, text="WORKS_AT", entity_type="WORKS_AT")["hits"]
    assert [hit["entity_id"] for hit in hits] == ["WORKS_AT:p0:acme"]
    assert hits[0]["properties"] == {"since": 1999}


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": " \n"}, "text"),
        ({"text": "x" * (TEXT_SIZE_MAX + 1)}, "text"),
        ({"text": 5}, "text"),
        ({"text": "x", "k": 0}, "k"),
        ({"text": "x", "k": K_MAX + 1}, "k"),
        ({"text": "x", "expand": HOPS_MAX + 1}, "expand"),
        ({"text": "x", "mode": "words"}, "mode"),
        ({"text": "x", "sort": "upwards"}, "sort"),
        ({"text": "x", "since": "soon"}, "since"),
        ({"text": "x", "since": 2026}, "since"),
        ({"text": "x", "since": "2026", "until": "2025"}, "until"),
        ({"text": "x", "min_confidence": 1.5}, "min_confidence"),
        ({"text": "x", "half_life_days": 0}, "half_life_days"),
        ({"text": "x", "source": ""}, "source"),
        ({"text": "x", "time_property": ""}, "time_property"),
        ({"text": "x", "explain": "yes"}, "explain"),
        ({"text": "x", "timeout_s": 61}, "timeout_s"),
        ({"text": "x", "after": -1}, "after"),
        ({"text": "x", "hurry": True}, "hurry"),
        ({}, "text"),
    ],
)
def test_what_can_not_be_searched_is_refused_by_field(slip: World, asked: Any, field: str) -> None:
    refused = slip.api.post("/v1/search", asked)
    assert (refused.status, refused.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, field)


def test_a_model_that_is_down_costs_what_it_embeds_and_is_named(tmp_path: Path) -> None:
    """In the body, and in the head of the answer."""
    is_down = False

    def hook(name: str) -> None:
        if name.startswith("embed.before") and is_down:
            raise UnavailableError("unplugged")

    def faulty(embedder: Embedder) -> Embedder:
        return FaultyEmbedder(embedder, hook) if embedder.spec.id == "frail" else embedder

    options = Options(
        embedders=(HashEmbedder(dimension=16), HashEmbedder(dimension=32, id="frail")),
        views=(View("Note", model="frail"), View("Thing", model="hash")),
        wrapping=Wrapping(embedder=faulty),
    )
    with (
        open_pkg(tmp_path, config=Config(), options=options) as slipstream,
        serving(made_app(slipstream, tmp_path)) as api,
    ):
        for kind in ("Note", "Thing"):
            api.post("/v1/entities", {"id": kind, "type": kind, "properties": {"name": f"a {kind}"}}).ok(201)
        assert slipstream.sync.drain(timeout_s=LONG_S)
        assert {hit["entity_id"] for hit in api.post("/v1/search", {"text": "a"}).ok()["hits"]} == {"Note", "Thing"}
        is_down = True
        found = api.post("/v1/search", {"text": "b"})
        assert [hit["entity_id"] for hit in found.ok()["hits"]] == ["Thing"]
        assert found.body["degraded"] == ["vector:frail"]
        assert found.headers["slipstream-degraded"] == "vector:frail"
        (unasked,) = found.body["unasked"]
        assert (unasked["model_id"], unasked["types"], "unplugged" in unasked["reason"]) == ("frail", ["Note"], True)
