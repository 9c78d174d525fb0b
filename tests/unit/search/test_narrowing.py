"""Narrowing a search by time, confidence and source; decay, and order by time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from slipstream.domain.entities import Entity, EntityState, Properties, Relationship, RelationshipState
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef
from slipstream.search.narrowing import Narrowing
from slipstream.testkit.records import make_record

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Asked:
    since: datetime | date | str | None = None
    until: datetime | date | str | None = None
    time_property: str | None = None
    min_confidence: float | None = None
    source: str | None = None
    half_life_days: float | None = None
    sort: str = "score"


@dataclass(frozen=True)
class _Hit:
    name: str
    properties: Properties = field(default_factory=dict)


def _of(**asked: Any) -> Narrowing:
    return Narrowing.of(_Asked(**asked))


def _state(**properties: Any) -> EntityState:
    return EntityState(Entity("e", "Event", properties))


JULY = datetime(2026, 7, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "timestamp", "is_in"),
    [
        ({"since": "2026-07-04T12:00:00Z"}, JULY, True),
        ({"since": "2026-07-04T12:00:00.000001Z"}, JULY, False),
        ({"until": "2026-07-04T12:00:00Z"}, JULY, True),
        ({"until": "2026-07-04T11:59:59Z"}, JULY, False),
        ({"since": "2026-07-04", "until": "2026-07-04"}, JULY, True),
        ({"until": "2026-07-04"}, "2026-07-04T23:59:59.999999Z", True),
        ({"until": "2026-07-04"}, "2026-07-05T00:00:00Z", False),
        ({"since": "2026-07-05"}, JULY, False),
        ({"since": date(2026, 7, 4)}, JULY, True),
        ({"until": date(2026, 7, 3)}, JULY, False),
        # of a day of which nothing else is known, some moment may be the wanted one
        ({"since": "2026-07-04T18:00:00Z"}, "2026-07-04", True),
        ({"since": "2026-07-05T00:00:00Z"}, "2026-07-04", False),
        ({"until": "2026-07-03T23:00:00Z"}, "2026-07-04", False),
        # months and years
        ({"since": "2026-07", "until": "2026-07"}, "2026-07-31T23:00:00Z", True),
        ({"until": "2026-06"}, "2026-07-01T00:00:00Z", False),
        ({"since": "2026-12", "until": "2026-12"}, "2026-12-31T23:59:59Z", True),
        ({"since": "2026", "until": "2026"}, JULY, True),
        ({"since": "2027"}, JULY, False),
        ({"since": "1843", "until": "1843"}, "1843", True),
        ({"until": "9999"}, "9999-12-31T23:59:59Z", True),
        # zones: none is UTC, in the graph and in the question
        ({"since": "2026-07-04T12:00:00"}, "2026-07-04T12:00:00", True),
        ({"since": "2026-07-04T14:00:00+02:00"}, JULY, True),
        ({"since": "2026-07-04T14:00:01+02:00"}, JULY, False),
        ({"since": JULY.astimezone(timezone(timedelta(hours=-9)))}, JULY, True),
        ({"until": "2026-07-04"}, "2026-07-05T01:00:00+02:00", True),
    ],
)
def test_a_range_takes_whole_days_and_knows_zones(asked: dict[str, Any], timestamp: object, is_in: bool) -> None:
    assert _of(**asked).admits(_state(timestamp=timestamp)) is is_in


@pytest.mark.parametrize("timestamp", [None, "", "soon", "2026-13-01", 1_700_000_000, True, ["2026-07-04"]])
def test_what_tells_no_time_is_left_out_of_a_range_only(timestamp: object) -> None:
    state = _state(timestamp=timestamp, extraction_confidence=0.9)
    assert not _of(since="0001").admits(state)
    assert not _of(until="9999").admits(state)
    assert _of(min_confidence=0.5, half_life_days=1, sort="newest").admits(state)


def test_what_lasts_is_in_every_range_that_it_reaches_into() -> None:
    lasting = _state(timestamp="2026-07-04T12:00:00Z", duration="P10D")
    assert _of(since="2026-07-14").admits(lasting)
    assert not _of(since="2026-07-15").admits(lasting)
    assert not _of(until="2026-07-03").admits(lasting)
    endless = _state(timestamp="2026-07-04", duration="P3000000D")
    assert _of(since="9000").admits(endless)


def test_a_fact_holds_from_its_first_to_its_last_day_and_for_good_without_one() -> None:
    held = _state(valid_from="2020-01-01", valid_to="2021-12-31")
    assert _of(since="2021-12-31").admits(held)
    assert not _of(since="2022").admits(held)
    assert not _of(until="2019").admits(held)
    assert _of(since="2500").admits(_state(valid_from="2020"))
    assert _of(until="1500").admits(_state(valid_to="2020"))
    assert not _of(since="2021").admits(_state(valid_to="2020"))
    assert not _of(since="2500", time_property="valid_from").admits(_state(valid_from="2020"))


def test_the_named_property_alone_tells_the_time() -> None:
    state = _state(timestamp="2020-01-01", built="1843")
    assert _of(until="1900", time_property="built").admits(state)
    assert not _of(since="1900", time_property="built").admits(state)
    assert not _of(since="1900", time_property="sold").admits(state)
    assert _of(since="2019").admits(state)


def test_a_relationship_is_narrowed_by_its_own_properties() -> None:
    relationship = Relationship(RelationshipRef("MET", "a", "b"), {"timestamp": "2026-07-04"})
    state = RelationshipState(relationship, Entity("a", "Person", {"timestamp": "1990"}), Entity("b", "Person"))
    assert _of(since="2026-07-04", until="2026-07-04").admits(state)
    assert not _of(until="2000").admits(state)


@pytest.mark.parametrize(
    ("held", "is_in"),
    [(0.8, True), (1, True), (0.79, False), (None, False), ("0.9", False), (True, False), (7, False)],
)
def test_what_is_less_sure_or_of_unknown_confidence_is_left_out(held: object, is_in: bool) -> None:
    assert _of(min_confidence=0.8).admits(_state(extraction_confidence=held)) is is_in


def test_a_source_is_the_document_or_one_of_the_graphs_of_a_record() -> None:
    asked = _of(source="doc-1")
    assert asked.admits(_state(source_document_id="doc-1"))
    assert asked.admits(_state(graphs={"doc-0": True, "doc-1": True}))
    assert not asked.admits(_state(source_document_id="doc-2"))
    assert not asked.admits(_state())


def test_a_refusal_says_which_filter_it_was() -> None:
    state = _state(timestamp="2026-07-04T12:00:00Z", extraction_confidence=0.5, source_document_id="doc-2")
    assert _of(since="2027").refusal(state) == "its time (2026-07-04T12:00:00+00:00) is before 2027-01-01"
    assert _of(until="2025").refusal(state) == "its time (2026-07-04T12:00:00+00:00) is after 2025-12-31"
    assert _of(min_confidence=0.9).refusal(state) == "its extraction_confidence is 0.5, below 0.9"
    assert _of(source="doc-1").refusal(state) == "it is from doc-2, not doc-1"
    assert _of(since="2026").refusal(_state()) == "it tells no time (none of the usual properties)"
    assert _of().refusal(_state()) is None


def test_a_stamp_stands_in_for_what_the_graph_can_not_tell() -> None:
    stamp = make_record("e", 5).stamp._replace(extraction_confidence=0.9, source_document_id="doc-1")
    assert _of(min_confidence=0.9, source="doc-1").admits_stamp(stamp)
    assert not _of(min_confidence=0.95).admits_stamp(stamp)
    assert not _of(source="doc-2").admits_stamp(stamp)
    assert not _of(since="0001").admits_stamp(stamp)


def test_a_score_halves_with_each_half_life() -> None:
    asked = _of(half_life_days=30)
    assert asked.decayed(0.8, _state(timestamp=NOW - timedelta(days=30)), NOW) == pytest.approx(0.4)
    assert asked.decayed(0.8, _state(timestamp=NOW - timedelta(days=60)), NOW) == pytest.approx(0.2)
    assert asked.decayed(0.8, _state(timestamp=NOW + timedelta(days=60)), NOW) == 0.8
    assert asked.decayed(0.8, _state(valid_from="2001"), NOW) == 0.8, "it still holds"
    assert asked.decayed(0.8, _state(), NOW) == 0.8
    assert _of().decayed(0.8, _state(timestamp="1900"), NOW) == 0.8
    assert _of(half_life_days=5e-324).decayed(0.8, _state(timestamp="1900"), NOW) == 0.0


def test_of_two_very_old_ones_the_newer_stays_in_front() -> None:
    asked = _of(half_life_days=30)
    assert asked.decayed(0.8, _state(timestamp="1960"), NOW) < asked.decayed(0.8, _state(timestamp="1961"), NOW)


def test_age_never_makes_a_score_better() -> None:
    asked = _of(half_life_days=30)
    for score in (-1.0, -0.3, 0.0, 0.3, 1.0):
        aged = [asked.decayed(score, _state(timestamp=NOW - timedelta(days=days)), NOW) for days in (0, 1, 30, 9_000)]
        assert aged == sorted(aged, reverse=True)
        assert all(abs(older) <= 2 * abs(score) for older in aged)


def test_order_by_time_keeps_ties_as_they_were_and_the_undated_last() -> None:
    hits = [
        _Hit("undated"),
        _Hit("old", {"timestamp": "2001"}),
        _Hit("new", {"timestamp": "2026-01-01"}),
        _Hit("also new", {"timestamp": "2026-01-01"}),
        _Hit("unreadable", {"timestamp": "soon"}),
    ]
    assert [hit.name for hit in _of(sort="newest").ordered(hits)] == [
        "new",
        "also new",
        "old",
        "undated",
        "unreadable",
    ]
    assert [hit.name for hit in _of(sort="oldest").ordered(hits)] == [
        "old",
        "new",
        "also new",
        "undated",
        "unreadable",
    ]
    assert _of().ordered(hits) == hits


def test_the_line_says_all_that_is_asked_for() -> None:
    asked = _of(
        since="2026",
        until="2026-06",
        time_property="at",
        min_confidence=0.5,
        source="doc-1",
        half_life_days=7,
        sort="newest",
    )
    assert asked.line == (
        "from 2026-01-01; to 2026-06-30; time by at; extraction_confidence at least 0.5; source doc-1; "
        "scores halve every 7 days; newest first"
    )
    assert _of().line == ""
    assert not _of(half_life_days=7, sort="oldest").narrows
    assert all(_of(**{name: value}).narrows for name, value in {"since": "2026", "source": "s"}.items())
    assert replace(asked, since=None, until=None, source=None).narrows


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"since": "yesterday"}, "since: must be an ISO date or time"),
        ({"until": "2026-02-30"}, "until: must be an ISO date or time"),
        ({"until": 5}, "until: must be an ISO date or time"),
        ({"since": "0001-01-01T00:00:00+05:00"}, "since: must be an ISO date or time"),
        ({"since": "2026-02-02", "until": "2026-02-01"}, "until: 2026-02-01 lies before since"),
        ({"min_confidence": 1.01}, "min_confidence: must be a number in 0..1"),
        ({"min_confidence": float("nan")}, "min_confidence: must be a number in 0..1"),
        ({"min_confidence": True}, "min_confidence: must be a number in 0..1"),
        ({"half_life_days": 0}, "half_life_days: must be a number of days above 0"),
        ({"half_life_days": float("inf")}, "half_life_days: must be a number of days above 0"),
        ({"half_life_days": float("nan")}, "half_life_days: must be a number of days above 0"),
        ({"source": " "}, "source: must be"),
        ({"time_property": ""}, "time_property: must be the name of a property"),
        ({"sort": "random"}, "sort: must be one of score, newest, oldest"),
    ],
)
def test_what_can_not_be_asked_is_refused_by_name(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        _of(**asked)
    assert str(refused.value).startswith(message)
    assert str(refused.value).split(":")[0] == refused.value.field
