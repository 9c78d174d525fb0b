"""The life of a key, the schema and the views over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest

from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.views.declaration import Via, View
from tests.integration.http_admin_world import LONG_S, World, world


@pytest.fixture
def slip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    views = [
        View(
            "Person",
            template="{{ name }} at {% for o in employers %}{{ o.name }}{% endfor %}",
            via={"employers": Via("WORKS_AT")},
            metadata=("motto",),
        )
    ]
    with world(tmp_path_factory.mktemp("pkg"), views=views) as made:
        yield made


def test_the_life_of_a_key_is_told(slip: World) -> None:
    written = slip.api("PATCH", "/v1/entities/p0?wait_s=60", {"properties": {"name": "Ada"}}).ok()
    found = slip.api.get("/v1/keys?key=e:p0").ok()
    own = slip.slipstream.explain("p0")
    for name in ("key", "entity_type", "text", "template", "model", "fingerprint", "verdict", "looked_back_to"):
        assert found[name] == getattr(own, name)
    assert (found["text"], found["verdict"]) == ("Ada at Acme", "fresh")
    assert found["neighbours"] == {"employers": ["e:acme"]}
    assert found["happenings"][0]["position"] == written["position"]
    assert (found["happenings"][0]["event"], found["happenings"][0]["changed"]) == ("entity_updated", ["name"])
    assert found["stored"]["position"] >= written["position"]
    assert found["stored"]["metadata"] == {"motto": "motto 0"}
    (generation,) = found["generations"]
    assert (generation["role"], generation["generation"], generation["model_id"]) == ("live", 1, "old")
    assert (generation["text"], generation["stored"], generation["vector"]) == ("Ada at Acme", found["stored"], None)
    assert generation["fingerprint"] == found["fingerprint"] == found["stored"]["fingerprint"]


def test_vectors_are_sent_if_they_are_asked_for(slip: World) -> None:
    (generation,) = slip.api.get("/v1/keys?key=e:p1&vectors=true").ok()["generations"]
    key = entity_key("p1")
    (stamp,) = slip.slipstream.store.index.stamps([key])[key].records
    stored = slip.slipstream.store.index.vectors([key], stamp.space)[key]
    assert generation["vector"] == pytest.approx([float(number) for number in stored])
    assert len(generation["vector"]) == generation["stored"]["dimension"] == 16


def test_a_key_without_a_record_says_why(slip: World) -> None:
    slip.slipstream.store.index.delete([Deletion(entity_key("p2"), Position(10_000))])
    found = slip.api.get("/v1/keys?key=e:p2").ok()
    assert (found["verdict"], found["stored"]) == ("missing", None)
    assert found["generations"][0]["text"] == "name 2 at"
    relationship = slip.api.get("/v1/keys?key=r:WORKS_AT:p0:acme").ok()
    assert (relationship["verdict"], relationship["reasons"]) == ("no record", ["no view covers its type"])


def test_both_generations_of_a_migration_are_told(slip: World) -> None:
    assert slip.api.get("/v1/views").ok()["items"][1]["model"] == "old"
    slip.api.post("/v1/migrations/start", {"candidate": {"default": "new"}}).ok()
    assert slip.slipstream.migrations.wait(LONG_S)
    assert slip.slipstream.sync.drain(timeout_s=LONG_S)
    live, beside = slip.api.get("/v1/keys?key=e:p3").ok()["generations"]
    assert (live["role"], live["model_id"], live["stored"]["dimension"]) == ("live", "old", 16)
    assert (beside["role"], beside["model_id"], beside["stored"]["dimension"]) == ("beside", "new", 32)
    assert beside["generation"] == beside["stored"]["generation"] == 2


@pytest.mark.parametrize(("key", "status"), [("e:nobody", 404), ("p0", 422), ("x:p0", 422), ("e:", 422), ("", 422)])
def test_what_nobody_has_heard_of_is_told(slip: World, key: str, status: int) -> None:
    assert slip.api.get(f"/v1/keys?key={key}").status == status


def test_the_schema_is_told_by_version(slip: World) -> None:
    now = slip.api.get("/v1/schema").ok()
    assert now["entity_types"] == {
        "Organization": {"name": "string"},
        "Person": {"name": "string", "motto": "string"},
    }
    assert now["relationship_types"] == {"WORKS_AT": {"since": "integer"}}
    slip.api("PATCH", "/v1/entities/p0", {"properties": {"age": 36}}).ok()
    assert slip.api.get("/v1/schema").ok()["version"] == now["version"] + 1
    assert slip.api.get(f"/v1/schema/{now['version']}").ok() == now
    assert slip.api.get("/v1/schema/999").status == HTTPStatus.NOT_FOUND
    for wrong in ("0", "x", "-1", "1.5"):
        assert slip.api.get(f"/v1/schema/{wrong}").status == HTTPStatus.UNPROCESSABLE_ENTITY


def test_views_are_told_declared_or_not(slip: World) -> None:
    items: dict[str, Any] = {view["type"]: view for view in slip.api.get("/v1/views").ok()["items"]}
    assert {name: view["is_declared"] for name, view in items.items()} == {"Organization": False, "Person": True}
    person = items["Person"]
    assert person["template"].startswith("{{ name }}")
    assert person["steps"] == [
        {
            "name": "employers",
            "relationship_type": "WORKS_AT",
            "direction": "out",
            "depth": 1,
            "limit": 10,
            "properties": ["name"],
        }
    ]
    assert (person["properties"], person["metadata"]) == (
        ["extraction_confidence", "motto", "name", "source_document_id"],
        ["motto"],
    )
    assert items["Organization"]["template"] is None
