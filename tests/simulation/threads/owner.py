"""One process of the PKG: waits for the lease, opens the engine with its real threads, and closes it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from slipstream.audit.auditor import Auditor
from slipstream.audit.settling import Settling
from slipstream.domain.errors import LeaseLostError, SlipstreamError, TransientError
from slipstream.domain.journal_names import FULL_SCAN
from slipstream.domain.positions import ORIGIN, Position
from slipstream.engine.loop import SyncEngine
from slipstream.engine.maintenance import Maintenance
from slipstream.engine.runner import Sync
from slipstream.events.direct import DirectWrites
from slipstream.ports.graph import GraphReader
from slipstream.recipes.in_force import LivePlaces, RecipePair, Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.search.searcher import Searcher
from tests.simulation.threads.ports import Port, SimulatedFeed
from tests.simulation.threads.recipes import SimulatedEmbedder, editions, models, service_of
from tests.simulation.threads.scheduler import Process, SimulationError
from tests.simulation.threads.store import Handle
from tests.simulation.threads.words import follower_of

if TYPE_CHECKING:
    from tests.simulation.threads.schedule import Schedule

EDITION = "simulated_edition"
_POLL_S = 0.1


@dataclass(eq=False)
class Parts:
    """What the threads of a process share."""

    engine: SyncEngine
    sync: Sync
    searcher: Searcher
    auditor: Auditor
    direct: DirectWrites
    graph: GraphReader
    handle: Handle
    letters: Any
    edition: int
    """Which views are in force."""


@dataclass(frozen=True, slots=True)
class _Store:
    """What direct writes need of a store."""

    index: Any
    journal: Any
    clock: Any


class Owner:
    """A process that would run the engine."""

    def __init__(self, schedule: Schedule, process: Process) -> None:
        self.schedule, self.process = schedule, process
        self.handle = schedule.variant.handle(schedule.durable, process, schedule.faults)

    # ------------------------------------------------------------------ its main thread

    def main(self) -> None:
        """Own the engine whenever nobody else does, until the run is over."""
        while not self.schedule.is_over:
            try:
                if not self.handle.acquire():
                    self.schedule.scheduler.sleep(_POLL_S)
                    continue
                self.schedule.durable.owners[self.handle.lease] = self.process
                self._own()
            except TransientError as error:  # an outage while it was opened, or closed
                self.schedule.faults.note(f"not opened: {error}")
                self.schedule.scheduler.sleep(_POLL_S)
            except LeaseLostError:
                self.schedule.faults.note("the lease is lost")
            finally:
                if not self.process.is_dead:
                    self.handle.lease.release()

    def _own(self) -> None:
        schedule = self.schedule
        parts = self.open()

        def frontier() -> Position:
            # A known limit: an owner that was replaced, and has not noticed, does not know of views edited since.
            is_behind = schedule.owning is not self.process and parts.edition < schedule.truth.in_force
            return ORIGIN if is_behind else parts.engine.frontier

        schedule.truth.frontiers.append(frontier)
        schedule.openings += 1
        try:
            parts.sync.start()
            schedule.begin_actors(parts, self)
            self._serve(parts)
        finally:
            # A process that has died tells nothing any more; one that is stopped still does.
            schedule.truth.frontiers.remove(frontier)
        parts.sync.stop()

    def _serve(self, parts: Parts) -> None:
        """Let the threads run; when the mutations are over, wait until everything is settled, and look."""
        schedule, sync = self.schedule, parts.sync
        while sync.failure is None and not schedule.is_over:
            if schedule.is_quiet(self.process):
                schedule.faults.are_over = True
                try:
                    if sync.drain(20.0) and schedule.owning is self.process:
                        schedule.settled(parts)
                except SlipstreamError as error:
                    schedule.faults.note(f"not drained: {error}")
            schedule.scheduler.sleep(_POLL_S)
        self._look_at(sync.failure)

    def _look_at(self, failure: BaseException | None) -> None:
        if failure is not None and not isinstance(failure, LeaseLostError):
            self.schedule.scheduler.fail(SimulationError(f"the engine of {self.process.name} died: {failure!r}"))

    # ------------------------------------------------------------------ opening

    def open(self) -> Parts:
        """Put the objects of the engine together, as the composition root does."""
        schedule, handle = self.schedule, self.handle
        faults, clock = schedule.faults, schedule.clock
        graph = cast(
            "GraphReader",
            Port("graph", schedule.graph, faults, ("read", "scan", "adjacent", "schema", "schema_at", "counts")),
        )
        feed = SimulatedFeed(schedule.graph.feed, schedule.scheduler, faults, schedule.waiting)
        journal: Any = schedule.variant.journal(handle)
        index: Any = schedule.variant.index(handle)
        service = service_of([SimulatedEmbedder(model, faults, schedule.embedded) for model in models()])
        edition = schedule.edition
        recipes = Recipes(ViewRecipe(editions()[edition - 1], service))
        engine = schedule.variant.engine(
            graph=graph,
            log=feed,
            index=index,
            journal=journal,
            dead_letters=journal,
            views=recipes,
            service=service,
            clock=clock,
            settings=schedule.settings,
            rng=random.Random(schedule.seed),
        )
        self._compare_with_last_time(engine, journal, edition)
        maintenance = Maintenance(engine, graph, feed, index, journal, clock)
        rng = random.Random(schedule.seed)  # of its own: the threads draw in any order
        words = follower_of(schedule.variant.follower, handle, graph, feed, journal, engine, clock, rng)
        sync = Sync(engine, maintenance, feed, journal, journal, clock, None, words)
        places = LivePlaces(recipes, lambda _: [*schedule.graph.schema().entity_types, "WORKS_AT"])
        searcher = Searcher(graph, index, service, places.live, frontier=lambda: engine.frontier, wait=sync.wait)
        auditor = Auditor(graph, index, recipes, clock, settle=Settling(sync), frontier=lambda: engine.frontier)
        direct = DirectWrites(cast("Any", _Store(index, journal, clock)), service, recipes, engine=engine)
        return Parts(engine, sync, searcher, auditor, direct, graph, handle, journal, edition)

    def _compare_with_last_time(self, engine: SyncEngine, journal: Any, edition: int) -> None:
        """Compare everything when views were edited while nobody was looking, as `app/composition/stores` does."""
        before = journal.get(EDITION)
        self.schedule.truth.in_force = max(self.schedule.truth.in_force, edition)
        if before == str(edition):
            return
        if before is not None or engine.checkpoint or self.schedule.graph.counts():
            engine.request_full_scan()
        journal.set(EDITION, str(edition))

    def put_in_force(self, parts: Parts, edition: int) -> None:
        """Put edited views in force beside running threads."""
        engine, journal = parts.engine, parts.letters
        live = ViewRecipe(editions()[edition - 1], engine._reconciler._service)

        def commit() -> None:
            with journal.transaction():
                journal.set(EDITION, str(edition))
                journal.set(FULL_SCAN, "1")

        self.schedule.truth.in_force = max(self.schedule.truth.in_force, edition)
        engine.swap_recipes(RecipePair(live), commit, lambda: bool(journal.get(EDITION) == str(edition)))
        parts.edition = edition
        engine.request_full_scan()
