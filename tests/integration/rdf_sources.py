"""Reading RDF in tests: rows by id, and graphs compared whatever their blank nodes are called."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions
from slipstream.importers.rdf.reader import reader
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, Stage

DATA = Path(__file__).parent.parent / "data" / "rdf"


class Found(NamedTuple):
    """What a source says."""

    entities: Mapping[str, EntityRow]
    relationships: list[RelationshipRow]
    refused: list[Row]

    def only(self, entity_type: str) -> EntityRow:
        """Return the one entity of a type."""
        [entity] = [entity for entity in self.entities.values() if entity.type == entity_type]
        return entity

    def named(self, name: str) -> EntityRow:
        """Return the one entity of a name."""
        [entity] = [entity for entity in self.entities.values() if entity.properties.get("name") == name]
        return entity


def ignored(done_bytes: int) -> None:
    """Hear of progress, and do nothing."""


def rows_of(*paths: Path, **options: Any) -> list[list[Row]]:
    """Return the rows of both stages."""
    found = reader(source_files(paths), ReadOptions(**options))
    return [list(found.rows(stage, ignored)) for stage in Stage]


def read(*paths: Path, **options: Any) -> Found:
    """Return what some files say, each entity once, the numbers of rows in order."""
    first, second = rows_of(*paths, **options)
    for rows in (first, second):
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    entities = [row.content for row in first if isinstance(row.content, EntityRow)]
    assert len({entity.id for entity in entities}) == len(entities)
    return Found(
        {entity.id: entity for entity in entities},
        [row.content for row in second if isinstance(row.content, RelationshipRow)],
        [row for row in first if isinstance(row.content, RefusedRow)],
    )


def read_text(folder: Path, text: str | bytes, name: str = "some.ttl", **options: Any) -> Found:
    """Return what a file of this text says."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path, **options)


def nameless(found: Found) -> tuple[list[Any], list[Any]]:
    """Return a graph with each blank node called by what is around it, so that equal graphs are equal."""
    calls = {entity.id: "" if entity.id.startswith("_:") else entity.id for entity in found.entities.values()}
    for _ in range(6):
        around: dict[str, list[Any]] = {entity_id: [] for entity_id in calls}
        for row in found.relationships:
            around[row.source_id].append(("out", row.type, calls[row.target_id]))
            around[row.target_id].append(("in", row.type, calls[row.source_id]))
        for entity_id in calls:
            if entity_id.startswith("_:"):
                entity = found.entities[entity_id]
                told = repr((entity.type, sorted(entity.properties.items()), sorted(around[entity_id])))
                calls[entity_id] = "_:" + hashlib.sha256(told.encode()).hexdigest()[:12]
    entities = [
        (calls[row.id], row.type, sorted(row.properties.items()), row.is_mentioned) for row in found.entities.values()
    ]
    others = [
        (calls[row.source_id], row.type, calls[row.target_id], sorted(row.properties.items()))
        for row in found.relationships
    ]
    return sorted(entities, key=repr), sorted(others, key=repr)
