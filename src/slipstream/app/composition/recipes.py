"""Which recipes are in force when a PKG is opened: what the journal keeps is compared with what is declared."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from slipstream.app.composition.models import registered_models
from slipstream.app.composition.options import OnOtherRecipe, Options
from slipstream.app.config import Config, read_config
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import ConfigError, TransientError
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.router import DEFAULT_ROUTE, ModelRouter
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.embedding.temporal import FusionWeights
from slipstream.ports.embedder import EmbeddingCache
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal
from slipstream.recipes.declaration import ModelIdentity, RecipeDeclaration, moved_types
from slipstream.recipes.generations import Generations, Phase, load_generations, save_generations
from slipstream.recipes.in_force import Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.views.config import parse_views
from slipstream.views.declaration import View
from slipstream.views.viewset import ViewSet

logger = logging.getLogger(__name__)

_EDITED = (
    "other views are declared than those in force; the next command that may write puts them in force (what they "
    "would do: `slipstream views check`)"
)


@dataclass(frozen=True, slots=True)
class Opened:
    """What is in force, and what the configuration declares."""

    generations: Generations
    declared: RecipeDeclaration
    refusal: str | None = None
    """Why the declared recipe was not put in force, where opening goes on without it; else None."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The models and recipes that a PKG is opened with."""

    registry: ModelRegistry
    service: MultiModelEmbeddingService
    recipes: Recipes
    opened: Opened


def open_recipes(
    config: Config,
    options: Options,
    journal: Journal,
    graph: GraphReader,
    cache: EmbeddingCache | None,
    stack: ExitStack,
) -> InForce:
    """Register the models and put recipes in force; raises `ConfigError` when models would be mixed."""
    registry, router = registered_models(config, options, journal)
    stack.callback(registry.close)
    views = views_of(config, options)
    opened = open_generations(
        journal, graph, lambda known: declare(views, router, registry, known), options.on_other_recipe
    )
    fusion = FusionWeights(**config.models.fusion.model_dump())
    live = opened.generations.live
    _check_identities(live, opened.declared, registry, graph)
    service = MultiModelEmbeddingService(registry, router_of(live, registry), cache, fusion, options.tracer)
    return InForce(registry, service, recipes_of(opened.generations, service), opened)


def views_of(config: Config, options: Options) -> list[View]:
    """Return the declared views; raises for wrong ones even when they would not be put in force yet."""
    views = [*parse_views(config.views, config.relationship_views), *options.views]
    ViewSet(views)
    return views


def not_put_in_force(
    kept: Generations, declared: RecipeDeclaration, graph: GraphReader, on_other: OnOtherRecipe
) -> str | None:
    """
    Return why a guest works by another recipe than it declares; None if it does not.

    Raises `ConfigError` where opening without another process would.
    """
    if on_other is OnOtherRecipe.KEEP or _stays(kept, declared):
        return None
    refusal = _refusal(kept, declared, _types_with_records(graph, kept.live, declared))
    if refusal is not None and on_other is OnOtherRecipe.REFUSE:
        raise ConfigError(refusal)
    return refusal or (
        "the process that runs the engine was started with other views: end it, and start it anew to put these in "
        "force, or build them beside the live ones (`slipstream migrate start`)"
    )


def load_candidate(slipstream: Slipstream, path: Path) -> RecipeDeclaration:
    """Return the recipe that another configuration file declares, with models that the open PKG knows."""
    config = read_config(path)
    routes = {**config.models.routes, DEFAULT_ROUTE: config.models.default}
    return slipstream.migrations.declare(parse_views(config.views, config.relationship_views), routes)


def edited_recipe(slipstream: Slipstream, path: Path | None = None) -> ViewRecipe:
    """Return, for inspection, the recipe of another configuration file (None: of slipstream.toml as it is now)."""
    declaration = slipstream.migrations.candidate() if path is None else load_candidate(slipstream, path)
    return recipe_of(declaration, slipstream.embedding)


def declare(
    views: Iterable[View], router: ModelRouter, registry: ModelRegistry, known: RecipeDeclaration | None = None
) -> RecipeDeclaration:
    """Return a declaration of views and routes; a model that can not be reached keeps its identity in `known`."""
    chosen = tuple(views)
    used = dict.fromkeys([*router.models, *(view.model for view in chosen if view.model is not None)])
    models: dict[str, ModelIdentity] = {}
    for model_id in used:
        identity = _identity(registry, model_id, known)
        if identity is not None:
            models[model_id] = identity
    default = router.routes[DEFAULT_ROUTE]
    routes = {name: model for name, model in router.routes.items() if name == DEFAULT_ROUTE or model != default}
    return RecipeDeclaration(views=chosen, routes=routes, models=models)


def _identity(registry: ModelRegistry, model_id: str, known: RecipeDeclaration | None) -> ModelIdentity | None:
    try:
        spec = registry.spec(model_id)
    except TransientError as error:
        logger.warning("model %r can not be reached, and is taken for what it was: %s", model_id, error)
        return known.models.get(model_id) if known is not None else None
    return ModelIdentity(spec.version, spec.dimension)


