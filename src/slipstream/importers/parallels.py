"""Relationships of one type between the same ends, told apart by their order in the source."""

from __future__ import annotations


class Parallels:
    """
    Names relationships that have no key of their own: the first of a type between two ends has the empty one.

    Holds some 100 bytes for each relationship, as hashes of 64 bits.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def discriminator(self, source_id: str, relationship_type: str, target_id: str) -> str:
        """Return the key of the next relationship of a type between two ends: nothing, then `2`, `3`, and so on."""
        place = hash((source_id, relationship_type, target_id))
        count = self._counts[place] = self._counts.get(place, 0) + 1
        return "" if count == 1 else str(count)
