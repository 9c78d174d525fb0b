"""Texts arrive as they are, and what a tool does not take is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.domain.errors import InvalidInputError
from slipstream.mcp.arguments import AddEntity, Arguments, Get, Neighbours, Query, Search, parsed
from slipstream.mcp.schemas import input_schema, output_schema
from slipstream.mcp.tools import TOOLS

JSON_LIKE = st.sampled_from(["null", "true", "1", "1.5", "{}", "[]", '""', '"x"', '{"a": null}', "NaN"])


@given(JSON_LIKE | st.text(min_size=1, max_size=100), JSON_LIKE | st.text(min_size=1, max_size=100))
def test_no_text_is_taken_for_json(text: str, cursor: str) -> None:
    found = parsed(Neighbours, {"id": text, "relationship_type": text, "after": cursor})
    assert isinstance(found, Neighbours)
    assert (found.id, found.relationship_type, found.after) == (text, text, cursor)


@given(
    st.dictionaries(st.text(max_size=10), JSON_LIKE | st.none() | st.integers() | st.text(max_size=10), max_size=3)
)
def test_objects_may_come_as_their_json_and_texts_in_them_stay(given_: dict[str, object]) -> None:
    for sent in (given_, json.dumps(given_)):
        found = parsed(AddEntity, {"id": "x", "type": "T", "properties": sent})
        assert isinstance(found, AddEntity)
        assert found.properties == given_


def _nested(depth: int) -> list[object]:
    found: list[object] = []
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("kind", "wrong", "told"),
    [
        (Search, {}, "'text': Field required"),
        (Search, {"text": ""}, "'text': String should have at least 1 character"),
        (Search, {"text": None}, "'text': Input should be a valid string"),
        (Search, {"text": "x", "k": 0}, "'k': Input should be greater than or equal to 1"),
        (Search, {"text": "x", "after": -1}, "'after'"),
        (Search, {"text": "x", "K": 3}, "there is no 'K' among text, k, mode, entity_type"),
        (Get, {"id": "x" * 20_000}, "'id': String should have at most"),
        (Get, {"id": "x", "kind": "node"}, "'kind'"),
        (Query, {"cypher": "RETURN 1", "parameters": "null"}, "'parameters': Input should be a valid dictionary"),
        (Query, {"cypher": "RETURN 1", "parameters": "[" * 100_000}, "'parameters'"),
        (Query, {"cypher": "RETURN 1", "parameters": '{"a":' * 99 + "1" + "}" * 99}, "nested deeper than 64 levels"),
        (Query, {"cypher": "RETURN 1", "parameters": {"a": _nested(900)}}, "nested deeper than 64 levels"),
    ],
)
def test_what_is_wrong_is_named(kind: type[Arguments], wrong: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInputError) as failed:
        parsed(kind, wrong)
    assert told in str(failed.value)
    assert len(str(failed.value)) < 1_000


def test_schemas_say_what_is_refused_and_repeat_no_names() -> None:
    for tool in TOOLS.values():
        schema = input_schema(tool.takes)
        assert schema["additionalProperties"] is False
        assert '"title": "' not in json.dumps(schema)
        assert '"title": "' not in json.dumps(output_schema(tool.returns))
        assert "notice" in output_schema(tool.returns)["properties"]
