"""Graph files for the tests of the Cypher mirror, written with plain SQL: the mirror knows no other writer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.cypher.kglite.source import GraphFile, Layout
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.graphs.sqlite.layout import APPLICATION_ID, LAYOUT_VERSION


def make_graph(path: Path) -> sqlite3.Connection:
    """Make an empty graph file, and return a connection of another program to it."""
    SqliteGraph(path, clock=SystemClock()).close()
    return sqlite3.connect(path, isolation_level=None, timeout=30)


def graph_file(path: Path) -> GraphFile:
    """Return the file as the child process opens it."""
    return GraphFile(path, Layout(APPLICATION_ID, LAYOUT_VERSION))


def put(connection: sqlite3.Connection, entity_type: str, identity: str, **properties: Any) -> None:
    """Insert an entity, or give it this type and these properties."""
    connection.execute(
        "INSERT INTO entity(id, type, properties) VALUES (?, ?, ?) "
        "ON CONFLICT(id) DO UPDATE SET type = excluded.type, properties = excluded.properties",
        (identity, entity_type, json.dumps(properties)),
    )


def relate(
    connection: sqlite3.Connection,
    source: str,
    relationship_type: str,
    target: str,
    key: str = "",
    **properties: Any,
) -> None:
    """Insert a relationship."""
    connection.execute(
        "INSERT INTO relationship(source, type, target, key, properties) VALUES (?, ?, ?, ?, ?)",
        (source, relationship_type, target, key, json.dumps(properties)),
    )


def tables(connection: sqlite3.Connection) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return entities and relationships of the file as the mirror should show them, by id."""
    entities = {
        identity: {"_label": entity_type, "id": identity, **_own(properties)}
        for identity, entity_type, properties in connection.execute("SELECT id, type, properties FROM entity")
    }
    relationships = {
        identity: {"_label": kind, "id": identity, "source_id": source, "target_id": target, **_own(properties)}
        for identity, kind, source, target, properties in connection.execute(
            "SELECT id, type, source, target, properties FROM relationship"
        )
    }
    return entities, relationships


def _own(properties: str) -> Mapping[str, Any]:
    return {name: value for name, value in json.loads(properties).items() if value is not None and name != "id"}
