"""Every example in docs/events.md is what the page says it is, and the page names every field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.events.formats.detect import parse_event
from slipstream.events.formats.dump import DumpNode, DumpRelationship, parse_row
from slipstream.events.formats.not_rows import TOMBSTONE
from tests.unit.events.test_formats_not_rows import MESSAGES as NOT_ROWS
from tests.unit.events.test_formats_values import VALUES

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXPECTED = [
    ("entity_updated", "ada", "Person"),
    ("relationship_created", "KNOWS:ada:bob", "KNOWS"),
    ("entity_created", "ada", "Person"),
    ("relationship_created", "KNOWS:ada:bob", "KNOWS"),
    ("entity_created", "kg.public.person:ada", "person"),
    ("entity_deleted", "kg.public.person:ada", "person"),
    ("entity_deleted", "kg.public.person:ada", "person"),
]


def test_no_example_is_forgotten() -> None:
    assert len(EXAMPLES) == len(EXPECTED)


@pytest.mark.parametrize(("example", "expected"), list(zip(EXAMPLES, EXPECTED, strict=False)))
def test_examples_are_events(example: str, expected: tuple[str, str, str]) -> None:
    [event] = parse_event(example)
    assert (event.event_type.value, event.entity_id, event.entity_type) == expected


def test_the_dump_is_one() -> None:
    [dump] = re.findall(r"^```jsonl\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    rows = [parse_row(line, number) for number, line in enumerate(dump.splitlines(), start=1)]
    assert [type(row) for row in rows] == [DumpNode, DumpNode, DumpRelationship]


def test_every_kind_that_is_passed_over_is_named() -> None:
    section = PAGE.partition("### Passed over")[2].partition("\n### ")[0]
    assert {kind for kind, _, _ in NOT_ROWS} | {TOMBSTONE} <= set(re.findall(r"`([a-z ]+)`", section))


def test_every_decoded_type_is_named() -> None:
    section = PAGE.partition("### Values")[2].partition("\n## ")[0]
    names = {
        str(schema["name"]).rpartition(".data.")[2].rpartition(".time.")[2]
        for schema, _, _ in VALUES
        if "name" in schema
    }
    missing = {name for name in names if f"`{name}`" not in section}
    assert missing <= {"IsoDate", "DoubleVector", "geometry.Geometry", "some.vendor.Type"}


@pytest.mark.parametrize("name", [*PKGEvent.model_fields, *(kind.value for kind in PKGEventType)])
def test_every_field_and_type_is_named(name: str) -> None:
    table = PAGE.partition("## PKGEvent")[2].partition("\n## ")[0]
    assert f"`{name}`" in table
