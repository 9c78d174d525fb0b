"""What readers of graph files have alike: first all nodes, with those that only edges name; then the edges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from slipstream.events.formats.dump import DEFAULT_TYPE
from slipstream.importers.files_reader import FilesReader
from slipstream.importers.graph_names import EdgeKeys, NodeNames
from slipstream.importers.opening import SourceFile
from slipstream.importers.options import ReadOptions
from slipstream.importers.rows import EntityRow, RefusedRow, RelationshipRow, Row, Stage, Tell
from slipstream.importers.told import Told


@dataclass(slots=True)
class FileFacts:
    """What is known of a file when all of it was read once."""

    names: NodeNames

    def mentioned(self) -> Iterator[str]:
        """Return the names of nodes that only edges name."""
        return self.names.missing()


Facts = TypeVar("Facts", bound=FileFacts)
Nodes = Generator[tuple[str, EntityRow | RefusedRow], None, None]
"""Rows of nodes, each with its place in the file."""
Edges = Generator[tuple[str, RelationshipRow | RefusedRow], None, None]


class GraphReader(FilesReader, ABC, Generic[Facts]):
    """Reads graph files, each with names of its own for its nodes; some 60 bytes are held for each node."""

    has_relationships = True

    def __init__(self, files: Sequence[SourceFile], options: ReadOptions) -> None:
        super().__init__(files, options)
        self._told = Told()
        self._facts: list[Facts] | None = None
        """Of each file, once all nodes were read."""

    @property
    def notes(self) -> Sequence[str]:
        """What was not taken as it is there, so far."""
        return self._told.lines

    def rows(self, stage: Stage, tell: Tell) -> Iterator[Row]:
        """Yield nodes, then nodes that only edges name; or edges. Raises `ConfigError` for a file that is damaged."""
        if stage is Stage.ENTITIES:
            self._facts = None
            self._told.clear()
            return self._entities(tell)
        return self._relationships(tell)

    @abstractmethod
    def _new_facts(self) -> Facts:
        """Return what is known of a file before it was read."""

    @abstractmethod
    def _nodes(self, file: SourceFile, facts: Facts, tell: Tell, before_bytes: int) -> Nodes:
        """Yield the nodes of a file, and learn the facts."""

    @abstractmethod
    def _edges(self, file: SourceFile, facts: Facts, keys: EdgeKeys, tell: Tell, before_bytes: int) -> Edges:
        """Yield the edges of a file, of which all facts are known."""

    def _entities(self, tell: Tell) -> Iterator[Row]:
        numbers, before = count(1), 0
        all_facts: list[Facts] = []
        for file in self._files:
            facts = self._new_facts()
            with closing(self._nodes(file, facts, tell, before)) as nodes:
                for place, content in nodes:
                    yield Row(next(numbers), self._where(file, place), content)
            for name in facts.mentioned():
                mentioned = EntityRow(facts.names.id_of(name), self._type, is_mentioned=True)
                yield Row(next(numbers), self._where(file, "edges"), mentioned)
            all_facts.append(facts)
            before += file.size_bytes
        self._facts = all_facts

    def _relationships(self, tell: Tell) -> Iterator[Row]:
        if self._facts is None:  # an import that goes on has not read the nodes
            for _ in self._entities(lambda _: tell(0)):
                pass
        numbers, before = count(1), 0
        keys = EdgeKeys()
        for file, facts in zip(self._files, self._facts or (), strict=True):
            with closing(self._edges(file, facts, keys, tell, before)) as edges:
                for place, content in edges:
                    yield Row(next(numbers), self._where(file, place), content)
            before += file.size_bytes

    @property
    def _type(self) -> str:
        """The type of nodes that say none."""
        return self._options.entity_type or DEFAULT_TYPE

    def _where(self, file: SourceFile, place: str) -> str:
        return f"{file.name}, {place}" if len(self._files) > 1 else place
