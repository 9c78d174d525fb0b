"""The process that runs the engine: every object of a PKG, put together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from uuid import uuid4

from slipstream.app.composition.factories import open_cache
from slipstream.app.composition.options import Options
from slipstream.app.composition.recipes import InForce, declare, open_recipes, recipe_of, router_of
from slipstream.app.composition.stores import RECIPE, Shared, Stores, compare_with_last_time, recipe_digest
from slipstream.app.composition.watching import auditor_beside, audits_of, polite_pace, watch_of, write_back_of
from slipstream.app.config import Config
from slipstream.app.explaining import Explaining
from slipstream.app.slipstream import Parts, Slipstream
from slipstream.app.view_check import ViewChecking
from slipstream.apply.sweeping import Sweep
from slipstream.audit.pacing import Pace
from slipstream.audit.timeline import begin_timeline
from slipstream.domain.errors import IncidentError, UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.embedding.router import DEFAULT_ROUTE, ModelRouter
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.engine.loop import SyncEngine
from slipstream.engine.maintenance import Maintenance
from slipstream.engine.runner import Sync
from slipstream.engine.settings import SyncSettings
from slipstream.events.handler import PKGSyncHandler
from slipstream.events.queue import EventQueue
from slipstream.evolution.drains import EngineDrain
from slipstream.evolution.reembedding import ReembeddingService
from slipstream.evolution.store import SchemaVersionedEmbeddingStore
from slipstream.migration.migrations import Migrations
from slipstream.migration.parts import MigrationParts
from slipstream.migration.plan import Planning
from slipstream.ports.clock import Clock
from slipstream.ports.embedder import EmbeddingCache
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.telemetry import Tracer
from slipstream.quality.runs import Quality, QualityParts
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.in_force import LivePlaces, Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.search.hits import record_name
from slipstream.search.searcher import Searcher, fuse
from slipstream.syncview.writeback import WriteBack
from slipstream.views.declaration import View

logger = logging.getLogger(__name__)

_PAGE = 10_000


def compose_owner(
    config: Config, data: Path, options: Options, shared: Shared, stores: Stores, stack: ExitStack
) -> Slipstream:
    """Return the PKG with its engine, for the process that holds the lease; closing it closes the stack."""
    clock = options.clock
    graph, feed = stores.graph.reader, stores.graph.feed
    index, journal, letters = stores.index, stores.journal, stores.letters
    models = open_recipes(config, options, journal, graph, opened_cache(config, data, stack), stack)
    service, recipes = models.service, models.recipes
    begin_timeline(stores.graph.marks, feed, index, journal, mark=uuid4().hex[:16], sealed=stores.sealed)
    engine = _engine(config, options, stores, models)
    compare_with_last_time(engine, graph, journal, recipe_digest(config, models.opened.generations.live))
    maintenance = Maintenance(engine, graph, feed, index, journal, clock)
    write_back = write_back_of(config, options, stores, engine)
    sync = Sync(engine, maintenance, feed, journal, letters, clock, write_back)

    places = LivePlaces(recipes, partial(searched_types, graph, index))
    store = _embeddings(stores, models, sync, places, clock)
    queue = EventQueue(stores.messages, letters, clock, config.queue.topic_mb << 20)
    drain = EngineDrain(sync.engine.intake_stage.selections, journal, sync.pause)
    reembedding = ReembeddingService(store, service, graph, views=recipes, drain=drain)
    handler = _handler(engine, graph, models, store, queue, reembedding)
    sync.on_idle = handler.deliver
    searcher = _searcher(sync, graph, index, service, places, options.tracer)
    recipe_id = partial(_recipe_id, config, recipes)
    auditor, repairer = audits_of(
        sync, stores, service, options, recipe_id, write_back, config.scrub.history_mb << 20
    )
    quality = _quality(config, sync, stores, models, store)
    pace = polite_pace(sync, clock)
    migrations = _migrations(config, options, sync, stores, models, write_back, quality, pace)
    maintenance.chores += [
        migrations,
        Sweep(index, recipes, lambda: migrations.is_dropping, migrations.finish_drop),
        *shared.store.chores,
    ]
    watch, scrubber = watch_of(config, sync, auditor, repairer, stores, clock, data=data, lease=shared.store.lease)
    parts = Parts(
        pkg=stores.pkg,
        sync=sync,
        store=store,
        service=service,
        recipes=recipes,
        migrations=migrations,
        reembedding=reembedding,
        explaining=Explaining(graph=graph, index=index, log=feed, letters=letters, engine=engine),
        view_checking=ViewChecking(graph, service, clock),
        quality=quality,
        queue=queue,
        handler=handler,
        searcher=searcher,
        journal=journal,
        dead_letters=letters,
        guest_journal=shared.store.guest_journal,
        guest_letters=shared.store.guest_letters,
        auditor=auditor,
        pace=pace,
        audits=stores.audits,
        repairer=repairer,
        scrubber=scrubber,
        watch=watch,
        clock=clock,
        close=stack.pop_all().close,
        write_back=write_back,
        refusal_limits=config.dead_letters.limits(),
        feed=config.feed.options(),
        refused_recipe=models.opened.refusal,
    )
    return Slipstream(parts)


def _embeddings(
    stores: Stores, models: InForce, sync: Sync, places: LivePlaces, clock: Clock
) -> SchemaVersionedEmbeddingStore:
    graph = stores.graph.reader
    return SchemaVersionedEmbeddingStore(
        stores.index,
        models.registry,
        stores.journal,
        clock,
        schema=graph.schema,
        schema_at=graph.schema_at,
        recipe=models.recipes,
        mark=lambda keys, reason, force: sync.mark(keys, reason=reason, force=force),
        places=places,
    )


def opened_cache(config: Config, data: Path, stack: ExitStack) -> EmbeddingCache | None:
    """Open the cache of embeddings, which the stack closes; None when it is switched off, or can not be had now."""
    try:
        cache = open_cache(config, data)
    except UnavailableError as error:  # a full disk, say: what works without a cache does
        logger.warning("going on without the cache of embeddings: %s", error)
        return None
    if cache is not None:
        stack.callback(cache.close)
    return cache


def _engine(config: Config, options: Options, stores: Stores, models: InForce) -> SyncEngine:
    return SyncEngine(
        graph=options.wrapping.graph(stores.graph.reader),
        log=stores.graph.feed,
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
    graph: GraphReader,
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
    graph: GraphReader,
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
        patience=sync,
        tracer=tracer,
    )


def searched_types(graph: GraphReader, index: VectorIndex, recipe: ViewRecipe) -> list[str]:
    """Return every type that a search may find; of a graph that was removed or replaced, those in the index."""
    try:
        return types_with_records(graph, recipe)
    except IncidentError:
        return types_in(index)


def types_in(index: VectorIndex) -> list[str]:
    """Return the types of what is in an index."""
    types: dict[str, None] = {}
    after: RecordKey | None = None
    while page := index.scan(after, _PAGE):
        types.update(dict.fromkeys(stamp.entity_type for stamp in page))
        after = page[-1].key
    return list(types)


def types_with_records(graph: GraphReader, recipe: ViewRecipe) -> list[str]:
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
            graph=stores.graph.reader,
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
            planning=Planning(stores.graph.reader, service, options.clock),
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
            graph=stores.graph.reader,
            journal=stores.journal,
            clock=store.clock,
            recipes=models.recipes,
            types=partial(types_with_records, stores.graph.reader),
            embed_query=models.service.embed_query,
            fuse=fuse,
            name_of=record_name,
            frontier=lambda: sync.engine.frontier,
            gate=config.quality.gate(),
        )
    )


def _sync_settings(config: Config) -> SyncSettings:
    return SyncSettings(
        **dict(config.sync),
        reembed_confidence_gain=config.quality.reembed_confidence_gain,
        retention=config.graph.retention(),
        brake=config.brake.settings(),
    )
