"""What graph files have in common: names of nodes that count within a file, types among values, parallel edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.names import name_fault

RELATED = "RELATED_TO"
"""The type of a relationship whose file does not say one."""
ENTITY_TYPE_NAMES = ("labelV", "labels", "entity_type", "type", "TYPE")
"""
Values of a node that say its type, the first that is there.

`labelV` is TinkerPop's, `labels` Neo4j's, `TYPE` that of APOC's form for Gephi. `label` is none of them: Gephi, yEd
and igraph keep in it what people read on a node.
"""
RELATIONSHIP_TYPE_NAMES = ("labelE", "type", "TYPE", "relation", "label", "Edge Label")
"""Values of an edge that say its type, the first that is there."""


def taken_type(properties: dict[str, Any], names: Sequence[str]) -> str | None:
    """
    Return the type that some values say, and take it out of them; None when none of them does.

    Of several labels the first one is the type, and all of them stay as the list `labels`.
    """
    for name in names:
        labels = _labels(properties.get(name), is_one=name in ("labelV", "labelE"))
        if labels and name_fault(labels[0]) is None:
            del properties[name]
            if len(labels) > 1:
                properties["labels"] = labels
            return labels[0]
    return None


def _labels(value: object, *, is_one: bool) -> list[str]:
    """Return labels: `:Person:Author` as APOC writes them, a list, or one text."""
    if isinstance(value, str):
        is_one = is_one or not value.startswith(":")
        return [value] if is_one else [label for label in value.split(":") if label]
    if isinstance(value, list) and all(isinstance(label, str) for label in value):
        return value
    return []


NOT_TEXT = "\0"


class NodeNames:
    """
    Names that a file gives its nodes, and the ids that they have in the graph.

    A name that is no text, where a format has such, is written as JSON behind `NOT_TEXT`: 1 and "1" are two nodes.
    Holds some 60 bytes for each node, and some 250 for one whose id is not its name.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._named: set[int] = set()
        self._ids: dict[str, str] = {}
        self._missing: dict[str, None] = {}
        self._refused: set[str] = set()

    def declare(self, name: str, entity_id: str | None = None) -> str:
        """Note a node, whose id is its name unless another one is given; returns its id."""
        found = self._plain(name) if entity_id is None else entity_id
        place = hash(name)
        if place in self._named and self.id_of(name) != found:
            raise InvalidInputError(
                f"the node {name!r} is there twice, as {self.id_of(name)!r} and as {found!r}, so nobody can tell to "
                "which of them an edge leads: give each a name of its own",
                field="id",
            )
        self._named.add(place)
        if found != self._plain(name):
            self._ids[name] = found
        self._missing.pop(name, None)
        return found

    def mention(self, name: str) -> None:
        """Note that an edge leads to a node, which may come later, or nowhere."""
        if hash(name) not in self._named:
            self._missing[name] = None

    def refuse(self, name: str) -> None:
        """Note that a node was not taken: nothing may lead to it, unless another one has the name."""
        self._refused.add(name)

    def end(self, name: str, field: str) -> str:
        """Return the id of the node at an end of an edge; raises `InvalidInputError` for one that was refused."""
        if name in self._refused and hash(name) not in self._named:
            bare = name.removeprefix(NOT_TEXT)
            raise InvalidInputError(f"the node {bare!r} was refused, so nothing can lead to it", field=field)
        return self.id_of(name)

    def id_of(self, name: str) -> str:
        """Return the id of a node."""
        return self._ids.get(name) or self._plain(name)

    def is_node(self, name: str) -> bool:
        """Return whether a node has this name."""
        return hash(name) in self._named

    def _plain(self, name: str) -> str:
        return self._prefix + name.removeprefix(NOT_TEXT)

    def missing(self) -> Iterator[str]:
        """Return the names of nodes that are named by edges alone, once all was read."""
        return (name for name in self._missing if name not in self._refused)


class EdgeKeys:
    """
    Tells relationships of one type between the same ends apart.

    The first has no key, and each further one that which its file gives it, or else its number. Holds some 100 bytes
    for each relationship, as hashes of 64 bits.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._taken: set[int] = set()

    def key(self, source_id: str, relationship_type: str, target_id: str, said: str = "") -> str:
        """Return the key of the next relationship of a type between two ends; `said` is what its file calls it."""
        ends = (source_id, relationship_type, target_id)
        place = hash(ends)
        count = self._counts[place] = self._counts.get(place, 0) + 1
        if count == 1:
            return ""
        for candidate in (said, str(count), f"{said or count} {count}"):
            if candidate and (taken := hash((*ends, candidate))) not in self._taken:
                self._taken.add(taken)
                return candidate
        raise InvalidInputError(f"edges share the key {said!r}: give each a key of its own", field="key")

    def own_key(self, source_id: str, relationship_type: str, target_id: str, key: str) -> str:
        """Return a key that a relationship has of its own; raises `InvalidInputError` when another one has it."""
        taken = hash((source_id, relationship_type, target_id, key))
        if taken in self._taken:
            raise InvalidInputError(
                f"another {relationship_type} between the same ends has the id {key!r} already: ids tell them apart, "
                "so one would overwrite the other",
                field="id",
            )
        self._taken.add(taken)
        return key
