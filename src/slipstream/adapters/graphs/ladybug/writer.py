"""Applying the net effect of a transaction: grouped into few statements, inside one open write transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from slipstream.adapters.graphs.ladybug.catalog import RID_COLUMN, Pair, quoted
from slipstream.adapters.graphs.ladybug.codec import MIXED_COLUMN, encode_columns
from slipstream.adapters.graphs.ladybug.snapshot import GraphShape
from slipstream.adapters.graphs.ladybug.store import Session
from slipstream.adapters.graphs.staging import EntityChange, Plan, RelationshipChange
from slipstream.adapters.graphs.values import same_value
from slipstream.domain.entities import Entity, Properties, Relationship

_SCALAR_BATCH_MAX = 4
_ROWS_PER_STATEMENT_MAX = 2000
Columns = tuple[str, ...]
Row = dict[str, Any]
Template = Callable[[str], str]
"""A statement over one row: called with `$` or `r.`, the prefix of the row's fields."""


def pairs_needed(plan: Plan) -> dict[str, set[Pair]]:
    """Return which label pairs each relationship type of the plan stands between afterwards."""
    needed: dict[str, set[Pair]] = {}
    for change in plan.relationships:
        if change.after is not None and change.types_after is not None:
            needed.setdefault(change.after.ref.type, set()).add(change.types_after)
    return needed


def types_needed(plan: Plan) -> set[str]:
    """Return the entity types that the plan writes to."""
    return {change.after.type for change in plan.entities if change.after is not None}


class PlanWriter:
    """
    Writes one plan inside the open transaction.

    Rows of one statement all set the same columns, to values and never to null: the driver reuses a plan by the
    types of its parameters, and a null or an empty list would take the plan of another type.
    """

    def __init__(self, session: Session, shape: GraphShape) -> None:
        self._session = session
        self._schema = shape.schema
        self._catalog = shape.catalog

    def write(self, plan: Plan) -> None:
        """Apply the plan."""
        leaving = [change.before for change in plan.entities if change.before is not None and _moves(change)]
        arriving = [change.after for change in plan.entities if change.after is not None and _moves(change)]
        rewritten = [change for change in plan.relationships if change.types_before != change.types_after]
        self._delete_relationships(rewritten, {entity.id for entity in leaving})
        self._delete_entities(leaving)
        self._create_entities(arriving)
        self._update_entities([change for change in plan.entities if not _moves(change)])
        self._write_registry(plan.entities)
        self._create_relationships(rewritten)
        self._update_relationships([c for c in plan.relationships if c.types_before == c.types_after])
        self._run(lambda r: f"CREATE (:_Once {{_event: {r}id}})", [{"id": event_id} for event_id in plan.event_ids])

    # -- entities --

    def _create_entities(self, entities: Sequence[Entity]) -> None:
        groups: dict[tuple[str, Columns], list[Row]] = {}
        for entity in entities:
            columns = self._entity_columns(entity)
            groups.setdefault((entity.type, tuple(columns)), []).append({"id": entity.id, **_aliased(columns)})
        for (name, columns_set), rows in groups.items():
            self._run(_creation(quoted(name), columns_set), rows)

    def _update_entities(self, changes: Sequence[EntityChange]) -> None:
        groups: dict[tuple[str, Columns, Columns], list[Row]] = {}
        for change in changes:
            before, after = change.before, change.after
            if before is None or after is None:
                continue
            new = self._entity_columns(after)
            table = self._catalog.nodes[after.type]
            setting, clearing = _changed_columns(before.properties, after.properties, new, table)
            row = {"id": after.id, **_aliased({name: new[name] for name in setting})}
            groups.setdefault((after.type, setting, clearing), []).append(row)
        for (name, setting, clearing), rows in groups.items():
            if setting or clearing:
                self._run(_update(quoted(name), setting, clearing), rows)

    def _delete_entities(self, entities: Iterable[Entity]) -> None:
        rows: dict[str, list[Row]] = {}
        for entity in entities:
            rows.setdefault(entity.type, []).append({"id": entity.id})
        for name, ids in rows.items():
            self._run(_deletion(quoted(name)), ids)

    def _write_registry(self, changes: Sequence[EntityChange]) -> None:
        created: list[Row] = []
        removed: list[Row] = []
        moved: list[Row] = []
        for before, after in ((change.before, change.after) for change in changes):
            if after is None:
                removed += [{"id": before.id}] if before else []
            elif before is None:
                created.append({"id": after.id, "type": after.type})
            elif before.type != after.type:
                moved.append({"id": after.id, "type": after.type})
        self._run(lambda r: f"CREATE (:_Registry {{_key: {r}id, _type: {r}type}})", created)
        self._run(lambda r: f"MATCH (e:_Registry {{_key: {r}id}}) DELETE e", removed)
        self._run(lambda r: f"MATCH (e:_Registry {{_key: {r}id}}) SET e._type = {r}type", moved)

    def _entity_columns(self, entity: Entity) -> dict[str, Any]:
        kinds, table = self._schema.entity_types[entity.type], self._catalog.nodes[entity.type]
        return _with_mixed(*encode_columns(entity.properties, kinds, table))

    # -- relationships --

    def _create_relationships(self, changes: Sequence[RelationshipChange]) -> None:
        groups: dict[tuple[str, Pair, Columns], list[Row]] = {}
        for change in changes:
            after, types = change.after, change.types_after
            if after is None or types is None:
                continue
            columns = self._relationship_columns(after)
            ends = {"source": after.ref.source_id, "target": after.ref.target_id, "rid": after.ref.id}
            groups.setdefault((after.ref.type, types, tuple(columns)), []).append({**ends, **_aliased(columns)})
        for (name, types, columns_set), rows in groups.items():
            self._run(_relation(quoted(name), types, columns_set), rows)

    def _update_relationships(self, changes: Sequence[RelationshipChange]) -> None:
        for change in changes:
            before, after, types = change.before, change.after, change.types_after
            if before is None or after is None or types is None:
                continue
            new = self._relationship_columns(after)
            table = self._catalog.relationships[after.ref.type]
            setting, clearing = _changed_columns(before.properties, after.properties, new, table)
            if setting or clearing:
                row = {**_place(after), **_aliased({name: new[name] for name in setting})}
                self._run(_relationship_update(quoted(after.ref.type), types, setting, clearing), [row])

    def _delete_relationships(self, changes: Sequence[RelationshipChange], leaving: set[str]) -> None:
        """Delete what does not vanish together with an endpoint."""
        for change in changes:
            before, types = change.before, change.types_before
            if before is None or types is None or not leaving.isdisjoint(before.ref[1:3]):
                continue
            self._run(_relationship_deletion(quoted(before.ref.type), types), [_place(before)])

    def _relationship_columns(self, relationship: Relationship) -> dict[str, Any]:
        name = relationship.ref.type
        kinds, table = self._schema.relationship_types[name], self._catalog.relationships[name]
        return _with_mixed(*encode_columns(relationship.properties, kinds, table))

    def _run(self, template: Template, rows: Sequence[Row]) -> None:
        """Run a statement for every row: one by one when they are few, which is faster, else over all of them."""
        if len(rows) <= _SCALAR_BATCH_MAX:
            for row in rows:
                self._session.run(template("$"), **row)
            return
        for first in range(0, len(rows), _ROWS_PER_STATEMENT_MAX):
            part = list(rows[first : first + _ROWS_PER_STATEMENT_MAX])
            self._session.run(f"UNWIND $rows AS r {template('r.')}", rows=part)


