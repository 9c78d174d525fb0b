"""Status, audits, repairs and dead letters over HTTP, on indexes that were tampered with."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.app.config import BrakeConfig, Config
from slipstream.app.insights import status_as_dict
from slipstream.audit.auditor import Auditor
from slipstream.audit.findings import FINDING_KINDS
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.domain.work import DeadLetter
from slipstream.http.routes.audits import FindingKind
from tests.integration.http_admin_world import PEOPLE, World, world
from tests.until import until


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    config = Config(brake=BrakeConfig(share=0.1, records_min=3))
    with world(tmp_path_factory.mktemp("audits"), config) as made:
        yield made


def _lose(here: World, *ids: str) -> None:
    """Take records out of the index behind the engine's back."""
    here.drain()
    head = here.slipstream.pkg.feed.head()
    here.slipstream.store.index.delete([Deletion(entity_key(identity), head) for identity in ids])


@pytest.fixture(autouse=True)
def _restored(here: World) -> Iterator[None]:
    """Leave the index whole."""
    yield
    here.drain()
    report = here.slipstream.verify(hurry=True)
    if report.is_divergent:
        plan = here.slipstream.repairer.braked(report.kept_id)
        here.slipstream.repair(report, confirm=None if plan is None else plan.id)
        _mended(here)


def _audit(here: World, **body: Any) -> Any:
    return here.api.post("/v1/audits", {"hurry": True, **body}).ok()


def _mended(here: World) -> None:
    here.drain()
    assert _audit(here)["verdict"] == "consistent"


def test_the_status_tells_both_sides_and_the_newest_audit(here: World) -> None:
    audit = _audit(here)
    status = here.api.get("/v1/status").ok()
    assert (status["name"], status["head"], status["unknown"]) == ("test", status["frontier"], {})
    assert status["entities_by_type"] == {"Organization": 1, "Person": PEOPLE}
    assert (status["entities"], status["embeddings"]) == (PEOPLE + 1, PEOPLE + 1)
    assert set(status["embedded_at_by_type"]) == {"Organization", "Person"}
    assert status["last_audit"]["id"] == audit["id"]
    assert status["last_audit"]["coverage"]["Person"]["fresh"] == PEOPLE
    told = status_as_dict(here.slipstream)
    assert set(told) - set(status) == set()
    assert here.api.get("/v1/status").headers["slipstream-frontier"] == str(status["frontier"])


