"""Turns the nodes and edges of GraphML into rows."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any

from slipstream.domain.errors import InvalidInputError
from slipstream.importers.graph_names import (
    ENTITY_TYPE_NAMES,
    RELATED,
    RELATIONSHIP_TYPE_NAMES,
    EdgeKeys,
    NodeNames,
    taken_type,
)
from slipstream.importers.graph_reader import Edges, FileFacts, GraphReader, Nodes
from slipstream.importers.graphml.elements import Element, elements
from slipstream.importers.graphml.keys import Keys
from slipstream.importers.opening import SourceFile
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, RowReader, Tell
from slipstream.importers.told import Told

CONTAINS = "CONTAINS"
"""From a node to those of its nested graph."""
_ID = "id"


def reader(files: Sequence[SourceFile], options: ReadOptions) -> RowReader:
    """Return the reader of GraphML files; raises `InvalidInputError` for an option that means nothing here."""
    options.refuse_but("entity_type", "id_column", "id_prefix")
    return GraphMLReader(files, options)


class GraphMLReader(GraphReader[FileFacts]):
    """Reads GraphML files; one element is in memory."""

    form = "GraphML"

    def _new_facts(self) -> FileFacts:
        return FileFacts(NodeNames(self._options.id_prefix or ""))

    def _nodes(self, file: SourceFile, facts: FileFacts, tell: Tell, before_bytes: int) -> Nodes:
        with closing(self._found(file, tell, before_bytes, self._told)) as found:
            for element, keys in found:
                content = self._node(element, keys, facts.names)
                if content is not None:
                    yield f"line {element.line}", content

    def _edges(self, file: SourceFile, facts: FileFacts, keys: EdgeKeys, tell: Tell, before_bytes: int) -> Edges:
        with closing(self._found(file, tell, before_bytes, Told())) as found:  # told when the nodes were read
            for element, declared in found:
                content = self._edge(element, declared, facts.names, keys)
                if content is not None:
                    yield f"line {element.line}", content

    def _found(
        self, file: SourceFile, tell: Tell, before_bytes: int, told: Told
    ) -> Generator[tuple[Element, Keys], None, None]:
        keys = Keys()
        with closing(file.chunks(tell, before_bytes)) as chunks:
            for element in elements(chunks, file.name, keys, told):
                yield element, keys

    # ------------------------------------------------------------------ nodes

    def _node(self, element: Element, keys: Keys, names: NodeNames) -> EntityRow | RefusedRow | None:
        """Return the row of a node; of an edge its ends are noted, and nothing is returned."""
        if element.kind != "node":
            self._note_edge(element, names)
            return None
        try:
            properties = _properties(element, keys, self._told)
            entity_id = names.declare(_said(element, "id"), self._own_id(element, properties))
        except InvalidInputError as error:
            names.refuse(element.attributes.get("id", ""))
            return RefusedRow(error, element.text)
        if labels := element.attributes.get("labels"):
            if properties.get("labels") == labels:
                del properties["labels"]  # APOC says them twice
            entity_type = taken_type(holder := {"labels": labels}, ("labels",))
            properties = {**holder, **properties}
        else:
            entity_type = taken_type(properties, ENTITY_TYPE_NAMES)
        return EntityRow(entity_id, entity_type or self._type, properties)

    def _own_id(self, element: Element, properties: dict[str, Any]) -> str | None:
        """Return the id that a value of a node says, and take it out; None for a node that is called by its name."""
        wanted = self._options.id_column
        own = _text_of(element, wanted or _ID)
        if wanted is not None and not own:
            raise InvalidInputError(
                "is missing in this node: without --id, nodes are called by their ids", field=wanted
            )
        if wanted not in (None, _ID) and _ID in properties:
            self._told.note(
                "values named 'id' are not kept beside --id: an entity has one id", f"line {element.line}"
            )
        for name in (wanted, _ID):
            properties.pop(name or _ID, None)
        return own or None

    def _note_edge(self, element: Element, names: NodeNames) -> None:
        if element.kind != "edge":
            return
        for end in ("source", "target"):
            if element.attributes.get(end):
                names.mention(element.attributes[end])
        if element.is_undirected:
            self._told.note("undirected edges are kept as relationships from source to target")

    # ------------------------------------------------------------------ edges

    def _edge(
        self, element: Element, keys: Keys, names: NodeNames, edge_keys: EdgeKeys
    ) -> RelationshipRow | RefusedRow | None:
        if element.kind == "node":
            return None if element.within is None else self._within(element, names, edge_keys)
        if element.kind == "hyperedge":
            return RefusedRow(
                InvalidInputError(
                    "joins several nodes at once, which no relationship can: make it a node with an edge to each",
                    field="hyperedge",
                ),
                element.text,
            )
        try:
            return self._relationship(element, keys, names, edge_keys)
        except InvalidInputError as error:
            return RefusedRow(error, element.text)

    def _within(self, element: Element, names: NodeNames, edge_keys: EdgeKeys) -> RelationshipRow | None:
        outer, inner = element.within, element.attributes.get("id")
        if not outer or not inner:
            return None
        ends = names.id_of(outer), names.id_of(inner)
        edge_keys.key(ends[0], CONTAINS, ends[1])
        return RelationshipRow(ends[0], CONTAINS, ends[1])

    def _relationship(self, element: Element, keys: Keys, names: NodeNames, edge_keys: EdgeKeys) -> RelationshipRow:
        source, target = (names.end(_said(element, end), end) for end in ("source", "target"))
        properties = _properties(element, keys, self._told)
        own_key = properties.pop(_ID, None)
        label = element.attributes.get("label")
        if label and properties.get("label") == label:
            del properties["label"]  # APOC says it twice
        found = taken_type({"label": label}, ("label",)) if label else None
        name = found or taken_type(properties, RELATIONSHIP_TYPE_NAMES) or RELATED
        for port in ("sourceport", "targetport"):
            if port in element.attributes:
                properties.setdefault(port, element.attributes[port])
        if element.is_odd:
            properties.setdefault("directed", not element.is_undirected)
        if own_key in (None, ""):
            key = edge_keys.key(source, name, target, element.attributes.get("id", ""))
        else:
            key = edge_keys.own_key(source, name, target, str(own_key))
        return RelationshipRow(source, name, target, properties, key)


def _said(element: Element, name: str) -> str:
    found = element.attributes.get(name)
    if not found:
        raise InvalidInputError(f"is missing in this {element.kind}", field=name)
    return found


def _properties(element: Element, keys: Keys, told: Told) -> dict[str, Any]:
    """Return the values of an element, with the defaults of those that it has not."""
    found: dict[str, Any] = {}
    for key, text in element.values:
        value = key.value(text, told)
        # APOC says a label, and then a property of the same name.
        if key.name in found and found[key.name] not in (value, element.attributes.get(key.name)):
            raise InvalidInputError("is there twice, with different values: remove one of them", field=key.name)
        if value is not None:
            found[key.name] = value
    for key in keys.defaults(element.kind):
        if key.name not in found and key.default is not None:
            value = key.value(key.default, told)
            if value is not None:
                found[key.name] = value
    for name, text in (("label", element.drawn_label), ("desc", element.description)):
        if text:
            found.setdefault(name, text)
    return found


def _text_of(element: Element, name: str) -> str:
    return next((text for key, text in element.values if key.name == name), "")
