"""The queries for a `FileGlimpse` of a graph file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GRAPH_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "head": "SELECT max(position) FROM change",
        "entities": "SELECT count(*) FROM entity",
        "relationships": "SELECT count(*) FROM relationship",
        "schema_version": "SELECT max(version) FROM schema_version",
    }
)
"""Each query gives one number."""
