"""What happens between opening the database and the first call: own tables, identity, schema, recovery."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from slipstream.adapters.graphs.evolution import schema_from_json, schema_to_json
from slipstream.adapters.graphs.ladybug.catalog import create_internal_tables, load_catalog
from slipstream.adapters.graphs.ladybug.outbox import get_meta, set_meta, written
from slipstream.adapters.graphs.ladybug.recovery import (
    assign_relationship_ids,
    own_columns_missing,
    reconcile_registry,
    schema_with_found,
)
from slipstream.adapters.graphs.ladybug.snapshot import GraphShape
from slipstream.adapters.graphs.ladybug.store import Session, Store
from slipstream.adapters.graphs.ladybug.sync_states import create_sync_view
from slipstream.domain.schema import GraphSchema
from slipstream.ports.clock import Clock


@dataclass(frozen=True, slots=True)
class Opened:
    """What an opened database holds; `found` is the schema version that only its tables show, not yet recorded."""

    graph_id: str
    shape: GraphShape
    found: GraphSchema | None
    has_sync_view: bool


def prepare(store: Store, clock: Clock) -> Opened:
    """Bring the database to a state that every invariant holds in, whatever happened while it was closed."""
    with store.session() as session:
        create_internal_tables(session)
        has_sync_view = create_sync_view(session)
        graph_id = get_meta(session, "graph_id") or _new_identity(session)
        schema = newest_schema(session)
        catalog = load_catalog(session)
        if store.was_clean:
            return Opened(graph_id, GraphShape(schema, catalog), None, has_sync_view)
        repairs = own_columns_missing(catalog)
        for statement in repairs:
            session.run(statement)
        catalog = load_catalog(session) if repairs else catalog
        with written(session):
            reconcile_registry(session, catalog.nodes, strict=False)
            assign_relationship_ids(session, catalog.relationships)
        found = schema_with_found(schema, catalog, clock.now())
        return Opened(graph_id, GraphShape(schema, catalog), found, has_sync_view)


def store_schema(session: Session, schema: GraphSchema) -> None:
    """Record a schema version inside the open transaction."""
    session.run(
        "CREATE (:_Schema {_version: $version, _body: $body})", version=schema.version, body=schema_to_json(schema)
    )


def schema_at(session: Session, version: int) -> GraphSchema | None:
    """Return a recorded schema version; version 1 is the empty schema."""
    rows = session.run("MATCH (s:_Schema {_version: $version}) RETURN s._body", version=version)
    if rows:
        return schema_from_json(rows[0][0])
    return GraphSchema() if version == 1 else None


def newest_schema(session: Session) -> GraphSchema:
    """Return the schema version that was recorded last."""
    version = session.run("MATCH (s:_Schema) RETURN max(s._version)")[0][0]
    return schema_at(session, version or 1) or GraphSchema()


def _new_identity(session: Session) -> str:
    graph_id = uuid4().hex
    set_meta(session, "graph_id", graph_id)
    return graph_id
