"""`PKGEvent` itself: what it accepts, what it refuses by name, and what it says about its change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.domain.events import PKGEvent, PKGEventType, deterministic_event_id, log_event_id
from slipstream.domain.keys import ID_SIZE_MAX, entity_key, relationship_key

ENTITY = {
    "event_id": "e-1", "event_type": "entity_updated", "entity_id": "ada", "entity_type": "Person",
    "timestamp": "2026-01-02T03:04:05Z", "schema_version": 1,
}  # fmt: skip
RELATIONSHIP = {
    **ENTITY, "event_type": "relationship_created", "entity_id": "KNOWS:ada:bob", "entity_type": "KNOWS",
    "source_id": "ada", "target_id": "bob",
}  # fmt: skip


@pytest.mark.parametrize("field", ENTITY)
def test_every_required_field_is_missed_by_name(field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        PKGEvent.parse({name: value for name, value in ENTITY.items() if name != field})
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", ""), ("event_id", 1), ("event_id", "x" * (ID_SIZE_MAX + 1)), ("event_id", "\ud800"),
        ("event_type", "entity_renamed"), ("event_type", None),
        ("entity_id", ""), ("entity_id", None), ("entity_id", "x" * (8 * ID_SIZE_MAX + 1)),
        ("entity_type", ""), ("entity_type", 7),
        ("timestamp", "yesterday"), ("timestamp", "2026-01-02T03:04:05"), ("timestamp", None),
        ("timestamp", "0001-01-01T00:00:00+05:00"), ("timestamp", "9999-12-31T23:59:59-05:00"),
        ("old_data", []), ("new_data", "text"), ("new_data", {1: "a"}),
        ("source_document_id", 5),
        ("extraction_confidence", -0.1), ("extraction_confidence", 1.1), ("extraction_confidence", float("nan")),
        ("schema_version", 0), ("schema_version", None), ("schema_version", 1.5),
        ("position", -1), ("position", "first"),
        ("source_id", ""), ("source_type", ""), ("target_id", ""), ("target_type", ""),
        ("colour", "red"),
    ],
)  # fmt: skip
def test_bad_values_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as refused:
        PKGEvent.parse({**ENTITY, field: value})
    assert refused.value.field.split(".")[0] == field
    assert isinstance(refused.value, ConfigError)
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value.__cause__, ValidationError)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", b"\xff", '{"event_id": NaN}'])
def test_texts_that_are_no_event_are_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidInputError):
        PKGEvent.parse(text)


@pytest.mark.parametrize("missing", ["source_id", "target_id"])
def test_a_relationship_without_an_endpoint_is_refused(missing: str) -> None:
    with pytest.raises(InvalidInputError, match="source_id and target_id are required"):
        PKGEvent.parse({**RELATIONSHIP, missing: None})


@pytest.mark.parametrize(("confidence", "version"), [(0.0, 1), (1.0, 2**40), (None, 1)])
def test_the_ends_of_the_ranges_are_accepted(confidence: float | None, version: int) -> None:
    event = PKGEvent.parse({**ENTITY, "extraction_confidence": confidence, "schema_version": version})
    assert (event.extraction_confidence, event.schema_version) == (confidence, version)


def test_timestamps_are_kept_in_utc() -> None:
    local = datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=5)))
    event = PKGEvent.parse({**ENTITY, "timestamp": local})
    assert event.timestamp == local
    assert event.timestamp.tzinfo is UTC
    assert event.timestamp.isoformat() == "2026-01-01T20:00:00+00:00"


def test_events_can_not_be_changed() -> None:
    event = PKGEvent.parse(ENTITY)
    with pytest.raises(ValidationError, match="frozen"):
        event.entity_id = "bob"  # type: ignore[misc]


@pytest.mark.parametrize("event", [ENTITY, RELATIONSHIP, {**ENTITY, "new_data": {"a": [1, None]}, "position": 9}])
def test_json_gives_the_event_back(event: dict[str, Any]) -> None:
    parsed = PKGEvent.parse(event)
    assert PKGEvent.parse(parsed.model_dump_json()) == parsed
    assert PKGEvent.parse(parsed.model_dump_json().encode()) == parsed
    assert PKGEvent.parse(parsed.model_dump()) == parsed


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        (None, {"a": 1}, None),
        ({"a": 1}, None, None),
        ({"a": 1}, {"a": 1}, set()),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b"}),
        ({"a": 1}, {}, {"a"}),
        ({}, {"a": 1}, {"a"}),
        ({"a": None}, {}, set()),
    ],
)
def test_changed_properties(old: dict[str, Any] | None, new: dict[str, Any] | None, changed: set[str] | None) -> None:
    assert PKGEvent.parse({**ENTITY, "old_data": old, "new_data": new}).changed_properties == changed


def test_keys() -> None:
    assert PKGEvent.parse(ENTITY).key == entity_key("ada")
    assert PKGEvent.parse(RELATIONSHIP).key == relationship_key("KNOWS:ada:bob")
    assert PKGEvent.parse({**ENTITY, "event_type": "schema_evolved", "entity_id": "schema"}).key is None


def test_there_are_seven_types_and_each_knows_its_kind() -> None:
    assert len(PKGEventType) == 7
    assert {kind.value for kind in PKGEventType if kind.is_deletion} == {"entity_deleted", "relationship_deleted"}
    assert [kind for kind in PKGEventType if not kind.is_entity and not kind.is_relationship] == [
        PKGEventType.SCHEMA_EVOLVED
    ]


def test_deterministic_ids_depend_on_every_part_and_on_nothing_else() -> None:
    assert deterministic_event_id(["a", 1]) == deterministic_event_id(("a", "1"))
    assert len({deterministic_event_id(parts) for parts in (["a", "b"], ["ab"], ["b", "a"], ["a", "b", ""], [])}) == 5
    assert deterministic_event_id(["\ud800"]) != deterministic_event_id(["?"]), "broken text, too, has an id"


@pytest.mark.parametrize("graph_id", ["", "g", "ä" * 9, "7"])
def test_the_id_at_a_position_of_a_log_is_that_of_both_parts(graph_id: str) -> None:
    for position in (0, 7, 10**12):
        assert log_event_id(graph_id, position) == deterministic_event_id((graph_id, position))
