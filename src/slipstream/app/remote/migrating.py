"""Migrations for a guest: the declared recipe is the one that this process reads in the configuration, now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from slipstream.app.remote.calling import Caller
from slipstream.domain.errors import UnavailableError
from slipstream.migration.migrations import MigrationStatus
from slipstream.migration.plan import MigrationPlan
from slipstream.ports.journal import Journal
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.generations import Generations, load_generations
from slipstream.views.declaration import View

MIGRATIONS_HERE = ("generations", "is_declared", "candidate", "plan", "start")


class GuestMigrations:
    """
    The calls of `Migrations` that a guest answers itself, or asks with the candidate that it has read.

    The owner may have started before `slipstream.toml` was edited for a migration: its own candidate would be old.
    """

    def __init__(self, caller: Caller, journal: Journal, declared: RecipeDeclaration) -> None:
        self._caller, self._journal, self._declared = caller, journal, declared

    @property
    def generations(self) -> Generations:
        """The generations that the journal says are in force; raises `UnavailableError` when there are none."""
        found = load_generations(self._journal)
        if found is None:
            raise UnavailableError("no generation is in force yet: try again")
        return found

    @property
    def is_declared(self) -> bool:
        """Whether the configuration declares what is live now."""
        return self.generations.live.asks_same_as(self._declared)

    def candidate(
        self, views: Sequence[View] | None = None, routes: Mapping[str, str] | None = None, default: str | None = None
    ) -> RecipeDeclaration:
        """Return the live recipe with the given views and routes replaced; without any, the recipe declared here."""
        if views is None and routes is None and default is None:
            return self._declared
        found = self._caller.call("migrations.candidate", views, routes, default)
        return cast("RecipeDeclaration", found)

    def plan(self, candidate: RecipeDeclaration | None = None) -> MigrationPlan:
        """Ask what a migration would do and cost."""
        return cast("MigrationPlan", self._caller.call("migrations.plan", candidate or self._declared))

    def start(self, candidate: RecipeDeclaration | None = None) -> MigrationStatus:
        """Ask to begin with the next generation."""
        return cast("MigrationStatus", self._caller.call("migrations.start", candidate or self._declared))
