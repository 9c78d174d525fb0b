"""Tables, and what their readers make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, RowReader, Stage

TABLES = Path(__file__).parents[2] / "data" / "tables"
Reader = Callable[[Any, ReadOptions], RowReader]


@dataclass
class Found:
    """What was read of tables."""

    entities: dict[str, EntityRow] = field(default_factory=dict)
    mentioned: list[str] = field(default_factory=list)
    relationships: list[RelationshipRow] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def properties(self, entity_id: str) -> dict[str, Any]:
        return dict(self.entities[entity_id].properties)

    def triples(self) -> list[tuple[str, str, str, str]]:
        return [(row.source_id, row.type, row.target_id, row.discriminator) for row in self.relationships]


def found_by(reader: Reader, paths: Sequence[Path], options: ReadOptions) -> Found:
    """Read tables as an import does, stage by stage."""
    made = reader(source_files(paths), options)
    result = Found()
    for stage in Stage:
        last, told = 0, 0
        for row in made.rows(stage, lambda _: None):
            assert last <= row.number <= last + 1 or stage is Stage.RELATIONSHIPS
            last = row.number
            result.rows.append(row)
            _sort_in(result, row, stage)
            told += 1
        assert told == 0 or stage is Stage.ENTITIES or made.has_relationships
    return result


def _sort_in(result: Found, row: Row, stage: Stage) -> None:
    content = row.content
    if isinstance(content, RefusedRow):
        result.refused.append(f"{row.where}: {content.error}")
    elif isinstance(content, RelationshipRow):
        assert stage is Stage.RELATIONSHIPS
        result.relationships.append(content)
    else:
        assert stage is Stage.ENTITIES
        if not content.is_mentioned:
            assert content.id not in result.entities
            result.entities[content.id] = content
        elif content.id not in result.mentioned:
            result.mentioned.append(content.id)
