"""When and why something happened, out of whatever the properties hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from slipstream.domain.entities import Entity, EntityState
from slipstream.domain.temporal import TemporalEmbeddingContext
from slipstream.views.declaration import View
from slipstream.views.temporal import temporal_context
from slipstream.views.viewset import ViewSet

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_everything_at_once() -> None:
    properties: dict[str, Any] = {
        "timestamp": NINE,
        "duration": 90,
        "temporal_type": "interval",
        "event_sequence": ["boot", "login"],
        "causal_chain": ["power"],
        "name": "ignored",
    }
    assert temporal_context(properties) == TemporalEmbeddingContext(
        timestamp=NINE,
        duration=timedelta(seconds=90),
        temporal_type="interval",
        event_sequence=("boot", "login"),
        causal_chain=("power",),
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (NINE, NINE),
        ("2026-03-01T09:00:00Z", NINE),
        ("2026-03-01T11:00:00+02:00", NINE),
        ("2026-03-01T09:00:00", NINE),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 3, 1, 9), NINE),  # noqa: DTZ001 - a foreign value may be naive
        (datetime(2026, 3, 1, 11, tzinfo=timezone(timedelta(hours=2))), NINE),
        ("yesterday", None),
        ("", None),
        (1_700_000_000, None),
        (True, None),
        (["2026-03-01"], None),
        ("0001-01-01T00:00:00+10:00", None),
        ("9999-12-31T23:59:59-10:00", None),
    ],
)
def test_timestamps(value: Any, expected: datetime | None) -> None:
    context = temporal_context({"timestamp": value, "temporal_type": "kept"})
    assert context is not None
    assert context.timestamp == expected
    assert context.temporal_type == "kept"
    if expected is not None:
        assert context.timestamp is not None
        assert context.timestamp.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, timedelta(0)),
        (90, timedelta(seconds=90)),
        (1.5, timedelta(seconds=1.5)),
        (200_000, timedelta(seconds=200_000)),
        (400 * 86_400, timedelta(days=400)),
        ("P2DT3H", timedelta(days=2, hours=3)),
        ("P400D", timedelta(days=400)),
        ("PT36H", timedelta(hours=36)),
        ("two days", None),
        ("", None),
        (True, None),
        (float("nan"), None),
        (float("inf"), None),
        (1e300, None),
        (10**400, None),
        ([1], None),
        ({"days": 1}, None),
    ],
)
def test_durations(value: Any, expected: timedelta | None) -> None:
    context = temporal_context({"duration": value, "temporal_type": "kept"})
    assert context is not None
    assert context.duration == expected


@pytest.mark.parametrize("name", ["event_sequence", "causal_chain"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "b"], ("a", "b")),
        ("a", ("a",)),
        (["a", 1, None, ["b"]], ("a",)),
        ([""], ()),
        ("", ()),
        (5, ()),
        ({"a": 1}, ()),
    ],
)
def test_lists_of_texts(name: str, value: Any, expected: tuple[str, ...]) -> None:
    context = temporal_context({name: value, "timestamp": NINE})
    assert context is not None
    assert getattr(context, name) == expected


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"name": "x"},
        {"timestamp": "soon"},
        {"duration": True, "temporal_type": 5, "causal_chain": [1], "event_sequence": ""},
    ],
)
def test_nothing_said_is_none(properties: dict[str, Any]) -> None:
    assert temporal_context(properties) is None


def test_a_duration_of_nothing_is_said() -> None:
    assert temporal_context({"duration": 0}) == TemporalEmbeddingContext(duration=timedelta(0))


@pytest.mark.parametrize(
    ("view", "is_temporal"),
    [
        (View("Event"), True),
        (View("Event", "{{ name }}"), True),
        (View("Event", temporal=False), False),
        (View("Person"), False),
        (View("Person", temporal=True), True),
    ],
)
def test_events_have_a_context_and_others_when_their_view_says_so(view: View, *, is_temporal: bool) -> None:
    state = EntityState(Entity("launch", view.type, {"name": "Launch", "timestamp": NINE}))
    rendering = ViewSet([view]).render(state)
    assert rendering is not None
    assert (rendering.temporal_context is not None) is is_temporal
