"""Opens a PKG: configuration in, running objects out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from functools import partial
from pathlib import Path
from uuid import uuid4

from slipstream.bootstrap.models import open_cache
from slipstream.bootstrap.options import Options
from slipstream.bootstrap.recipes import InForce, declare, open_recipes, recipe_of, router_of
from slipstream.bootstrap.stores import RECIPE, Stores, compare_with_last_time, open_stores, recipe_digest
from slipstream.bootstrap.watching import auditor_beside, audits_of, polite_pace, watch_of, write_back_of
from slipstream.consistency.pacing import Pace
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.metrics import NOT_VERIFIED, ConsistencyMetrics
from slipstream.embedding.router import DEFAULT_ROUTE, ModelRouter
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.telemetry import Exposition, Tracer
from slipstream.schema.declaration import RecipeDeclaration
from slipstream.schema.store import SchemaVersionedEmbeddingStore
from slipstream.search.searcher import Searcher, fuse, record_name
from slipstream.service.config import CONFIG_NAME, TEMPLATE, Config, load_config
from slipstream.service.explaining import Explaining
from slipstream.service.migration_parts import MigrationParts
from slipstream.service.migration_plan import Planning
from slipstream.service.migrations import Migrations
from slipstream.service.quality import Quality, QualityParts
from slipstream.service.slipstream import Parts, Slipstream
from slipstream.service.sweeping import Sweep
from slipstream.service.view_check import ViewChecking
from slipstream.sync.drains import EngineDrain
from slipstream.sync.engine import SyncEngine
from slipstream.sync.handler import PKGSyncHandler
from slipstream.sync.maintenance import Maintenance
from slipstream.sync.metrics import metrics_of
from slipstream.sync.queue import EventQueue
from slipstream.sync.recipe import ViewRecipe
from slipstream.sync.recipes import LivePlaces, Recipes
from slipstream.sync.reembedding import ReembeddingService
from slipstream.sync.runner import Sync
from slipstream.sync.settings import SyncSettings
from slipstream.sync.timeline import heal_timeline
from slipstream.sync.writeback import WriteBack
from slipstream.views.declaration import View

DATA_FOLDER = ".slipstream"


def initialise(directory: Path) -> bool:
    """Create a PKG's directory and its configuration; False when they are there already."""
    path = directory / CONFIG_NAME
    if path.exists():
        load_config(directory)  # an unusable one is reported now rather than at the first import
        return False
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(TEMPLATE, encoding="utf-8")
    return True


def open_pkg(
    directory: Path | str,
    *,
    run: bool = True,
    create: bool = False,
    config: Config | None = None,
    options: Options | None = None,
) -> Slipstream:
    """
    Open the PKG in a directory; with `run` the engine works from the start.

    The configuration is the directory's `slipstream.toml` unless `config` is given; `create` makes one with the
    defaults. Raises `ConfigError` for a wrong configuration, `UnavailableError` when another process has the
    PKG open.
    """
    root = Path(directory)
    if create:
        initialise(root)
    chosen = config or load_config(root)
    data = root / DATA_FOLDER
    data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        slipstream = _compose(chosen, data, options or Options(), stack)
    if run:
        slipstream.start()
    return slipstream


def _compose(config: Config, data: Path, options: Options, stack: ExitStack) -> Slipstream:
    clock = options.clock
    stores = open_stores(config, data, options, stack)
    graph, index, journal, letters = stores.graph, stores.index, stores.journal, stores.letters
    models = open_recipes(config, options, journal, graph, open_cache(config, data, stack), stack)
    service, recipes = models.service, models.recipes
    heal_timeline(graph, graph.log, index, journal, mark=uuid4().hex)
    engine = _engine(config, options, stores, models)
    compare_with_last_time(engine, graph, journal, recipe_digest(config, models.opened.generations.live))
    maintenance = Maintenance(engine, graph, graph.log, index, journal, clock)
    write_back = write_back_of(config, options, stores, engine)
    sync = Sync(engine, maintenance, graph.log, journal, letters, clock, write_back)

    places = LivePlaces(recipes, partial(_types_with_records, graph))
    store = SchemaVersionedEmbeddingStore(
        index,
        models.registry,
        journal,
        clock,
        schema=graph.schema,
        schema_at=graph.schema_at,
        recipe=recipes,
        mark=lambda keys, reason, force: sync.mark(keys, reason=reason, force=force),
        places=places,
    )
    queue = EventQueue(stores.messages, letters, clock)
    reembedding = ReembeddingService(store, service, graph, views=recipes, drain=EngineDrain(sync, journal))
    handler = _handler(engine, graph, models, store, queue, reembedding)
    sync.on_idle = handler.deliver
    searcher = _searcher(sync, graph, index, service, places, options.tracer)
    recipe_id = partial(_recipe_id, config, recipes)
    auditor, repairer = audits_of(sync, stores, service, options, recipe_id, write_back)
    quality = _quality(config, sync, stores, models, store)
    pace = polite_pace(sync, clock)
    migrations = _migrations(config, options, sync, stores, models, write_back, quality, pace)
    maintenance.chores += [
        migrations,
        Sweep(index, recipes, lambda: migrations.is_dropping, migrations.finish_drop),
    ]
    watch, scrubber = watch_of(config, sync, auditor, repairer, stores, clock)
    parts = Parts(
        pkg=graph,
        sync=sync,
        store=store,
        service=service,
        recipes=recipes,
        migrations=migrations,
        reembedding=reembedding,
        explaining=Explaining(graph=graph, index=index, log=graph.log, letters=letters, engine=engine),
        view_checking=ViewChecking(graph, service, clock),
        quality=quality,
        queue=queue,
        handler=handler,
        searcher=searcher,
        journal=journal,
        dead_letters=letters,
        auditor=auditor,
        pace=pace,
        audits=stores.audits,
        repairer=repairer,
        scrubber=scrubber,
        watch=watch,
        clock=clock,
        close=stack.pop_all().close,
        write_back=write_back,
        refused_recipe=models.opened.refusal,
    )
    return Slipstream(parts)


