"""Whatever a graph accepts, it gives back; whatever it refuses, it refuses by name."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.graphs.sqlite.codec import decode_properties, encode_properties
from slipstream.adapters.graphs.values import same_properties, same_value
from slipstream.domain.entities import EntityState, RelationshipState
from slipstream.domain.keys import entity_key, relationship_key
from slipstream.domain.values import decode_value, encode_value
from slipstream.testkit.clock import ManualClock
from tests.depth import examples

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ZONES = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001 - bounds are naive
SCALARS = st.one_of(
    TEXTS, st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), MOMENTS
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(st.one_of(st.none(), inner), max_size=4),
        st.dictionaries(st.one_of(TEXTS, st.just("$datetime"), st.just("$$x")), inner, max_size=3),
    ),
    max_leaves=6,
)
# Few names, so that one property takes values of many types.
PROPERTIES = st.dictionaries(st.sampled_from(["a", "b", "c d", "order", "名"]), VALUES, max_size=4)


@pytest.fixture(scope="module")
def graph() -> Iterator[SqliteGraph]:
    with tempfile.TemporaryDirectory() as directory:
        graph = SqliteGraph(Path(directory) / "graph.db", clock=ManualClock())
        yield graph
        graph.close()


@given(VALUES)
def test_json_gives_back_what_it_was_given(value: Any) -> None:
    assert same_value(decode_value(json.loads(json.dumps(encode_value(value)))), value)


@given(PROPERTIES)
def test_the_text_of_properties_gives_back_what_it_was_made_of(properties: dict[str, Any]) -> None:
    text = encode_properties(properties)
    assert isinstance(json.loads(text), dict)
    assert same_properties(decode_properties(text, "x"), properties)


@settings(max_examples=examples(60, 1_200))
@given(batch=st.lists(PROPERTIES, min_size=1, max_size=8), changed=PROPERTIES)
def test_properties_survive(graph: SqliteGraph, batch: list[dict[str, Any]], changed: dict[str, Any]) -> None:
    ids = [f"{graph.feed.head()}-{number}" for number in range(len(batch))]
    with graph.transaction() as tx:
        for entity_id, properties in zip(ids, batch, strict=True):
            tx.create_entity("Thing", entity_id, properties)
        rid = tx.relate(ids[0], "REL", ids[-1], batch[0])
    states = graph.read([entity_key(entity_id) for entity_id in ids], {}).states
    for entity_id, properties in zip(ids, batch, strict=True):
        found = states[entity_key(entity_id)]
        assert isinstance(found, EntityState)
        assert same_properties(found.entity.properties, properties)
        assert_utc(found.entity.properties)
    with graph.transaction() as tx:
        tx.update_entity(ids[0], changed)
        tx.update_relationship(rid, changed)
    both = graph.read([entity_key(ids[0]), relationship_key(rid)], {}).states
    entity, relationship = both[entity_key(ids[0])], both[relationship_key(rid)]
    assert isinstance(entity, EntityState)
    assert isinstance(relationship, RelationshipState)
    assert same_properties(entity.entity.properties, {**batch[0], **changed})
    assert same_properties(relationship.relationship.properties, {**batch[0], **changed})


def assert_utc(value: Any) -> None:
    """Fail for a datetime anywhere in the value that is not in UTC."""
    if isinstance(value, datetime):
        assert value.tzinfo is UTC
    elif isinstance(value, dict):
        for item in value.values():
            assert_utc(item)
    elif isinstance(value, list):
        for item in value:
            assert_utc(item)