def _moves(change: EntityChange) -> bool:
    """Whether the entity appears in a table, leaves one, or changes from one to another."""
    return change.before is None or change.after is None or change.before.type != change.after.type


def _aliased(columns: dict[str, Any]) -> Row:
    """Return the row's fields under names that need no quoting."""
    return {f"c{number}": value for number, value in enumerate(columns.values())}


def _with_mixed(columns: dict[str, Any], mixed: str | None) -> dict[str, Any]:
    ordered = dict(sorted(columns.items()))
    return ordered if mixed is None else {**ordered, MIXED_COLUMN: mixed}


def _changed_columns(
    before: Properties, after: Properties, new: dict[str, Any], table: dict[str, str] | Any
) -> tuple[Columns, Columns]:
    """Return which columns to set and which to clear; the column of mixed values is always written anew."""
    changed = {
        name
        for name in before.keys() | after.keys()
        if name not in before or name not in after or not same_value(before[name], after[name])
    }
    touched = [*sorted(name for name in changed if name in table), MIXED_COLUMN] if changed else []
    return tuple(name for name in touched if name in new), tuple(name for name in touched if name not in new)


def _fields(columns: Columns, r: str) -> str:
    return "".join(f", {quoted(name)}: {r}c{number}" for number, name in enumerate(columns))


def _settings(variable: str, setting: Columns, clearing: Columns, r: str) -> str:
    parts = [f"{variable}.{quoted(name)} = {r}c{number}" for number, name in enumerate(setting)]
    return ", ".join(parts + [f"{variable}.{quoted(name)} = NULL" for name in clearing])


def _creation(table: str, columns: Columns) -> Template:
    return lambda r: f"CREATE (:{table} {{id: {r}id{_fields(columns, r)}}})"


def _update(table: str, setting: Columns, clearing: Columns) -> Template:
    return lambda r: f"MATCH (n:{table} {{id: {r}id}}) SET {_settings('n', setting, clearing, r)}"


def _deletion(table: str) -> Template:
    return lambda r: f"MATCH (n:{table} {{id: {r}id}}) DETACH DELETE n"


def _relation(table: str, types: Pair, columns: Columns) -> Template:
    def template(r: str) -> str:
        # One MATCH for each end keeps the plan on primary keys: the comma form is a thousand times slower.
        carried = "r, a" if r == "r." else "a"
        return (
            f"MATCH (a:{quoted(types[0])} {{id: {r}source}}) WITH {carried} "
            f"MATCH (b:{quoted(types[1])} {{id: {r}target}}) "
            f"CREATE (a)-[:{table} {{{RID_COLUMN}: {r}rid{_fields(columns, r)}}}]->(b)"
        )

    return template


def _relationship_match(table: str, types: Pair, r: str) -> str:
    ends = f"MATCH (a:{quoted(types[0])} {{id: {r}source}})-[e:{table}]->(b:{quoted(types[1])})"
    return f"{ends} WHERE e.{RID_COLUMN} = {r}rid"


def _relationship_update(table: str, types: Pair, setting: Columns, clearing: Columns) -> Template:
    return lambda r: f"{_relationship_match(table, types, r)} SET {_settings('e', setting, clearing, r)}"


def _relationship_deletion(table: str, types: Pair) -> Template:
    return lambda r: f"{_relationship_match(table, types, r)} DELETE e"


def _place(relationship: Relationship) -> Row:
    return {"source": relationship.ref.source_id, "rid": relationship.ref.id}
