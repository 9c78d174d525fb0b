"""Turns what a statement wrote to a copy of the mirror into mutations of the graph. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from slipstream.adapters.cypher.kglite.names import user_value
from slipstream.adapters.graphs.values import check_id, check_properties, check_type_name, same_properties
from slipstream.domain.errors import InvalidInputError, UnsupportedError
from slipstream.domain.keys import RelationshipRef

Mutation: TypeAlias = list[Any]
"""A name of `MUTATIONS` and its arguments, as plain values."""

UNLABELLED = "Node"
"""The label that kglite gives to a node that is created without one."""
_ORDER = ("unrelate", "delete_entity", "create_entity", "update_entity", "relate", "update_relationship")
_LOOKS_LIKE = {
    "duration": frozenset({"months", "days", "seconds"}),
    "point": frozenset({"latitude", "longitude"}),
}
"""Values that kglite returns as maps, recognised by their keys, by the function that makes them."""


@dataclass(slots=True)
class Planner:
    """Turns change records of kglite's into mutations."""

    marker: str
    functions: frozenset[str]
    """Functions that the statement calls."""
    labels: frozenset[str]
    """Labels that the statement names."""
    known_relationships: Callable[[str, str, str], Iterable[str]]
    """Returns the ids of the relationships of (source, type, target) before the statement."""
    _planned: dict[str, list[Mutation]] = field(default_factory=lambda: defaultdict(list))
    _taken: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    _freed: set[str] = field(default_factory=set)
    _created: list[tuple[str, str, str, dict[str, Any], str]] = field(default_factory=list)
    _unrelated: list[tuple[str, str, str]] = field(default_factory=list)
    _deleted: set[str] = field(default_factory=set)

    def planned(self, events: Sequence[Mapping[str, Any]]) -> list[Mutation]:
        """Return the mutations in an applicable order; raises `UnsupportedError` for an effect that is not exact."""
        for event in events:
            (self._node if event["elementType"] == "node" else self._relationship)(event)
        for identity, *ends in self._unrelated:
            if self._deleted.isdisjoint(ends):  # else it goes with its end
                self._add("unrelate", identity)
        for created in self._created:
            self._relate(*created)
        return [mutation for name in _ORDER for mutation in self._planned[name]]

    def _add(self, name: str, *arguments: Any) -> None:
        self._planned[name].append([name, *arguments])

    def _values(self, state: Mapping[str, Any]) -> dict[str, Any]:
        values: dict[str, Any] = user_value(state["properties"])
        for function, keys in _LOOKS_LIKE.items():
            if function not in self.functions:
                continue
            for name, value in values.items():
                if isinstance(value, dict) and value.keys() == keys:
                    raise UnsupportedError(f"{name} would be a {function}: store a number or a text")
        return values

    # ------------------------------------------------------------------ entities

    def _node(self, event: Mapping[str, Any]) -> None:
        before, after = event["state"]["before"], event["state"]["after"]
        identity, entity_type = event["nodeId"], event["nodeType"]
        if after is None:
            if before["title"] == f"{self.marker}{identity}":  # else the statement itself had created it
                self._add("delete_entity", identity)
                self._deleted.add(identity)
            return
        if after["labels"]:
            others = ", ".join(after["labels"])
            raise UnsupportedError(
                f"{identity!r} would have the label {others} beside {entity_type}: an entity has one type, which can "
                "not change; delete it and create it anew"
            )
        if before is None:
            self._create(entity_type, identity, self._values(after))
        else:
            self._update("update_entity", identity, self._values(before), self._values(after))

    def _create(self, entity_type: str, identity: object, values: dict[str, Any]) -> None:
        if entity_type == UNLABELLED and UNLABELLED not in self.labels:
            raise UnsupportedError("a node would be created without a label: an entity has one type")
        if not isinstance(identity, str):
            raise UnsupportedError(
                f"a {entity_type} would be created without an id: give it a text, (:{entity_type} {{id: '…'}})"
            )
        check_type_name(entity_type, "cypher")
        check_id(identity, "id")
        self._add("create_entity", entity_type, identity, check_properties(values, identity))

    def _update(self, mutation: str, identity: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        changed = {
            name: after.get(name)
            for name in before | after
            if name not in before or name not in after or not same_properties({"": before[name]}, {"": after[name]})
        }
        if changed:
            self._add(mutation, identity, check_properties(changed, identity))

    # ------------------------------------------------------------------ relationships

    def _relationship(self, event: Mapping[str, Any]) -> None:
        before, after = event["state"]["before"], event["state"]["after"]
        old = {} if before is None else self._values(before)
        identity = old.pop("id", None)
        if after is None:
            if identity is not None:  # else the statement itself had created it
                self._unrelated.append((identity, event["srcId"], event["tgtId"]))
                self._freed.add(identity)
            return
        new = self._values(after)
        given = new.pop("id", None)
        if before is None:
            self._created.append((event["srcId"], event["relationshipType"], event["tgtId"], new, given or ""))
        elif given is not None and given != identity:
            raise UnsupportedError(f"the id of {identity!r} can not change: delete it and create it anew")
        else:
            self._update("update_relationship", str(identity), old, new)

    def _relate(self, source: str, relationship_type: str, target: str, values: dict[str, Any], given: str) -> None:
        check_type_name(relationship_type, "cypher")
        for end in (source, target):
            if not isinstance(end, str):
                raise UnsupportedError(f"a {relationship_type} would be created at a node without an id")
        ref = RelationshipRef(relationship_type, source, target)
        ref = _given_ref(given, ref) if given else self._free_ref(ref)
        self._taken_at(ref).add(ref.id)
        properties = check_properties(values, ref.id)
        self._add("relate", source, relationship_type, target, properties, ref.discriminator)

    def _taken_at(self, ref: RelationshipRef) -> set[str]:
        place = (ref.source_id, ref.type, ref.target_id)
        if place not in self._taken:
            self._taken[place] = set(self.known_relationships(*place)) - self._freed
        return self._taken[place]

    def _free_ref(self, ref: RelationshipRef) -> RelationshipRef:
        """Return the first identity that is free: the second of its kind gets the discriminator 2, and so on."""
        taken = self._taken_at(ref)
        number = 1
        while ref.id in taken:
            number += 1
            ref = ref._replace(discriminator=str(number))
        return ref


def _given_ref(given: str, expected: RelationshipRef) -> RelationshipRef:
    """Return the identity in the caller's id, if it fits the type and ends."""
    try:
        ref = RelationshipRef.parse(given)
    except InvalidInputError as error:
        raise UnsupportedError(f"{given!r} is no id of a relationship: leave it out") from error
    if ref._replace(discriminator="") != expected or ref.id != given:
        raise UnsupportedError(f"{given!r} is not the id of a {expected.type} between these two: leave it out")
    return ref
