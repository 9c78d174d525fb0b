"""What is known of each subject, as an entity. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from slipstream.importers.rdf.buckets import Groups, Record
from slipstream.importers.rdf.names import LANGUAGES, RESERVED, iri_order, short_names, split_iri
from slipstream.importers.rdf.spooling import ITEM, LITERAL, MENTION, TERM, TYPE, Spool
from slipstream.importers.rdf.values import literal_value, main_language, one_or_list
from slipstream.importers.rdf.vocabulary import KNOWN, NAMING, OWL, RDF, RDFS
from slipstream.importers.rows import EntityRow, RelationshipRow

RESOURCE, BLANK_NODE, LIST = "Resource", "BlankNode", "List"
"""Types of what has none."""
_SAYS_LITTLE = (OWL, RDFS, RDF)
_GRAPH_PLACES = {LITERAL: 5, TERM: 4, TYPE: 3}
"""Where a record names the graph that its statement is in, if any does; in others it comes third."""
_Values = dict[str, list[Any]]
"""Of one property, by language; those without one under an empty name."""


class Mapping:
    """How the statements of one source become entities and relationships."""

    def __init__(self, spool: Spool, default_type: str | None) -> None:
        self._predicates, self._types, self._tags = spool.predicates.texts, spool.types.texts, spool.tags.texts
        names = short_names(self._predicates, RESERVED)
        self._names = [names[iri] for iri in self._predicates]
        names = short_names(self._types)
        self._type_names = [names[iri] for iri in self._types]
        self._default_type = default_type or RESOURCE
        others = sorted(iri for iri in self._predicates if iri not in NAMING and split_iri(iri)[1] == "name")
        numbers = {iri: number for number, iri in enumerate(self._predicates)}
        self._naming = [numbers[iri] for iri in (*NAMING, *others) if iri in numbers]

    @property
    def renamed(self) -> list[tuple[str, str]]:
        """The predicates and types whose name is not the local one, with that."""
        named = [*zip(self._predicates, self._names, strict=True), *zip(self._types, self._type_names, strict=True)]
        return [(iri, name) for iri, name in named if name != split_iri(iri)[1] and iri not in NAMING]

    def entities(self, groups: Groups) -> Iterator[EntityRow]:
        """Yield an entity for each subject, and one for what is only named as an object."""
        for key, records in groups.items():
            if any(record[1] != MENTION for record in records):
                yield self._entity(key, records)
            else:
                yield EntityRow(key, self._type_of(key, (), has_items=False), {}, is_mentioned=True)

    def relationships(self, groups: Groups) -> Iterator[RelationshipRow]:
        """Yield the relationships of each subject, each once, with the graphs that it is said in."""
        for key, records in groups.items():
            found: dict[tuple[int, str], set[str]] = {}
            for _, predicate, other, *graph in records:
                found.setdefault((predicate, other), set()).update(graph or ("",))
            for (predicate, other), graphs in found.items():
                yield RelationshipRow(key, self._names[predicate], other, _provenance(graphs))

    def _entity(self, key: str, records: Sequence[Record]) -> EntityRow:
        values: dict[int, _Values] = {}
        types: set[int] = set()
        graphs: set[str] = set()
        has_items = False
        for record in records:
            kind = record[1]
            if kind == MENTION:
                continue
            place = _GRAPH_PLACES.get(kind, 2)
            graphs.add(record[place] if len(record) > place else "")
            if kind == LITERAL:
                tag = self._tags[record[4]]
                is_tagged = tag.startswith("@")
                value = record[3] if is_tagged or not tag else literal_value(record[3], tag)
                values.setdefault(record[2], {}).setdefault(tag[1:] if is_tagged else "", []).append(value)
            elif kind == TERM:
                values.setdefault(record[2], {}).setdefault("", []).append(record[3])
            elif kind == TYPE:
                types.add(record[2])
            elif kind == ITEM:
                has_items = True
        properties = self._properties(values)
        ordered = sorted(types, key=self._type_order)
        if not properties and not ordered and not key.startswith("_:"):
            # Nothing is said of it but what it is related to: another source may say more, and that stays.
            return EntityRow(key, self._default_type, {}, is_mentioned=True)
        if len(ordered) > 1:
            properties["types"] = [self._type_names[number] for number in ordered[1:]]
        properties.update(_provenance(graphs))
        return EntityRow(key, self._type_of(key, ordered, has_items=has_items), properties)

    def _type_order(self, number: int) -> tuple[bool, bool, tuple[int, str]]:
        """What says least comes last: types of RDF and OWL themselves, and those of vocabularies for everybody."""
        namespace = split_iri(self._types[number])[0]
        return namespace in _SAYS_LITTLE, namespace in KNOWN, iri_order(self._types[number])

    def _type_of(self, key: str, ordered: Sequence[int], *, has_items: bool) -> str:
        if ordered:
            return self._type_names[ordered[0]]
        if not key.startswith("_:"):
            return self._default_type
        return LIST if has_items else BLANK_NODE

    def _properties(self, values: dict[int, _Values]) -> dict[str, Any]:
        naming = next((number for number in self._naming if number in values), None)
        properties: dict[str, Any] = {}
        if naming is not None:
            properties = _spread("name", values[naming])
            called = properties["name"]
            if not isinstance(called, str):  # people are shown one name, and it is a text
                properties[self._names[naming]] = called
                properties["name"] = _first_text(called)
        for number in sorted(values, key=self._names.__getitem__):
            if number != naming:
                properties |= _spread(self._names[number], values[number])
        return properties


def _first_text(values: Any) -> str:
    several = values if isinstance(values, list) else [values]
    return next((value for value in several if isinstance(value, str)), str(several[0]))


def _spread(name: str, values: _Values) -> dict[str, Any]:
    """Return a property: what has no language, else what is in the best one; and all by language beside it."""
    if values.keys() == {""}:
        return {name: one_or_list(values[""])}
    by_language = {tag: one_or_list(values[tag]) for tag in sorted(values) if tag}
    best = one_or_list(values[""]) if "" in values else by_language[main_language(by_language)]
    return {name: best, f"{name}{LANGUAGES}": by_language}


def _provenance(graphs: set[str]) -> dict[str, Any]:
    named = sorted(graphs - {""})
    if not named:
        return {}
    return {"source_document_id": named[0]} if len(graphs) == 1 else {"graphs": dict.fromkeys(named, True)}
