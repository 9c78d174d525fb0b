"""Opens a PKG: configuration in, running objects out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from uuid import uuid4

from slipstream.bootstrap.models import open_cache, registered_models, specs_in_use
from slipstream.bootstrap.options import Options
from slipstream.bootstrap.stores import compare_with_last_time, open_stores, recipe_digest
from slipstream.bootstrap.watching import audits_of, watch_of, write_back_of
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RecordKey
from slipstream.domain.metrics import NOT_VERIFIED, ConsistencyMetrics
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.embedding.temporal import FusionWeights
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.telemetry import Exposition, Tracer
from slipstream.schema.store import SchemaVersionedEmbeddingStore
from slipstream.search.searcher import Searcher
from slipstream.service.config import CONFIG_NAME, TEMPLATE, Config, load_config
from slipstream.service.slipstream import Parts, Slipstream
from slipstream.sync.engine import SyncEngine
from slipstream.sync.handler import PKGSyncHandler
from slipstream.sync.maintenance import Maintenance
from slipstream.sync.metrics import metrics_of
from slipstream.sync.queue import EventQueue
from slipstream.sync.runner import Sync
from slipstream.sync.settings import SyncSettings
from slipstream.sync.timeline import heal_timeline
from slipstream.views.config import parse_views
from slipstream.views.viewset import ViewSet

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
    clock, wrapping = options.clock, options.wrapping
    stores = open_stores(config, data, options, stack)
    graph, index, journal, letters = stores.graph, stores.index, stores.journal, stores.letters
    registry, router = registered_models(config, options)
    stack.callback(registry.close)
    fusion = FusionWeights(**config.models.fusion.model_dump())
    service = MultiModelEmbeddingService(registry, router, open_cache(config, data, stack), fusion, options.tracer)
    heal_timeline(graph, graph.log, index, journal, mark=uuid4().hex)
    views = ViewSet([*parse_views(config.views, config.relationship_views), *options.views])
    engine = SyncEngine(
        graph=wrapping.graph(graph),
        log=graph.log,
        index=index,
        journal=journal,
        dead_letters=letters,
        views=views,
        service=service,
        clock=clock,
        settings=options.settings or _sync_settings(config),
        tracer=options.tracer,
    )
    recipe_id = recipe_digest(config, options, views, router)
    compare_with_last_time(engine, graph, journal, recipe_id)
    maintenance = Maintenance(engine, graph, graph.log, index, journal, clock)
    write_back = write_back_of(config, options, stores, engine)
    sync = Sync(engine, maintenance, graph.log, journal, letters, clock, write_back)

    def mark(keys: Sequence[RecordKey], reason: str, force: bool) -> None:
        sync.mark(keys, reason=reason, force=force)

    store = SchemaVersionedEmbeddingStore(
        index, registry, journal, clock, schema=graph.schema, recipe=engine.recipe, mark=mark
    )
    queue = EventQueue(stores.messages, letters, clock)
    handler = PKGSyncHandler(service, store, queue, graph=graph, views=views)
    handler.subscribe_to_pkg_events()
    sync.on_idle = handler.deliver
    searcher = _searcher(sync, graph, index, service, registry, views, options.tracer)
    auditor, repairer = audits_of(sync, stores, views, service, options, recipe_id, write_back)
    watch, scrubber = watch_of(config, sync, auditor, repairer, stores, clock)
    closing = stack.pop_all()
    return Slipstream(
        Parts(
            pkg=graph,
            sync=sync,
            store=store,
            service=service,
            views=views,
            queue=queue,
            handler=handler,
            searcher=searcher,
            journal=journal,
            dead_letters=letters,
            auditor=auditor,
            audits=stores.audits,
            repairer=repairer,
            scrubber=scrubber,
            watch=watch,
            clock=clock,
            close=closing.close,
            write_back=write_back,
        )
    )


def _searcher(
    sync: Sync,
    graph: Graph,
    index: VectorIndex,
    service: MultiModelEmbeddingService,
    registry: ModelRegistry,
    views: ViewSet,
    tracer: Tracer,
) -> Searcher:
    return Searcher(
        graph,
        index,
        service,
        sync.engine.recipe,
        specs=lambda: specs_in_use(service, registry, views),
        frontier=lambda: sync.engine.frontier,
        wait=sync.wait,
        tracer=tracer,
    )


def prometheus_page(
    slipstream: Slipstream, consistency: Callable[[], ConsistencyMetrics] = lambda: NOT_VERIFIED
) -> Exposition:
    """Return the page of metrics of an open PKG; raises `ConfigError` when the extra `metrics` is not installed."""
    from slipstream.adapters.telemetry.prometheus import PrometheusExposition

    return PrometheusExposition(lambda: metrics_of(slipstream.sync, consistency()))


def _sync_settings(config: Config) -> SyncSettings:
    known = {field.name for field in fields(SyncSettings)}
    for name in config.sync:
        if name not in known:
            raise InvalidInputError(f"is unknown; known are {', '.join(sorted(known))}", field=f"sync.{name}")
    try:
        return SyncSettings(**config.sync)
    except TypeError as error:
        raise InvalidInputError(str(error), field="sync") from error
