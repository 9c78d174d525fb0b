"""How far a foreign feed has come with each of its rows: what puts nothing old back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from slipstream.domain.feed_changes import Place


class RowName(NamedTuple):
    """What a feed calls a row; in the empty space are the names of the spaces themselves."""

    space: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The last change of a row that was applied."""

    key: str = ""
    """The encoded key of the record that the row is; of a space: as a part of which other one it was found out."""
    order: str | None = None
    """What its change came with; an older one is outdated."""
    event_id: str = ""
    is_deleted: bool = False
    place: Place | None = None
    """Where the last message about it lay."""
    unsent: frozenset[str] = frozenset()
    """Properties whose values were to come from the row's old name."""
