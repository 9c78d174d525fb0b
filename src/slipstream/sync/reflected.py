"""What the index reflects further than the log has been read."""

from __future__ import annotations

from collections.abc import Iterable

from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position

KEYS_MAX = 65_536
"""So many are remembered, 13 MB with short ids, for as long as the engine catches up."""


class Reflected:
    """
    The positions as of which keys were read, and the index made equal to them.

    A text holds all that was committed before it was read. So while the engine catches up, a log entry of a key that
    was read behind that entry asks for nothing: a graph that was loaded at once has each entity read once, not again
    for each of its relationships. It is a memory only, and what has left it is reconciled once more.
    """

    def __init__(self) -> None:
        self._positions: dict[RecordKey, Position] = {}
        self._newest = ORIGIN

    def __len__(self) -> int:
        return len(self._positions)

    def note(self, key: RecordKey, position: Position) -> None:
        """Remember that the index reflects a key as of a position, durably."""
        # The oldest stay, not the newest: the log's next entries are about what it has told of first.
        if key in self._positions or len(self._positions) < KEYS_MAX:
            self._positions[key] = position
            self._newest = max(self._newest, position)

    def forget(self, keys: Iterable[RecordKey]) -> None:
        """Forget keys that somebody else has written."""
        for key in keys:
            self._positions.pop(key, None)

    def covers(self, key: RecordKey, position: Position) -> bool:
        """Whether the index reflects what was committed of a key at a position; positions are asked for in order."""
        if position > self._newest:
            self._positions.clear()  # the log has been read as far: none of them can be asked for any more
            return False
        return self._positions.get(key, ORIGIN) >= position