def test_the_status_without_counts_does_not_read_the_index(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the index was read")

    with monkeypatch.context() as patch:
        patch.setattr(type(here.slipstream.store.index), "scan", read)
        status = here.api.get("/v1/status?counts=false").ok()
    assert (status["entities"], status["embeddings"], status["embeddings_by_type"]) == (PEOPLE + 1, None, {})
    assert (status["frontier"], status["unknown"]) == (here.slipstream.status().frontier, {})


def test_an_audit_is_made_listed_and_shown(here: World) -> None:
    _lose(here, "p1", "p2", "p3")
    made = _audit(here)
    assert (made["verdict"], made["counts"]["missing"]) == ("divergent", 3)
    assert made["coverage"]["Person"]["counts"] == {"missing": 3}
    assert here.api.get(f"/v1/audits/{made['id']}").ok() == made
    page = here.api.get("/v1/audits?limit=1").ok()
    assert ([audit["id"] for audit in page["items"]], page["next"]) == ([made["id"]], made["id"])
    older = here.api.get(f"/v1/audits?before={page['next']}").ok()
    assert made["id"] not in [audit["id"] for audit in older["items"]]
    incremental = _audit(here, incremental=True)
    assert (incremental["kind"], incremental["counts"]["missing"]) == ("incremental", 3)
    deep = _audit(here, deep="all")
    assert deep["counts"]["missing"] == 3


def test_findings_are_paged(here: World) -> None:
    _lose(here, "p1", "p2", "p3")
    audit = _audit(here)["id"]
    found: list[str] = []
    place, pages = f"/v1/audits/{audit}/findings?limit=2", 0
    after: str | None = ""
    while after is not None:
        page = here.api.get(place + after).ok()
        found += [row["key"] for row in page["items"]]
        after, pages = page["next"] and f"&after={page['next']}".replace(" ", "%20").replace('"', "%22"), pages + 1
    assert (found, pages) == (["e:p1", "e:p2", "e:p3"], 2)
    assert here.api.get(f"/v1/audits/{audit}/findings?kind=stale").ok()["items"] == []
    assert here.api.get(f"/v1/audits/{audit}/findings?kind=sour").status == 422
    assert here.api.get(f"/v1/audits/{audit}/findings?after=x").body["field"] == "after"
    assert here.api.get("/v1/audits/9999/findings").status == 404
    assert here.api.get("/v1/audits/9999").status == 404


def test_every_kind_of_finding_is_documented() -> None:
    assert set(typing.get_args(FindingKind)) == set(FINDING_KINDS)


@pytest.mark.parametrize(
    "body", [{"deep": 0}, {"deep": "some"}, {"deep": 5, "incremental": True}, {"wait_s": 31}, {"speed": 1}]
)
def test_a_wrong_audit_is_refused(here: World, body: Any) -> None:
    assert here.api.post("/v1/audits", body).status == 422


def test_what_may_be_done_with_audits(here: World) -> None:
    assert here.api.get("/v1/audits", scope="read").status == 200
    assert here.api.post("/v1/audits", {}, scope="read").status == 403
    assert here.api.post("/v1/repairs", {"audit_id": 1}, scope="write").status == 403
    assert here.api.post("/v1/dead-letters/replay", {"all": True}, scope="read").status == 403
    assert here.api.post("/v1/dead-letters/discard", {"all": True}, scope="write").status == 403


def test_a_long_audit_goes_on_as_a_request(here: World) -> None:
    answer = here.api.post("/v1/audits", {"hurry": True, "wait_s": 0})
    body = answer.ok(202)
    assert answer.headers["slipstream-frontier"]
    found = here.api.get(answer.headers["location"] + "?wait_s=30").ok()
    assert (found["id"], found["operation"], found["state"]) == (body["id"], "verify", "done")
    assert here.api.get(f"/v1/audits/{found['result']['kept']}").status == 200


def test_an_audit_is_cancelled(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = Auditor.audit

    def held(self: Auditor, on_progress: Callable[[int], None], **options: Any) -> Any:
        def told(keys: int) -> None:  # on and on, until that raises
            until(lambda: on_progress(keys))

        return audit(self, told, **options)

    monkeypatch.setattr(Auditor, "audit", held)
    before = here.slipstream.audits.audits(None, 1)[0].id
    place = here.api.post("/v1/audits", {"hurry": True, "wait_s": 0}).headers["location"]
    until(lambda: here.api.get(place).ok()["progress"])
    assert here.api("DELETE", place, scope="read").status == 403
    assert here.api("DELETE", place, scope="write").ok()["is_cancelled"]
    found = here.api.get(place + "?wait_s=30").ok()
    assert (found["state"], found["error"]["class"]) == ("failed", "SlipstreamError")
    assert "given up" in found["error"]["detail"]
    assert here.slipstream.audits.audits(None, 1)[0].id == before


def test_a_repair_is_planned_and_applied(here: World) -> None:
    _lose(here, "p1", "p2")
    audit = _audit(here)["id"]
    plan = here.api.post("/v1/repairs/plan", {"audit_id": audit}, scope="read").ok()
    assert (plan["keys"], plan["texts"], plan["deletions"], plan["braked"]) == ({"missing": 2}, 2, 0, None)
    for wrong in ("", "1-00000000", f"{audit}-00000000"):
        refused = here.api.post("/v1/repairs", {"audit_id": audit, "precondition": wrong})
        assert (refused.status, refused.body["class"]) == (409, "StalePlanError")
    other = here.api.post("/v1/repairs/plan", {"audit_id": audit, "kinds": ["stale"]}).ok()
    assert other["precondition"] != plan["precondition"]
    applied = here.api.post("/v1/repairs", {"audit_id": audit, "precondition": plan["precondition"]}).ok()
    assert (applied["marked"], applied["audit_id"]) == ({"missing": 2}, audit)
    _mended(here)
    assert here.api.get("/v1/repairs").ok()["unfinished"] is None


def test_the_plan_of_one_audit_repairs_no_other(here: World) -> None:
    _lose(here, "p1")
    first = _audit(here)["id"]
    plan = here.api.post("/v1/repairs/plan", {"audit_id": first}).ok()
    _lose(here, "p2")
    second = _audit(here)["id"]
    assert here.api.post("/v1/repairs", {"audit_id": second, "precondition": plan["precondition"]}).status == 409
    again = here.api.post("/v1/repairs/plan", {"audit_id": second}).ok()
    here.api.post("/v1/repairs", {"audit_id": second, "precondition": again["precondition"]}).ok()
    _mended(here)


def test_a_braked_repair_has_to_be_confirmed(here: World) -> None:
    lost = [f"p{number}" for number in range(10)]
    _lose(here, *lost)
    audit = _audit(here)["id"]
    plan = here.api.post("/v1/repairs/plan", {"audit_id": audit}).ok()
    assert (plan["braked"]["keys"], plan["braked"]["limit"]) == ({"missing": 10}, 3)
    refused = here.api.post("/v1/repairs", {"audit_id": audit, "precondition": plan["precondition"]})
    assert (refused.status, refused.body["class"]) == (409, "RepairNeedsConfirmationError")
    assert refused.body["plan"]["id"] == plan["braked"]["id"]
    assert here.api.post("/v1/repairs", {"audit_id": audit, "confirm": "1-0badbad0"}).status == 404
    applied = here.api.post("/v1/repairs", {"audit_id": audit, "confirm": plan["braked"]["id"]}).ok()
    assert applied["marked"] == {"missing": 10}
    _mended(here)


def test_a_braked_plan_that_no_longer_fits_is_stale(here: World) -> None:
    _lose(here, *[f"p{number}" for number in range(5)])
    audit = _audit(here)["id"]
    plan = here.api.post("/v1/repairs/plan", {"audit_id": audit}).ok()
    _lose(here)
    here.slipstream.pkg.update_entity("p1", {"motto": "again"})
    here.drain()
    stale = here.api.post("/v1/repairs", {"audit_id": audit, "confirm": plan["braked"]["id"]})
    assert (stale.status, stale.body["class"]) == (409, "StalePlanError")
    audit = _audit(here)["id"]
    plan = here.api.post("/v1/repairs/plan", {"audit_id": audit}).ok()
    here.api.post("/v1/repairs", {"audit_id": audit, "confirm": plan["braked"]["id"]}).ok()
    _mended(here)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"audit_id": 1}, 422),
        ({"audit_id": 1, "precondition": "x", "confirm": "y"}, 422),
        ({"audit_id": 9999, "precondition": "x"}, 404),
        ({"audit_id": 1, "kinds": ["owed"], "precondition": "x"}, 422),
        ({"audit_id": 1, "kinds": [], "precondition": "x"}, 422),
        ({"audit_id": 1 << 63, "precondition": "x"}, 422),
    ],
)
def test_a_wrong_repair_is_refused(here: World, body: Any, status: int) -> None:
    _audit(here)
    assert here.api.post("/v1/repairs", body).status == status


