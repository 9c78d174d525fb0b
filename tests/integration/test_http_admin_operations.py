"""The calls of the Python client and durable requests, over the real application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.app.remote.failures import raised_error
from slipstream.app.remote.operations import OPERATIONS, SERVER
from slipstream.app.remote.serving_operations import SERVED, Mutation, mutation
from slipstream.domain.audits import Finding
from slipstream.domain.entities import Hop
from slipstream.domain.errors import (
    AlreadyExistsError,
    InvalidInputError,
    NotFoundError,
    QueryLimitError,
    UnavailableError,
)
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.stamps import Deletion
from tests.integration.http_admin_world import PEOPLE, Answer, World, world
from tests.until import until

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("operations")) as made:
        yield made


def _sent(name: str, *args: object, **kwargs: object) -> Any:
    operation = SERVED.get(name) or OPERATIONS[name]
    return json.loads(operation.signature.arguments_as_json(args, kwargs)[0])


def _asked(here: World, name: str, *args: object, **kwargs: object) -> Any:
    """Return what a client gets: the decoded result, or the error raised again."""
    operation = SERVED.get(name) or OPERATIONS[name]
    sent = None if operation.is_value else _sent(name, *args, **kwargs)
    answer = here.api.post(f"/v1/operations/{name}", sent)
    if answer.status != 200:
        raise raised_error(answer.body["error"])
    return operation.signature.result(answer.body["result"], here.slipstream.audits)


def test_reads_of_the_graph_are_the_same_far_away(here: World) -> None:
    pkg = here.slipstream.pkg
    pkg.upsert_entity("Event", "noon", {"at": NOON, "list": [NOON, 1.5, None], "tag": {"$datetime": "no time"}})
    keys, hops = [entity_key("p0"), entity_key("noon"), entity_key("gone")], {"Person": [Hop("WORKS_AT")]}
    relationship = here.slipstream.neighbours("p0").items[0].relationship_id
    assert _asked(here, "pkg.read", keys, hops) == pkg.read(keys, hops)
    assert _asked(here, "pkg.scan", None, 100) == list(pkg.scan(None, 100))
    assert _asked(here, "pkg.scan", entity_key("p1"), 3, ["WORKS_AT"]) == list(pkg.scan(entity_key("p1"), 3))[:3]
    page = pkg.of_type("Person", None, 7)
    assert _asked(here, "pkg.of_type", "Person", None, 7) == page
    assert _asked(here, "pkg.of_type", "Person", page.next, 7) == pkg.of_type("Person", page.next, 7)
    assert _asked(here, "pkg.of_type", "Event", None, 7).items[0].properties["at"] == NOON
    adjacent = list(pkg.adjacent(["p0", "acme"], None, None, 10))
    assert _asked(here, "pkg.adjacent", ["p0", "acme"], None, None, 10) == adjacent
    assert _asked(here, "pkg.adjacent", ["p0", "acme"], frozenset({"WORKS_AT"}), adjacent[0], 1) == adjacent[1:2]
    assert _asked(here, "pkg.nearby", ["p0"], 1) == list(pkg.nearby(["p0"], 1))
    assert _asked(here, "pkg.schema") == pkg.schema()
    assert _asked(here, "pkg.schema_at", 1) == pkg.schema_at(1)
    assert _asked(here, "pkg.schema_at", 10_000) is None
    assert _asked(here, "pkg.counts") == pkg.counts()
    assert relationship == "WORKS_AT:p0:acme"


@pytest.mark.parametrize(
    ("hop", "count"), [(Hop("R", depth=6), 1), (Hop("R", limit=1_001), 1), (Hop("R", limit=1_000), 101)]
)
def test_a_read_reaches_no_further_than_views_do(here: World, hop: Hop, count: int) -> None:
    keys = [entity_key(f"p{number}") for number in range(count)]
    with pytest.raises(InvalidInputError if count == 1 else QueryLimitError):
        _asked(here, "pkg.read", keys, {"Person": [hop]})


def test_questions_and_the_feed(here: World) -> None:
    pkg = here.slipstream.pkg
    cypher = "MATCH (p:Person) WHERE p.name = $name RETURN p.id AS id, p.name AS name"
    assert _asked(here, "pkg.query", cypher, {"name": "name 3"}) == [{"id": "p3", "name": "name 3"}]
    assert _asked(here, "pkg.query_sql", "SELECT count(*) AS n FROM entity WHERE type = :t", {"t": "Person"}) == [
        {"n": PEOPLE}
    ]
    assert _asked(here, "pkg.feed.head") == pkg.feed.head()
    assert _asked(here, "pkg.feed.read", ORIGIN, 1000) == list(pkg.feed.read(ORIGIN, 1000))
    assert _asked(here, "pkg.feed.wait", ORIGIN, 5.0) is True
    assert _asked(here, "pkg.feed.wait", pkg.feed.head(), 0.05) is False
    with pytest.raises(InvalidInputError, match="nonsense") as caught:
        _asked(here, "pkg.query", "nonsense", {})
    assert caught.value.field == "cypher"


def test_a_commit_of_several_mutations(here: World) -> None:
    steps = [
        mutation("create_entity", "Person", "c1", {"name": "one", "born": NOON}),
        mutation("upsert_entity", "Person", "c2", {"name": "two"}),
        mutation("relate", "c1", "KNOWS", "c2", discriminator="x"),
        mutation("update_entity", "c2", {"name": None, "motto": "three"}),
    ]
    made = _asked(here, "pkg.commit", steps, "event 1")
    assert made.ids == (None, None, "KNOWS:c1:c2:x", None)
    assert made.position == here.slipstream.pkg.feed.head()
    assert here.slipstream.get("c1").properties == {"name": "one", "born": NOON}
    assert here.slipstream.get("c2").properties == {"motto": "three"}
    again = _asked(here, "pkg.commit", steps, "event 1")
    assert (again.is_repeated, again.ids, here.slipstream.pkg.feed.head()) == (True, (), made.position)
    with pytest.raises(AlreadyExistsError):
        _asked(here, "pkg.commit", [mutation("create_entity", "Person", "c3", {}), *steps])
    with pytest.raises(NotFoundError):
        here.slipstream.get("c3")
    assert _asked(here, "sync.wait", made.position, 5.0) is True


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ({"op": "close", "arguments": {}}, "mutations"),
        ({"op": "create_entity", "arguments": {"entity_type": "Person"}}, "entity_id"),
        ({"op": "create_entity", "arguments": {"entity_type": "Person", "entity_id": 7}}, "entity_id"),
        ({"op": "delete_entity", "arguments": {"entity_id": "p1", "force": True}}, "force"),
    ],
)
def test_a_wrong_mutation_is_named(here: World, step: Any, field: str) -> None:
    answer = here.api.post("/v1/operations/pkg.commit", {"arguments": {"mutations": [step]}})
    assert (answer.status, answer.body["field"]) == (422, field)


def test_short_rows_of_the_table(here: World) -> None:
    found = _asked(here, "search", "motto 7", 3, entity_type="Person")
    assert found.hits == here.slipstream.search("motto 7", 3, entity_type="Person").hits
    assert _asked(here, "status").head == here.slipstream.status().head
    assert _asked(here, "sync.running") is True
    assert _asked(here, "explain", "p1").verdict == "fresh"
    assert _asked(here, "migrations.status") == here.slipstream.migrations.status()
    assert _asked(here, "incident") is None
    assert _asked(here, "list_dead_letters") == []
    assert _asked(here, "dead_letters.letters", None, 10) == []
    assert _asked(here, "store.index.scan", None, 5) == list(here.slipstream.store.index.scan(None, 5))
    with pytest.raises(NotFoundError, match="'e:ghost'"):
        _asked(here, "explain", "ghost")


def test_kept_audits_far_away(here: World) -> None:
    here.slipstream.store.index.delete([Deletion(entity_key("p5"), Position(10_000))])
    report = here.slipstream.verify(hurry=True)
    assert _asked(here, "audits.audits", None, 1) == list(here.slipstream.audits.audits(None, 1))
    assert _asked(here, "audits.audit", report.kept_id) == here.slipstream.audits.audit(report.kept_id)
    assert _asked(here, "audits.audit", 10_000) is None
    assert _asked(here, "audits.findings", report.kept_id, None, 10) == [Finding("missing", "e:p5", "Person")]


def test_scopes_are_of_each_row(here: World) -> None:
    def status(name: str, body: Any, scope: str) -> int:
        return here.api.post(f"/v1/operations/{name}", body, scope=scope).status

    step = Mutation("update_entity", {"entity_id": "p1", "properties": {"motto": "motto 1"}})
    commit = {"arguments": {"mutations": [{"op": step.op, "arguments": step.arguments}]}}
    assert [status("pkg.commit", commit, scope) for scope in ("read", "write")] == [403, 200]
    assert [status("scrubber.pause", {}, scope) for scope in ("write", "admin")] == [403, 200]
    assert status("scrubber.resume", {}, "admin") == 200
    assert status("status", {}, "read") == 200
    assert here.api.post("/v1/operations/status", {}, scope="").status == 401
    verify = {"operation": "repairer.repair", "arguments": {"audit_id": 1}}
    assert here.api.post("/v1/requests", verify, scope="write").status == 403
    known = {"read", "write", "admin", SERVER}
    assert {operation.scope for operation in (*OPERATIONS.values(), *SERVED.values())} == known


def test_what_is_long_or_unknown_is_refused(here: World) -> None:
    for name, status, said in (("verify", 422, "POST /v1/requests"), ("__class__", 404, "another version")):
        answer = here.api.post(f"/v1/operations/{name}", {})
        assert (answer.status, said in answer.body["detail"]) == (status, True)


def _settled(here: World, answer: Answer) -> Any:
    assert answer.headers["location"] == f"/v1/requests/{answer.ok(202)['id']}"
    return here.api.get(answer.headers["location"] + "?wait_s=30").ok()


def test_a_request_is_made_looked_at_and_answered(here: World) -> None:
    sent = json.loads(OPERATIONS["verify"].signature.arguments_as_json((lambda done: None,), {"hurry": True})[0])
    assert sent["callbacks"] == ["on_progress"]
    found = _settled(here, here.api.post("/v1/requests", {"operation": "verify", **sent}))
    assert (found["state"], found["attempts"], found["operation"]) == ("done", 1, "verify")
    count, (keys,) = found["progress"]["on_progress"]
    assert count >= 1
    assert keys >= PEOPLE
    report = OPERATIONS["verify"].signature.result(found["result"], here.slipstream.audits)
    assert report.kept_id == here.slipstream.audits.audits(None, 1)[0].id


def test_a_failed_request_tells_its_problem(here: World) -> None:
    found = _settled(
        here, here.api.post("/v1/requests", {"operation": "repairer.plan", "arguments": {"audit_id": 10_000}})
    )
    assert (found["state"], found["error"]["class"], found["error"]["status"]) == ("failed", "NotFoundError", 404)
    with pytest.raises(NotFoundError):
        raise raised_error(found["error"]["error"])


def test_the_result_of_a_request_is_for_those_who_may_ask_for_it(here: World) -> None:
    made = here.api.post("/v1/requests", {"operation": "repairer.plan", "arguments": {"audit_id": 10_000}})
    assert made.ok(202)
    place = made.headers["location"]
    scope = OPERATIONS["repairer.plan"].scope
    audit = here.api.post("/v1/requests", {"operation": "verify"}).headers["location"]
    assert (scope, OPERATIONS["verify"].scope) == ("read", "write")
    assert here.api("GET", place, scope="read").status == 200
    assert here.api("GET", audit, scope="read").status == 403
    assert here.api("GET", audit + "?wait_s=30", scope="write").ok()["state"] == "done"


def test_wrong_requests_are_refused_at_once(here: World) -> None:
    post = here.api.post
    scan = {"after": None, "limit": 10**9}  # beyond what may be scanned directly
    for wrong in ({"operation": "rm"}, {"operation": "store.index.scan", "arguments": scan}):
        assert post("/v1/requests", wrong).body["field"] == "operation"
    assert post("/v1/operations/store.index.scan", {"arguments": scan}).body["field"] == "limit"
    assert post("/v1/requests", {"operation": "verify", "arguments": {"deep": "x"}}).body["field"] == "deep"
    assert post("/v1/requests", {"operation": "verify", "more": 1}).status == 422
    assert here.api.get("/v1/requests/999999").status == 404
    assert here.api("DELETE", "/v1/requests/999999").status == 404
    assert here.api.get("/v1/requests/x").status == 422


def test_a_request_is_cancelled(here: World) -> None:
    here.embedders[0].fail_with = UnavailableError("down")
    try:
        here.slipstream.pkg.update_entity("p9", {"motto": "another one"})
        sent = json.loads(OPERATIONS["sync.drain"].signature.arguments_as_json((None, lambda status: None), {})[0])
        place = here.api.post("/v1/requests", {"operation": "sync.drain", **sent}).headers["location"]
        until(lambda: here.api.get(place).ok()["progress"])
        assert here.api("DELETE", place, scope="write").ok()["is_cancelled"]
        found = here.api.get(place + "?wait_s=30").ok()
        assert (found["state"], "given up" in found["error"]["detail"]) == ("failed", True)
    finally:
        here.embedders[0].fail_with = None
    here.drain()
