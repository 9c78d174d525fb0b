"""A migration from beginning to end over HTTP, the quality of vectors, and the configuration without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipstream.app.config import CONFIG_NAME, Config, ModelsConfig, OpenAIConfig
from slipstream.http.routes.settings import HIDDEN, told_config
from tests.integration.http_admin_world import PEOPLE, World, world
from tests.until import until

VIEWS = {"Person": {"template": "{{ name }} says {{ motto }}"}}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("migrations")) as made:
        yield made


def _phase(here: World) -> Any:
    return here.api.get("/v1/migrations").ok()["phase"]


def _built(here: World, candidate: Any) -> None:
    started = here.api.post("/v1/migrations/start", {"candidate": candidate}).ok()
    assert started["phase"] in ("building", "built")
    assert here.slipstream.migrations.wait(60)


def test_a_migration_to_another_model_from_beginning_to_end(here: World) -> None:
    candidate = {"default": "new"}
    before = here.api.get("/v1/migrations").ok()
    assert (before["phase"], before["spaces"], before["is_declared"]) == ("alone", {}, True)
    plan = here.api.post("/v1/migrations/plan", {"candidate": candidate}).ok()
    assert (plan["types"], plan["texts"]) == ({"Organization": 1, "Person": PEOPLE}, PEOPLE + 1)
    _built(here, candidate)
    status = here.api.get("/v1/migrations", scope="read").ok()
    assert (status["phase"], status["spaces"]["Person"]["live"]["model_id"]) == ("built", "old")
    assert status["spaces"]["Person"]["other"] == {
        "model_id": "new",
        "model_version": "1",
        "dimension": 32,
        "generation": 2,
    }
    audit = here.api.post("/v1/migrations/audit", {}, scope="write").ok()
    assert (audit["verdict"], audit["expected_embeddings"], audit["id"]) == ("consistent", PEOPLE + 1, None)
    queries = [{"text": "motto 7", "expected": ["p7"]}]
    compared = here.api.post("/v1/quality/compare", {"queries": queries, "sample": 10}, scope="read").ok()
    assert (compared["sampled"], compared["passed"], compared["summary"]["recall_new"]) == (10, True, 1.0)
    over = here.api.post("/v1/migrations/cut-over", {"queries": queries, "sample": 10}).ok()
    assert (over["audit"]["verdict"], over["comparison"]["sampled"]) == ("consistent", 10)
    assert _phase(here) == "retired"
    assert here.slipstream.search("motto 7", 1).hits[0].model_id == "new"
    back = here.api.post("/v1/migrations/roll-back", {}).ok()
    assert back["audit"]["verdict"] == "consistent"
    assert here.slipstream.search("motto 7", 1).hits[0].model_id == "old"
    here.api.post("/v1/migrations/drop").ok()
    until(lambda: _phase(here) == "alone")


def test_a_migration_to_other_views_is_paused_and_goes_on(here: World) -> None:
    _built(here, {"views": VIEWS})
    assert here.api.post("/v1/migrations/pause").ok()["is_paused"]
    here.slipstream.pkg.update_entity("p3", {"motto": "meanwhile"})
    assert not here.api.post("/v1/migrations/resume").ok()["is_paused"]
    assert here.slipstream.migrations.wait(60)
    forced = here.api.post("/v1/migrations/cut-over", {"compared": False}).ok()
    assert forced["comparison"] is None
    texts = [hit.text for hit in here.slipstream.search("meanwhile", PEOPLE)]
    assert "name 3 says meanwhile" in texts
    assert here.api.post("/v1/migrations/roll-back", {"force": True}).ok() == {"audit": None}
    here.api.post("/v1/migrations/drop").ok()
    until(lambda: _phase(here) == "alone")


def test_the_edited_file_is_the_candidate(here: World) -> None:
    path = here.directory / CONFIG_NAME
    path.write_text('[models]\ndefault = "old"\n[views.Person]\ntemplate = "{{ motto }}"\n')
    try:
        assert here.api.post("/v1/migrations/plan", scope="read").ok()["types"] == {"Person": PEOPLE}
        path.write_text('[models]\ndefault = "unknown"\n')
        assert here.api.post("/v1/migrations/plan").status == 422
    finally:
        path.unlink()
    refused = here.api.post("/v1/migrations/plan")
    assert (refused.status, "nothing to migrate" in refused.body["detail"]) == (422, True)


@pytest.mark.parametrize("step", ["pause", "resume", "audit", "cut-over", "roll-back", "drop"])
def test_a_step_out_of_order_is_refused(here: World, step: str) -> None:
    answer = here.api.post(f"/v1/migrations/{step}")
    assert (answer.status, answer.body["class"]) == (422, "ConfigError")


def test_what_may_be_done_with_generations(here: World) -> None:
    for step in ("start", "pause", "resume", "cut-over", "roll-back", "drop"):
        assert here.api.post(f"/v1/migrations/{step}", scope="write").status == 403
    assert here.api.post("/v1/migrations/audit", scope="read").status == 403
    own = {"candidate": {"views": VIEWS}}
    assert here.api.post("/v1/migrations/plan", own, scope="write").status == 403
    assert here.api.post("/v1/quality", scope="read").status == 403


def test_a_wrong_candidate_names_its_field(here: World) -> None:
    wrong = {"candidate": {"views": {"Person": {"template": "{{ name }}", "via": {"x": {"limit": 0}}}}}}
    answer = here.api.post("/v1/migrations/plan", wrong)
    assert (answer.status, answer.body["field"].startswith("views.Person.via.x")) == (422, True)


def test_quality_is_measured_and_kept(here: World) -> None:
    assert here.api.get("/v1/quality/weak").ok() == {"items": [], "total": 0}
    first = here.api.post("/v1/quality", {"sample": 20, "self_sample": 5}).ok()
    second = here.api.post("/v1/quality", {"sample": 20, "self_sample": 5}).ok()
    runs = here.api.get("/v1/quality", scope="read").ok()
    assert [run["id"] for run in runs["runs"]] == [first["id"], second["id"]]
    assert runs["runs"] == [first, second]
    assert here.api.get("/v1/quality?limit=1").ok()["runs"] == [second]
    assert runs["gate"]["recall_min"] is None
    weak = here.api.get("/v1/quality/weak?kind=near_duplicate").ok()
    assert {row["kind"] for row in weak["items"]} <= {"near_duplicate"}
    assert here.api.get("/v1/quality/weak?kind=sour").status == 422


def test_the_settings_are_told(here: World) -> None:
    told = here.api.get("/v1/settings", scope="read").ok()
    assert (told["pkg"], told["pkgs"], told["backups"]) == ("test", ["test"], False)
    assert told["config"]["scrub"]["core_share"] == 0.02
    assert told["config"] == json.loads(Config().model_dump_json())  # nothing to hide in it


def test_no_secret_is_told(tmp_path: Path) -> None:
    model = OpenAIConfig(
        base_url="https://me:hunter2@models.example:8443/v1?key=hunter2", api_key_file=tmp_path / "k"
    )
    config = Config(
        models=ModelsConfig(openai={"big": model}),
        alerts={"webhook": "https://hooks.example/T0/hunter2", "webhook_token_file": tmp_path / "hunter2"},  # type: ignore[arg-type]
    )
    told = told_config(config.model_dump(mode="json"))
    assert "hunter2" not in json.dumps(told)
    assert told["models"]["openai"]["big"]["base_url"] == "https://models.example:8443/…"
    assert told["models"]["openai"]["big"]["api_key_file"] == HIDDEN
    assert told["alerts"]["webhook"] == "https://hooks.example/…"
    assert told_config({"webhook": "https://[broken"})["webhook"] == HIDDEN
