"""A whole system in memory, on a manual clock: for tests of the engine and of code built on it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.indexes.memory import MemoryIndex, MemoryJournal
from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.adapters.wrappers.faults import (
    FailpointHook,
    FaultyAudits,
    FaultyEmbedder,
    FaultyGraph,
    FaultyIndex,
    FaultyJournal,
    FaultySyncView,
)
from slipstream.adapters.wrappers.noting import NotingIndex, NotingJournal, NotingLetters
from slipstream.adapters.wrappers.scoped import scoped
from slipstream.app.composition import OnOtherRecipe
from slipstream.app.composition.recipes import declare, open_generations, recipe_of, recipes_of, router_of
from slipstream.apply.sweeping import Sweep
from slipstream.audit.auditor import AuditMemory, Auditor
from slipstream.audit.changes import LoggedChanges
from slipstream.audit.findings import AuditReport
from slipstream.audit.incidents import examined
from slipstream.audit.repair import Repairer
from slipstream.audit.scrubber import unfinished_repairs
from slipstream.audit.timeline import adopt_graph, begin_timeline
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.stamps import Stamp
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.router import ModelRouter
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.engine.loop import SyncEngine
from slipstream.engine.maintenance import Maintenance
from slipstream.engine.planner import Planner
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
from slipstream.ports.embedder import Embedder, EmbeddingCache
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.telemetry import NO_TRACER, Tracer
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.in_force import LivePlaces
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.syncview.entity_sync import EntitySyncReader
from slipstream.syncview.writeback import Notes, WriteBack
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View


def _nothing(name: str) -> None:
    del name


class _SteppingDrain(EngineDrain):
    """Steps the engine in the calling thread, on its clock."""

    def __init__(self, system: MemorySystem, journal: Journal) -> None:
        super().__init__(system.sync.engine.intake_stage.selections, journal, system.sync.pause)
        self._system = system

    def advance(self, batch_size: int) -> None:
        """Do one step, or let time pass."""
        del batch_size
        if not self._system.engine.step():
            self._system.clock.sleep(max(0.05, self._system.engine.wait_s()))


@dataclass(slots=True)
class MemorySystem:
    """
    Graph, index, journal, model and engine. `hook` is called at every failpoint and may raise.

    `reopen` makes a new engine over the same stores, as a restarted process would.
    """

    views: Sequence[View] = ()
    settings: SyncSettings = field(default_factory=SyncSettings)
    hook: FailpointHook = _nothing
    embedders: Sequence[Embedder] = ()
    routes: dict[str, str] = field(default_factory=dict)
    cache: EmbeddingCache | None = None
    clock: Clock = field(default_factory=ManualClock)
    index: VectorIndex = field(default_factory=MemoryIndex)
    tracer: Tracer = NO_TRACER
    on_other_recipe: OnOtherRecipe = OnOtherRecipe.REPLACE
    graph: MemoryGraph = field(init=False)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    audits: MemoryAudits = field(default_factory=MemoryAudits)
    embedder: HashEmbedder = field(default_factory=lambda: HashEmbedder(dimension=16))
    registry: ModelRegistry = field(init=False)
    service: MultiModelEmbeddingService = field(init=False)
    engine: SyncEngine = field(init=False)
    maintenance: Maintenance = field(init=False)
    opened: int = 0
    write_back: WriteBack = field(init=False)
    sync: Sync = field(init=False)
    store: SchemaVersionedEmbeddingStore = field(init=False)
    queue: EventQueue = field(init=False)
    handler: PKGSyncHandler = field(init=False)
    auditor: Auditor = field(init=False)
    repairer: Repairer = field(init=False)
    places: LivePlaces = field(init=False)
    migrations: Migrations = field(init=False)
    reembedding: ReembeddingService = field(init=False)

    def __post_init__(self) -> None:
        self.graph = MemoryGraph(self.clock, virtual_time=True)
        self.reopen()

    def _failpoint(self, name: str) -> None:
        self.hook(name)

    def reopen(self, *, adopt: bool = False) -> None:
        """Make a new engine over the same stores; raises `IncidentError` for a graph that is to be adopted first."""
        self.registry = ModelRegistry()
        for embedder in self.embedders or (self.embedder,):
            self.registry.register(FaultyEmbedder(embedder, self._failpoint))
        self.service = MultiModelEmbeddingService(
            self.registry, ModelRouter(self.registry, self.routes), self.cache, tracer=self.tracer
        )
        notes = Notes(self.clock)
        graph = FaultyGraph(self.graph, self._failpoint)
        index = NotingIndex(FaultyIndex(self.index, self._failpoint), notes.add)
        journal = NotingJournal(FaultyJournal(self.journal, self._failpoint), notes.add)
        letters = NotingLetters(self.journal, notes.add)
        self.opened += 1
        is_right = self._is_right_graph(index, journal, adopt=adopt)
        declared = declare(self.views, ModelRouter(self.registry, self.routes), self.registry)
        opened = open_generations(journal, self.graph, lambda _: declared, self.on_other_recipe)
        recipes = recipes_of(opened.generations, self.service)
        self._begin_timeline(index, journal, adopt=not is_right)
        self.engine = SyncEngine(
            graph=graph,
            log=self.graph.feed,
            index=index,
            journal=journal,
            dead_letters=letters,
            views=recipes,
            service=self.service,
            clock=self.clock,
            settings=self.settings,
            rng=random.Random(1),
            tracer=self.tracer,
        )
        self.maintenance = Maintenance(self.engine, graph, self.graph.feed, index, journal, self.clock)
        reader = EntitySyncReader(
            graph, scoped(index, recipes.hides), letters, self.engine.recipe, self.engine.is_pending
        )
        states = FaultySyncView(self.graph.sync_view, self._failpoint)
        self.write_back = WriteBack(states, reader, graph, journal, self.clock, notes)
        self.sync = Sync(
            self.engine, self.maintenance, self.graph.feed, journal, letters, self.clock, self.write_back
        )
        self.store = SchemaVersionedEmbeddingStore(
            index,
            self.registry,
            journal,
            self.clock,
            schema=self.graph.schema,
            schema_at=self.graph.schema_at,
            recipe=self.engine.recipe,
            mark=self._mark,
        )
        self.places = LivePlaces(recipes, lambda _: self.graph.schema().entity_types)
        self._reopen_audits(graph, index, journal)
        self._reopen_migrations(graph, index, journal, declared)
        self.queue = EventQueue(self.journal, letters, self.clock)
        self.reembedding = ReembeddingService(
            self.store, self.service, graph, views=recipes, drain=_SteppingDrain(self, journal)
        )
        self.handler = PKGSyncHandler(
            self.service,
            self.store,
            self.queue,
            graph=graph,
            views=recipes,
            reembedding=self.reembedding,
            engine=self.engine,
        )
        self.handler.subscribe_to_pkg_events()

    def _is_right_graph(self, index: VectorIndex, journal: Journal, *, adopt: bool) -> bool:
        wrong = examined(self.graph, self.graph.feed, self.graph, index, journal)
        if wrong is not None and not adopt:
            raise wrong.refusal()
        return wrong is None

    def _begin_timeline(self, index: VectorIndex, journal: Journal, *, adopt: bool) -> None:
        graph, feed, mark = self.graph, self.graph.feed, f"mark-{self.opened}"
        if adopt:
            adopt_graph(graph, feed, index, journal, schema=graph.schema, mark=mark)
        else:
            begin_timeline(graph, feed, index, journal, mark=mark)

    def _reopen_migrations(
        self, graph: GraphReader, index: VectorIndex, journal: Journal, declared: RecipeDeclaration
    ) -> None:
        def auditor_of(recipe: ViewRecipe) -> Auditor:
            return Auditor(graph, scoped(self.index, lambda: self.engine.recipes.pair.is_live), recipe, self.clock)

        self.migrations = Migrations(
            MigrationParts(
                sync=self.sync,
                graph=self.graph,
                journal=journal,
                clock=self.clock,
                declared=declared,
                ready=lambda declaration: recipe_of(declaration, self.service),
                declare=lambda views, routes: declare(views, ModelRouter(self.registry, routes), self.registry),
                auditor_of=auditor_of,
                put_in_force=lambda _: None,
                on_live=self._follow,
                probe=lambda _: None,
                planning=Planning(graph, self.service, self.clock),
                gate=tuple,  # asks for nothing
            )
        )
        sweep = Sweep(index, self.engine.recipes, lambda: self.migrations.is_dropping, self.migrations.finish_drop)
        self.maintenance.chores += [self.migrations, sweep]

    def _follow(self, live: RecipeDeclaration) -> None:
        self.service.reroute(router_of(live, self.registry))
        self.write_back.request_catch_up()

    def _recipe_id(self) -> str:
        return repr(self.engine.recipes.pair.live.declaration)

    def _reopen_audits(self, graph: GraphReader, index: VectorIndex, journal: Journal) -> None:
        audits = FaultyAudits(self.audits, self._failpoint)
        self.auditor = Auditor(
            graph,
            scoped(FaultyIndex(self.index, self._failpoint), self.engine.recipes.hides),
            self.engine.recipe,
            self.clock,
            memory=AuditMemory(
                leaves=audits,
                audits=audits,
                journal=journal,
                changes=LoggedChanges(
                    self.graph.feed, Planner(graph, self.engine.recipes, self.settings.fanout_live_max)
                ),
                recipe_id=self._recipe_id,
                spared=lambda: unfinished_repairs(self.repairer),
            ),
            frontier=lambda: self.engine.frontier,
            service=self.service,
            rng=random.Random(1),
        )
        self.repairer = Repairer(
            graph,
            index,
            self.engine.recipe,
            self.service,
            self.auditor,
            audits,
            journal,
            self.clock,
            mark=self.sync.mark,
            waiting=lambda: 0,
            brake=self.settings.brake,
            identity=lambda: self.graph.identity,
        )

    def _mark(self, keys: Sequence[RecordKey], reason: str, force: bool) -> None:
        self.sync.mark(keys, reason=reason, force=force)

    def settle(self, steps_max: int = 20_000, *, until: Callable[[], bool] | None = None) -> None:
        """Run the engine in this thread, with virtual time, until nothing is left to do."""
        for _ in range(steps_max):
            if until is not None and until():
                return
            if self.engine.step():
                continue
            if self.engine.is_settled():
                if not self.maintenance.step():
                    self.engine.save_checkpoint()
                    return
            else:
                self.clock.sleep(max(0.05, self.engine.wait_s()))
        raise AssertionError(f"not settled after {steps_max} steps: {self.engine.pending()} {self.engine.outage}")

    def audit(self) -> AuditReport:
        """Compare graph and index, with an auditor of its own that no failpoint interrupts."""
        index = scoped(self.index, self.engine.recipes.hides)
        return Auditor(self.graph, index, self.engine.recipe, self.clock).audit()

    def stamp(self, entity_id: str) -> Stamp | None:
        """Return the stamp of an entity's only live record, None when it has none."""
        held = (
            scoped(self.index, self.engine.recipes.hides).stamps([entity_key(entity_id)]).get(entity_key(entity_id))
        )
        return held.records[0] if held is not None and held.records else None
