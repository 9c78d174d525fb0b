"""What runs in the process that owns the engine, composed of stores and recipes that the caller has opened."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from slipstream.app.composition.measured_searches import search_parts
from slipstream.app.composition.options import Options
from slipstream.app.composition.recipes import InForce, declare, recipe_of, router_of
from slipstream.app.composition.reordering import reorderings_of
from slipstream.app.composition.stores import RECIPE, Stores, compare_with_last_time, recipe_digest
from slipstream.app.composition.watching import auditor_beside, audits_of, polite_pace, write_back_of
from slipstream.app.composition.words import follower_of, words_here
from slipstream.app.config import Config
from slipstream.apply.sweeping import Sweep
from slipstream.audit.auditor import Auditor
from slipstream.audit.pacing import Pace
from slipstream.audit.repair import Repairer
from slipstream.domain.errors import IncidentError
from slipstream.domain.keys import RecordKey
from slipstream.embedding.router import DEFAULT_ROUTE, ModelRouter
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.engine.loop import SyncEngine
from slipstream.engine.maintenance import Maintenance
from slipstream.engine.runner import Sync
from slipstream.engine.settings import SyncSettings
from slipstream.engine.words import WordFollower
from slipstream.events.handler import PKGSyncHandler
from slipstream.events.queue import EventQueue
from slipstream.evolution.reembedders import EngineReembedder, Reembedder
from slipstream.evolution.reembedding import ReembeddingService
from slipstream.evolution.store import SchemaVersionedEmbeddingStore
from slipstream.migration.migrations import Migrations
from slipstream.migration.parts import MigrationParts, Veto
from slipstream.migration.plan import Planning
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.quality.runs import Quality, QualityParts
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.in_force import LivePlaces, Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.search.fusing import fuse_vectors
from slipstream.search.hits import record_name
from slipstream.search.searcher import Searcher
from slipstream.search.words import SearchedWords
from slipstream.syncview.writeback import WriteBack
from slipstream.views.declaration import View

_PAGE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What a simulation or a test hands in; a PKG has the defaults."""

    rng: random.Random | None = None
    reembedder: Callable[[Sync, Journal], Reembedder] | None = None
    """Returns how selected records get embedded."""
    pace: Callable[[], Pace] | None = None
    """Returns how fast an audit of a migration may go."""
    probe: Callable[[str], object] | None = None
    """Embeds something with a model, before a migration begins; raises when that is not possible."""
    gate: Veto | None = None
    """What is asked before a cut-over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The engine, and all that works on its stores."""

    engine: SyncEngine
    maintenance: Maintenance
    write_back: WriteBack | None
    sync: Sync
    places: LivePlaces
    store: SchemaVersionedEmbeddingStore
    queue: EventQueue
    reembedding: ReembeddingService
    handler: PKGSyncHandler
    words: WordFollower
    searcher: Searcher
    auditor: Auditor
    repairer: Repairer
    quality: Quality
    pace: Callable[[], Pace]
    migrations: Migrations


def compose(config: Config, options: Options, stores: Stores, models: InForce, handed: Handed) -> Running:
    """Return the engine and what works beside it, not started; the stores must know their graph already."""
    clock, graph, feed, index = options.clock, stores.graph.reader, stores.graph.feed, stores.index
    journal, letters, service = stores.journal, stores.letters, models.service
    engine = _engine(config, options, stores, models, handed)
    compare_with_last_time(engine, graph, journal, recipe_digest(config, models.opened.generations.live))
    maintenance = Maintenance(engine, graph, feed, index, journal, clock)
    write_back = write_back_of(config, options, stores, engine)
    words = follower_of(config, options, stores, engine, handed.rng)
    sync = Sync(engine, maintenance, feed, journal, letters, clock, write_back, words)
    places = LivePlaces(models.recipes, partial(searched_types, graph, index))
    store = _embeddings(stores, models, sync, places, clock)
    queue = EventQueue(stores.messages, letters, clock, config.queue.topic_mb << 20)
    reembedder = (handed.reembedder or _engine_reembedder)(sync, journal)
    reembedding = ReembeddingService(store, service, graph, views=models.recipes, reembedder=reembedder)
    auditor, repairer = audits_of(
        sync,
        stores,
        models,
        options,
        partial(_recipe_id, config, models.recipes),
        write_back,
        handed.rng,
        config.scrub.history_mb << 20,
    )
    by_words = words_here(stores, words, sync)
    searcher = _searcher(config, sync, graph, index, by_words, service, places, options)
    quality = _quality(config, sync, stores, models, store, places, searcher)
    pace = handed.pace or polite_pace(sync, clock)
    migrations = _migrations(config, options, sync, stores, models, write_back, quality, pace, handed)
    sweep = Sweep(index, models.recipes, lambda: migrations.is_dropping, migrations.finish_drop)
    maintenance.chores += [migrations, sweep]
    return Running(
        engine=engine,
        maintenance=maintenance,
        write_back=write_back,
        sync=sync,
        places=places,
        store=store,
        queue=queue,
        reembedding=reembedding,
        handler=_handler(engine, graph, models, store, queue, reembedding),
        words=words,
        searcher=searcher,
        auditor=auditor,
        repairer=repairer,
        quality=quality,
        pace=pace,
        migrations=migrations,
    )


def _engine_reembedder(sync: Sync, journal: Journal) -> Reembedder:
    return EngineReembedder(sync.engine.intake_stage.selections, journal, sync.pause)


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


def _engine(config: Config, options: Options, stores: Stores, models: InForce, handed: Handed) -> SyncEngine:
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
        rng=handed.rng,
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
    config: Config,
    sync: Sync,
    graph: GraphReader,
    index: VectorIndex,
    words: SearchedWords,
    service: MultiModelEmbeddingService,
    places: LivePlaces,
    options: Options,
) -> Searcher:
    return Searcher(
        graph,
        index,
        service,
        places.live,
        frontier=lambda: sync.engine.frontier,
        wait=sync.wait,
        words=words,
        patience=sync,
        on_search=sync.engine.note_search,
        reorderings=reorderings_of(config, options, graph),
        tracer=options.tracer,
        weights=config.search.fusion(),
    )


def searched_types(graph: GraphReader, index: VectorIndex, recipe: ViewRecipe) -> list[str]:
    """Return every type that a search may find; if the graph was removed or replaced, the types in the index."""
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
    handed: Handed,
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
            probe=handed.probe or partial(service.embed_query, "slipstream"),
            planning=Planning(stores.graph.reader, service, options.clock),
            gate=handed.gate or quality.objections,
            grace_s=config.migration.grace_s,
        )
    )


def _quality(
    config: Config,
    sync: Sync,
    stores: Stores,
    models: InForce,
    store: SchemaVersionedEmbeddingStore,
    places: LivePlaces,
    searcher: Searcher,
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
            fuse=fuse_vectors,
            name_of=record_name,
            frontier=lambda: sync.engine.frontier,
            gate=config.quality.gate(),
            searching=search_parts(
                stores.graph.reader,
                stores.journal,
                store.clock,
                lambda: sync.engine.frontier,
                models.recipes,
                places,
                searcher,
                config.search.fusion(),
            ),
        )
    )


def _sync_settings(config: Config) -> SyncSettings:
    return SyncSettings(
        **dict(config.sync),
        reembed_confidence_gain=config.quality.reembed_confidence_gain,
        retention=config.graph.retention(),
        brake=config.brake.settings(),
    )
