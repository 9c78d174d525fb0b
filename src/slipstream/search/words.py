"""The word index as a search asks it: its rows, the views that they are made by, and how far they have come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipstream.domain.positions import Position
from slipstream.ports.words import WordSearch
from slipstream.views.words import WordViews


@dataclass(frozen=True, slots=True)
class SearchedWords:
    """What a search by words needs."""

    index: WordSearch
    views: WordViews
    """What is searched by words of each record: they say which texts of a hit are shown around the matched words."""
    frontier: Callable[[], Position]
    """How far the word rows reflect the graph."""
    wait: Callable[[Position, float], bool]
    """Waits until the rows reflect a position, for so many seconds; False when the time ran out."""
