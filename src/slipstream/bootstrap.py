"""The composition root: configuration in, running objects out. The only place that knows every adapter."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from slipstream.adapters.alerts.log import LogSink
from slipstream.adapters.alerts.webhook import WebhookSink
from slipstream.adapters.clock import SystemClock
from slipstream.adapters.embedders.cache import SqliteEmbeddingCache
from slipstream.adapters.graphs.ladybug import LadybugGraph
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.consistency.alerts import Alerts
from slipstream.consistency.audit import AuditMemory, Auditor
from slipstream.consistency.ledger import LEDGER
from slipstream.consistency.repair import Repairer
from slipstream.consistency.report import AuditReport
from slipstream.consistency.scrubber import Scrubber, ScrubSettings
from slipstream.domain.errors import ConfigError, InvalidInputError, TransientError
from slipstream.domain.keys import RecordKey
from slipstream.domain.metrics import NOT_VERIFIED, ConsistencyMetrics
from slipstream.domain.models import ModelSpec
from slipstream.domain.work import Lane
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.router import ModelRouter
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.embedding.temporal import FusionWeights
from slipstream.ports.alerts import AlertSink
from slipstream.ports.audits import AuditStore
from slipstream.ports.clock import Clock
from slipstream.ports.embedder import Embedder, EmbeddingCache
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal, MessageStore
from slipstream.ports.sync_states import SyncStates
from slipstream.ports.telemetry import NO_TRACER, Exposition, Tracer
from slipstream.schema.store import SchemaVersionedEmbeddingStore
from slipstream.search.searcher import Searcher
from slipstream.service.config import CONFIG_NAME, TEMPLATE, Config, OnnxConfig, OpenAIConfig, load_config
from slipstream.service.slipstream import Parts, Slipstream
from slipstream.service.watch import Watch
from slipstream.sync.activity import LiveActivity
from slipstream.sync.changes import LoggedChanges
from slipstream.sync.engine import SyncEngine
from slipstream.sync.entity_sync import EntitySyncReader
from slipstream.sync.handler import PKGSyncHandler
from slipstream.sync.maintenance import Maintenance
from slipstream.sync.metrics import metrics_of
from slipstream.sync.planner import Planner
from slipstream.sync.queue import EventQueue
from slipstream.sync.runner import Sync
from slipstream.sync.settings import SyncSettings
from slipstream.sync.timeline import heal_timeline
from slipstream.sync.writeback import Notes, WriteBack, withdraw
from slipstream.views.config import parse_views
from slipstream.views.declaration import View
from slipstream.views.viewset import ViewSet
from slipstream.wrappers.noting import NotingIndex, NotingJournal, NotingLetters

logger = logging.getLogger(__name__)

DATA_FOLDER = ".slipstream"
RECIPE = "recipe"
_AUDIT_PATIENCE_S = 30.0
"""How long an audit waits for the index to reach what the graph was read at."""


T = TypeVar("T")


def _same(port: T) -> T:
    return port


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """Where tests and tools put wrappers (faults, retries) around the engine's ports."""

    graph: Callable[[Graph], Graph] = _same
    index: Callable[[VectorIndex], VectorIndex] = _same
    journal: Callable[[Journal], Journal] = _same
    audits: Callable[[AuditStore], AuditStore] = _same
    embedder: Callable[[Embedder], Embedder] = _same
    sync_states: Callable[[SyncStates], SyncStates] = _same


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What Python callers may set beyond the configuration file."""

    views: tuple[View, ...] = ()
    embedders: tuple[Embedder, ...] = ()
    """Models of the caller's own, by `spec.id`; the first one is the default model."""
    settings: SyncSettings | None = None
    clock: Clock = field(default_factory=SystemClock)
    wrapping: Wrapping = field(default_factory=Wrapping)
    tracer: Tracer = NO_TRACER
    """Gets a span for every stage; see `slipstream.adapters.telemetry.opentelemetry`."""


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


@dataclass(frozen=True, slots=True)
class _Stores:
    """Graph, index and journal, opened and wrapped; what is written to the latter two is noted."""

    graph: LadybugGraph
    index: VectorIndex
    journal: Journal
    letters: DeadLetters
    messages: MessageStore
    audits: AuditStore
    notes: Notes
    plain_index: VectorIndex
    """The index below the notes, with whatever else it can do: audits only read."""


def _open_stores(config: Config, data: Path, options: Options, stack: ExitStack) -> _Stores:
    clock, wrapping = options.clock, options.wrapping
    graph = LadybugGraph(
        data / "graph.lbug", clock=clock, buffer_pool_size_bytes=config.graph.buffer_pool_mb * 1024 * 1024
    )
    stack.callback(graph.close)
    database = SqliteStore(data / "index.sqlite")
    stack.callback(database.close)
    notes, index = Notes(clock), wrapping.index(_index(config, data, database, stack))
    return _Stores(
        graph,
        NotingIndex(index, notes.add),
        NotingJournal(wrapping.journal(database.journal), notes.add),
        NotingLetters(database.journal, notes.add),
        database.journal,
        wrapping.audits(database.audits),
        notes,
        index,
    )