def _engine(config: Config, options: Options, stores: Stores, models: InForce) -> SyncEngine:
    return SyncEngine(
        graph=options.wrapping.graph(stores.graph),
        log=stores.graph.log,
        index=stores.index,
        journal=stores.journal,
        dead_letters=stores.letters,
        views=models.recipes,
        service=models.service,
        clock=options.clock,
        settings=options.settings or _sync_settings(config),
        tracer=options.tracer,
    )


def _handler(
    engine: SyncEngine,
    graph: Graph,
    models: InForce,
    store: SchemaVersionedEmbeddingStore,
    queue: EventQueue,
    reembedding: ReembeddingService,
) -> PKGSyncHandler:
    handler = PKGSyncHandler(
        models.service,
        store,
        queue,
        graph=graph,
        views=models.recipes,
        confidence_gain=engine.settings.reembed_confidence_gain,
        reembedding=reembedding,
        engine=engine,
    )
    handler.subscribe_to_pkg_events()
    return handler


def _searcher(
    sync: Sync,
    graph: Graph,
    index: VectorIndex,
    service: MultiModelEmbeddingService,
    places: LivePlaces,
    tracer: Tracer,
) -> Searcher:
    return Searcher(
        graph,
        index,
        service,
        places.live,
        frontier=lambda: sync.engine.frontier,
        wait=sync.wait,
        tracer=tracer,
    )


def _types_with_records(graph: Graph, recipe: ViewRecipe) -> list[str]:
    """Return every type that may have records: entity types, and relationship types that a view covers."""
    covered = [view.type for view in recipe.views.views if view.is_relationship]
    return [*graph.schema().entity_types, *covered]


def _recipe_id(config: Config, recipes: Recipes) -> str:
    declaration = recipes.pair.live.declaration
    return "" if declaration is None else recipe_digest(config, declaration)


def _migrations(
    config: Config,
    options: Options,
    sync: Sync,
    stores: Stores,
    models: InForce,
    write_back: WriteBack | None,
    quality: Quality,
    pace: Callable[[], Pace],
) -> Migrations:
    registry, service = models.registry, models.service

    def declare_with(views: Sequence[View], routes: Mapping[str, str]) -> RecipeDeclaration:
        others = {name: model for name, model in routes.items() if name != DEFAULT_ROUTE}
        return declare(views, ModelRouter(registry, others, routes[DEFAULT_ROUTE]), registry)

    def put_in_force(live: RecipeDeclaration) -> None:
        stores.journal.set(RECIPE, recipe_digest(config, live))

    def on_live(live: RecipeDeclaration) -> None:
        service.reroute(router_of(live, registry))
        if write_back is not None:
            write_back.request_catch_up()

    return Migrations(
        MigrationParts(
            sync=sync,
            graph=stores.graph,
            journal=stores.journal,
            clock=options.clock,
            declared=models.opened.declared,
            ready=lambda declaration: recipe_of(declaration, service),
            declare=declare_with,
            auditor_of=partial(auditor_beside, sync, stores, options),
            pace=pace,
            put_in_force=put_in_force,
            on_live=on_live,
            probe=partial(service.embed_query, "slipstream"),
            planning=Planning(stores.graph, service, options.clock),
            gate=quality.objections,
            grace_s=config.migration.grace_s,
        )
    )


def _quality(
    config: Config, sync: Sync, stores: Stores, models: InForce, store: SchemaVersionedEmbeddingStore
) -> Quality:
    return Quality(
        QualityParts(
            store=store,
            graph=stores.graph,
            journal=stores.journal,
            clock=store.clock,
            recipes=models.recipes,
            types=partial(_types_with_records, stores.graph),
            embed_query=models.service.embed_query,
            fuse=fuse,
            name_of=record_name,
            frontier=lambda: sync.engine.frontier,
            gate=config.quality.gate(),
        )
    )


def prometheus_page(
    slipstream: Slipstream, consistency: Callable[[], ConsistencyMetrics] = lambda: NOT_VERIFIED
) -> Exposition:
    """Return the page of metrics of an open PKG; raises `ConfigError` when the extra `metrics` is not installed."""
    from slipstream.adapters.telemetry.prometheus import PrometheusExposition

    return PrometheusExposition(lambda: metrics_of(slipstream.sync, consistency()))


def _sync_settings(config: Config) -> SyncSettings:
    known = {field.name for field in fields(SyncSettings)} - {"reembed_confidence_gain"}  # it is in [quality]
    for name in config.sync:
        if name not in known:
            raise InvalidInputError(f"is unknown; known are {', '.join(sorted(known))}", field=f"sync.{name}")
    try:
        return SyncSettings(**config.sync, reembed_confidence_gain=config.quality.reembed_confidence_gain)
    except TypeError as error:
        raise InvalidInputError(str(error), field="sync") from error
