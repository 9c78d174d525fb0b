"""CloudEvents 1.0: the envelope that is written, and what is refused of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.events.formats.cloudevents import from_cloudevent, to_cloudevent

EVENT = PKGEvent(
    event_id="e-1", event_type=PKGEventType.RELATIONSHIP_UPDATED, entity_id="KNOWS:ada:bob", entity_type="KNOWS",
    timestamp=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), old_data={"since": 1}, new_data={"since": 2},
    schema_version=3, position=42, source_id="ada", source_type="Person", target_id="bob", target_type="Person",
    extraction_confidence=0.5, source_document_id="letter",
)  # fmt: skip


def test_the_envelope() -> None:
    envelope = to_cloudevent(EVENT, "/graphs/home")
    data = envelope.pop("data")
    assert envelope == {
        "specversion": "1.0", "id": "e-1", "source": "/graphs/home", "type": "dev.slipstream.relationship_updated",
        "subject": "KNOWS:ada:bob", "time": "2026-01-02T03:04:05.678901Z", "datacontenttype": "application/json",
        "partitionkey": "KNOWS:ada:bob", "sequence": "00000000000000000042",
    }  # fmt: skip
    assert data == EVENT.model_dump(exclude={"event_id", "event_type", "timestamp", "position"})


def test_sequences_sort_as_texts_as_positions_do_as_numbers() -> None:
    positions = [0, 9, 10, 99, 2**40, 2**62 - 1]
    sequences = [to_cloudevent(EVENT.model_copy(update={"position": p}), "s")["sequence"] for p in positions]
    assert sorted(sequences) == sequences


def test_an_event_without_a_position_has_no_sequence() -> None:
    envelope = to_cloudevent(EVENT.model_copy(update={"position": None}), "s")
    assert "sequence" not in envelope
    assert from_cloudevent(envelope).position is None


def test_extensions_of_others_are_ignored() -> None:
    assert from_cloudevent({**to_cloudevent(EVENT, "s"), "traceparent": "00-1-2-01"}) == EVENT


def test_the_subject_stands_in_for_the_entity_id() -> None:
    envelope = to_cloudevent(EVENT, "s")
    del envelope["data"]["entity_id"]
    assert from_cloudevent(envelope) == EVENT


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**63, b"bytes", {1}, {1: 2}, "\ud800"])
def test_data_that_json_can_not_carry_is_refused_by_name(value: Any) -> None:
    event = EVENT.model_copy(update={"new_data": {"odd": value}})
    with pytest.raises(InvalidInputError) as refused:
        to_cloudevent(event, "s")
    assert refused.value.field.startswith("new_data.odd")


def test_a_source_is_needed() -> None:
    with pytest.raises(InvalidInputError, match="source"):
        to_cloudevent(EVENT, "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("specversion", "0.3"), ("specversion", 1.0), ("id", None), ("id", 4), ("source", ""), ("source", None),
        ("type", "entity_created"), ("type", None), ("time", "2026-01-02T03:04:05"), ("time", 5), ("time", None),
        ("sequence", "-1"), ("sequence", "x"), ("sequence", 42), ("sequence", "9" * 21), ("sequence", "٣"),
        ("data", None), ("data", "text"), ("data", []),
    ],
)  # fmt: skip
def test_wrong_envelopes_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(InvalidInputError) as refused:
        from_cloudevent({**to_cloudevent(EVENT, "s"), field: value})
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("position", 7, "data.position"), ("event_id", "x", "data.event_id"),
        ("schema_version", "1", "schema_version"), ("schema_version", None, "schema_version"),
        ("extraction_confidence", 2, "extraction_confidence"),
        ("colour", "red", "colour"), ("entity_type", "", "entity_type"),
    ],
)  # fmt: skip
def test_wrong_data_is_refused_by_name(field: str, value: Any, named: str) -> None:
    envelope = to_cloudevent(EVENT, "s")
    with pytest.raises(InvalidInputError) as refused:
        from_cloudevent({**envelope, "data": {**envelope["data"], field: value}})
    assert refused.value.field == named


def test_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError) as refused:
        from_cloudevent({**to_cloudevent(EVENT, "s"), "type": "dev.slipstream.entity_renamed"})
    assert refused.value.field == "event_type"
