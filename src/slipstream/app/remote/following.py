"""The recipes in force, followed by a process that does not run the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable

from slipstream.ports.journal import Journal
from slipstream.recipes.generations import GENERATIONS, Generations, load_generations
from slipstream.recipes.in_force import RecipePair, Recipes


class FollowedRecipes:
    """
    Puts in force here what the owner of the engine has put in force: a cut-over, a roll-back, edited views.

    Refreshed before each search, which reads one small value unless it has changed. `ready` makes recipes of
    generations. A search that began before a cut-over is answered by the old generation, whose records stay a while.
    """

    def __init__(self, journal: Journal, recipes: Recipes, ready: Callable[[Generations], RecipePair]) -> None:
        self._journal, self.recipes, self._ready = journal, recipes, ready
        self._lock = threading.Lock()
        self._seen = journal.get(GENERATIONS)

    def refresh(self) -> bool:
        """Load the owner's recipes if they have changed; returns whether they had."""
        text = self._journal.get(GENERATIONS)
        if text == self._seen:
            return False
        with self._lock:
            generations = load_generations(self._journal)
            if generations is not None:
                self.recipes.swap(self._ready(generations))
            self._seen = text  # if a newer one was loaded, the next look only loads it again
        return True
