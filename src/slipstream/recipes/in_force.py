"""The recipes in force: the live one, and during a migration the one beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from slipstream.domain.digests import Content
from slipstream.domain.entities import Hop, RecordState
from slipstream.domain.events import PKGEvent
from slipstream.domain.held import Placed
from slipstream.domain.models import ModelSpec, Space, SpaceScope
from slipstream.domain.requests import Target
from slipstream.ports.recipe import LiveRecipe, Recipe
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.views.declaration import Affected


@dataclass(frozen=True)
class RecipePair:
    """
    What the index is to hold: by the live recipe, which answers searches, and by the other one beside it.

    `idle` is a generation whose records are in the index and are left alone: one that is paused or being dropped.
    There is an `other` or an `idle` one, never both.
    """

    live: ViewRecipe
    other: ViewRecipe | None = None
    idle: ViewRecipe | None = None

    @cached_property
    def followed(self) -> tuple[ViewRecipe, ...]:
        """The recipes that records are kept in line with."""
        return (self.live,) if self.other is None else (self.live, self.other)

    @cached_property
    def beside(self) -> ViewRecipe | None:
        """The recipe whose records are in the index too, and never answer a search."""
        return self.other or self.idle

    @cached_property
    def hops(self) -> Mapping[str, Sequence[Hop]]:
        """Which neighbours a read must bring along, by entity type."""
        return self.live.hops() if self.other is None else joined_hops(self.followed)

    def is_hidden(self, stamp: Placed) -> bool:
        """Whether a stored record belongs to the generation beside the live one."""
        return self.beside is not None and _belongs(stamp, self.beside, self.live)

    def is_live(self, stamp: Placed) -> bool:
        """Whether a stored record belongs to the live generation and not to the one beside it; False without one."""
        return self.beside is not None and _belongs(stamp, self.live, self.beside)

    def scopes(self, types: Sequence[str]) -> list[SpaceScope]:
        """Return the spaces that hold the live records of these types, each once."""
        homes: dict[Space, list[str]] = {}
        for name in dict.fromkeys(types):
            homes.setdefault(self.live.space_of(name), []).append(name)
        beside = self.beside
        if beside is None:
            return [SpaceScope(space, None, tuple(names)) for space, names in homes.items()]
        shared = {beside.space_of(name) for name in types if beside.space_of(name) != self.live.space_of(name)}
        return [
            SpaceScope(space, frozenset(names) if space in shared else None, tuple(names))
            for space, names in homes.items()
        ]


def joined_hops(recipes: Iterable[Recipe]) -> dict[str, Sequence[Hop]]:
    """Return the neighbours that several recipes want a read to bring along, by entity type."""
    joined: dict[str, dict[Hop, None]] = {}
    for recipe in recipes:
        for name, hops in recipe.hops().items():
            joined.setdefault(name, {}).update(dict.fromkeys(hops))
    return {name: tuple(hops) for name, hops in joined.items()}


def _belongs(stamp: Placed, recipe: ViewRecipe, rather_than: ViewRecipe) -> bool:
    return stamp.space == recipe.space_of(stamp.entity_type) != rather_than.space_of(stamp.entity_type)


class Recipes:
    """
    The pair in force. As a `Recipe` it is the live one; the engine swaps the pair between two writes.

    Whoever needs more than one answer from it reads `pair` once: it never changes, it is only replaced.
    """

    def __init__(self, live: ViewRecipe, other: ViewRecipe | None = None, idle: ViewRecipe | None = None) -> None:
        self._pair = RecipePair(live, other, idle)

    @property
    def pair(self) -> RecipePair:
        """What is in force now."""
        return self._pair

    def hides(self) -> Callable[[Placed], bool] | None:
        """Return a test for records of the generation beside the live one; None while there is no such generation."""
        return self._pair.is_hidden if self._pair.beside is not None else None

    def swap(self, pair: RecipePair) -> None:
        """Put another pair in force; only the engine may, which knows that no write is under way."""
        self._pair = pair

    def hops(self) -> Mapping[str, Sequence[Hop]]:
        """Return which neighbours a read must bring along, by entity type."""
        return self._pair.live.hops()

    def covers_relationships(self, type_name: str) -> bool:
        """Return whether relationships of a type have records in the live generation."""
        return self._pair.live.covers_relationships(type_name)

    def covers_anywhere(self, relationship_type: str) -> bool:
        """Return whether relationships of a type have records in either generation."""
        return any(recipe.covers_relationships(relationship_type) for recipe in self._pair.followed)

    def target(self, state: RecordState) -> Target | None:
        """Return what the live generation should hold of a record."""
        return self._pair.live.target(state)

    def content(self, state: RecordState) -> Content | None:
        """Return what the live generation should hold of a record, as audits compare it."""
        return self._pair.live.content(state)

    # ------------------------------------------------------------------ what a change dirties

    def affected(self, event: PKGEvent) -> Affected:
        """Return what an event dirties in either generation."""
        pair = self._pair
        if pair.other is None:
            return pair.live.views.affected(event)
        found = [recipe.views.affected(event) for recipe in pair.followed]
        fanouts = dict.fromkeys(fanout for affected in found for fanout in affected.fanouts)
        return Affected(frozenset().union(*(affected.keys for affected in found)), tuple(fanouts))

    def types_reached_by(self, types: frozenset[str] | None) -> frozenset[str] | None:
        """Return the types whose text may hold something of the given types, in either generation."""
        found: frozenset[str] = frozenset()
        for recipe in self._pair.followed:
            reached = recipe.views.types_reached_by(types)
            if reached is None:
                return None
            found |= reached
        return found

    def types_showing(
        self, type_name: str, properties: Mapping[str, str] | None, *, is_relationship: bool = False
    ) -> frozenset[str]:
        """Return the types of the records that can show some properties of a type, in either generation."""
        shown = (
            recipe.views.types_showing(type_name, properties, is_relationship=is_relationship)
            for recipe in self._pair.followed
        )
        return frozenset().union(*shown)


class LivePlaces:
    """Where the live records of a graph are; `types` returns those that a recipe may have records of now."""

    def __init__(self, recipes: Recipes, types: Callable[[ViewRecipe], Iterable[str]]) -> None:
        self._recipes, self._types = recipes, types

    def live(self, entity_type: str | None = None) -> LiveRecipe:
        """Return the live recipe and the spaces that hold its records of a type (None: of any), of one moment."""
        pair = self._recipes.pair
        types = list(self._types(pair.live)) if entity_type is None else [entity_type]
        return LiveRecipe(pair.live, tuple(pair.scopes(types)))

    def scopes(self, spec: ModelSpec, entity_type: str | None) -> list[SpaceScope]:
        """Return the spaces of a model that hold live records of a type (None: of any)."""
        return [
            scope
            for scope in self.live(entity_type).scopes
            if (scope.space.model_id, scope.space.model_version) == (spec.id, spec.version)
        ]

    def space_for(self, entity_type: str, spec: ModelSpec) -> Space:
        """Return the space of a type's vectors by a model: that of its live records where they are by that model."""
        live = self._recipes.pair.live.space_of(entity_type)
        return Space.of(spec, live.generation)
