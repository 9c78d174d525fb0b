"""The same routes in an incident, and of a process that does not run the engine itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.app.composition import Options, open_pkg
from tests.integration.http_admin_world import Api, World, made_app, serving, world
from tests.integration.incident_world import World as Incident

READS = (
    "audits",
    "audits/1",
    "audits/1/findings",
    "backups",
    "dead-letters",
    "map",
    "migrations",
    "quality",
    "quality/weak",
    "repairs",
    "settings",
    "status",
    "status?counts=false",
)


@pytest.fixture
def in_incident(tmp_path: Path) -> Iterator[Api]:
    incident = Incident(tmp_path, "sqlite")
    incident.fill()
    incident.remove()
    with incident.open() as slipstream:
        assert slipstream.incident is not None
        app = made_app(slipstream, tmp_path)
        app.state.backups = tmp_path / "kept"
        with serving(app) as api:
            yield api


def test_in_an_incident_everything_is_told_or_refused(in_incident: Api) -> None:
    told = {path: in_incident.get(f"/v1/{path}") for path in READS}
    assert {path: answer.status for path, answer in told.items() if answer.status not in (200, 404, 503)} == {}
    assert [told[path].status for path in ("audits", "dead-letters", "settings", "status")] == [200] * 4
    assert told["status"].body["incident"]["kind"] == "missing"
    for path in (path for path, answer in told.items() if answer.status == 503):
        assert told[path].body["class"] == "IncidentError", path
        assert told[path].body["incident"]["ways"]


def test_in_an_incident_nothing_is_written(in_incident: Api) -> None:
    orders = {
        "audits": {},
        "backups": {},
        "migrations/start": {},
        "repairs": {"audit_id": 1, "precondition": "x"},
        "dead-letters/replay": {"all": True},
        "quality": {},
    }
    answers = {path: in_incident.post(f"/v1/{path}", body) for path, body in orders.items()}
    allowed = {"dead-letters/replay": (200, 503), "backups": (422,)}  # there is no graph to copy
    wrong = {
        path: (answer.status, answer.body)
        for path, answer in answers.items()
        if answer.status not in allowed.get(path, (404, 503))
    }
    assert wrong == {}
    sent = in_incident("POST", "/v1/imports", b'{"type":"node","id":"1","labels":["N"],"properties":{"id":"n1"}}')
    assert (sent.status, sent.body["class"]) == (503, "IncidentError")


def test_the_graph_is_adopted_by_a_request(in_incident: Api, tmp_path: Path) -> None:
    made = in_incident.post("/v1/requests", {"operation": "adopt"}).ok(202)
    found = in_incident.get(f"/v1/requests/{made['id']}?wait_s=30").ok()
    assert (found["state"], found["error"]) == ("done", None)
    assert in_incident.post("/v1/requests", {"operation": "adopt"}, scope="write").status == 403


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Api]]:
    """A server beside the process that runs the engine."""
    directory = tmp_path_factory.mktemp("beside")
    with world(directory) as owner:
        options = Options(embedders=owner.embedders)
        with open_pkg(directory, run=False, config=owner.slipstream.opened.config, options=options) as guest:
            assert not guest.runs_engine
            app = made_app(guest, directory)
            app.state.backups = directory / "kept"
            with serving(app) as api:
                yield owner, api


def test_a_server_beside_the_engine_asks_it(beside: tuple[World, Api]) -> None:
    owner, api = beside
    audit = api.post("/v1/audits", {"hurry": True}).ok()
    assert owner.slipstream.audits.audits(None, 1)[0].id == audit["id"]
    told = {path: api.get(f"/v1/{path}".replace("audits/1", f"audits/{audit['id']}")) for path in READS}
    assert {path: answer.body for path, answer in told.items() if answer.status != 200} == {}
    assert told["status"].body["head"] == owner.slipstream.status().head
    assert told["map"].body["sampled"] == told["status"].body["entities"]


def test_orders_reach_the_engine_beside(beside: tuple[World, Api]) -> None:
    owner, api = beside
    report = api("POST", "/v1/imports", b'{"type":"node","id":"1","labels":["N"],"properties":{"id":"n1"}}').ok()
    assert (report["entities"], owner.slipstream.get("n1").type) == (1, "N")
    assert api.post("/v1/backups").ok()["backup"]["is_of_this_graph"]
    plan = api.post("/v1/migrations/plan", {"candidate": {"default": "new"}}).ok()
    assert plan["types"]["Person"] > 0
    audit = api.post("/v1/audits", {"hurry": True}).ok()
    plan = api.post("/v1/repairs/plan", {"audit_id": audit["id"]}).ok()
    assert (
        api.post("/v1/repairs", {"audit_id": audit["id"], "precondition": plan["precondition"]}).ok()["marked"] == {}
    )
