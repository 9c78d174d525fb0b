"""The files of a PKG as a backup and an export read them: each on one snapshot, while others go on writing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from slipstream.domain.entities import Entity, Relationship
from slipstream.domain.positions import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphFacts:
    """What a snapshot of a graph says of itself."""

    graph_id: str
    position: Position
    timeline: str | None
    schema_version: int
    entities: int
    relationships: int


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """What one schema version adds."""

    version: int
    position: Position
    created_at: str
    reason: str
    entity_types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    relationship_types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Pinned(Protocol):
    """
    One file on the snapshot of the moment when it was pinned, until it is closed. For one thread at a time.

    Nobody waits for it, and it waits for nobody. Raises `UnavailableError` when the file can not be read now, and
    `CorruptionError` when it is damaged; repeating a call is harmless.
    """

    @property
    def size_bytes(self) -> int:
        """How long a copy of it is."""
        ...

    def copy_into(self, path: Path, on_step: Callable[[int], None]) -> None:
        """
        Copy the snapshot into a new file; what is there when the call raises is no copy.

        `on_step` is told how many bytes there are so far, every few megabytes, and may raise to end the copy.
        """
        ...

    def close(self) -> None:
        """Let go of the snapshot; closing twice is harmless."""
        ...


class PinnedGraph(Pinned, Protocol):
    """The graph, on one snapshot; with the errors of `Pinned`."""

    def facts(self) -> GraphFacts:
        """Return what the snapshot says of itself."""
        ...

    def schema_steps(self) -> Iterator[SchemaStep]:
        """Yield the schema versions in order, from the first one that adds something."""
        ...

    def entities(self) -> Iterator[Entity]:
        """Yield every entity, ordered by id; properties that nobody can read raise `PoisonEventError` when asked."""
        ...

    def relationships(self) -> Iterator[tuple[Relationship, str, str]]:
        """
        Yield every relationship with the types of its ends, ordered by source, type, target and key.

        Properties as of `entities`.
        """
        ...


class PinnedIndex(Pinned, Protocol):
    """The file of the journal, and of the index where that shares it; with the errors of `Pinned`."""

    def value(self, name: str) -> str | None:
        """Return a named value of the journal, None when it was never set."""
        ...

    def records(self) -> int:
        """Return how many records the index holds in this file."""
        ...
