"""The tables that the database has, and the statements that extend them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from slipstream.adapters.graphs.ladybug.codec import MIXED_COLUMN, PHYSICAL, kind_of_column
from slipstream.adapters.graphs.ladybug.store import Session
from slipstream.domain.schema import GraphSchema, PropertyTypes

RID_COLUMN = "_rid"
"""The relationship id, so that a relationship is found and ordered without its endpoints."""

INTERNAL_TABLES: Mapping[str, str] = {
    "_Registry": "_key STRING PRIMARY KEY, _type STRING",  # entity id to type: ids are unique across types
    "_Outbox": "_seq INT64 PRIMARY KEY, _body STRING",
    "_Schema": "_version INT64 PRIMARY KEY, _body STRING",
    "_Meta": "_name STRING PRIMARY KEY, _value STRING",
    "_Once": "_event STRING PRIMARY KEY",
}

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Columns of every table (name to declared type) and the label pairs of every relationship table."""

    nodes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    relationships: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pairs: Mapping[str, frozenset[Pair]] = field(default_factory=dict)


def quoted(name: str) -> str:
    """Return a name as an identifier of a statement."""
    return f"`{name}`"


def create_internal_tables(session: Session) -> None:
    """Create the tables of our own that are not there yet."""
    for name, columns in INTERNAL_TABLES.items():
        session.run(f"CREATE NODE TABLE IF NOT EXISTS {name}({columns})")


def load_catalog(session: Session) -> Catalog:
    """Read all tables but our own; node tables without a text primary key `id` are not entities and are left out."""
    nodes: dict[str, Mapping[str, str]] = {}
    relationships: dict[str, Mapping[str, str]] = {}
    pairs: dict[str, frozenset[Pair]] = {}
    for name, kind in session.run("CALL show_tables() RETURN name, type"):
        if name.startswith("_"):
            continue
        info = session.run(f"CALL table_info({_literal(name)}) RETURN *")
        columns = {column[1]: column[2] for column in info}
        if kind == "NODE" and any(c[1] == "id" and c[2] == "STRING" and c[4] for c in info):
            nodes[name] = columns
        elif kind == "REL":
            relationships[name] = columns
            ends = session.run(f"CALL show_connection({_literal(name)}) RETURN *")
            pairs[name] = frozenset((end[0], end[1]) for end in ends)
    return Catalog(nodes, relationships, pairs)


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def extension_statements(
    catalog: Catalog, schema: GraphSchema, entity_types: Iterable[str], pairs: Mapping[str, Iterable[Pair]]
) -> Iterator[str]:
    """Yield the statements that make room for the given entity types and label pairs, as the schema declares them."""
    for name in sorted(entity_types):
        declared = schema.entity_types[name]
        if name in catalog.nodes:
            yield from _missing_columns(name, catalog.nodes[name], (MIXED_COLUMN,), declared)
        else:
            columns = _column_list((MIXED_COLUMN,), declared)
            yield f"CREATE NODE TABLE {quoted(name)}(id STRING PRIMARY KEY, {columns})"
    for name in sorted(pairs):
        declared = schema.relationship_types[name]
        wanted = sorted(pairs[name])
        if name in catalog.relationships:
            own = (RID_COLUMN, MIXED_COLUMN)
            yield from _missing_columns(name, catalog.relationships[name], own, declared)
            for source, target in wanted:
                if (source, target) not in catalog.pairs[name]:
                    yield f"ALTER TABLE {quoted(name)} ADD FROM {quoted(source)} TO {quoted(target)}"
        else:
            ends = ", ".join(f"FROM {quoted(source)} TO {quoted(target)}" for source, target in wanted)
            yield f"CREATE REL TABLE {quoted(name)}({ends}, {_column_list((RID_COLUMN, MIXED_COLUMN), declared)})"


def _column_list(own: Iterable[str], declared: PropertyTypes) -> str:
    columns = [f"{name} STRING" for name in own]
    columns += [f"{quoted(name)} {PHYSICAL[kind]}" for name, kind in declared.items()]
    return ", ".join(columns)


def _missing_columns(
    table: str, present: Mapping[str, str], own: Iterable[str], declared: PropertyTypes
) -> Iterator[str]:
    wanted = {**dict.fromkeys(own, "STRING"), **{name: PHYSICAL[kind] for name, kind in declared.items()}}
    for name, physical in wanted.items():
        if name not in present:
            yield f"ALTER TABLE {quoted(table)} ADD {quoted(name)} {physical}"


def adopted_schema(
    schema: GraphSchema, catalog: Catalog
) -> tuple[dict[str, PropertyTypes], dict[str, PropertyTypes]]:
    """Return entity and relationship types of the schema together with what only the database knows."""
    return (
        _with_found(schema.entity_types, catalog.nodes),
        _with_found(schema.relationship_types, catalog.relationships),
    )


def _with_found(
    declared: Mapping[str, PropertyTypes], tables: Mapping[str, Mapping[str, str]]
) -> dict[str, PropertyTypes]:
    merged: dict[str, PropertyTypes] = dict(declared)
    for table, columns in tables.items():
        known = merged.get(table, {})
        found = {
            name: kind_of_column(physical)
            for name, physical in columns.items()
            if name not in known and name != "id" and not name.startswith("_")
        }
        merged[table] = {**known, **found}
    return merged
