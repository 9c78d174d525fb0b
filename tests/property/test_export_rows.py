"""A row of an export gives back what it was made of, whatever that is; and packed lines what was packed."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.adapters.graphs.values import check_properties, same_properties
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef
from slipstream.events.formats.dump import (
    DumpHead,
    DumpNode,
    DumpRelationship,
    head_row,
    node_row,
    parse_row,
    relationship_row,
)
from slipstream.events.packing import lines_read, packed
from tests.property.test_graph_values import PROPERTIES, TEXTS

NAMES = TEXTS.filter(bool)
KINDS = st.sampled_from(["string", "integer", "float", "boolean", "datetime", "list", "map"])
TYPES = st.dictionaries(NAMES, st.dictionaries(NAMES, KINDS, max_size=3), max_size=3)


@given(NAMES, NAMES, PROPERTIES)
def test_an_entity(entity_id: str, name: str, properties: dict[str, Any]) -> None:
    stored = {key: value for key, value in check_properties(properties, entity_id).items() if value is not None}
    row = parse_row(json.dumps(node_row(entity_id, name, stored), allow_nan=False), 1)
    assert isinstance(row, DumpNode)
    assert (row.row_id, row.entity_id, row.entity_type) == (entity_id, entity_id, name)
    assert same_properties(check_properties(row.properties, "x"), stored), "as a graph keeps them"


@given(NAMES, NAMES, NAMES, TEXTS, PROPERTIES)
def test_a_relationship(name: str, source: str, target: str, key: str, properties: dict[str, Any]) -> None:
    stored = {each: value for each, value in check_properties(properties, "x").items() if value is not None}
    ref = RelationshipRef(name, source, target, key)
    row = parse_row(json.dumps(relationship_row(ref, ("A", "B"), stored), ensure_ascii=False), 1)
    assert isinstance(row, DumpRelationship)
    told = RelationshipRef(row.type, row.source_row_id, row.target_row_id, row.discriminator or "")
    assert (told, row.source_label, row.target_label) == (ref, "A", "B")
    assert same_properties(check_properties(row.properties, "x"), stored), "as a graph keeps them"


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.lists(st.tuples(TYPES, TYPES), max_size=3))
def test_the_head(entities: int, relationships: int, schema: list[tuple[Any, Any]]) -> None:
    row = json.dumps(head_row(DumpHead(entities, relationships, schema), position=7, more="for people"))
    assert parse_row(row, 1) == DumpHead(entities, relationships, schema)


@given(st.recursive(st.one_of(TEXTS, st.integers(), st.none()), lambda inner: st.lists(inner, max_size=3)))
def test_paths_that_lead_to_no_time_are_refused_by_name(path: Any) -> None:
    row = {"type": "node", "id": "a", "labels": ["T"], "properties": {"x": "text", "n": [1]}}
    row["slipstream"] = {"times": [path]}
    with pytest.raises(InvalidInputError):
        parse_row(json.dumps(row), 1)


@given(st.lists(st.binary(max_size=2_000), min_size=1, max_size=4), st.sampled_from([".jsonl", ".gz", ".zst"]))
def test_what_is_packed_in_one_or_several_pieces_is_read_as_one(pieces: list[bytes], suffix: str) -> None:
    """`cat a.zst b.zst` is one file, too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        with path.open("wb") as file:
            for piece in pieces:
                stream = packed(path.name, file)
                stream.write(piece)
                if stream is not file:
                    stream.close()
        with lines_read(path) as (content, _):
            assert isinstance(content, io.IOBase)
            assert content.read() == b"".join(pieces)
