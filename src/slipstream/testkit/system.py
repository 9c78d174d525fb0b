"""A whole system in memory, on a manual clock: for tests of the engine and of code built on it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.indexes.memory import MemoryIndex, MemoryJournal
from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.adapters.indexes.sqlite.words_memory import MemoryWords
from slipstream.adapters.wrappers.faults import (
    FailpointHook,
    FaultyAudits,
    FaultyEmbedder,
    FaultyGraph,
    FaultyIndex,
    FaultyJournal,
    FaultySyncView,
    FaultyWords,
)
from slipstream.adapters.wrappers.noting import NotingIndex, NotingJournal, NotingLetters
from slipstream.adapters.wrappers.scoped import scoped
from slipstream.app.composition.options import OnOtherRecipe, Options, Wrapping
from slipstream.app.composition.recipes import (
    open_recipes,
)
from slipstream.app.composition.running import Handed, compose
from slipstream.app.composition.stores import Stores
from slipstream.app.config import Config, ModelsConfig
from slipstream.app.pkg import PKG, GraphPorts
from slipstream.audit.auditor import Auditor
from slipstream.audit.below import Below
from slipstream.audit.findings import AuditReport
from slipstream.audit.incidents import examined
from slipstream.audit.pacing import FULL_SPEED
from slipstream.audit.repair import Repairer
from slipstream.audit.timeline import adopt_graph, begin_timeline
from slipstream.audit.words_comparing import AuditedWords
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import Stamp
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.engine.loop import SyncEngine
from slipstream.engine.maintenance import Maintenance
from slipstream.engine.runner import Sync
from slipstream.engine.settings import SyncSettings
from slipstream.engine.words import WordFollower
from slipstream.events.handler import PKGSyncHandler
from slipstream.events.queue import EventQueue
from slipstream.evolution.reembedders import EngineReembedder
from slipstream.evolution.reembedding import ReembeddingService
from slipstream.evolution.store import SchemaVersionedEmbeddingStore
from slipstream.migration.migrations import Migrations
from slipstream.ports.clock import Clock
from slipstream.ports.embedder import Embedder, EmbeddingCache
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.telemetry import NO_TRACER, Tracer
from slipstream.ports.words import WordIndex
from slipstream.recipes.in_force import LivePlaces
from slipstream.search.searcher import Searcher
from slipstream.syncview.writeback import Notes, WriteBack
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from slipstream.views.declaration import View


def _nothing(name: str) -> None:
    del name


class _SteppingReembedder(EngineReembedder):
    """Steps the engine in the calling thread, on its clock."""

    def __init__(self, system: MemorySystem, sync: Sync, journal: Journal) -> None:
        super().__init__(sync.engine.intake_stage.selections, journal, sync.pause)
        self._system = system

    def advance(self, batch_size: int) -> None:
        """Do one step of the engine, or advance the clock."""
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
    words: WordIndex = field(default_factory=MemoryWords)
    embedder: HashEmbedder = field(default_factory=lambda: HashEmbedder(dimension=16))
    registry: ModelRegistry = field(init=False)
    service: MultiModelEmbeddingService = field(init=False)
    engine: SyncEngine = field(init=False)
    maintenance: Maintenance = field(init=False)
    opened: int = 0
    write_back: WriteBack = field(init=False)
    sync: Sync = field(init=False)
    follower: WordFollower = field(init=False)
    searcher: Searcher = field(init=False)
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
        self.opened += 1
        options, config = self._options(), Config(models=ModelsConfig(routes=self.routes))
        stores = self._stores(options)
        is_right = self._is_right_graph(stores, adopt=adopt)
        models = open_recipes(config, options, stores.journal, self.graph, self.cache, ExitStack())
        self._begin_timeline(stores, adopt=not is_right)
        running = compose(
            config,
            options,
            stores,
            models,
            Handed(
                rng=random.Random(1),
                reembedder=lambda sync, journal: _SteppingReembedder(self, sync, journal),
                pace=lambda: FULL_SPEED,
                probe=lambda _: None,
                gate=tuple,  # asks for nothing
            ),
        )
        self.registry, self.service = models.registry, models.service
        self.engine, self.maintenance, self.sync = running.engine, running.maintenance, running.sync
        self.searcher, self.follower = running.searcher, running.words
        assert running.write_back is not None
        self.write_back, self.store, self.places = running.write_back, running.store, running.places
        self.queue, self.handler, self.reembedding = running.queue, running.handler, running.reembedding
        self.auditor, self.repairer, self.migrations = running.auditor, running.repairer, running.migrations

    def _options(self) -> Options:
        return Options(
            views=tuple(self.views),
            embedders=tuple(self.embedders or (self.embedder,)),
            settings=self.settings,
            clock=self.clock,
            tracer=self.tracer,
            on_other_recipe=self.on_other_recipe,
            wrapping=Wrapping(
                index=lambda index: FaultyIndex(index, self._failpoint),
                journal=lambda journal: FaultyJournal(journal, self._failpoint),
                audits=lambda audits: FaultyAudits(audits, self._failpoint),
                embedder=lambda embedder: FaultyEmbedder(embedder, self._failpoint),
                sync_view=lambda states: FaultySyncView(states, self._failpoint),
                words=lambda words: FaultyWords(words, self._failpoint),
            ),
        )

    def _stores(self, options: Options) -> Stores:
        graph = GraphPorts(
            reader=FaultyGraph(self.graph, self._failpoint),
            writer=self.graph,
            feed=self.graph.feed,
            marks=self.graph,
            sync_view=self.graph.sync_view,
            close=lambda: None,
        )
        wrapping, notes = options.wrapping, Notes(self.clock)
        index = wrapping.index(self.index)
        return Stores(
            graph=graph,
            pkg=PKG(graph),
            index=NotingIndex(index, notes.add),
            journal=NotingJournal(wrapping.journal(self.journal), notes.add),
            letters=NotingLetters(self.journal, notes.add),
            messages=self.journal,
            audits=wrapping.audits(self.audits),
            notes=notes,
            plain_index=index,
            sealed=None,
            below=Below(),
            sync_view=wrapping.sync_view(graph.sync_view),
            words=wrapping.words(self.words),
        )

    def _is_right_graph(self, stores: Stores, *, adopt: bool) -> bool:
        wrong = examined(self.graph, self.graph.feed, self.graph, stores.index, stores.journal)
        if wrong is not None and not adopt:
            raise wrong.refusal()
        return wrong is None

    def _begin_timeline(self, stores: Stores, *, adopt: bool) -> None:
        index, journal = stores.index, stores.journal
        graph, feed, mark = self.graph, self.graph.feed, f"mark-{self.opened}"
        if adopt:
            adopt_graph(graph, feed, index, journal, schema=graph.schema, mark=mark, words=stores.words)
        else:
            begin_timeline(graph, feed, index, journal, mark=mark)

    def settle(self, steps_max: int = 20_000, *, until: Callable[[], bool] | None = None) -> None:
        """Run the engine in this thread, with virtual time, until nothing is left to do."""
        for _ in range(steps_max):
            if until is not None and until():
                return
            if self.engine.step() or self.follower.guarded_step(partial(self.engine.recover, [])):
                continue
            if self.engine.is_settled() and (self.engine.halted is not None or self.follower.is_settled()):
                if not self.maintenance.step():
                    self.engine.save_checkpoint()
                    return
            else:
                self.clock.sleep(max(0.05, self.engine.wait_s()))
        raise AssertionError(f"not settled after {steps_max} steps: {self.engine.pending()} {self.engine.outage}")

    def follow(self) -> None:
        """Bring the word rows up to date in this thread, and leave the engine as it is."""
        while self.follower.guarded_step(partial(self.engine.recover, [])):
            pass

    def audit(self) -> AuditReport:
        """Compare graph and index, with an auditor of its own that no failpoint interrupts."""
        index = scoped(self.index, self.engine.recipes.hides)
        words = AuditedWords(rows=self.words, views=self.follower.writer.views)
        return Auditor(self.graph, index, self.engine.recipe, self.clock, words=words).audit()

    def stamp(self, entity_id: str) -> Stamp | None:
        """Return the stamp of an entity's only live record, None when it has none."""
        held = (
            scoped(self.index, self.engine.recipes.hides).stamps([entity_key(entity_id)]).get(entity_key(entity_id))
        )
        return held.records[0] if held is not None and held.records else None
