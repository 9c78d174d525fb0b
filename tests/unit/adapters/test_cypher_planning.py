"""How change records of kglite's become mutations, and which can not."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from slipstream.adapters.cypher.kglite.planning import Planner
from slipstream.domain.errors import InvalidInputError, UnsupportedError

MARKER = "mark:"


def planned(
    *events: dict[str, Any], known: tuple[str, ...] = (), functions: str = "", labels: str = "P"
) -> list[Any]:
    planner = Planner(MARKER, frozenset(functions.split()), frozenset(labels.split()), lambda *_: known)
    return planner.planned(events)


def node(
    identity: object,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    *,
    label: str = "P",
    others: tuple[str, ...] = (),
    title: str | None = None,
) -> dict[str, Any]:
    own = f"{MARKER}{identity}" if title is None else title
    states = [None if s is None else {"labels": [], "properties": s, "title": own} for s in (before, after)]
    if states[1] is not None:
        states[1]["labels"] = list(others)
    return {
        "elementType": "node", "nodeType": label, "nodeId": identity,
        "state": {"before": states[0], "after": states[1]},
    }  # fmt: skip


def relationship(
    before: dict[str, Any] | None, after: dict[str, Any] | None, *, source: object = "a", target: object = "b"
) -> dict[str, Any]:
    states = [None if s is None else {"properties": s} for s in (before, after)]
    return {
        "elementType": "relationship", "relationshipType": "R", "srcId": source, "tgtId": target,
        "state": {"before": states[0], "after": states[1]},
    }  # fmt: skip


def test_entities_are_created_updated_and_deleted() -> None:
    assert planned(
        node("c", None, {"x": 1, "slip__title": "t", "type": "virtual"}),
        node("a", {"x": 1, "y": 2, "z": [1]}, {"x": 1.5, "z": [1]}),
        node("b", {"x": 1}, None),
    ) == [
        ["delete_entity", "b"],
        ["create_entity", "P", "c", {"x": 1, "title": "t"}],
        ["update_entity", "a", {"x": 1.5, "y": None}],
    ]


def test_what_changes_nothing_is_no_mutation() -> None:
    assert planned(node("a", {"x": 1}, {"x": 1}), relationship({"id": "R:a:b"}, {"id": "R:a:b"})) == []


def test_true_is_not_one() -> None:
    assert planned(node("a", {"x": 1}, {"x": True})) == [["update_entity", "a", {"x": True}]]


def test_what_the_statement_made_and_deleted_itself_is_no_mutation() -> None:
    assert planned(node("a", {"x": 1}, None, title="P_a"), relationship({}, None)) == []


def test_an_entity_takes_its_relationships_along() -> None:
    events = (
        relationship({"id": "R:a:b"}, None),
        node("a", {}, None),
        relationship({"id": "R:c:d"}, None, source="c"),
    )
    assert planned(*events) == [["unrelate", "R:c:d"], ["delete_entity", "a"]]


def test_an_id_may_be_given_to_another_type() -> None:
    assert planned(node("a", {}, None), node("a", None, {}, label="Q")) == [
        ["delete_entity", "a"],
        ["create_entity", "Q", "a", {}],
    ]


def test_relationships_are_told_apart_by_their_ids() -> None:
    assert planned(
        relationship({"id": "R:a:b:2", "x": 1}, {"x": 2}),  # SET r = {x: 2}
        relationship({"id": "R:a:b", "x": 1}, None),
    ) == [["unrelate", "R:a:b"], ["update_relationship", "R:a:b:2", {"x": 2}]]


def test_a_parallel_relationship_gets_the_next_free_number() -> None:
    assert planned(relationship(None, {"x": 1}), relationship(None, {}), known=("R:a:b", "R:a:b:3")) == [
        ["relate", "a", "R", "b", {"x": 1}, "2"],
        ["relate", "a", "R", "b", {}, "4"],
    ]


def test_one_that_is_replaced_keeps_its_place() -> None:
    assert planned(relationship(None, {}), relationship({"id": "R:a:b"}, None), known=("R:a:b",)) == [
        ["unrelate", "R:a:b"],
        ["relate", "a", "R", "b", {}, ""],
    ]


def test_an_id_of_its_own_place_may_be_given() -> None:
    assert planned(relationship(None, {"id": "R:a:b:best"})) == [["relate", "a", "R", "b", {}, "best"]]


@pytest.mark.parametrize(
    "event",
    [
        node("a", {}, {}, others=("Q",)),
        node("a", None, {}, others=("Q",)),
        node(7, None, {}),
        node(None, None, {}),
        node("a", None, {}, label="Node"),
        relationship({"id": "R:a:b"}, {"id": "R:a:c"}),
        relationship(None, {"id": "R:a:c"}),
        relationship(None, {"id": "other"}),
        relationship(None, {}, source=4),
        relationship(None, {}, target=None),
    ],
)
def test_what_can_not_be_told_exactly_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError):
        planned(event)


def test_a_label_that_is_named_is_a_label() -> None:
    assert planned(node("a", None, {}, label="Node"), labels="Node") == [["create_entity", "Node", "a", {}]]


@pytest.mark.parametrize("value", [date(2024, 1, 1), float("nan"), [date(2024, 1, 1)]])
def test_a_value_that_the_graph_does_not_take_names_its_property(value: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        planned(node("a", {}, {"at": value}))
    assert caught.value.field == "at"


def test_a_duration_is_no_map() -> None:
    value = {"months": 1, "days": 0, "seconds": 0}
    assert planned(node("a", {}, {"x": value})) == [["update_entity", "a", {"x": value}]]
    with pytest.raises(UnsupportedError, match="duration"):
        planned(node("a", {}, {"x": value}), functions="duration")


@pytest.mark.parametrize("event", [node("a", None, {"_x": 1}), node("", None, {}), node("a", None, {}, label="_P")])
def test_names_are_checked_before_anything_is_written(event: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        planned(event)
