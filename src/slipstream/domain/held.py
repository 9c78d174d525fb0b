"""Pages of stored records as an audit compares them: column by column, with their vectors checked."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from slipstream.domain.digests import Content, KeptTerm, stamp_content
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Stamp


class Placed(Protocol):
    """What decides which generation a record belongs to."""

    @property
    def entity_type(self) -> str:
        """The entity or relationship type."""
        ...

    @property
    def space(self) -> Space:
        """The space that its vector is in."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """An entity or relationship type and a space, and nothing else that is `Placed`."""

    entity_type: str
    space: Space


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Some stored records in key order, all records of each key among them; each column has one item a record."""

    contents: Sequence[Content] = ()
    spaces: Sequence[Space] = ()
    schemas: Sequence[tuple[int, str]] = ()
    """Version and digest of the schema that each record was stamped with."""
    positions: Sequence[Position] = ()

    def __len__(self) -> int:
        return len(self.contents)

    @property
    def last(self) -> str | None:
        """The last key, None where there is none."""
        return self.contents[-1].key if self.contents else None

    def cut(self, through: str | None) -> tuple[HeldPage, HeldPage]:
        """Return the records up to and including the key `through` (None: all), and the rest."""
        if not self.contents or through is None or self.contents[-1].key <= through:
            return self, HeldPage()
        place = bisect_right(self.contents, through, key=lambda content: content.key)
        return self._part(slice(place)), self._part(slice(place, None))

    def _part(self, part: slice) -> HeldPage:
        return HeldPage(self.contents[part], self.spaces[part], self.schemas[part], self.positions[part])

    def rows(self) -> Iterator[tuple[Content, Space, tuple[int, str], Position]]:
        """Yield content, space, schema and position of each record."""
        return zip(self.contents, self.spaces, self.schemas, self.positions, strict=True)

    def without(self, is_hidden: Callable[[Placed], bool]) -> HeldPage:
        """Return the records that are not hidden."""
        shown = [row for row in self.rows() if not is_hidden(Place(row[0].entity_type, row[1]))]
        return HeldPage(*zip(*shown, strict=True)) if shown else HeldPage()

    def terms(self) -> list[KeptTerm]:
        """Return what each record adds to a digest."""
        return [
            KeptTerm(content.key, content.entity_type, content.term, version, position)
            for content, (version, _), position in zip(self.contents, self.schemas, self.positions, strict=True)
        ]


def held_page(stamps: Sequence[Stamp], damaged: Sequence[bool]) -> HeldPage:
    """Return the page of these stamps; `damaged` says of each whether its vector is."""
    return HeldPage(
        [stamp_content(stamp, damaged=bad) for stamp, bad in zip(stamps, damaged, strict=True)],
        [stamp.space for stamp in stamps],
        [(stamp.schema_version, stamp.schema_hash) for stamp in stamps],
        [stamp.position for stamp in stamps],
    )