def _compose(config: Config, data: Path, options: Options, stack: ExitStack) -> Slipstream:
    clock, wrapping = options.clock, options.wrapping
    stores = _open_stores(config, data, options, stack)
    graph, index, journal, letters = stores.graph, stores.index, stores.journal, stores.letters
    registry, router = _models(config, options)
    stack.callback(registry.close)
    fusion = FusionWeights(**config.models.fusion.model_dump())
    service = MultiModelEmbeddingService(registry, router, _cache(config, data, stack), fusion, options.tracer)
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
    recipe_id = _recipe_digest(config, options, views, router)
    _compare_with_last_time(engine, graph, journal, recipe_id)
    maintenance = Maintenance(engine, graph, graph.log, index, journal, clock)
    write_back = _write_back(config, options, stores, engine)
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
    auditor, repairer = _consistency(sync, stores, views, service, options, recipe_id, write_back)
    watch, scrubber = _watch(config, sync, auditor, repairer, stores, clock)
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
        specs=lambda: _specs(service, registry, views),
        frontier=lambda: sync.engine.frontier,
        wait=sync.wait,
        tracer=tracer,
    )


def _consistency(
    sync: Sync,
    stores: _Stores,
    views: ViewSet,
    service: MultiModelEmbeddingService,
    options: Options,
    recipe_id: str,
    write_back: WriteBack | None,
) -> tuple[Auditor, Repairer]:
    engine, recipe = sync.engine, sync.engine.recipe
    graph, audits, journal, clock = stores.graph, stores.audits, stores.journal, options.clock
    auditor = Auditor(
        graph,
        stores.plain_index,
        recipe,
        clock,
        memory=AuditMemory(
            leaves=audits,
            audits=audits,
            journal=journal,
            changes=LoggedChanges(graph.log, Planner(graph, views, engine.settings.fanout_live_max)),
            recipe_id=recipe_id,
        ),
        settle=lambda position: sync.reached(position, _AUDIT_PATIENCE_S),
        frontier=lambda: engine.frontier,
        service=service,
        on_kept=None if write_back is None else partial(_show_audit, write_back),
        tracer=options.tracer,
    )
    repairer = Repairer(
        graph,
        stores.index,
        recipe,
        service,
        auditor,
        audits,
        journal,
        clock,
        mark=sync.mark,
        waiting=lambda: sum(engine.pending().values()) if sync.running else 0,
        tracer=options.tracer,
    )
    return auditor, repairer


def _show_audit(write_back: WriteBack, report: AuditReport) -> None:
    if report.started_at is not None:
        try:
            write_back.verified(report.started_at, report.divergent_keys())
        except (TransientError, ConfigError) as error:  # the report stands all the same
            logger.warning("the audit is done, but the sync view can not show it now: %s", error)


def _watch(
    config: Config, sync: Sync, auditor: Auditor, repairer: Repairer, stores: _Stores, clock: Clock
) -> tuple[Watch, Scrubber]:
    engine, audits, journal = sync.engine, stores.audits, stores.journal
    thresholds = config.alerts.thresholds()
    alerts = Alerts(journal, clock, thresholds, _sinks(config))
    scrubber = Scrubber(
        auditor,
        repairer,
        audits,
        journal,
        clock,
        ScrubSettings(**config.scrub.model_dump()),
        is_busy=LiveActivity(engine, clock),
        repairs_waiting=lambda: engine.pending()[Lane.REPAIR] + journal.work_count(Lane.REPAIR),
    )
    return Watch(sync.status, audits, repairer, scrubber, alerts, thresholds), scrubber


def _sinks(config: Config) -> dict[str, AlertSink]:
    sinks: dict[str, AlertSink] = {"log": LogSink()}
    if config.alerts.webhook is not None:
        sinks["webhook"] = WebhookSink(config.alerts.webhook, token_file=config.alerts.webhook_token_file)
    return sinks


def prometheus_page(
    slipstream: Slipstream, consistency: Callable[[], ConsistencyMetrics] = lambda: NOT_VERIFIED
) -> Exposition:
    """Return the page of metrics of an open PKG; raises `ConfigError` when the extra `metrics` is not installed."""
    from slipstream.adapters.telemetry.prometheus import PrometheusExposition

    return PrometheusExposition(lambda: metrics_of(slipstream.sync, consistency()))


def _write_back(config: Config, options: Options, stores: _Stores, engine: SyncEngine) -> WriteBack | None:
    """Return what keeps the graph's sync view in line; None, and no view, when it is switched off."""
    graph, journal = stores.graph, stores.journal
    if not config.graph.sync_states:
        if graph.sync_states.is_ours:
            withdraw(graph.sync_states, journal)
        return None
    graph.sync_states.check_name()
    reader = EntitySyncReader(graph, stores.index, stores.letters, engine.recipe, engine.is_pending)
    states = options.wrapping.sync_states(graph.sync_states)
    write_back = WriteBack(states, reader, graph, journal, options.clock, stores.notes)
    if graph.changed_while_closed:
        write_back.request_catch_up()
    return write_back


