"""The graph file at one snapshot: what a backup copies, and an export reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from slipstream.adapters.graphs.sqlite.codec import readable_properties
from slipstream.adapters.graphs.sqlite.schemas import Schemas, head_of
from slipstream.adapters.sqlite.copying import PinnedFile
from slipstream.adapters.sqlite.errors import mapped_errors
from slipstream.domain.entities import Entity, Relationship
from slipstream.domain.errors import CorruptionError
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.positions import Position
from slipstream.ports.backup import GraphFacts, SchemaStep

_VERSIONS = """SELECT version, position, created_at, reason, added FROM schema_version
    WHERE version <= ? ORDER BY version"""
_ENTITIES = "SELECT id, type, CAST(properties AS BLOB) FROM entity ORDER BY id"
_RELATIONSHIPS = """SELECT source, type, target, key, CAST(properties AS BLOB),
    coalesce((SELECT type FROM entity WHERE id = source), ''),
    coalesce((SELECT type FROM entity WHERE id = target), '')
    FROM relationship ORDER BY source, type, target, key"""
_ROWS_AT_ONCE = 1_000


class PinnedSqliteGraph(PinnedFile):
    """A `PinnedGraph` over a graph file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._schemas = Schemas(path)

    def facts(self) -> GraphFacts:
        """Return the counts and the marks of the file."""
        with mapped_errors(self.path):
            meta = dict(self.connection.execute("SELECT name, value FROM meta"))
            return GraphFacts(
                graph_id=meta.get("graph_id", ""),
                position=head_of(self.connection),
                timeline=meta.get("timeline"),
                schema_version=self._schemas.current(self.connection).version,
                entities=self._count("entity"),
                relationships=self._count("relationship"),
            )

    def _count(self, table: str) -> int:
        return int(self.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  (our own text)

    def schema_steps(self) -> Iterator[SchemaStep]:
        """Yield the schema versions, up to the newest complete one."""
        with mapped_errors(self.path):
            newest = self._schemas.current(self.connection).version
        for version, position, created_at, reason, text in self._rows(_VERSIONS, (newest,)):
            try:
                added = json.loads(text)
                types = (added["entity_types"], added["relationship_types"])
            except (ValueError, KeyError, TypeError) as error:
                raise CorruptionError(
                    f"{self.path}: schema version {version} can not be read: restore a backup"
                ) from error
            yield SchemaStep(version, Position(position), created_at, reason, *types)

    def entities(self) -> Iterator[Entity]:
        """Yield all entities."""
        for entity_id, name, text in self._rows(_ENTITIES):
            yield Entity(entity_id, name, readable_properties(text, entity_id))

    def relationships(self) -> Iterator[tuple[Relationship, str, str]]:
        """Yield all relationships with the types of their ends, in stored order."""
        for source, name, target, key, text, *types in self._rows(_RELATIONSHIPS):
            ref = RelationshipRef(name, source, target, key)
            yield Relationship(ref, readable_properties(text, ref.id)), types[0], types[1]

    def _rows(self, statement: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        with mapped_errors(self.path):
            cursor = self.connection.execute(statement, parameters)
            while rows := cursor.fetchmany(_ROWS_AT_ONCE):
                yield from rows
