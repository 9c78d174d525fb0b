"""On what terms a write is done over HTTP: once, if nothing has changed, waited for, all or nothing, by whom."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from slipstream.http import writing
from slipstream.http.routes.batch import MUTATIONS_MAX
from slipstream.http.waiting import WAITERS_MAX
from slipstream.http.writing import KEY_SIZE_MAX
from slipstream.ports.feed import Retention
from tests.integration.http_admin_world import Answer, World, world
from tests.until import until

NOTHING_KEPT = Retention(kept_bytes=0, kept_s=0.0, limit_bytes=0)


@pytest.fixture(scope="module")
def slip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("pkg")) as made:
        yield made


def _named(slip: World, name: str, key: str = "", **options: Any) -> Answer:
    headers = {**({"Idempotency-Key": key} if key else {}), **options.pop("headers", {})}
    path = f"/v1/entities/p1{options.pop('query', '')}"
    return slip.api("PATCH", path, {"properties": {"name": name}}, headers=headers, **options)


def _events(slip: World) -> int:
    return int(slip.slipstream.pkg.feed.head())


def test_a_repeat_is_not_applied_again(slip: World) -> None:
    first = _named(slip, "once", "key 1").ok()
    assert first["repeated"] is False
    _named(slip, "another").ok()
    head = _events(slip)
    second = _named(slip, "once", "key 1")
    assert second.ok()["repeated"] is True
    assert second.body["position"] >= first["position"]
    assert _events(slip) == head
    assert slip.api.get("/v1/entities/p1").ok()["name"] == "another"


def test_a_repeat_of_a_creation_conflicts_with_nothing(slip: World) -> None:
    body, headers = {"id": "made once", "type": "Thing"}, {"Idempotency-Key": "key 2"}
    assert slip.api.post("/v1/entities", body, headers=headers).ok(HTTPStatus.CREATED)["repeated"] is False
    assert slip.api.post("/v1/entities", body, headers=headers).ok(HTTPStatus.OK)["repeated"] is True
    ends = {"source_id": "p1", "type": "SAW", "target_id": "made once"}
    for repeated in (False, True):
        made = slip.api.post("/v1/relationships", ends, headers={"Idempotency-Key": "key 3"})
        assert (made.body["repeated"], made.body["id"]) == (repeated, "SAW:p1:made once")


@pytest.mark.parametrize("other", ["body", "path", "method"])
def test_a_key_is_for_one_request(slip: World, other: str) -> None:
    key = {"Idempotency-Key": f"key of {other}"}
    slip.api("PATCH", "/v1/entities/p2", {"properties": {"a": 1, "b": 2}}, headers=key).ok()
    method = "PUT" if other == "method" else "PATCH"
    path = "/v1/entities/p3" if other == "path" else "/v1/entities/p2"
    body: dict[str, Any] = {"properties": {"a": 1, "b": 3 if other == "body" else 2}}
    body |= {"entity_type": "Person"} if method == "PUT" else {}
    refused = slip.api(method, path, body, headers=key)
    assert (refused.status, refused.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, "Idempotency-Key")
    # What says the same is the same, however it is written; and how long to wait is no part of it.
    same = b'{ "properties": {"b": 2,\n "a": 1} }'
    headers = {**key, "Content-Type": "application/json"}
    assert slip.api("PATCH", "/v1/entities/p2?wait_s=0", same, headers=headers).ok()["repeated"] is True


def test_a_key_of_a_failed_write_can_be_used_again(slip: World) -> None:
    headers = {"Idempotency-Key": "key 4"}
    body = {"properties": {"x": 1}}
    assert slip.api("PATCH", "/v1/entities/later", body, headers=headers).status == HTTPStatus.NOT_FOUND
    slip.api.post("/v1/entities", {"id": "later", "type": "Thing"}).ok(HTTPStatus.CREATED)
    assert slip.api("PATCH", "/v1/entities/later", body, headers=headers).ok()["repeated"] is False


def test_a_key_has_a_size(slip: World) -> None:
    for key in ("", "k" * (KEY_SIZE_MAX + 1)):
        headers = {"Idempotency-Key": key}
        refused = slip.api("PATCH", "/v1/entities/p1", {"properties": {}}, headers=headers)
        assert refused.status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_many_at_once_with_one_key_are_applied_once(slip: World) -> None:
    answers: list[Answer] = []
    body = {"mutations": [{"op": "create_entity", "id": "by one of many", "type": "Thing"}]}

    def write() -> None:
        answers.append(slip.api.post("/v1/batch", body, headers={"Idempotency-Key": "key 5"}))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.ok()["repeated"] for answer in answers) == [False] + [True] * 7


# ------------------------------------------------------------------ preconditions


def test_a_write_is_refused_when_the_record_has_changed(slip: World) -> None:
    tag = slip.api.get("/v1/entities/p1").headers["etag"]
    slip.api("PATCH", "/v1/entities/p2", {"properties": {"of": "another"}}).ok()  # of no concern
    written = _named(slip, "first", headers={"If-Match": tag})
    refused = _named(slip, "second", headers={"If-Match": tag})
    assert (refused.status, refused.body["class"]) == (HTTPStatus.PRECONDITION_FAILED, "PreconditionFailedError")
    assert slip.api.get("/v1/entities/p1").ok()["name"] == "first"
    _named(slip, "third", headers={"If-Match": written.headers["etag"]}).ok()
    assert slip.api("DELETE", "/v1/entities/p1", headers={"If-Match": tag}).status == HTTPStatus.PRECONDITION_FAILED
    put = slip.api("PUT", "/v1/entities/p1", {"entity_type": "Person"}, headers={"If-Match": tag})
    assert put.status == HTTPStatus.PRECONDITION_FAILED


def test_a_relationship_has_preconditions_too(slip: World) -> None:
    path = slip.api.post("/v1/relationships", {"source_id": "p4", "type": "KNOWS", "target_id": "p5"}).headers[
        "location"
    ]
    tag = slip.api.get(path).headers["etag"]
    slip.api("PATCH", path, {"properties": {"x": 1}}, headers={"If-Match": tag}).ok()
    for method, body in (("PATCH", {"properties": {}}), ("PUT", {}), ("DELETE", None)):
        assert slip.api(method, path, body, headers={"If-Match": tag}).status == HTTPStatus.PRECONDITION_FAILED


def test_what_was_made_anew_has_changed(slip: World) -> None:
    tag = slip.api.get("/v1/entities/p6").headers["etag"]
    whole = {"entity_type": "Person", "properties": slip.api.get("/v1/entities/p6").ok()["properties"]}
    slip.api("DELETE", "/v1/entities/p6").ok()
    slip.api("PUT", "/v1/entities/p6", whole).ok(HTTPStatus.CREATED)
    refused = slip.api("PATCH", "/v1/entities/p6", {"properties": {}}, headers={"If-Match": tag})
    assert refused.status == HTTPStatus.PRECONDITION_FAILED


def test_of_writers_with_one_tag_one_succeeds(slip: World) -> None:
    tag = slip.api.get("/v1/entities/p7").headers["etag"]
    answers: list[int] = []

    def write(number: int) -> None:
        body = {"properties": {"winner": number}}
        answers.append(slip.api("PATCH", "/v1/entities/p7", body, headers={"If-Match": tag}).status)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [HTTPStatus.OK] + [HTTPStatus.PRECONDITION_FAILED] * 7


def test_a_repeat_is_told_even_where_its_own_write_has_changed_the_record(slip: World) -> None:
    tag = slip.api.get("/v1/entities/p8").headers["etag"]
    headers = {"If-Match": tag, "Idempotency-Key": "key 6"}
    for repeated in (False, True):
        answer = slip.api("PATCH", "/v1/entities/p8", {"properties": {"z": 1}}, headers=headers)
        assert answer.ok()["repeated"] is repeated


def test_a_log_that_does_not_reach_back_is_told(slip: World) -> None:
    tag = slip.api.get("/v1/entities/p9").headers["etag"]
    _named(slip, "something")
    _named(slip, "something else")
    slip.drain()
    slip.slipstream.pkg.feed.trim(NOTHING_KEPT)
    refused = slip.api("PATCH", "/v1/entities/p9", {"properties": {}}, headers={"If-Match": tag})
    assert refused.status == HTTPStatus.PRECONDITION_FAILED
    assert "no longer reaches back" in refused.body["detail"]
    assert slip.api.get("/v1/entities/p9", headers={"If-None-Match": tag}).status == HTTPStatus.OK


def test_one_can_not_look_back_for_ever(slip: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tag = slip.api.get("/v1/entities/p9").headers["etag"]
    monkeypatch.setattr(writing, "LOOKED_BACK_MAX", 3)
    for number in range(4):
        _named(slip, f"name {number}").ok()
    refused = slip.api("PATCH", "/v1/entities/p9", {"properties": {}}, headers={"If-Match": tag})
    assert refused.status == HTTPStatus.PRECONDITION_FAILED
    assert "more than 3 changes" in refused.body["detail"]


@pytest.mark.parametrize("tag", ["*", "42", 'W/"42"', '"x"', '"1", "2"', f'"{2**62}"', ""])
def test_what_is_no_tag_of_ours_is_refused(slip: World, tag: str) -> None:
    refused = slip.api("PATCH", "/v1/entities/p1", {"properties": {}}, headers={"If-Match": tag})
    assert (refused.status, refused.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, "If-Match")


def test_a_position_that_never_was_matches_nothing(slip: World) -> None:
    future = {"If-Match": f'"{_events(slip) + 1_000}"'}
    refused = slip.api("PATCH", "/v1/entities/p1", {"properties": {}}, headers=future)
    assert refused.status == HTTPStatus.PRECONDITION_FAILED


def test_only_a_new_one_is_made_if_that_is_asked(slip: World) -> None:
    headers = {"If-None-Match": "*"}
    refused = slip.api("PUT", "/v1/entities/p1", {"entity_type": "Person"}, headers=headers)
    assert refused.status == HTTPStatus.PRECONDITION_FAILED
    slip.api("PUT", "/v1/entities/quite-new", {"entity_type": "Thing"}, headers=headers).ok(HTTPStatus.CREATED)
    path = "/v1/relationships/SAW:p1:p2"
    slip.api("PUT", path, {}, headers=headers).ok(HTTPStatus.CREATED)
    assert slip.api("PUT", path, {}, headers=headers).status == HTTPStatus.PRECONDITION_FAILED
    other = slip.api("PUT", path, {}, headers={"If-None-Match": '"1"'})
    assert (other.status, other.body["field"]) == (HTTPStatus.UNPROCESSABLE_ENTITY, "If-None-Match")


def test_a_precondition_where_it_means_nothing_is_refused(slip: World) -> None:
    for path, body in (("/v1/entities", {"id": "n", "type": "T"}), ("/v1/batch", {"mutations": []})):
        assert slip.api.post(path, body, headers={"If-Match": '"1"'}).status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_what_has_not_changed_is_not_sent_again(slip: World) -> None:
    for path in ("/v1/entities/p3", "/v1/relationships/WORKS_AT:p0:acme"):
        tag = slip.api.get(path).headers["etag"]
        _named(slip, f"no concern of {path}").ok()
        held = slip.api.get(path, headers={"If-None-Match": tag})
        assert (held.status, held.body, held.headers["etag"]) == (HTTPStatus.NOT_MODIFIED, b"", tag)
        for several in (f"W/{tag}", f'"1", W/{tag}', f'"x", {tag}, "{2**63}"'):
            assert slip.api.get(path, headers={"If-None-Match": several}).status == HTTPStatus.NOT_MODIFIED
        for other in ("*", '"x"', "x", f'"{2**63}"'):
            assert slip.api.get(path, headers={"If-None-Match": other}).status == HTTPStatus.OK
        slip.api("PATCH", path, {"properties": {"changed": tag}}).ok()
        assert slip.api.get(path, headers={"If-None-Match": tag}).ok()["properties"]["changed"] == tag


# ------------------------------------------------------------------ waiting, and batches


def test_a_write_waits_for_the_index(slip: World) -> None:
    written = _named(slip, "a heliograph", query="?wait_s=60").ok()
    assert written["reached"] is True
    found = slip.api.post("/v1/search", {"text": "a heliograph", "k": 1, "after": written["position"]}).ok()
    assert found["hits"][0]["entity_id"] == "p1"
    assert found["frontier"] >= written["position"]


def test_an_engine_that_stands_still_is_told_after_the_write(slip: World) -> None:
    slip.slipstream.sync.stop()
    try:
        written = _named(slip, "unseen", query="?wait_s=0.2").ok()
        assert written["reached"] is False
        refused = slip.api.post("/v1/wait", {"position": written["position"], "timeout_s": 30})
        assert (refused.status, refused.body["class"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "NotRunningError")
    finally:
        slip.slipstream.sync.start()
    waited = slip.api.post("/v1/wait", {"position": written["position"], "timeout_s": 60}).ok()
    assert waited["reached"] is True
    assert waited["frontier"] >= written["position"]


def test_a_position_that_does_not_come_is_not_waited_for_longer_than_asked(slip: World) -> None:
    waited = slip.api.post("/v1/wait", {"position": _events(slip) + 1_000, "timeout_s": 0.2}).ok()
    assert waited["reached"] is False
    for wrong in ({"position": -1}, {"position": 1, "timeout_s": 61}, {"position": 2**62}, {}):
        assert slip.api.post("/v1/wait", wrong).status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_those_who_wait_keep_nobody_from_asking(slip: World) -> None:
    """More wait than there are threads for those who ask."""
    slip.drain()
    next_one, waiting, answers = _events(slip) + 1, WAITERS_MAX + 20, list[Answer]()

    def wait() -> None:
        answers.append(slip.api.post("/v1/wait", {"position": next_one, "timeout_s": 60}))

    threads = [threading.Thread(target=wait) for _ in range(waiting)]
    for thread in threads:
        thread.start()
    limiter = slip.app.state.waiting.limiter
    until(lambda: limiter.borrowed_tokens + limiter.statistics().tasks_waiting == waiting)
    assert limiter.borrowed_tokens == WAITERS_MAX
    slip.api.get("/v1/entities/p1").ok()
    _named(slip, "what they wait for").ok()
    for thread in threads:
        thread.join()
    assert all(answer.ok()["reached"] for answer in answers)


def test_a_batch_is_applied_whole(slip: World) -> None:
    mutations = [
        {"op": "create_entity", "id": "b1", "type": "Thing", "properties": {"name": "one"}},
        {"op": "upsert_entity", "id": "b2", "type": "Thing"},
        {"op": "update_entity", "id": "b1", "properties": {"name": "uno"}},
        {"op": "relate", "source_id": "b1", "type": "NEXT", "target_id": "b2", "discriminator": "x"},
        {"op": "update_relationship", "id": "NEXT:b1:b2:x", "properties": {"w": 1}},
        {"op": "relate", "source_id": "b1", "type": "NEXT", "target_id": "b2", "discriminator": "x", "replace": True},
        {"op": "unrelate", "id": "NEXT:b1:b2:x"},
        {"op": "delete_entity", "id": "b2"},
    ]
    done = slip.api.post("/v1/batch?wait_s=60", {"mutations": mutations}).ok()
    assert done["ids"] == ["b1", "b2", "b1", "NEXT:b1:b2:x", "NEXT:b1:b2:x", "NEXT:b1:b2:x", "NEXT:b1:b2:x", "b2"]
    assert done["reached"] is True
    assert slip.api.get("/v1/entities/b1").ok()["name"] == "uno"
    assert slip.api.get("/v1/entities/b2").status == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("mutation", "status", "said"),
    [
        ({"op": "create_entity", "id": "p1", "type": "Person"}, HTTPStatus.CONFLICT, "mutation 1"),
        ({"op": "unrelate", "id": "X:a:b"}, HTTPStatus.NOT_FOUND, "mutation 1"),
        ({"op": "unrelate", "id": "X"}, HTTPStatus.UNPROCESSABLE_ENTITY, "mutations.1"),
        (
            {"op": "update_entity", "id": "p1", "properties": {"_x": 1}},
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "mutations.1._x",
        ),
        ({"op": "erase"}, HTTPStatus.UNPROCESSABLE_ENTITY, "mutations.1"),
        ({"op": "relate", "id": "x"}, HTTPStatus.UNPROCESSABLE_ENTITY, "mutations.1"),
    ],
)
def test_a_batch_with_a_fault_leaves_nothing(slip: World, mutation: Any, status: int, said: str) -> None:
    head = _events(slip)
    first = {"op": "upsert_entity", "id": "left over", "type": "Thing"}
    refused = slip.api.post("/v1/batch", {"mutations": [first, mutation]})
    assert (refused.status, said in refused.body["detail"]) == (status, True)
    assert _events(slip) == head


def test_a_batch_has_a_size(slip: World) -> None:
    one = {"op": "upsert_entity", "id": "x", "type": "Thing"}
    refused = slip.api.post("/v1/batch", {"mutations": [one] * (MUTATIONS_MAX + 1)})
    assert refused.status == HTTPStatus.UNPROCESSABLE_ENTITY


WRITES: list[tuple[str, str, Any]] = [
    ("POST", "/v1/entities", {"id": "n", "type": "T"}),
    ("PUT", "/v1/entities/n", {"entity_type": "T"}),
    ("PATCH", "/v1/entities/p1", {"properties": {}}),
    ("DELETE", "/v1/entities/p1", None),
    ("POST", "/v1/relationships", {"source_id": "p1", "type": "T", "target_id": "p2"}),
    ("PUT", "/v1/relationships/T:p1:p2", {}),
    ("PATCH", "/v1/relationships/T:p1:p2", {"properties": {}}),
    ("DELETE", "/v1/relationships/T:p1:p2", None),
    ("POST", "/v1/batch", {"mutations": []}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_a_reader_may_not_write(slip: World, method: str, path: str, body: Any) -> None:
    head = _events(slip)
    assert slip.api(method, path, body, scope="read").status == HTTPStatus.FORBIDDEN
    assert slip.api(method, path, body, scope="").status == HTTPStatus.UNAUTHORIZED
    assert _events(slip) == head
