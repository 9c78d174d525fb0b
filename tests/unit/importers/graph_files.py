"""Graph files, and what their readers make of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipstream.importers.opening import source_files
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, RowReader, Stage

GRAPHS = Path(__file__).parents[2] / "data" / "graphs"
Reader = Callable[[Any, ReadOptions], RowReader]


@dataclass
class Found:
    """What was read of a file."""

    entities: dict[str, EntityRow] = field(default_factory=dict)
    relationships: list[RelationshipRow] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    notes: Sequence[str] = ()
    rows: list[Row] = field(default_factory=list)

    @property
    def mentioned(self) -> list[str]:
        return [row.id for row in self.entities.values() if row.is_mentioned]

    @property
    def told(self) -> str:
        return "\n".join(self.notes)

    def properties(self, entity_id: str) -> dict[str, Any]:
        return dict(self.entities[entity_id].properties)

    def triples(self) -> list[tuple[str, str, str, str]]:
        return [(row.source_id, row.type, row.target_id, row.discriminator) for row in self.relationships]


def found(reader: Reader, *paths: Path, **options: Any) -> Found:
    """Read files as an import does, stage by stage."""
    made: Any = reader(source_files(paths), ReadOptions(**options))
    result = Found()
    for stage in Stage:
        rows = list(made.rows(stage, lambda _: None))
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        result.rows += rows
        for row in rows:
            content = row.content
            if isinstance(content, RefusedRow):
                result.refused.append(f"{row.where}: {content.error}")
            elif isinstance(content, EntityRow):
                assert stage is Stage.ENTITIES
                assert content.id not in result.entities
                result.entities[content.id] = content
            else:
                assert stage is Stage.RELATIONSHIPS
                result.relationships.append(content)
    result.notes = list(made.notes)
    return result
