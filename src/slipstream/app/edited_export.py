"""A graph as it would be without some of its aliases, to export: what is asked by an alias that must not be there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from slipstream.domain.entities import Entity, Properties, PropertyValue, Relationship
from slipstream.ports.backup import GraphFacts, PinnedGraph, SchemaStep


class WithoutAliases:
    """A `PinnedGraph` whose entities lack some texts, wherever these are a property or an item of one."""

    def __init__(self, graph: PinnedGraph, taken_out: Mapping[str, Sequence[str]]) -> None:
        self._graph, self._taken_out = graph, taken_out

    @property
    def size_bytes(self) -> int:
        """How long a copy of the file is."""
        return self._graph.size_bytes

    def copy_into(self, path: Path, on_step: Callable[[int], None]) -> None:
        """Copy the file as it is: with all aliases."""
        self._graph.copy_into(path, on_step)

    def facts(self) -> GraphFacts:
        """Return what the snapshot says of itself."""
        return self._graph.facts()

    def schema_steps(self) -> Iterator[SchemaStep]:
        """Yield the schema versions in order."""
        return self._graph.schema_steps()

    def entities(self) -> Iterator[Entity]:
        """Yield every entity, ordered by id."""
        for entity in self._graph.entities():
            gone = self._taken_out.get(entity.id)
            yield entity if gone is None else Entity(entity.id, entity.type, without(entity.properties, gone))

    def relationships(self) -> Iterator[tuple[Relationship, str, str]]:
        """Yield every relationship with the types of its ends."""
        return self._graph.relationships()

    def close(self) -> None:
        """Release the snapshot."""
        self._graph.close()


def without(properties: Properties, texts: Sequence[str]) -> Properties:
    """Return properties without these texts; what has no other value is gone, but for the id."""
    kept: dict[str, PropertyValue] = {}
    for name, value in properties.items():
        if name != "id" and isinstance(value, list) and any(each in texts for each in value):
            if rest := [each for each in value if each not in texts]:
                kept[name] = rest
        elif name == "id" or not isinstance(value, str) or value not in texts:
            kept[name] = value
    return kept
