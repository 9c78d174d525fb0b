"""
Records of Debezium 3.6 on PostgreSQL 18, as they lay in Kafka and in JetStream: what is right when all were applied.

The files in tests/data/feeds hold made-up data that real software wrote. A small model stands in for the graph: the
newest change of a row, by its order, is what is there.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from slipstream.domain.feed_changes import Change, FeedOptions, Passed, Said, Truncation
from slipstream.events.formats.detect import MessageParser

FEEDS = Path(__file__).parents[2] / "data" / "feeds"
BY_ID = FeedOptions(key_columns={"note": ["id"]})
RECORDED = ["recorded-kg.public.note", "recorded-ku.public.note", "recorded-jetstream"]


def said_in(name: str, options: FeedOptions | None = None, *, first: int | None = None) -> list[Said]:
    """Return what the lines of a file say."""
    parser = MessageParser(options or FeedOptions())
    lines = (FEEDS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [said for line in lines[:first] for said in parser.parse(line)]


def _state(said: list[Said]) -> dict[str, dict[str, Any]]:
    """Return the rows that are there in the end, by name, when changes count by their order."""
    rows: dict[str, dict[str, Any]] = {}
    ordered = [each for each in said if not isinstance(each, Passed) and each.order is not None]
    for each in sorted(ordered, key=lambda change: change.order or ""):
        if isinstance(each, Truncation):
            rows = {}
            continue
        if each.event.new_data is None:
            if each.new_name is None:
                rows.pop(each.name, None)
            continue
        base = rows.pop(each.old_name, {}) if each.old_name is not None else rows.get(each.name, {})
        rows[each.name] = {**each.event.new_data, **{name: base[name] for name in each.unsent if name in base}}
    return rows


def _titles(rows: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: row["title"] for name, row in sorted(rows.items(), key=lambda item: int(item[0]))}


def test_kafka_connect_with_schemas() -> None:
    said = said_in("recorded-kg.public.note")
    assert _titles(_state(said)) == {"1": "alpha again"}
    before_truncation = _state(said_in("recorded-kg.public.note", first=22))
    assert _titles(before_truncation) == {"1": "alpha two", "4": "delta three", "6": "zeta two", "50": "epsilon"}
    assert len(before_truncation["4"]["body"]) > 2000, "its long text was never sent again, and is there"
    assert before_truncation["6"]["tags"] == ["a", "b"]
    places = [change.place.offset for change in said if not isinstance(change, Passed) and change.place is not None]
    assert places == list(range(24))


def test_flattened_in_six_partitions() -> None:
    rows = _state(said_in("recorded-ku.public.note"))
    titles = _titles(rows)
    assert {name: titles[name] for name in ("1", "10", "99")} == {"1": "alpha again", "10": "kept body", "99": "n12"}
    assert set(titles) == {"1", "10", "13", "14", "15", *map(str, range(16, 22)), "99"}
    long = {name for name, row in rows.items() if len(row["body"] or "") > 2000}
    assert long == {"10", "13", "14", "15", "99"}, "the body of 99 was 12's"


def test_jetstream_without_keys() -> None:
    assert _titles(_state(said_in("recorded-jetstream", BY_ID))) == {"4": "four"}
    kinds = Counter(type(said).__name__ for said in said_in("recorded-jetstream", BY_ID))
    assert kinds == {"Change": 9, "Passed": 12, "Truncation": 1}


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("recorded-__debezium-heartbeat.kg", "heartbeat", 2),
        ("recorded-kg.transaction", "transaction marker", 8),
        ("recorded-kg.public.debezium_signal", "signal", 4),
    ],
)
def test_what_is_no_row_is_passed_over(name: str, kind: str, count: int) -> None:
    assert said_in(name) == [Passed(kind)] * count


def _changes(name: str) -> list[Change]:
    return [said for said in said_in(name) if isinstance(said, Change)]


def test_a_changed_key_keeps_the_placeholder_out() -> None:
    *_, last = _changes("key-change-toast")
    assert (last.event.entity_id, set(last.unsent), last.event.new_data) == (
        "kg.public.note:20",
        {"body"},
        {"title": "Lighthouse"},
    )


def test_tables_that_count_from_1() -> None:
    ids = [change.event.entity_id for change in _changes("two-tables-count-from-1")]
    assert ids == [f"kg.public.{name}" for name in ("company:1", "person:1", "person:2", "company:1", "company:1")]


def test_rows_of_a_partition() -> None:
    parent, part, later = _changes("partitioned-table")
    assert parent.name == part.name == later.name == "1:2025"
    assert (parent.space, part.space) == ("kg.public.event", "kg.public.event_2025")
    assert parent.order == part.order
    options = FeedOptions(tables={"event_2025": "event"})
    assert {said.space for said in said_in("partitioned-table", options) if isinstance(said, Change)} == {
        "kg.public.event"
    }


def test_types_with_and_without_a_schema() -> None:
    [change] = _changes("types-with-schema")
    data = change.event.new_data or {}
    assert (data["total"], data["due"], data["paid"]) == (12.34, "2026-11-01", "12:34:56")
    assert data["at"].isoformat() == "2026-11-01T12:00:00.500000+00:00"
    assert not change.notes
    [change] = _changes("types-plain")
    assert {note.column.rpartition(".")[2] for note in change.notes} == {"total", "due", "at", "paid"}


def test_other_columns_and_keys() -> None:
    assert [(change.event.new_data or {})["id_"] for change in _changes("column-id-outside-the-key")] == [42, 43]
    assert [change.event.entity_id for change in _changes("keys-refused")] == [
        "kg.public.flag:true",
        "kg.public.price:1.5",
    ]
    *_, last = _changes("dropped-column")
    assert last.is_whole
    assert last.event.new_data == {"title": "Paint it"}


def test_changes_between_what_is_none() -> None:
    said = said_in("not-row-changes")
    kinds = Counter(each.kind if isinstance(each, Passed) else type(each).__name__ for each in said)
    assert kinds == {"Change": 3, "Truncation": 1, "heartbeat": 4, "transaction marker": 8, "logical message": 1}


@pytest.mark.parametrize("name", RECORDED)
def test_reading_again_says_the_same(name: str) -> None:
    assert said_in(name, BY_ID) == said_in(name, BY_ID)
