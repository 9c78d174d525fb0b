"""What differs between two schema versions, and whose text that can change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.schema import GraphSchema
from slipstream.evolution.changes import PropertyChanges, changes_told, data_of, schema_changes, schema_from_data
from slipstream.views.declaration import Via, View
from slipstream.views.viewset import ViewSet

VIEWS = ViewSet(
    [
        View(
            "Person",
            "{{ name }} at {{ employer|map(attribute='name')|join(', ') }}",
            {"employer": Via("WORKS_AT")},
            metadata=("country",),
        ),
        View("KNOWS", "{{ source.name }} knows {{ target.name }} since {{ since }}", is_relationship=True),
    ]
)
PERSON = {"name": "string", "age": "integer", "country": "string"}
OLD = GraphSchema(
    3,
    {"Person": PERSON, "Company": {"name": "string", "size": "integer"}, "Note": {"text": "string"}},
    {"WORKS_AT": {"since": "integer"}, "KNOWS": {"since": "integer", "place": "string"}},
)
BOTH = (("KNOWS", "Person"),) * 2
"""Which entities a relationship leads to is not known: whoever shows neighbours may have shown this one."""


def _changed(
    entities: dict[str, Any] | None = None, relationships: dict[str, Any] | None = None, drop: str = ""
) -> GraphSchema:
    merged = {**OLD.entity_types, **(entities or {})}
    related = {**OLD.relationship_types, **(relationships or {})}
    merged.pop(drop, None)
    related.pop(drop, None)
    return GraphSchema(4, merged, related)


@pytest.mark.parametrize(
    ("new", "affected", "stale"),
    [
        (_changed(), (), ()),
        (_changed({"Ship": {"name": "string"}}), (), ()),
        (_changed({"Person": {**PERSON, "shoe_size": "integer"}}), (), ()),
        (_changed({"Person": {k: v for k, v in PERSON.items() if k != "age"}}), (), ()),
        (_changed({"Person": {k: v for k, v in PERSON.items() if k != "name"}}), *BOTH),
        (_changed({"Person": {**PERSON, "country": "list"}}), ("Person",), ("Person",)),
        (_changed({"Company": {"name": "string", "size": "float"}}), (), ()),
        (_changed({"Company": {"name": "list", "size": "integer"}}), *[("Company", "KNOWS", "Person")] * 2),
        (_changed({"Company": {"name": "string", "size": "integer", "motto": "string"}}), ("Company",), ()),
        (_changed({"Note": {"text": "string", "weight": "float"}}), (), ()),
        (_changed(drop="Note"), *BOTH),
        (_changed(drop="Company"), *BOTH),
        (_changed(drop="WORKS_AT"), ("Person",), ("Person",)),
        (_changed(drop="KNOWS"), (), ()),
        (_changed(None, {"WORKS_AT": {"since": "string"}}), ("Person",), ("Person",)),
        (_changed(None, {"KNOWS": {"since": "integer"}}), (), ()),
        (_changed(None, {"KNOWS": {"since": "datetime", "place": "string"}}), ("KNOWS",), ("KNOWS",)),
        (_changed(None, {"LIKES": {}}), (), ()),
    ],
    ids=[
        "nothing",
        "new type",
        "property that no view names",
        "unread property removed",
        "rendered property removed",
        "metadata retyped",
        "number retyped in a default view",
        "neighbour's name retyped",
        "text added to a default view",
        "number added to a default view",
        "type removed",
        "neighbours' type removed",
        "relationship across removed",
        "relationship with a view removed",
        "relationship's property retyped",
        "unread property of a relationship removed",
        "read property of a relationship retyped",
        "new relationship type",
    ],
)  # fmt: skip
def test_whose_text_can_differ(new: GraphSchema, affected: tuple[str, ...], stale: tuple[str, ...]) -> None:
    changes = schema_changes(OLD, new, VIEWS)
    assert changes.views_affected == affected
    assert changes.views_stale == stale
    assert changes.requires_reembedding is bool(affected or changes.removed_types)


def test_everything_that_changed_is_named() -> None:
    new = GraphSchema(
        9,
        {"Person": {"name": "string", "age": "string", "title": "string"}, "Ship": {}},
        {"WORKS_AT": {"since": "integer"}, "OWNS": {}},
    )
    changes = schema_changes(OLD, new, VIEWS)
    assert changes.as_dict() == {
        "old_version": 3,
        "new_version": 9,
        "new_entity_types": ["Ship"],
        "removed_entity_types": ["Company", "Note"],
        "new_relationship_types": ["OWNS"],
        "removed_relationship_types": ["KNOWS"],
        "changed_properties": {"Person": {"added": ["title"], "removed": ["country"], "retyped": ["age"]}},
        "views_affected": ["Person"],
        "views_stale": ["Person"],
        "requires_reembedding": True,
    }
    assert changes.removed_types == ("Company", "Note", "KNOWS")
    assert not PropertyChanges()


def _evolution(old: dict[str, Any] | None, new: dict[str, Any] | None, version: int = 4) -> PKGEvent:
    return PKGEvent(
        event_id="s",
        event_type=PKGEventType.SCHEMA_EVOLVED,
        entity_id="schema",
        entity_type="Schema",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        schema_version=version,
        old_data=old,
        new_data=new,
    )


def test_an_event_tells_the_types_or_only_the_versions() -> None:
    new = _changed(drop="Note")
    known: dict[int, GraphSchema] = {3: OLD, 4: new}
    expected = schema_changes(OLD, new, VIEWS)
    told = _evolution(data_of(OLD), data_of(new))
    assert changes_told(told, lambda _: None, VIEWS) == expected
    versions_only = _evolution(None, {"old_version": 3, "new_version": 4})
    assert changes_told(versions_only, known.get, VIEWS) == expected
    assert changes_told(_evolution(None, None), known.get, VIEWS) == expected
    with pytest.raises(InvalidInputError, match=r"new_data: .* schema version 4 is not known"):
        changes_told(versions_only, lambda _: None, VIEWS)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"entity_types": {}}, "version"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"version": 1, "entity_types": "Person"}, "entity_types"),
        ({"version": 1, "entity_types": {"Person": ["name"]}}, "entity_types.Person"),
        ({"version": 1, "relationship_types": {"KNOWS": {"since": 3}}}, "relationship_types.KNOWS"),
    ],
)
def test_malformed_data_is_refused_and_named(data: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        schema_from_data(data)
    assert refused.value.field == field


def test_types_may_be_a_list_of_names() -> None:
    assert schema_from_data({"version": 2, "entity_types": ["Person"]}) == GraphSchema(2, {"Person": {}})
