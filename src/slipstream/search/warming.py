"""Loading what the first search needs, while the model embeds its query."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from slipstream.domain.errors import SlipstreamError
from slipstream.domain.models import Space
from slipstream.ports.index import VectorIndex, WarmingIndex, warming_of


class Warming:
    """Has an index load each space once, on a thread of its own. Safe for threads."""

    def __init__(self, index: VectorIndex) -> None:
        self._index = warming_of(index)
        self._begun: set[Space] = set()

    def begin(self, spaces: Iterable[Space]) -> None:
        """Begin to load the spaces that are new; a search of a space that is not ready waits by itself."""
        new = [space for space in dict.fromkeys(spaces) if space not in self._begun]
        if new and self._index is not None:
            self._begun.update(new)
            threading.Thread(target=self._warm, args=(self._index, new), name="slipstream-warm", daemon=True).start()

    @staticmethod
    def _warm(index: WarmingIndex, spaces: Sequence[Space]) -> None:
        for space in spaces:
            try:
                index.warm(space)
            except SlipstreamError:  # the search meets it too, and says so
                return
