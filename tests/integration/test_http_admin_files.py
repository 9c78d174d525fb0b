"""Imports and backups over HTTP: bounded, and named, never by paths."""

from __future__ import annotations

import errno
import gzip
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.uploads import UPLOADS_FOLDER
from slipstream.domain.errors import InvalidInputError
from tests.integration.http_admin_world import PEOPLE, World, world
from tests.until import until


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("files")) as made:
        yield made


def _node(number: int) -> str:
    properties = {"id": f"n{number}", "name": f"node {number}"}
    return json.dumps({"type": "node", "id": str(number), "labels": ["Node"], "properties": properties})


def _dump(count: int) -> bytes:
    ends = {"start": {"id": "0", "labels": ["Node"]}, "end": {"id": "1", "labels": ["Node"]}}
    link = json.dumps({"type": "relationship", "id": "0", "label": "NEXT", "properties": {}, **ends})
    return "\n".join([*(_node(number) for number in range(count)), link]).encode() + b"\n"


def _left(here: World) -> list[Path]:
    folder = here.slipstream.opened.data / UPLOADS_FOLDER
    return list(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(("name", "pack"), [("graph.jsonl", bytes), ("graph.jsonl.gz", gzip.compress)])
def test_a_dump_is_imported(here: World, name: str, pack: Any) -> None:
    answer = here.api("POST", f"/v1/imports?name={name}", pack(_dump(5)), scope="write")
    report = answer.ok()
    assert (report["form"], report["entities"], report["relationships"], report["rejected"]) == ("apoc", 5, 1, 0)
    assert here.slipstream.get("n4").properties == {"name": "node 4"}
    assert report["position"] <= here.slipstream.pkg.feed.head()
    assert _left(here) == []


def test_a_dump_is_sent_in_chunks(here: World) -> None:
    data = _dump(500)
    chunks = (data[start : start + 1_000] for start in range(0, len(data), 1_000))
    assert here.api("POST", "/v1/imports", chunks).ok()["entities"] == 500


def test_nodes_without_an_id_are_called_by_the_name_of_the_file(here: World) -> None:
    node = json.dumps({"type": "node", "id": "7", "labels": ["Node"], "properties": {"name": "x"}}).encode()
    for _ in range(2):  # the same source once more changes nothing
        assert here.api("POST", "/v1/imports?name=people.jsonl", node).ok()["entities"] == 1
    assert here.slipstream.get("people#7").properties == {"name": "x"}
    assert here.api("POST", "/v1/imports?name=people.jsonl&id_prefix=staff:", node).ok()["entities"] == 1
    assert here.slipstream.get("staff:7").properties == {"name": "x"}


def test_events_are_applied_and_bad_ones_are_dead_letters(here: World) -> None:
    event = {
        "event_id": "ev1",
        "event_type": "entity_created",
        "entity_id": "from-event",
        "entity_type": "Person",
        "timestamp": "2026-01-01T00:00:00+00:00",
        "new_data": {"name": "from an event"},
        "schema_version": 1,
    }
    body = (
        json.dumps(event) + "\n" + json.dumps({**event, "event_id": "ev2", "event_type": "entity_eaten"})
    ).encode()
    first = here.api("POST", "/v1/imports?format=events&name=events.jsonl.gz", gzip.compress(body)).ok()
    assert (first["applied"], first["rejected"], len(first["errors"])) == (1, 1, 1)
    again = here.api("POST", "/v1/imports?format=events&name=events.jsonl", body).ok()
    assert (again["applied"], again["duplicates"]) == (0, 1)
    assert here.slipstream.get("from-event").properties["name"] == "from an event"
    assert here.api.get("/v1/dead-letters").ok()["total"] == 1
    here.api.post("/v1/dead-letters/discard", {"all": True}).ok()


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "..%2Fx", "/etc/passwd", "a%2Fb", ".hidden", "..", "a%00b", "a%0Ab", "%5Cx", "x" * 201, ""],
)
def test_a_name_is_never_a_path(here: World, name: str) -> None:
    answer = here.api("POST", f"/v1/imports?name={name}", _dump(1))
    assert (answer.status, answer.body["field"]) == (422, "name")
    assert _left(here) == []


def test_an_upload_is_bounded(here: World) -> None:
    here.app.state.upload_bytes = 10_000
    try:
        data = b"x" * 30_000
        assert here.api("POST", "/v1/imports", iter([data[:15_000], data[15_000:]])).status == 413
    finally:
        del here.app.state.upload_bytes
    assert _left(here) == []


def test_other_formats_are_imported_as_they_say(here: World) -> None:
    body = b"ada;Ada;aes\nbab;Charles;aes\n"
    asked = "format=csv&type=Person&delimiter=%3B&relate=employer:WORKS_AT:Company&replace_source=hr"
    report = here.api("POST", f"/v1/imports?{asked}", b"id;name;employer\n" + body, scope="write").ok()
    assert (report["form"], report["entities"], report["relationships"], report["deleted"]) == ("csv", 3, 2, 0)
    assert here.slipstream.get("ada").properties == {"name": "Ada"}
    report = here.api("POST", f"/v1/imports?{asked}", b"id;name;employer\n" + body[:12], scope="write").ok()
    assert report["deleted"] == 1
    refused = here.api("POST", "/v1/imports?format=csv&relate=x", body)
    assert (refused.status, refused.body["field"]) == (422, "relate")


