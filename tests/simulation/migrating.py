"""The simulator with migrations: generations come and go between any two stages, beside faults and crashes."""

from __future__ import annotations

from dataclasses import dataclass, field

from slipstream.app.composition import OnOtherRecipe
from slipstream.audit.findings import AuditReport
from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import Stamp
from slipstream.recipes.declaration import RecipeDeclaration
from slipstream.recipes.generations import Phase
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View
from slipstream.views.viewset import ViewSet
from tests.simulation.simulator import VIEWS, Simulation
from tests.simulation.word_rows import SimulationError

FIRST, TWIN = "hash", "twin"

_HOPS = ViewSet(VIEWS).hops()
_TEMPLATES = ("{{ name }}", "{{ bio }} {{ name }} ({{ age }})", None)


@dataclass(slots=True)
class MigratingSimulation(Simulation):
    """
    One seeded run. What the frontier covers must be in the live generation at every step, also behind a cut-over.
    """

    restore_rate: float = 0.0  # restored graphs are the plain simulation's; here they would only cut migrations short
    steps_taken: dict[str, int] = field(default_factory=dict)
    """How often each step of a migration was taken."""
    _states: dict[RecordKey, str] = field(default_factory=dict)

    def _make_system(self) -> MemorySystem:
        return MemorySystem(
            VIEWS,
            self._settings(),
            hook=self._failpoint,
            clock=self.clock,
            embedders=(HashEmbedder(dimension=16, id=FIRST), HashEmbedder(dimension=16, id=TWIN)),
            on_other_recipe=OnOtherRecipe.KEEP,
        )

    def _reopen(self) -> None:
        Simulation._reopen(self)
        self._wanted = self._render_all()  # a swap may have been kept by a process that died before it knew

    def _more_actions(self) -> list[str]:
        return ["_migrate", "_sweep", *["_take", "_advance", "_advance", "_advance"] * 2]

    def _sweep(self) -> None:
        if self.engine.is_settled(migration=False):
            self.system.maintenance.step()

    def _migrate(self) -> None:
        """Take a step of a migration that fits its phase, or try one that may be refused."""
        migrations = self.system.migrations
        found = migrations.generations
        steps = {
            Phase.ALONE: ["start"],
            Phase.BUILDING: ["resume"] if found.is_paused else ["pause", "drop", *["nothing"] * 20],
            Phase.BUILT: [*["cut over"] * 8, "pause", "drop"],
            Phase.RETIRED: ["roll back", "roll back", "drop"],
            Phase.DROPPING: ["nothing"],
        }
        step = self.rng.choice(steps[found.phase])
        self.actions.append(step)
        try:
            self._take_step(step)
        except (ConfigError, UnavailableError) as error:
            self.actions.append(f"not now: {type(error).__name__}")
        else:
            self.steps_taken[step] = self.steps_taken.get(step, 0) + 1

    def _take_step(self, step: str) -> None:
        migrations = self.system.migrations
        before = migrations.generations.live
        try:
            if step == "start":
                migrations.start(self._candidate())
            elif step == "pause":
                migrations.pause()
            elif step == "resume":
                migrations.resume()
            elif step == "drop":
                migrations.drop()
            elif step == "cut over":
                migrations.cut_over(patience_s=0.0)
            elif step == "roll back":
                migrations.roll_back(patience_s=0.0)
        finally:
            if self.engine.recipes.pair.live.declaration != before:
                self._wanted = self._render_all()  # what is wanted now, by what the frontier covered all the time

    def _candidate(self) -> RecipeDeclaration:
        migrations = self.system.migrations
        live = migrations.generations.live
        if self.rng.random() < 0.5:
            return migrations.candidate(default=TWIN if live.model_of("Person") == FIRST else FIRST)
        return migrations.candidate(views=[View("Person", self.rng.choice(_TEMPLATES))])

    # ------------------------------------------------------------------ properties

    def _note_changes(self) -> None:
        """Note what changed for any recipe: one that is live later sees what the present one does not."""
        keys = [row.key for row in self.graph.scan(None, 10_000)]
        now = {key: repr(state) for key, state in self.graph.read(keys, _HOPS).states.items()}
        head = self.graph.feed.head()
        for key in now.keys() | self._states.keys():
            if now.get(key) != self._states.get(key):
                self._changed_at[key] = head
        self._states = now
        self._wanted = self._render_all()

    def _live_records(self, stamps: tuple[Stamp, ...]) -> list[Stamp]:
        pair = self.engine.recipes.pair
        return [stamp for stamp in stamps if not pair.is_hidden(stamp)]

    def _check_convergence(self) -> AuditReport:
        report = Simulation._check_convergence(self)
        if self.engine.recipes.pair.other is not None:
            dead = {letter.key for letter in self.system.journal.letters(None, 10_000)}
            left = [key for key in self.system.migrations.audit().divergent_keys() if key not in dead]
            if left:
                raise SimulationError(f"divergent beside the live generation: {left}")
        elif self.engine.recipes.pair.idle is None:
            self._check_nothing_beside()
        return report

    def _check_nothing_beside(self) -> None:
        after: RecordKey | None = None
        live = self.engine.recipes.pair.live
        while page := self.system.index.scan(after, 100):
            strays = [stamp for stamp in page if stamp.space != live.space_of(stamp.entity_type)]
            if strays:
                raise SimulationError(f"left over: {strays}")
            after = page[-1].key
