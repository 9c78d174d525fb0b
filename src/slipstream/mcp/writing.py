"""The tools that write. Each is one commit, told by its position; each can wait until it is searchable."""

from __future__ import annotations

from typing import Any

from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Properties
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.positions import Position
from slipstream.domain.values import decode_value
from slipstream.mcp import arguments
from slipstream.mcp.results import Written


def add_entity(slipstream: Slipstream, asked: arguments.AddEntity) -> Written:
    """Create an entity."""
    position = slipstream.pkg.create_entity(asked.type, asked.id, _properties(asked.properties))
    return _written(slipstream, asked, asked.id, position)


def update_entity(slipstream: Slipstream, asked: arguments.UpdateEntity) -> Written:
    """Merge properties into an entity."""
    position = slipstream.pkg.update_entity(asked.id, _properties(asked.properties))
    return _written(slipstream, asked, asked.id, position)


def delete_entity(slipstream: Slipstream, asked: arguments.DeleteEntity) -> Written:
    """Delete an entity with its relationships."""
    return _written(slipstream, asked, asked.id, slipstream.pkg.delete_entity(asked.id))


def relate(slipstream: Slipstream, asked: arguments.Relate) -> Written:
    """Create a relationship."""
    position = slipstream.pkg.relate(
        asked.source_id,
        asked.type,
        asked.target_id,
        _properties(asked.properties),
        discriminator=asked.discriminator,
    )
    made = RelationshipRef(asked.type, asked.source_id, asked.target_id, asked.discriminator).id
    return _written(slipstream, asked, made, position)


def unrelate(slipstream: Slipstream, asked: arguments.Unrelate) -> Written:
    """Delete a relationship."""
    return _written(slipstream, asked, asked.id, slipstream.pkg.unrelate(asked.id))


def _properties(given: dict[str, Any]) -> Properties:
    return {name: decode_value(value) for name, value in given.items()}


def _written(slipstream: Slipstream, asked: arguments.Writing, identity: str, position: Position) -> Written:
    """Tell of a commit. It has happened: whatever keeps it from being searchable fails no call."""
    written = Written(id=identity, position=position)
    if asked.wait:
        written.searchable = slipstream.sync.reached(position, asked.wait_s)
        if not written.searchable:
            written.degraded.append(
                f"committed at {position}, but not searchable within {asked.wait_s:g} s: do not write it again; "
                "`status` tells what holds it up"
            )
    return written
