"""Reads node-link JSON: a list of nodes and one of edges, as NetworkX and d3 have it."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from slipstream.domain.errors import ConfigError, InvalidInputError
from slipstream.importers.graph_names import (
    ENTITY_TYPE_NAMES,
    NOT_TEXT,
    RELATED,
    RELATIONSHIP_TYPE_NAMES,
    EdgeKeys,
    NodeNames,
    taken_type,
)
from slipstream.importers.graph_reader import Edges, FileFacts, GraphReader, Nodes
from slipstream.importers.json_parts import Part, parts
from slipstream.importers.opening import SourceFile
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, RowReader, Tell
from slipstream.importers.told import Told

NODES, EDGES = "nodes", ("edges", "links")
_TEXT_SHOWN_MAX = 1_000
_OTHERS = {
    "elements": "it looks like JSON of Cytoscape",
    "adjacency": "it looks like adjacency data of NetworkX",
    "graphs": "it looks like JSON Graph Format",
}
_TELLING = {NODES, *EDGES, *_OTHERS}
"""Members by which a file is known for what it is."""


def reader(files: Sequence[SourceFile], options: ReadOptions) -> RowReader:
    """Return the reader of node-link files; raises `InvalidInputError` for an option that means nothing here."""
    options.refuse_but("entity_type", "id_column", "id_prefix")
    return NodeLinkReader(files, options)


@dataclass(slots=True)
class _Facts(FileFacts):
    is_multigraph: bool = False
    has_numbers: bool = False
    """Whether some ids are numbers; if none is, a number at the end of an edge is a place among the nodes."""
    order: list[str] | None = None
    """The names of the nodes, read when an edge leads to a place among them."""

    def mentioned(self) -> Iterator[str]:
        """Return the names of nodes that only edges name, but for places among the nodes."""
        return (name for name in self.names.missing() if not _is_number(name) or self.has_numbers)


class NodeLinkReader(GraphReader[_Facts]):
    """Reads node-link files; one item is in memory."""

    form = "node-link JSON"

    def _new_facts(self) -> _Facts:
        return _Facts(NodeNames(self._options.id_prefix or ""))

    # ------------------------------------------------------------------ nodes

    def _nodes(self, file: SourceFile, facts: _Facts, tell: Tell, before_bytes: int) -> Nodes:
        members = set()
        with closing(self._parts(file, tell, before_bytes, self._told)) as all_parts:
            for part in all_parts:
                if part.member in _TELLING:
                    members.add(part.member)
                if part.place < 0:
                    self._learn(part, facts, file)
                elif part.member == NODES:
                    yield f"node {part.place + 1}", self._node(part, facts, file)
                else:
                    _note_ends(part, facts.names)
        _check(file, members)

    def _learn(self, part: Part, facts: _Facts, file: SourceFile) -> None:
        """Learn what a member of the file says of it as a whole."""
        match part.member, part.value:
            case "multigraph", value:
                facts.is_multigraph = value is True
            case "directed", value:
                if value is False:
                    self._told.note("undirected edges are kept as relationships from source to target")
            case "graph", value:
                if value:
                    self._told.note("values of a graph itself are not kept", _shown(value))
            case name, value if name in (NODES, *EDGES):
                if value != []:
                    raise ConfigError(f"{file.name}: its member {name!r} is no list, so it is no node-link JSON")
            case name, _:
                self._told.note("members beside nodes and edges are not read", name)

    def _node(self, part: Part, facts: _Facts, file: SourceFile) -> EntityRow | RefusedRow:
        wanted = self._options.id_column
        try:
            properties = _object(part)
            said = properties.pop("id", None)
            name = f"{NOT_TEXT}#{part.place}" if said is None else _name(said, "id")
            own = None if said is not None else f"{self._options.id_prefix or f'{file.inner_name}#'}{part.place}"
            if wanted not in (None, "id"):
                own = _own_id(properties, str(wanted))
            facts.has_numbers = facts.has_numbers or (said is not None and _is_number(name))
            if own is None:
                _check_twin(name, facts.names)
            entity_id = facts.names.declare(name, own)
        except InvalidInputError as error:
            if (refused := _said_name(part.value, "id")) is not None:
                facts.names.refuse(refused)
            return RefusedRow(error, part.text[:_TEXT_SHOWN_MAX])
        entity_type = taken_type(properties, ENTITY_TYPE_NAMES)
        return EntityRow(entity_id, entity_type or self._type, properties)

    # ------------------------------------------------------------------ edges

    def _edges(self, file: SourceFile, facts: _Facts, keys: EdgeKeys, tell: Tell, before_bytes: int) -> Edges:
        with closing(self._parts(file, tell, before_bytes, Told())) as all_parts:
            for part in all_parts:
                if part.place >= 0 and part.member in EDGES:
                    yield f"edge {part.place + 1}", self._edge(part, facts, file, keys)

    def _edge(self, part: Part, facts: _Facts, file: SourceFile, keys: EdgeKeys) -> RelationshipRow | RefusedRow:
        try:
            properties = _object(part)
            source, target = (self._end(properties.pop(end, None), end, facts, file) for end in ("source", "target"))
            key = properties.pop("key", None) if facts.is_multigraph else None
            own = properties.pop("id", None)
            name = taken_type(properties, RELATIONSHIP_TYPE_NAMES) or RELATED
            if own not in (None, ""):
                said = _text(own)
                if key not in (None, 0):
                    properties["key"] = key
            elif key is not None:
                said = "" if key == 0 and isinstance(key, int) else _text(key)
            else:
                return RelationshipRow(source, name, target, properties, keys.key(source, name, target))
            return RelationshipRow(source, name, target, properties, keys.own_key(source, name, target, said))
        except InvalidInputError as error:
            return RefusedRow(error, part.text[:_TEXT_SHOWN_MAX])

    def _end(self, said: Any, end: str, facts: _Facts, file: SourceFile) -> str:
        """Return the id of the node at an end of an edge."""
        name = _name(_end_name(said), end)
        if _is_number(name) and not facts.has_numbers:
            name = self._placed(name, end, facts, file)
        return facts.names.end(name, end)

    def _placed(self, name: str, end: str, facts: _Facts, file: SourceFile) -> str:
        """Return the name of the node at a place: no id is a number, so this is one of older NetworkX, or of d3."""
        text = name.removeprefix(NOT_TEXT)
        if facts.names.is_node(text):
            raise InvalidInputError(
                f"is the number {text}, and ids are texts, {text!r} one of them: nobody can tell whether it is an id "
                "or a place in the list; write ids and ends alike",
                field=end,
            )
        if facts.order is None:
            self._told.note("ends of edges are numbers, and no id is one: they are places in the list of nodes")
            facts.order = self._order(file)
        if not text.isdecimal() or int(text) >= len(facts.order):
            raise InvalidInputError(f"there is no node at place {text} of {len(facts.order):,}", field=end)
        return facts.order[int(text)]

    def _order(self, file: SourceFile) -> list[str]:
        with closing(self._parts(file, lambda _: None, 0, Told())) as all_parts:
            return [
                _name(part.value["id"], "id")
                if isinstance(part.value, dict) and isinstance(part.value.get("id"), str)
                else f"{NOT_TEXT}#{part.place}"
                for part in all_parts
                if part.place >= 0 and part.member == NODES
            ]

    # ------------------------------------------------------------------ both

    def _parts(self, file: SourceFile, tell: Tell, before_bytes: int, told: Told) -> Generator[Part, None, None]:
        def odd(text: str) -> None:
            told.note("numbers of more than 64 bits, and those that are none, are kept as text", text[:40])

        with closing(file.chunks(tell, before_bytes)) as chunks:
            yield from parts(chunks, file.name, (NODES, *EDGES), odd)


def _check(file: SourceFile, members: set[str]) -> None:
    if members.intersection((NODES, *EDGES)):
        return
    told = next((f": {_OTHERS[name]}" for name in sorted(members) if name in _OTHERS), "")
    raise ConfigError(
        f"{file.name} has neither nodes nor edges (or links) at its top, so it is no node-link JSON{told}"
    )


def _object(part: Part) -> dict[str, Any]:
    if not isinstance(part.value, dict):
        raise InvalidInputError(f"must be an object, not {part.text[:40]}", field=part.member)
    return dict(part.value)


def _name(said: Any, field_name: str) -> str:
    """Return a name for what a node is called: a text, or a number or list, told apart from texts."""
    if isinstance(said, str) and said:
        return said
    if isinstance(said, bool | int | float | list):
        return NOT_TEXT + _text(said)
    raise InvalidInputError(f"must be a text or a number, not {_shown(said)}", field=field_name)


def _end_name(said: Any) -> Any:
    """Return what an end of an edge is called: d3 puts the whole node there once it has drawn the graph."""
    return said.get("id", said.get("index")) if isinstance(said, dict) else said


def _is_number(name: str) -> bool:
    return name.startswith(NOT_TEXT) and name[1:2] not in ("[", "#")


def _text(said: Any) -> str:
    return said if isinstance(said, str) else json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _shown(value: Any) -> str:
    return _text(value)[:40]


def _own_id(properties: dict[str, Any], wanted: str) -> str:
    said = properties.pop(wanted, None)
    if not isinstance(said, str | int | float) or said == "":
        raise InvalidInputError("is missing in this node: without --id, nodes are called by their ids", field=wanted)
    return _text(said)


def _check_twin(name: str, names: NodeNames) -> None:
    """Refuse 1 beside "1": in the graph they would be one."""
    bare = name.removeprefix(NOT_TEXT)
    twin = bare if name.startswith(NOT_TEXT) else NOT_TEXT + name
    if names.is_node(twin):
        raise InvalidInputError(
            f"a number and a text are written {bare!r}, and would be one entity: give one of them another id",
            field="id",
        )


def _said_name(value: Any, field_name: str) -> str | None:
    """Return the name that a member of an object says; None when it says none."""
    said = _end_name(value.get(field_name)) if isinstance(value, dict) else None
    return _name(said, field_name) if isinstance(said, str | int | float | list) and said != "" else None


def _note_ends(part: Part, names: NodeNames) -> None:
    for end in ("source", "target"):
        name = _said_name(part.value, end)
        if name is not None:
            names.mention(name)
