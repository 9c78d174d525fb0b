"""What a scan reads from: all ids of all spaces in order, read once and kept up to date by the only writer."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from slipstream.domain.models import Space

Entry = tuple[str, Space]
"""A record: its encoded key and its space."""


class Listing:
    """A sorted list of records: Chroma has no order, so without this each page would sort everything."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = sorted(entries)

    def add(self, entry: Entry) -> None:
        """Add a record, unless it is there already."""
        at = bisect_left(self._entries, entry)
        if at == len(self._entries) or self._entries[at] != entry:
            insort(self._entries, entry)

    def discard(self, entry: Entry) -> None:
        """Remove a record, if it is there."""
        at = bisect_left(self._entries, entry)
        if at < len(self._entries) and self._entries[at] == entry:
            del self._entries[at]

    def page(self, after: str | None, limit: int) -> list[Entry]:
        """Return about `limit` records behind a key, the last key whole."""
        # No text lies between a text and itself followed by the smallest character.
        first = 0 if after is None else bisect_left(self._entries, (after + "\0",))
        last = min(first + limit, len(self._entries))
        while first < last < len(self._entries) and self._entries[last][0] == self._entries[last - 1][0]:
            last += 1
        return self._entries[first:last]