def open_generations(
    journal: Journal,
    graph: GraphReader,
    declare_now: Callable[[RecipeDeclaration | None], RecipeDeclaration],
    on_other: OnOtherRecipe,
) -> Opened:
    """
    Decide what is in force, and keep it; raises `ConfigError` when the configuration would mix models.

    Changed views of the same models are put in force in place: only what they change is embedded anew.
    """
    kept = load_generations(journal)
    declared = declare_now(None if kept is None else kept.live)
    if kept is None:
        generations = Generations(live=declared)
        save_generations(journal, generations)
        return Opened(generations, declared)
    if _stays(kept, declared):
        live = replace(kept.live, models={**declared.models, **kept.live.models})
        return Opened(replace(kept, live=live), declared)
    if on_other is OnOtherRecipe.KEEP:
        return Opened(kept, declared)
    refusal = _refusal(kept, declared, _types_with_records(graph, kept.live, declared))
    if refusal is not None and on_other is OnOtherRecipe.REFUSE:
        raise ConfigError(refusal)
    if on_other is OnOtherRecipe.KEEP_AND_TELL:
        refusal = refusal or _EDITED
    if refusal is not None and on_other is not OnOtherRecipe.REPLACE:
        return Opened(kept, declared, refusal=refusal)
    generations = _edited(kept, declared)
    if refusal is not None:
        logger.warning("putting another recipe in force without a migration: %s", refusal)
        generations = Generations(live=generations.live, number=kept.number)
    save_generations(journal, generations)
    return Opened(generations, declared)


def _check_identities(
    live: RecipeDeclaration, declared: RecipeDeclaration, registry: ModelRegistry, graph: GraphReader
) -> None:
    """Raise `ConfigError` when a live model changed under its old id: old and new vectors must not mix."""
    found = {
        model_id: declared.models.get(model_id) or _identity(registry, model_id, live) or known
        for model_id, known in live.models.items()
        if model_id in registry
    }
    if all(live.models[model_id] == identity for model_id, identity in found.items()):
        return
    registered = replace(live, models={**live.models, **found})
    moved = moved_types(live, registered, _types_with_records(graph, live))
    if moved:
        raise ConfigError(
            f"a model of the live recipe is another one under its old id ({_listed(moved)}): bring the old one back, "
            "or register the new one under another id and migrate to it (`slipstream migrate start`)"
        )


def _edited(kept: Generations, declared: RecipeDeclaration) -> Generations:
    """Return the generations after an edit in place; a retired one stays fit for a roll-back."""
    edited = replace(kept, live=declared.numbered_as(kept.live))
    if kept.other is None or kept.phase is not Phase.RETIRED:
        return edited
    return replace(edited, other=kept.other.edited_beside(kept.live, declared))


def _types_with_records(graph: GraphReader, *recipes: RecipeDeclaration) -> set[str]:
    covered = {view.type for recipe in recipes for view in recipe.views if view.is_relationship}
    names = graph.schema().entity_types.keys() | covered
    return {name for name, count in graph.counts().items() if count and name in names}


def _stays(kept: Generations, declared: RecipeDeclaration) -> bool:
    """Whether the declared recipe is the live one, or the one that a migration builds or has retired."""
    known = [kept.live] if kept.phase is Phase.DROPPING or kept.other is None else [kept.live, kept.other]
    if not any(recipe.asks_same_as(declared) for recipe in known):
        return False
    if kept.phase is Phase.RETIRED and not kept.live.asks_same_as(declared):
        logger.warning("the configuration still declares the retired recipe: the live one stays in force")
    return True


def _refusal(kept: Generations, declared: RecipeDeclaration, types: set[str]) -> str | None:
    moved = moved_types(kept.live, declared, types)
    if kept.phase in (Phase.BUILDING, Phase.BUILT):
        return (
            "the configuration declares neither the live recipe nor the one that a migration is building: put one of "
            "them back, or end the migration first (`slipstream migrate cut-over` or `slipstream migrate drop`)"
        )
    if not moved:
        return None
    return (
        f"the configuration declares other models than the index was built with ({_listed(moved)}). Vectors of "
        "different models are never mixed: build the next generation beside this one with `slipstream migrate "
        "start`, or put the old models back"
    )


def _listed(moved: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {change}" for name, change in moved.items())


def recipe_of(declaration: RecipeDeclaration, service: EmbeddingService) -> ViewRecipe:
    """Return a declaration made ready."""
    return ViewRecipe(ViewSet(declaration.views), service, declaration)


def recipes_of(generations: Generations, service: EmbeddingService) -> Recipes:
    """Return the recipes in force."""
    other = None if generations.other is None else recipe_of(generations.other, service)
    live = recipe_of(generations.live, service)
    return Recipes(live, other, None) if generations.follows else Recipes(live, None, other)


def router_of(declaration: RecipeDeclaration, registry: ModelRegistry) -> ModelRouter:
    """Return the routes of a declaration; raises `ConfigError` when one of its models is not registered any more."""
    try:
        routes = {name: model for name, model in declaration.routes.items() if name != DEFAULT_ROUTE}
        return ModelRouter(registry, routes, declaration.routes[DEFAULT_ROUTE])
    except ConfigError as error:
        raise ConfigError(
            f"a model of the live recipe is gone ({error}): register it until a migration has replaced it"
        ) from error
