"""How far a foreign feed has come with each of its rows, so that an older change never undoes a newer one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from slipstream.domain.feed_changes import Place


class RowName(NamedTuple):
    """What a feed calls a row; in the empty space each name is that of a space."""

    space: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """The last change of a row that was applied."""

    key: str = ""
    """The encoded key of the row's record; of a space: the space whose partition it was found to be, if any."""
    order: str | None = None
    """The `order` of that change; changes with a lower one are outdated."""
    event_id: str = ""
    is_deleted: bool = False
    place: Place | None = None
    """Where the last message about the row lay."""
    unsent: frozenset[str] = frozenset()
    """Properties that were not sent, and are still to be copied from the record of the row's old name."""
