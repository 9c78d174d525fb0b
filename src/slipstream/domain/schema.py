"""Schema versions: which types and properties a graph has had, since when."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

PropertyTypes: TypeAlias = Mapping[str, str]
"""Property name to type name: string, integer, float, boolean, datetime, list, map."""


@dataclass(frozen=True, slots=True)
class GraphSchema:
    """One version of a graph's schema. Versions start at 1, the empty schema, and only grow."""

    version: int = 1
    entity_types: Mapping[str, PropertyTypes] = field(default_factory=dict)
    relationship_types: Mapping[str, PropertyTypes] = field(default_factory=dict)
    created_at: datetime | None = None
    reason: str = ""
    type_versions: Mapping[str, int] = field(default_factory=dict)
    """Type name to the version in which that type last changed."""

    @property
    def hash(self) -> str:
        """Digest of the types and properties, independent of version number and time."""
        content = {
            "entities": {name: dict(sorted(props.items())) for name, props in sorted(self.entity_types.items())},
            "relationships": {
                name: dict(sorted(props.items())) for name, props in sorted(self.relationship_types.items())
            },
        }
        return hashlib.blake2b(json.dumps(content).encode(), digest_size=8).hexdigest()
