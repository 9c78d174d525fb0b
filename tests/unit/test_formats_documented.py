"""Every example in docs/events.md is what the page says it is, and the page names every field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.formats.detect import parse_event
from slipstream.domain.formats.dump import DumpNode, DumpRelationship, parse_row

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
EXPECTED = [
    ("entity_updated", "ada", "Person"),
    ("relationship_created", "KNOWS:ada:bob", "KNOWS"),
    ("entity_created", "ada", "Person"),
    ("relationship_created", "KNOWS:ada:bob:5%3Ab7e35973-0aff-42fa-873b-5de31868cb4a%3A7", "KNOWS"),
    ("entity_created", "ada", "Person"),
    ("entity_deleted", "ada", "Person"),
    ("entity_deleted", "ada", "Person"),
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


@pytest.mark.parametrize("name", [*PKGEvent.model_fields, *(kind.value for kind in PKGEventType)])
def test_every_field_and_type_is_named(name: str) -> None:
    table = PAGE.partition("## PKGEvent")[2].partition("\n## ")[0]
    assert f"`{name}`" in table
