"""Cypher that somebody else wrote: how its results look, and how its writes are kept honest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.adapters.graphs.ladybug.catalog import INTERNAL_TABLES, RID_COLUMN
from slipstream.adapters.graphs.ladybug.codec import as_parameter, decode_columns, plain, rescan_to_json
from slipstream.adapters.graphs.ladybug.committing import Commits
from slipstream.adapters.graphs.ladybug.cypher import Statement
from slipstream.adapters.graphs.ladybug.recovery import assign_relationship_ids, reconcile_registry
from slipstream.adapters.graphs.ladybug.store import Session
from slipstream.adapters.graphs.ladybug.sync_states import digest
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.schema import GraphSchema
from slipstream.ports.sync_states import SYNC_VIEW

# The driver reuses a prepared statement by its text, and READ ONLY is checked only when one is prepared: a write that
# was prepared as one would pass the read-only try of the next call. So that no text ever serves both:
_VALUES_SET_UNSEEN = 50
"""What arbitrary Cypher is taken to have set: nobody counts it."""

_AS_READ, _AS_WRITE = "/* read */ ", "/* write */ "


def run_reading(
    session: Session, statement: Statement, params: Mapping[str, Any], timeout_s: float
) -> tuple[list[str], list[list[Any]]]:
    """Run a statement inside the open read-only transaction."""
    return session.run_foreign(
        _AS_READ + statement.cypher, {name: as_parameter(v) for name, v in params.items()}, timeout_s
    )


def run_writing(
    session: Session,
    commits: Commits,
    statement: Statement,
    params: Mapping[str, Any],
    timeout_s: float,
    *,
    has_sync_view: bool,
) -> None:
    """Run a statement that writes, repair the registry and the relationship ids, and log a rescan, as one."""
    if statement.names_sync_view:
        raise InvalidInputError(
            f"{SYNC_VIEW} is the engine's own: query it, and leave it out of statements that write", field="cypher"
        )
    catalog = commits.shape.catalog
    touched = statement.labels
    # A statement with labels on all its patterns can not reach what it does not name.
    watches_view = has_sync_view and touched is None
    before = _internal_counts(session)
    view_before = digest(session, contents=statement.sets_properties) if watches_view else None
    with commits.entries(session, [rescan_to_json(touched)], changes=None):
        given = {name: as_parameter(value) for name, value in params.items()}
        session.run_foreign(_AS_WRITE + statement.cypher, given, timeout_s)
        if _internal_counts(session) != before:
            raise InvalidInputError("would delete internal records: give every pattern a label", field="cypher")
        if watches_view and digest(session, contents=statement.sets_properties) != view_before:
            raise InvalidInputError(f"would change {SYNC_VIEW}: give every pattern a label", field="cypher")
        if statement.changes_identities:
            reconcile_registry(session, [n for n in catalog.nodes if touched is None or n in touched], strict=True)
            assign_relationship_ids(session, [n for n in catalog.relationships if touched is None or n in touched])
    commits.relieve(session, _VALUES_SET_UNSEEN)


def _internal_counts(session: Session) -> list[int]:
    return [session.run(f"MATCH (n:{name}) RETURN count(*)")[0][0] for name in INTERNAL_TABLES]


def shown_rows(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], schema: GraphSchema, *, hides_sync_view: bool
) -> list[dict[str, Any]]:
    """
    Return rows as plain dictionaries, without those that show a record of our own.

    The sync view is shown to those who name it. An untyped `MATCH (n)` does match internal records: aggregates
    over it count them. Labels avoid that.
    """
    hidden = frozenset({SYNC_VIEW} - set(schema.entity_types)) if hides_sync_view else frozenset[str]()
    visible = (row for row in rows if not any(_is_internal(cell, hidden) for cell in row))
    return [{name: _shown(cell, schema) for name, cell in zip(columns, row, strict=True)} for row in visible]


def _is_internal(value: Any, hidden: frozenset[str]) -> bool:
    if isinstance(value, list):
        return any(_is_internal(item, hidden) for item in value)
    if isinstance(value, dict):
        label = value.get("_LABEL")
        is_own = isinstance(label, str) and (label.startswith("_") or label in hidden)
        return is_own or any(_is_internal(item, hidden) for item in value.values())
    return False


def _shown(value: Any, schema: GraphSchema) -> Any:
    if isinstance(value, list):
        return [_shown(item, schema) for item in value]
    if not isinstance(value, dict):
        return plain(value)
    if "_NODES" in value and "_RELS" in value:
        return {"nodes": _shown(value["_NODES"], schema), "relationships": _shown(value["_RELS"], schema)}
    if "_LABEL" not in value or "_ID" not in value:
        return {key: _shown(item, schema) for key, item in value.items()}
    if "_SRC" in value:
        return _shown_relationship(value, schema)
    properties = decode_columns(value, schema.entity_types.get(value["_LABEL"], {}))
    identity = {"id": value["id"]} if value.get("id") is not None else {}
    return {"_label": value["_LABEL"], **identity, **properties}


def _shown_relationship(value: Mapping[str, Any], schema: GraphSchema) -> dict[str, Any]:
    properties = decode_columns(value, schema.relationship_types.get(value["_LABEL"], {}))
    identity: dict[str, Any] = {"_label": value["_LABEL"]}
    if value.get(RID_COLUMN):
        ref = RelationshipRef.parse(value[RID_COLUMN])
        identity |= {"id": ref.id, "source_id": ref.source_id, "target_id": ref.target_id}
    return {**identity, **properties}
