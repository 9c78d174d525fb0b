"""Cypher and SQL over HTTP: rows as JSON, bounds, and nothing that writes."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from slipstream.app.config import Config
from slipstream.http.routes import query
from tests.integration.http_admin_world import PEOPLE, World, world

BORN = {"$datetime": "1815-12-10T00:00:00+00:00"}


@pytest.fixture(scope="module")
def slip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("pkg"), Config()) as made:
        made.api.post("/v1/entities", {"id": "ada", "type": "Person", "properties": {"born": BORN}}).ok(201)
        yield made


def _ask(slip: World, **asked: Any) -> Any:
    return slip.api.post("/v1/query", asked).ok()


def test_cypher_answers_in_rows(slip: World) -> None:
    found = _ask(
        slip,
        cypher="MATCH (p:Person) WHERE p.id IN $ids RETURN p.id AS id, p.motto ORDER BY id",
        parameters={"ids": ["p2", "p1"]},
    )
    assert found["columns"] == ["id", "p.motto"]
    assert found["rows"] == [["p1", "motto 1"], ["p2", "motto 2"]]
    assert (found["is_cut"], found["position"]) == (False, slip.slipstream.pkg.feed.head())


def test_sql_answers_in_rows(slip: World) -> None:
    sql = "SELECT type, count(*) AS n FROM entity WHERE type = :type GROUP BY type"
    assert _ask(slip, sql=sql, parameters={"type": "Organization"})["rows"] == [["Organization", 1]]


def test_a_time_travels_both_ways(slip: World) -> None:
    found = _ask(
        slip,
        cypher="MATCH (p:Person) WHERE p.born = $born RETURN p.id AS id, p.born AS born",
        parameters={"born": BORN},
    )
    assert found["rows"] == [["ada", BORN]]
    refused = slip.api.post("/v1/query", {"sql": "SELECT :t", "parameters": {"t": BORN}})
    assert (refused.status, refused.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, "parameters.t")


def test_what_json_does_not_have_is_told_all_the_same(slip: World) -> None:
    (row,) = _ask(slip, sql="SELECT 1e999 AS inf, x'00ff' AS raw, NULL AS none, 9007199254740993 AS large")["rows"]
    assert row == [None, {"$bytes": "AP8="}, None, 9007199254740993]


def test_entities_relationships_and_maps_are_plain(slip: World) -> None:
    (row,) = _ask(slip, cypher="MATCH (p:Person)-[r:WORKS_AT]->(o) RETURN o, r, {a: [1, {b: 2}]} AS map")["rows"]
    assert row[0] == {"_label": "Organization", "id": "acme", "name": "Acme"}
    assert (row[1]["source_id"], row[1]["since"], row[2]) == ("p0", 1999, {"a": [1, {"b": 2}]})


def test_rows_are_bounded_and_the_answer_says_so(slip: World, monkeypatch: pytest.MonkeyPatch) -> None:
    people = "SELECT id FROM entity WHERE type = 'Person' AND id != 'ada'"
    found = _ask(slip, sql=people, limit=7)
    assert (len(found["rows"]), found["is_cut"]) == (7, True)
    assert _ask(slip, sql=people, limit=PEOPLE)["is_cut"] is False
    monkeypatch.setattr(query, "ROWS_BYTES_MAX", 20)
    found = _ask(slip, sql=people)
    assert (0 < len(found["rows"]) < PEOPLE, found["is_cut"]) == (True, True)


def test_no_rows_are_no_columns(slip: World) -> None:
    assert _ask(slip, sql="SELECT 1 AS x WHERE 0") | {"position": 0} == {
        "columns": [],
        "rows": [],
        "is_cut": False,
        "position": 0,
    }


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "cypher"),
        ({"cypher": "RETURN 1", "sql": "SELECT 1"}, "cypher"),
        ({"cypher": "CREATE (:X)"}, "cypher"),
        ({"cypher": "MATCH (p:Person) SET p.x = 1"}, "cypher"),
        ({"cypher": "MATCH (p) DETACH DELETE p"}, "cypher"),
        ({"cypher": "NONSENSE"}, "cypher"),
        ({"sql": "DELETE FROM entity"}, "sql"),
        ({"sql": "PRAGMA user_version"}, "sql"),
        ({"sql": "ATTACH 'x' AS y"}, "sql"),
        ({"sql": "SELECT 1; SELECT 2"}, "sql"),
        ({"sql": "SELECT :missing"}, "sql"),
        ({"sql": "SELECT 1 AS a, 2 AS a"}, "sql"),
        ({"sql": "SELECT :x", "parameters": {"x": 2**70}}, "sql"),
        ({"sql": "SELECT 1", "limit": 0}, "limit"),
        ({"sql": "SELECT 1", "limit": query.ROWS_MAX + 1}, "limit"),
        ({"sql": ""}, "sql"),
        ({"cypher": "x" * (query.STATEMENT_SIZE_MAX + 1)}, "cypher"),
        ({"cypher": "RETURN 1", "write": True}, "write"),
    ],
)
def test_what_is_wrong_or_would_write_is_refused(slip: World, asked: Any, field: str) -> None:
    head = slip.slipstream.pkg.feed.head()
    refused = slip.api.post("/v1/query", asked)
    assert (refused.status, refused.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, field)
    assert slip.slipstream.pkg.feed.head() == head


def test_a_question_that_takes_too_much_is_ended(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = Config.model_validate({"query": {"timeout_s": 0.3, "rows_max": 5}})
    with world(tmp_path_factory.mktemp("pkg"), config) as small:
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
        for asked in ({"sql": endless}, {"sql": "SELECT id FROM entity"}, {"cypher": "MATCH (n) RETURN n.id"}):
            refused = small.api.post("/v1/query", asked)
            assert (refused.status, refused.body["class"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, "QueryLimitError")
