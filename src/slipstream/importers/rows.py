"""What every reader of a format yields, and what it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

from slipstream.domain.errors import InvalidInputError

Tell = Callable[[int], None]
"""Told how many bytes of a source have been read; may raise, to stop."""


class Stage(IntEnum):
    """The two times that a source is read: a relationship needs both of its ends."""

    ENTITIES = 0
    RELATIONSHIPS = 1


class EntityRow(NamedTuple):
    """
    An entity: its type and its properties, all of them; what the graph has besides is removed.

    One that is only `mentioned` (the end of a relationship, say) is created if nobody has it, and else left as it is.
    """

    id: str
    type: str
    properties: Mapping[str, Any] = {}
    is_mentioned: bool = False


class RelationshipRow(NamedTuple):
    """A relationship between two entities of this source or the graph; parallel ones differ in `discriminator`."""

    source_id: str
    type: str
    target_id: str
    properties: Mapping[str, Any] = {}
    discriminator: str = ""


class RefusedRow(NamedTuple):
    """What can not be taken: its text, as far as it can be told, and why."""

    error: InvalidInputError
    text: str = ""


class Row(NamedTuple):
    """
    One row of a source, and where it is.

    `number` counts the rows of one stage from 1, the same ones at every reading of the same source: an interrupted
    import goes on behind one. Rows that need no number of their own may share one, if they follow each other.
    """

    number: int
    where: str
    """For people: `row 5`, `notes/ada.md`."""
    content: EntityRow | RelationshipRow | RefusedRow


class RowReader(Protocol):
    """
    Reads one source, as often as it is asked to, in little memory.

    Raises `ConfigError` when the source as a whole can not be read, or is of another kind: nothing of it was taken
    then. What is wrong with one row is a `RefusedRow`, and the rest goes on.
    """

    @property
    def form(self) -> str:
        """What it reads, for people: `CSV`."""
        ...

    @property
    def name(self) -> str:
        """What people call the source: its path."""
        ...

    @property
    def identity(self) -> str:
        """What differs when the source, or an option of reading it, does: an interrupted import knows it again."""
        ...

    @property
    def size_bytes(self) -> int:
        """How many bytes are read in one stage, for the progress."""
        ...

    @property
    def has_relationships(self) -> bool:
        """Whether it is worth reading a second time."""
        ...

    def rows(self, stage: Stage, tell: Tell) -> Iterator[Row]:
        """Yield the rows of one stage, and tell now and then how far it is; closing the iterator closes the files."""
        ...


@runtime_checkable
class TellingReader(Protocol):
    """A reader that has something to tell of the source as a whole; optional."""

    @property
    def notes(self) -> Sequence[str]:
        """What it did not take as it is there, so far."""
        ...
