"""The sweep: a generation that is being dropped leaves the index, page by page."""

from __future__ import annotations

from collections.abc import Callable

from slipstream.apply.records import remove
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import Deletion
from slipstream.ports.index import VectorIndex
from slipstream.ports.scans import PAGE
from slipstream.recipes.in_force import Recipes


class Sweep:
    """
    Removes the records of the generation beside the live one that is being dropped. A chore of the idle engine.

    Idempotent: after a restart it begins anew. The engine writes nothing into an idle generation, so what a sweep has
    passed stays gone.
    """

    def __init__(
        self, index: VectorIndex, recipes: Recipes, is_dropping: Callable[[], bool], finish: Callable[[], None]
    ) -> None:
        self._index, self._recipes = index, recipes
        self._is_dropping, self._finish = is_dropping, finish
        self._after: RecordKey | None = None
        self.removed = 0
        """Records removed by this process."""

    @property
    def is_due(self) -> bool:
        """Whether a generation is being dropped."""
        return self._is_dropping()

    def step(self) -> bool:
        """Remove one page; False when nothing is being dropped."""
        if not self._is_dropping():
            return False
        page = self._index.scan(self._after, PAGE)
        if not page:
            self._after = None
            self._finish()
            return True
        pair = self._recipes.pair
        gone = [Deletion(stamp.key, stamp.position, stamp.space) for stamp in page if pair.is_hidden(stamp)]
        if gone:
            remove(self._index, gone)
            self.removed += len(gone)
        self._after = page[-1].key
        return True