@pytest.mark.parametrize(("parameter", "told"), [("dry_run=true", "is no parameter"), ("fromat=csv", "'format'")])
def test_a_parameter_that_is_not_known_is_refused(here: World, parameter: str, told: str) -> None:
    answer = here.api("POST", f"/v1/imports?{parameter}", _dump(9), scope="write")
    assert answer.status == 422
    assert told in answer.body["detail"]
    assert _left(here) == []


def test_wrong_uploads_are_refused_and_removed(here: World) -> None:
    assert here.api("POST", "/v1/imports", b"").body["field"] == "body"
    assert here.api("POST", "/v1/imports?name=x.gz", b"not packed").status == 422
    assert here.api("POST", "/v1/imports", b"PK\x03\x04 a zip").status == 422
    assert here.api("POST", "/v1/imports?format=rdf", b"x").status == 422
    assert here.api("POST", "/v1/imports", _dump(1), scope="read").status == 403
    assert _left(here) == []


def test_a_full_disk_is_told_and_nothing_is_left(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("slipstream.http.routes.imports._write", full)
    answer = here.api("POST", "/v1/imports", _dump(5))
    assert (answer.status, answer.body["class"]) == (507, "DiskFullError")
    assert _left(here) == []


def test_an_upload_that_ends_early_is_removed(here: World) -> None:
    with socket.create_connection(("127.0.0.1", here.api.port)) as half:
        head = "POST /v1/imports HTTP/1.1\r\nHost: x\r\nX-Scope: write\r\nContent-Length: 100000\r\n\r\n"
        half.sendall(head.encode() + b"x" * 1_000)
        until(lambda: _left(here), "that the upload has begun")
    until(lambda: not _left(here), "that what had come of it is removed")


def test_no_client_asks_for_what_is_the_servers_own(here: World) -> None:
    for name, arguments in (("backups.make", {"folder": "/srv"}), ("uploads.take", {"upload": "u-" + "0" * 32})):
        made = here.api.post("/v1/requests", {"operation": name, "arguments": arguments})
        assert (made.status, made.body["field"]) == (422, "operation")


def test_an_upload_is_asked_for_by_its_token_only(here: World) -> None:
    uploads = here.slipstream.opened.uploads
    for token in ("..", "../..", "u-../../../etc", "u-" + "0" * 32, ""):
        with pytest.raises(Exception, match="there is no upload"):
            uploads.path_of(token)
        uploads.remove(token)
    with pytest.raises(InvalidInputError), uploads.begun("a/b"):
        pass


# ---------------------------------------------------------------------- backups


def test_without_a_folder_there_are_no_backups(here: World) -> None:
    for answer in (here.api.get("/v1/backups"), here.api.post("/v1/backups")):
        assert (answer.status, answer.body["class"]) == (422, "ConfigError")
        assert "--backups" in answer.body["detail"]


def test_backups_are_made_and_listed(here: World, tmp_path: Path) -> None:
    here.app.state.backups = tmp_path / "kept"
    try:
        assert here.api.get("/v1/backups").ok() == {"items": [], "total": 0}
        assert here.api.post("/v1/backups", scope="write").status == 403
        first = here.api.post("/v1/backups", {"keep": 2}).ok()["backup"]
        assert (first["is_of_this_graph"], first["manifest"]["entities"] > PEOPLE) == (True, True)
        second = here.api.post("/v1/backups", {"keep": 1}).ok()
        assert second["removed"] == [first["name"]]
        listed = here.api.get("/v1/backups", scope="read").ok()
        assert listed == {"items": [second["backup"]], "total": 1}
        assert here.api.get(f"/v1/backups/{second['backup']['name']}").ok() == second["backup"]
        assert [path.name for path in (tmp_path / "kept").iterdir()] == [second["backup"]["name"]]
        _try_tricks(here, tmp_path)
    finally:
        del here.app.state.backups


def _try_tricks(here: World, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    made = next((tmp_path / "kept").iterdir())
    (tmp_path / "kept" / "slipstream-20200101T000000Z").symlink_to(made)
    names = (
        "..",
        "%2e%2e",
        "..%2foutside",
        "slipstream-20200101T000000Z",
        "manifest.json",
        ".",
        "slipstream-x",
        "%00",
    )
    for name in names:
        assert here.api.get(f"/v1/backups/{name}").status in (404, 422), name
    assert here.api.get("/v1/backups").ok()["total"] == 1
    for body in ({"keep": 0}, {"folder": "/srv"}, {"name": "../x"}, {"keep": "1; rm"}):
        assert here.api.post("/v1/backups", body).status == 422
