"""Rows of dumps, as `apoc.export.json` writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.events.formats.dump import DumpHead, DumpNode, DumpRelationship, parse_row

NODE: dict[str, Any] = {"type": "node", "id": "0", "labels": ["User"], "properties": {"name": "Ada"}}
RELATIONSHIP: dict[str, Any] = {
    "type": "relationship", "id": "5", "label": "KNOWS", "properties": {"since": 1993},
    "start": {"id": "0", "labels": ["User"]}, "end": {"id": "1", "labels": ["User"]},
}  # fmt: skip


def _parse(row: object) -> DumpNode | DumpRelationship | DumpHead:
    return parse_row(json.dumps(row), 7)


def test_a_node() -> None:
    assert _parse(NODE) == DumpNode("0", None, "User", {"name": "Ada"}), "a row's number is no id"


@pytest.mark.parametrize(("given", "entity_id"), [("ada", "ada"), (12, "12"), (None, None)])
def test_the_property_id_is_the_entity_id(given: object, entity_id: str | None) -> None:
    row = _parse({**NODE, "properties": {"id": given, "name": "Ada", "gone": None}})
    assert row == DumpNode("0", entity_id, "User", {"name": "Ada"}), "id and nulls are no properties"


@pytest.mark.parametrize("labels", [[], None])
def test_a_node_without_labels_or_properties(labels: object) -> None:
    assert _parse({"type": "node", "id": 3, "labels": labels}) == DumpNode("3", None, "Entity", {})


def test_the_first_label_is_the_type() -> None:
    row = _parse({**NODE, "labels": ["B", "A"]})
    assert isinstance(row, DumpNode)
    assert row.entity_type == "B"


def test_a_relationship() -> None:
    expected = DumpRelationship("5", "KNOWS", "0", "1", None, None, "User", "User", {"since": 1993}, None)
    assert _parse(RELATIONSHIP) == expected


def test_endpoints_and_relationships_say_their_ids() -> None:
    row = _parse(
        {
            **RELATIONSHIP,
            "properties": {"id": 77, "since": None},
            "start": {"id": "0", "properties": {"id": "ada"}},
            "end": {"id": 1, "labels": ["Bot"], "properties": {"id": 9, "name": "Bob"}},
        }
    )
    assert row == DumpRelationship("5", "KNOWS", "0", "1", "ada", "9", "Entity", "Bot", {}, "77")


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ([], "row"), (None, "row"), ("text", "row"), ({}, "type"), ({**NODE, "type": "edge"}, "type"),
        ({**NODE, "type": 1}, "type"), ({**NODE, "id": None}, "id"), ({**NODE, "id": ""}, "id"),
        ({**NODE, "id": True}, "id"), ({**NODE, "id": 1.5}, "id"), ({**NODE, "labels": "User"}, "labels"),
        ({**NODE, "labels": [1]}, "labels"), ({**NODE, "labels": [""]}, "labels"),
        ({**NODE, "properties": []}, "properties"), ({**NODE, "properties": {"id": []}}, "properties.id"),
        ({**NODE, "properties": {"a": 2**63}}, "properties.a"),
        ({**NODE, "properties": {"a": [{"b": float("nan")}]}}, "properties.a[0].b"),
        ({**RELATIONSHIP, "label": None}, "label"), ({**RELATIONSHIP, "start": None}, "start"),
        ({**RELATIONSHIP, "end": "1"}, "end"), ({**RELATIONSHIP, "end": {}}, "end.id"),
        ({**RELATIONSHIP, "start": {"id": "0", "properties": {"id": {}}}}, "start.properties.id"),
    ],
)  # fmt: skip
def test_wrong_rows_are_refused_by_line_and_field(row: object, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        _parse(row)
    assert refused.value.field == f"line 7: {field}"


@pytest.mark.parametrize("line", ["", "{", "node", '{"type": "node"} {}', '{"type":"node","id":"\udcff"}'])
def test_lines_that_are_not_json_are_refused_by_line(line: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_row(line, 9)
    assert refused.value.field.startswith("line 9: ")
