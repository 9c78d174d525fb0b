"""
What a first look at a PKG's files tells, at next to no cost: for a shell that completes a word, and for a greeting.

Reads the graph's tables, a public contract (docs/graph.md), and imports nothing that a command would need for more.
Whatever can not be read now is left out: a look never fails, and never writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slipstream.domain.errors import SlipstreamError

DATA, CONFIG = ".slipstream", "slipstream.toml"
GRAPH, JOURNAL = "graph.db", "index.db"
IDS_MAX = 50
_LAST = "\U0010ffff"

# A step from each type to the next one by the index: as quick in a graph of millions.
_ENTITY_TYPES = """WITH RECURSIVE found(type) AS (
    SELECT min(type) FROM entity
    UNION ALL SELECT (SELECT min(type) FROM entity WHERE type > found.type) FROM found WHERE found.type IS NOT NULL)
    SELECT json_group_array(type) FROM found WHERE type IS NOT NULL"""
_RELATIONSHIP_TYPES = """SELECT json_group_array(DISTINCT added.key) FROM schema_version,
    json_each(schema_version.added, '$.relationship_types') AS added"""
_IDS = """SELECT json_group_array(id) FROM (
    SELECT id FROM entity WHERE id >= :low AND id < :high ORDER BY id LIMIT :count)"""
_COUNTS = """SELECT json_object('entities', (SELECT count(*) FROM entity),
    'relationships', (SELECT count(*) FROM relationship), 'head', (SELECT coalesce(max(position), 0) FROM change))"""
_PROGRESS = """SELECT json_object('dead_letters', (SELECT count(*) FROM letters), 'frontier',
    (SELECT CAST(value AS INTEGER) FROM named_values WHERE name = 'frontier'))"""


def is_pkg(directory: Path) -> bool:
    """Return whether there is a PKG in a directory, in whatever state."""
    return (directory / CONFIG).is_file()


def entity_types(directory: Path) -> list[str]:
    """Return the types of the entities that there are."""
    return _listed(directory, _ENTITY_TYPES)


def relationship_types(directory: Path) -> list[str]:
    """Return the types of relationships that the schema knows."""
    return sorted(_listed(directory, _RELATIONSHIP_TYPES))


def ids_beginning(directory: Path, text: str, count: int = IDS_MAX) -> list[str]:
    """Return the first ids of entities that begin with a text."""
    return _listed(directory, _IDS, low=text, high=text + _LAST, count=count)


def counts(directory: Path) -> dict[str, int]:
    """Return `entities`, `relationships`, `head`, `dead_letters` and `frontier`, as far as they can be read."""
    found = {**(_look(directory, GRAPH, _COUNTS) or {}), **(_look(directory, JOURNAL, _PROGRESS) or {})}
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _listed(directory: Path, query: str, **parameters: Any) -> list[str]:
    found = _look(directory, GRAPH, query, **parameters)
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _look(directory: Path, file: str, query: str, **parameters: Any) -> Any:
    """Return what a query tells as JSON; None when the file can not tell it now."""
    from slipstream.adapters.sqlite.glimpse import FileGlimpse  # here: where there is no PKG, not even this is loaded

    try:
        with FileGlimpse(directory / DATA / file) as glimpse:
            text = glimpse.value(query, **parameters)
        return None if text is None else json.loads(text)
    except (SlipstreamError, OSError, ValueError):
        return None