def _recipe_digest(config: Config, options: Options, views: ViewSet, router: ModelRouter) -> str:
    """Return a digest of everything outside the graph that decides what the index should hold."""
    parts = [
        config.index.model_dump_json(),
        config.models.fusion.model_dump_json(),
        repr(sorted(router.routes.items())),
        *sorted(f"{view!r}" for view in views.views),
        *(f"{embedder.spec!r}" for embedder in options.embedders),
    ]
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _compare_with_last_time(engine: SyncEngine, graph: LadybugGraph, journal: Journal, recipe: str) -> None:
    """Have everything compared by fingerprint when graph, index or views changed while nobody was looking."""
    before = journal.get(RECIPE)
    is_new = before is None and not engine.checkpoint and not graph.counts()
    if not is_new and (graph.changed_while_closed or before != recipe):
        engine.request_full_scan()
        journal.set(LEDGER, None)  # the log does not tell what has changed: the next audit reads everything
    if before != recipe:
        journal.set(RECIPE, recipe)


def _index(config: Config, data: Path, database: SqliteStore, stack: ExitStack) -> VectorIndex:
    if config.index.adapter == "sqlite":
        return database.index
    from slipstream.adapters.indexes.chroma import ChromaIndex

    if config.index.adapter == "chroma":
        index = ChromaIndex.embedded(data / "chroma")
    else:
        index = ChromaIndex.server(config.index.host, config.index.port)
    stack.callback(index.close)
    return index


def _cache(config: Config, data: Path, stack: ExitStack) -> EmbeddingCache | None:
    if config.models.cache_mb == 0:
        return None
    cache = SqliteEmbeddingCache(data / "embeddings.cache", config.models.cache_mb * 1024 * 1024)
    stack.callback(cache.close)
    return cache


def _models(config: Config, options: Options) -> tuple[ModelRegistry, ModelRouter]:
    """Register every model that is known; each is made, and its extra needed, only when it is first used."""
    from slipstream.adapters.embedders.minilm import MINILM_SPEC, MiniLMEmbedder
    from slipstream.adapters.embedders.wordllama import WORDLLAMA_SPEC, WordLlamaEmbedder

    wrap = options.wrapping.embedder
    registry = ModelRegistry()
    for embedder in options.embedders:
        registry.register(wrap(embedder))
    known: dict[ModelSpec, Callable[[], Embedder]] = {MINILM_SPEC: MiniLMEmbedder, WORDLLAMA_SPEC: WordLlamaEmbedder}
    for spec, make in known.items():
        if spec.id not in registry:  # a caller's own model of that name wins
            registry.register_lazy(spec.id, partial(_wrapped, make, wrap), spec=spec)
    for name, server in config.models.openai.items():
        registry.register_lazy(name, partial(_openai, name, server, wrap))
    for name, local in config.models.onnx.items():
        registry.register_lazy(name, partial(_onnx, name, local, wrap))
    default = options.embedders[0].spec.id if options.embedders else config.models.default
    return registry, ModelRouter(registry, config.models.routes, default)


def _wrapped(make: Callable[[], Embedder], wrap: Callable[[Embedder], Embedder]) -> Embedder:
    return wrap(make())


def _onnx(name: str, local: OnnxConfig, wrap: Callable[[Embedder], Embedder]) -> Embedder:
    from slipstream.adapters.embedders.minilm import OnnxEmbedder

    return wrap(OnnxEmbedder(local.directory, id=name))


def _openai(name: str, server: OpenAIConfig, wrap: Callable[[Embedder], Embedder]) -> Embedder:
    from slipstream.adapters.embedders.openai import OpenAIEmbedder

    key = server.api_key_file.read_text(encoding="utf-8").strip() if server.api_key_file else None
    return wrap(
        OpenAIEmbedder(
            server.base_url,
            name,
            api_key=key,
            dimension=server.dimension,
            timeout_s=server.timeout_s,
        )
    )


def _specs(service: MultiModelEmbeddingService, registry: ModelRegistry, views: ViewSet) -> tuple[ModelSpec, ...]:
    """Return the models that any route or view leads to: a search asks all of them."""
    chosen = {spec.id: spec for spec in service.specs()}
    for view in views.views:
        if view.model is not None and view.model not in chosen:
            chosen[view.model] = registry.spec(view.model)
    return tuple(chosen.values())


def _sync_settings(config: Config) -> SyncSettings:
    known = {field.name for field in fields(SyncSettings)}
    for name in config.sync:
        if name not in known:
            raise InvalidInputError(f"is unknown; known are {', '.join(sorted(known))}", field=f"sync.{name}")
    try:
        return SyncSettings(**config.sync)
    except TypeError as error:
        raise InvalidInputError(str(error), field="sync") from error
