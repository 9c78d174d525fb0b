"""Recipes as they are declared: views, routes and models, and the generation that each type is in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from slipstream.domain.models import Space
from slipstream.embedding.router import DEFAULT_ROUTE
from slipstream.views.declaration import View


class ModelIdentity(NamedTuple):
    """What has to be the same for two vectors of one model id to be comparable."""

    version: str
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeDeclaration:
    """
    Which text and which model stand for every type, and in which generation of the index.

    `routes` always has the route `default`. A model whose identity could not be learnt (its server was down) is
    absent from `models`. Types that `generations` does not name are in `generation`.
    """

    views: tuple[View, ...] = ()
    routes: Mapping[str, str]
    models: Mapping[str, ModelIdentity] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)
    generation: int = 1

    def view_of(self, type_name: str) -> View:
        """Return the view of a type; the default one where none is declared."""
        return next((view for view in self.views if view.type == type_name), View(type_name))

    def model_of(self, type_name: str, override: str | None = None) -> str:
        """Return the id of the model of a type; `override` is what its view says."""
        return override or self.routes.get(type_name) or self.routes[DEFAULT_ROUTE]

    def generation_of(self, type_name: str) -> int:
        """Return the generation of a type."""
        return self.generations.get(type_name, self.generation)

    def identity_of(self, type_name: str) -> tuple[str, ModelIdentity | None]:
        """Return the id of the model that embeds a type, and its identity (None: unknown)."""
        model_id = self.model_of(type_name, self.view_of(type_name).model)
        return model_id, self.models.get(model_id)

    def space_of(self, type_name: str) -> Space | None:
        """Return where the vectors of a type are; None while its model's identity is unknown."""
        model_id, identity = self.identity_of(type_name)
        if identity is None:
            return None
        return Space(model_id, identity.version, identity.dimension, self.generation_of(type_name))

    def named_types(self) -> set[str]:
        """Return every type that a view or a route names."""
        return {view.type for view in self.views} | (self.routes.keys() - {DEFAULT_ROUTE})

    def asks_same_as(self, other: RecipeDeclaration) -> bool:
        """Whether two declarations ask for the same texts and models, whatever the generation."""
        return not differing_types(self, other, {"", *self.named_types(), *other.named_types()})

    def renumbered(self, live: RecipeDeclaration, types: Iterable[str], number: int) -> RecipeDeclaration:
        """
        Return this declaration as the next generation of `live`: what differs for the types is in `number`.

        Types that do not differ keep their generation, so that none of their records is embedded.
        """
        known = self.named_types() | live.named_types() | set(types)
        changed = differing_types(live, self, known)
        default_changed = "" in differing_types(live, self, {""})
        generations = {name: number if name in changed else live.generation_of(name) for name in sorted(known)}
        return replace(self, generations=generations, generation=number if default_changed else live.generation)

    def numbered_as(self, live: RecipeDeclaration) -> RecipeDeclaration:
        """Return this declaration in the generations of another one: what changes, changes in place."""
        return replace(self, generations=live.generations, generation=live.generation)

    def edited_beside(self, live: RecipeDeclaration, declared: RecipeDeclaration) -> RecipeDeclaration:
        """
        Return this declaration, which stands beside `live`, after the live one was edited in place to `declared`.

        Types whose records both share are edited here too: one record can not have two texts. Others stay.
        """
        names = self.named_types() | live.named_types() | declared.named_types()
        shared = {name for name in names if self._home_of(name) == live._home_of(name)}
        kept = [view for view in self.views if view.type not in shared]
        edited = [view for view in declared.views if view.type in shared]
        models = {name: declared.model_of(name) for name in shared}
        moved = {name: model for name, model in models.items() if model != self.model_of(name)}
        return replace(
            self,
            views=(*kept, *edited),
            routes={**self.routes, **moved},
            models={**declared.models, **self.models},
        )

    def _home_of(self, type_name: str) -> tuple[str, int]:
        return self.identity_of(type_name)[0], self.generation_of(type_name)


def differing_types(old: RecipeDeclaration, new: RecipeDeclaration, types: Iterable[str]) -> set[str]:
    """Return those types whose view or model identity differs; "" stands for a type that nothing names."""
    return {
        name
        for name in types
        if old.view_of(name) != new.view_of(name) or old.identity_of(name) != new.identity_of(name)
    }


def moved_types(old: RecipeDeclaration, new: RecipeDeclaration, types: Iterable[str]) -> dict[str, str]:
    """Return the types whose vectors would not be comparable any more, with what their model was and would be."""
    moved: dict[str, str] = {}
    for name in sorted(types):
        (old_id, was), (new_id, now) = old.identity_of(name), new.identity_of(name)
        if old_id != new_id or (was is not None and now is not None and was != now):
            moved[name] = f"{_shown(old_id, was)} -> {_shown(new_id, now)}"
    return moved


def _shown(model_id: str, identity: ModelIdentity | None) -> str:
    if identity is None:
        return f"{model_id} (unreachable)"
    return f"{model_id} version {identity.version[:12]}, {identity.dimension}-d"
