"""What migrations are made of, and what all of their steps ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from slipstream.audit.auditor import Auditor
from slipstream.audit.pacing import FULL_SPEED, Pace
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.work import Lane
from slipstream.engine.runner import Sync
from slipstream.migration.plan import Planning
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.generations import Generations, load_generations
from slipstream.recipes.in_force import RecipePair
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.views.declaration import View

GRACE_S = 24 * 3600.0
"""How long a retired generation is kept, up to date, before it is dropped by itself."""

Veto = Callable[[], Sequence[str]]
"""Returns the reasons against a cut-over, none when the quality of the next generation is good enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationParts:
    """What migrations are made of; a composition root puts it together."""

    sync: Sync
    graph: GraphReader
    journal: Journal
    clock: Clock
    declared: RecipeDeclaration
    """What the configuration declares: the candidate, when it is not in force."""
    ready: Callable[[RecipeDeclaration], ViewRecipe]
    """Makes a recipe of a declaration."""
    declare: Callable[[Sequence[View], Mapping[str, str]], RecipeDeclaration]
    """Returns a declaration of views and routes, with the identity of their models."""
    auditor_of: Callable[[ViewRecipe], Auditor]
    """Returns an auditor of the generation of a recipe, beside the live one."""
    put_in_force: Callable[[RecipeDeclaration], None]
    """Records, inside the transaction of a cut-over, which recipe the index follows now."""
    on_live: Callable[[RecipeDeclaration], None]
    """Told, after a cut-over, which recipe is live now."""
    probe: Callable[[str], object]
    """Embeds something with a model; raises when that is not possible."""
    planning: Planning
    gate: Veto
    """What is asked before a cut-over unless the caller brings a veto or asks for none."""
    pace: Callable[[], Pace] = lambda: FULL_SPEED
    """Returns how fast an audit may go."""
    grace_s: float = GRACE_S

    @property
    def generations(self) -> Generations:
        """What is in force, and what stands beside it, as the journal has it."""
        found = load_generations(self.journal)
        if found is None:
            raise ConfigError("there are no generations yet: open the PKG with `open_pkg`, which makes the first one")
        return found

    @property
    def pair(self) -> RecipePair:
        """The recipes in force."""
        return self.sync.engine.recipes.pair

    @property
    def beside(self) -> ViewRecipe:
        """The recipe of the generation beside the live one; raises `ConfigError` when there is none."""
        beside = self.pair.beside
        if beside is None:
            raise ConfigError("there is no generation beside the live one: `slipstream migrate start` builds one")
        return beside

    @property
    def waiting(self) -> int:
        """How many keys wait in the migration lane."""
        return max(self.journal.work_count(Lane.MIGRATION), self.sync.engine.pending()[Lane.MIGRATION])

    def check_alive(self) -> None:
        """Raise `UnavailableError` when the engine has stopped or does not run."""
        if self.sync.failure is not None:
            raise UnavailableError(f"the engine has stopped ({self.sync.failure}): mend that, and open the PKG anew")
        if not self.sync.running:
            raise UnavailableError("the engine is not running: start it, or nothing is built")
