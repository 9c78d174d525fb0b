"""Entities, relationships and neighbours over HTTP: written, read back, listed, refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote

import pytest

from slipstream.app.browsing import PAGE_MAX
from slipstream.domain.keys import ID_SIZE_MAX
from tests.integration.http_admin_world import PEOPLE, World, world

BORN = {"$datetime": "1815-12-10T00:00:00+00:00"}
HOSTILE = ["a/b", "get", "ü ☃", "%2F", "a?b#c", "..a", " ", "'; DROP TABLE entity; --", "<script>", "x" * ID_SIZE_MAX]


@pytest.fixture(scope="module")
def slip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("pkg")) as made:
        yield made


def _path(identity: str) -> str:
    return f"/v1/entities/{quote(identity, safe='')}"


def test_an_entity_is_made_changed_and_deleted(slip: World) -> None:
    new = {"id": "ada", "type": "Person", "properties": {"name": "Ada", "born": BORN, "tags": ["x", {"y": 1}]}}
    made = slip.api.post("/v1/entities?wait_s=60", new)
    assert made.ok(HTTPStatus.CREATED) == {"position": made.body["position"], "repeated": False, "reached": True}
    assert made.headers["location"] == "/v1/entities/ada"
    assert made.headers["etag"] == f'"{made.body["position"]}"'
    found = slip.api.get(made.headers["location"])
    assert found.ok() == {**new, "name": "Ada", "position": found.body["position"]}
    assert found.body["position"] >= made.body["position"]
    assert slip.slipstream.get("ada").properties["born"] == datetime(1815, 12, 10, tzinfo=UTC)  # and no map

    slip.api("PATCH", "/v1/entities/ada", {"properties": {"name": "Ada L", "tags": None}}).ok()
    assert slip.api.get("/v1/entities/ada").ok()["properties"] == {"name": "Ada L", "born": BORN}
    whole = slip.api("PUT", "/v1/entities/ada", {"entity_type": "Author", "properties": {"x": 1}})
    assert whole.ok()["created"] is False
    assert slip.api.get("/v1/entities/ada").ok()["type"] == "Author"
    slip.api("DELETE", "/v1/entities/ada").ok()
    gone = slip.api.get("/v1/entities/ada")
    assert gone.status == HTTPStatus.NOT_FOUND
    assert gone.body["class"] == "NotFoundError"
    for method, body in (("PATCH", {"properties": {}}), ("DELETE", None)):
        assert slip.api(method, "/v1/entities/ada", body).status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("identity", HOSTILE)
def test_any_id_travels_in_a_path(slip: World, identity: str) -> None:
    made = slip.api("PUT", _path(identity), {"entity_type": "Thing", "properties": {"name": "it"}})
    assert made.ok(HTTPStatus.CREATED)["created"] is True
    found = slip.api.get(made.headers["location"]).ok()
    assert (found["id"], found["properties"]) == (identity, {"name": "it"})
    slip.api("DELETE", _path(identity)).ok()


@pytest.mark.parametrize("identity", [".", "..", "a/../b"])
def test_an_id_that_no_path_can_carry_is_had_by_a_body(slip: World, identity: str) -> None:
    slip.api.post("/v1/entities", {"id": identity, "type": "Thing"}).ok(HTTPStatus.CREATED)
    found = slip.api.post("/v1/entities/get", {"ids": [identity, "nobody", identity]}).ok()
    assert ([entity["id"] for entity in found["items"]], found["missing"]) == ([identity], ["nobody"])
    slip.api.post("/v1/batch", {"mutations": [{"op": "delete_entity", "id": identity}]}).ok()


def test_one_that_is_there_is_not_created(slip: World) -> None:
    found = slip.api.post("/v1/entities", {"id": "p1", "type": "Person"})
    assert found.status == HTTPStatus.CONFLICT
    assert found.body["class"] == "AlreadyExistsError"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": "", "type": "T"}, "id"),
        ({"id": "x" * (ID_SIZE_MAX + 1), "type": "T"}, "id"),
        ({"id": "nul\0", "type": "T"}, "entity_id"),
        ({"id": "x", "type": "_T"}, "entity_type"),
        ({"id": "x", "type": "T", "properties": {"n": 2**63}}, "n"),
        ({"id": "x", "type": "T", "properties": {"_n": 1}}, "_n"),
        ({"id": "x", "type": "T", "more": 1}, "more"),
        ({"id": "x"}, "type"),
    ],
)
def test_what_no_graph_can_keep_is_refused_by_field(slip: World, body: object, field: str) -> None:
    refused = slip.api.post("/v1/entities", body)
    assert refused.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert (refused.body["class"], refused.body["field"]) == ("InvalidInputError", field)


@pytest.mark.parametrize("raw", [b"{", b'{"id": NaN}', b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"\xff", b""])
def test_a_body_that_is_no_json_is_refused(slip: World, raw: bytes) -> None:
    refused = slip.api("POST", "/v1/entities", raw, headers={"Content-Type": "application/json"})
    assert refused.status in (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST)
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("depth", [40, 400, 900])
def test_properties_nested_too_deeply_are_refused(slip: World, depth: int) -> None:
    nested = b"[" * depth + b"1" + b"]" * depth
    raw = b'{"id": "deep", "type": "T", "properties": {"n": ' + nested + b"}}"
    refused = slip.api("POST", "/v1/entities", raw, headers={"Content-Type": "application/json"})
    assert refused.status in (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_REQUEST)


def test_pages_give_every_entity_once(slip: World) -> None:
    for query in ("", "&type=Person"):
        seen: list[str] = []
        path: str | None = f"/v1/entities?limit=7{query}"
        while path:
            page = slip.api.get(path).ok()
            assert len(page["items"]) <= 7
            seen += [entity["id"] for entity in page["items"]]
            path = page["next"] and f"/v1/entities?limit=7{query}&after={quote(page['next'])}"
        people = {f"p{number}" for number in range(PEOPLE)}
        assert len(seen) == len(set(seen))
        assert set(seen) == (people if query else people | {"acme"})


@pytest.mark.parametrize("query", ["limit=0", f"limit={PAGE_MAX + 1}", "type=Person&after=none+of+ours", "limit=x"])
def test_a_page_that_can_not_be_is_refused(slip: World, query: str) -> None:
    assert slip.api.get(f"/v1/entities?{query}").status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_relationship_is_made_changed_and_deleted(slip: World) -> None:
    new = {"source_id": "p1", "type": "KNOWS", "target_id": "p2", "properties": {"since": 1833}}
    made = slip.api.post("/v1/relationships", new)
    assert made.ok(HTTPStatus.CREATED)["id"] == "KNOWS:p1:p2"
    path = made.headers["location"]
    found = slip.api.get(path)
    assert found.ok() == {**new, "id": "KNOWS:p1:p2", "discriminator": "", "position": found.body["position"]}
    assert slip.api.post("/v1/relationships", new).status == HTTPStatus.CONFLICT
    assert slip.api.post("/v1/relationships", {**new, "target_id": "nobody"}).status == HTTPStatus.NOT_FOUND
    slip.api("PATCH", path, {"properties": {"since": None, "how": "well"}}).ok()
    assert slip.api.get(path).ok()["properties"] == {"how": "well"}
    assert slip.api("PUT", path, {"properties": {}}).ok()["created"] is False
    assert slip.api.get(path).ok()["properties"] == {}
    slip.api("DELETE", path).ok()
    assert slip.api.get(path).status == HTTPStatus.NOT_FOUND
    assert slip.api("PUT", path, {}).ok(HTTPStatus.CREATED)["created"] is True
    slip.api("DELETE", path).ok()


def test_parallel_relationships_and_ids_with_colons(slip: World) -> None:
    for identity in ("a:b", "c%d"):
        slip.api.post("/v1/entities", {"id": identity, "type": "Thing"}).ok(HTTPStatus.CREATED)
    new = {"source_id": "a:b", "type": "LEADS_TO", "target_id": "c%d"}
    for discriminator in ("", "again"):
        made = slip.api.post("/v1/relationships", {**new, "discriminator": discriminator})
        assert slip.api.get(made.headers["location"]).ok()["source_id"] == "a:b"
    rows = slip.api.get("/v1/neighbours?id=a%3Ab&direction=out").ok()["items"]
    assert [row["relationship_id"] for row in rows] == ["LEADS_TO:a%3Ab:c%25d", "LEADS_TO:a%3Ab:c%25d:again"]


@pytest.mark.parametrize("identity", ["no-id", "a:b", ":a:b", "a:b:c:d:e"])
def test_what_is_no_id_of_a_relationship_is_refused(slip: World, identity: str) -> None:
    for method, body in (("GET", None), ("PUT", {}), ("PATCH", {"properties": {}}), ("DELETE", None)):
        refused = slip.api(method, f"/v1/relationships/{quote(identity)}", body)
        assert (refused.status, refused.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, "relationship_id")


def test_neighbours_come_in_pages_and_by_direction(slip: World) -> None:
    batch = [{"op": "relate", "source_id": f"p{number}", "type": "LIKES", "target_id": "acme"} for number in range(9)]
    slip.api.post("/v1/batch", {"mutations": batch}).ok()
    seen: list[str] = []
    path: str | None = "/v1/neighbours?id=acme&type=LIKES&limit=4"
    while path:
        page = slip.api.get(path).ok()
        seen += [row["entity_id"] for row in page["items"]]
        path = page["next"] and f"/v1/neighbours?id=acme&type=LIKES&limit=4&after={quote(page['next'])}"
    assert seen == sorted(f"p{number}" for number in range(9))
    (works,) = slip.api.get("/v1/neighbours?id=p0&type=WORKS_AT&direction=out").ok()["items"]
    assert works == {
        "relationship_id": "WORKS_AT:p0:acme",
        "relationship_type": "WORKS_AT",
        "direction": "out",
        "entity_id": "acme",
        "entity_type": "Organization",
        "name": "Acme",
        "properties": {"since": 1999},
    }
    assert slip.api.get("/v1/neighbours?id=p0&type=WORKS_AT&direction=in").ok()["items"] == []
    assert slip.api.get("/v1/neighbours?id=nobody").status == HTTPStatus.NOT_FOUND
    for query in ("id=p0&direction=up", "id=p0&after=none", "id=p0&after=" + "[" * 9_000, "id="):
        assert slip.api.get(f"/v1/neighbours?{query}").status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_a_method_that_a_path_does_not_have_names_those_it_has(slip: World) -> None:
    refused = slip.api("DELETE", "/v1/entities")
    assert (refused.status, refused.headers["allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "GET, POST")
    refused = slip.api("POST", "/v1/entities/ada", {})
    assert (refused.status, refused.headers["allow"]) == (HTTPStatus.METHOD_NOT_ALLOWED, "GET, PUT, PATCH, DELETE")


def test_every_answer_tells_how_fresh_it_is(slip: World) -> None:
    slip.drain()
    headers = slip.api.get("/v1/entities/p1").headers
    assert int(headers["slipstream-frontier"]) == slip.slipstream.pkg.feed.head()
    assert (float(headers["slipstream-lag"]), headers["slipstream-degraded"]) == (0.0, "")
