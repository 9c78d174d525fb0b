"""What the tests of notes share: the pinned vaults, and reading one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from slipstream.importers.notes.identity import Known
from slipstream.importers.notes.reader import NotesReader
from slipstream.importers.notes.vault import Vault
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, Stage

VAULTS = Path(__file__).parents[3] / "data" / "vaults"


def write_vault(folder: Path, notes: Mapping[str, str | bytes]) -> Path:
    """Write notes by path, and return the folder."""
    for path, text in notes.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def rows_of(folder: Path, *, known: Known | None = None, options: ReadOptions | None = None) -> list[Row]:
    """Return all rows of a vault, both stages."""
    told = options or ReadOptions()
    found = NotesReader(Vault(folder, told.id_prefix), told, known)
    return [row for stage in Stage for row in found.rows(stage, lambda done: None)]


def notes_in(rows: Iterable[Row]) -> dict[str, EntityRow]:
    """Return the entities that are not mentioned only, by id."""
    entities = [row.content for row in rows if isinstance(row.content, EntityRow)]
    return {entity.id: entity for entity in entities if not entity.is_mentioned}


def mentioned_in(rows: Iterable[Row]) -> set[str]:
    """Return the ids of what is mentioned."""
    return {row.content.id for row in rows if isinstance(row.content, EntityRow) and row.content.is_mentioned}


def links_in(rows: Iterable[Row]) -> set[tuple[str, str, str]]:
    """Return source, type and target of the relationships."""
    return {row.content[:3] for row in rows if isinstance(row.content, RelationshipRow)}


def refused_in(rows: Iterable[Row]) -> dict[str, str]:
    """Return why notes were refused, by path."""
    return {row.where: str(row.content.error) for row in rows if isinstance(row.content, RefusedRow)}