# ---------------------------------------------------------------------- dead letters


def _bury(here: World, count: int) -> None:
    here.slipstream.dead_letters.bury(
        [
            DeadLetter(
                f"event:{number:03}",
                None,
                f"why {number} <script>",
                1,
                datetime(2026, 1, 1, tzinfo=UTC),
                payload='{"event": "' + "x" * 5_000 + '"}',
            )
            for number in range(count)
        ]
    )


def test_dead_letters_are_paged_and_discarded(here: World) -> None:
    _bury(here, 5)
    page = here.api.get("/v1/dead-letters?limit=3", scope="read").ok()
    assert ([row["id"] for row in page["items"]], page["total"]) == (["event:000", "event:001", "event:002"], 5)
    assert len(page["items"][0]["payload"]) == 4_096
    rest = here.api.get(f"/v1/dead-letters?limit=3&after={page['next']}").ok()
    assert ([row["id"] for row in rest["items"]], rest["next"]) == (["event:003", "event:004"], None)
    assert here.api.post("/v1/dead-letters/discard", {}).status == 422
    assert here.api.post("/v1/dead-letters/discard", {"all": True, "ids": ["event:000"]}).status == 422
    discard = here.api.post("/v1/dead-letters/discard", {"ids": ["event:000", "unknown"]})
    assert discard.ok() == {"discarded": 1}
    assert here.api.post("/v1/dead-letters/discard", {"all": True}).ok() == {"discarded": 4}


def test_a_letter_is_replayed(here: World) -> None:
    key = entity_key("p4")
    here.slipstream.dead_letters.bury(
        [DeadLetter("key:e:p4", key, "the model was down", 5, datetime(2026, 1, 1, tzinfo=UTC), Position(1))]
    )
    row = here.api.get("/v1/dead-letters").ok()["items"][0]
    assert (row["key"], row["can_be_replayed"], row["position"]) == ("e:p4", True, 1)
    replay = here.api.post("/v1/dead-letters/replay", {"ids": ["key:e:p4"]}, scope="write")
    assert replay.ok() == {"replayed": 1}
    here.drain()
    assert here.api.get("/v1/dead-letters").ok()["items"] == []
