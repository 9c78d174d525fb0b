"""Migrations: the next generation is built beside the live one; cut-over and roll-back are one step each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial, wraps
from typing import Concatenate, ParamSpec, TypeVar

from slipstream.audit.findings import AuditReport
from slipstream.domain.errors import ConfigError
from slipstream.domain.journal_names import MIGRATION_SCAN
from slipstream.domain.models import Space
from slipstream.domain.work import Lane
from slipstream.engine.backfill import BackfillProgress
from slipstream.engine.loop import SyncEngine
from slipstream.migration.parts import MigrationParts, Veto
from slipstream.migration.plan import MigrationPlan
from slipstream.migration.swapping import UNTOLD_S, LiveSwap
from slipstream.ports.ages import Ages
from slipstream.recipes.declaration import RecipeDeclaration, differing_types
from slipstream.recipes.generations import Generations, Phase, load_generations, save_generations
from slipstream.recipes.in_force import RecipePair
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.views.declaration import View

logger = logging.getLogger(__name__)

_PATIENCE_S = 60.0

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _stepwise(method: Callable[Concatenate[Migrations, _P], _R]) -> Callable[Concatenate[Migrations, _P], _R]:
    """Have steps taken one at a time."""

    @wraps(method)
    def guarded(self: Migrations, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        with self._stepping:
            return method(self, *args, **kwargs)

    return guarded


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """How far a migration is. `spaces` has, for each type that differs, its live space and that of the other one."""

    phase: Phase
    is_paused: bool
    generation: int
    """Number of the live generation; where types were migrated one after the other, the highest."""
    spaces: Mapping[str, tuple[Space | None, Space | None]]
    progress: BackfillProgress | None
    waiting: int
    """Keys that are known to lack their record beside the live one; the backfill may find more."""
    outage: str | None
    started_at: datetime | None
    since: datetime | None


class Migrations:
    """
    Builds, checks, cuts over to and drops generations. One at a time; safe for threads.

    Every step is one journal transaction, taken between two writes of the engine: a process that dies leaves the step
    done or not begun. Searches see one generation before a cut-over, and the other one after it.
    """

    def __init__(self, parts: MigrationParts) -> None:
        self._parts = parts
        self._engine: SyncEngine = parts.sync.engine
        self._ages = Ages(parts.clock)
        self._stepping = threading.RLock()
        self._swap = LiveSwap(parts, self._stepping)
        self._restore()

    def _restore(self) -> None:
        """Go on where the last process was."""
        found = self.generations
        if found.phase is Phase.BUILDING and not found.is_paused:
            self._begin_scan(found, resume=True)

    @property
    def generations(self) -> Generations:
        """What is in force, and what stands beside it, as the journal has it."""
        return self._parts.generations

    @property
    def is_declared(self) -> bool:
        """Whether the configuration declares what is live now."""
        return self.generations.live.asks_same_as(self._parts.declared)

    # ------------------------------------------------------------------ before

    def candidate(
        self, views: Sequence[View] | None = None, routes: Mapping[str, str] | None = None, default: str | None = None
    ) -> RecipeDeclaration:
        """
        Return the live recipe with some views and routes replaced; without any, what the configuration declares.

        `views` replace those of the same types, `routes` are type to model id, `default` is the model of all others.
        """
        if views is None and routes is None and default is None:
            return self._parts.declared
        live = self.generations.live
        chosen = {view.type: view for view in live.views} | {view.type: view for view in views or ()}
        merged = {**live.routes, **(routes or {}), **({"default": default} if default is not None else {})}
        return self._parts.declare(list(chosen.values()), merged)

    def declare(self, views: Sequence[View], routes: Mapping[str, str]) -> RecipeDeclaration:
        """Return a whole recipe of views and routes (`default` among them) as a candidate."""
        return self._parts.declare(views, routes)

    def plan(self, candidate: RecipeDeclaration | None = None) -> MigrationPlan:
        """Return what a migration would do and cost, changing nothing; raises `ConfigError` when nothing differs."""
        live = self.generations.live
        chosen = candidate or self._parts.declared
        changed = self._checked(live, chosen)
        recipe = self._parts.ready(chosen.renumbered(live, self._types(), self.generations.number + 1))
        return self._parts.planning.plan(recipe, changed)

    def _types(self) -> set[str]:
        schema = self._parts.graph.schema()
        return {*schema.entity_types, *schema.relationship_types}

    def _checked(self, live: RecipeDeclaration, candidate: RecipeDeclaration) -> set[str]:
        changed = differing_types(
            live, candidate, {"", *self._types(), *live.named_types(), *candidate.named_types()}
        )
        if not changed:
            raise ConfigError(
                "there is nothing to migrate: views, routes and models are those in force. Change them in "
                "slipstream.toml, or pass a candidate"
            )
        return changed

    # ------------------------------------------------------------------ building

    @_stepwise
    def start(self, candidate: RecipeDeclaration | None = None) -> MigrationStatus:
        """
        Begin to build the next generation beside the live one, in the background; returns at once.

        Raises `ConfigError` when nothing differs, a model is unknown, or a migration is under way, and
        `UnavailableError` when a model can not be reached.
        """
        found = self.generations
        if found.phase is not Phase.ALONE:
            raise ConfigError(f"a migration is under way ({found.phase}): cut over, roll back or drop it first")
        chosen = candidate or self._parts.declared
        self._checked(found.live, chosen)
        now, number = self._parts.clock.now(), found.number + 1
        other = chosen.renumbered(found.live, self._types(), number)
        recipe = self._parts.ready(other)
        names = self._types() | other.named_types()
        models = {recipe.space_of(name).model_id for name in names}
        for model_id in sorted(models - {self._live.space_of(name).model_id for name in names}):
            self._parts.probe(model_id)  # an absent one is told now, and loading it keeps nobody waiting
        begun = replace(found, other=other, phase=Phase.BUILDING, number=number, started_at=now, since=now)
        self._put(begun, RecipePair(self._live, recipe), scan=True)
        self._begin_scan(begun, resume=True)
        return self.status()

    @_stepwise
    def pause(self) -> None:
        """Stop building: the next generation stays as it is, and is compared anew when it goes on."""
        found = self._in(Phase.BUILDING, Phase.BUILT, doing="pause")
        if found.is_paused:
            return
        paused = replace(found, phase=Phase.BUILDING, is_paused=True, since=self._parts.clock.now())
        self._put(paused, RecipePair(self._live, None, self._parts.beside))
        self._engine.intake_stage.cancel_backfill(MIGRATION_SCAN)

    @_stepwise
    def resume(self) -> None:
        """Go on building; what has changed meanwhile is found by comparison."""
        found = self._in(Phase.BUILDING, doing="resume")
        if not found.is_paused:
            return
        going = replace(found, is_paused=False, since=self._parts.clock.now())
        self._put(going, RecipePair(self._live, self._parts.beside), scan=True)
        self._begin_scan(going, resume=True)

    def wait(
        self, timeout_s: float | None = None, on_progress: Callable[[MigrationStatus], None] | None = None
    ) -> bool:
        """
        Wait until the next generation is built and what it still lacked then is made; False when time ran out.

        Raises `ConfigError` when none is being built or it is paused, `UnavailableError` when no engine runs.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        mark: int | None = None
        changed = self._engine.changed
        while True:
            seen = changed.count
            status = self.status()
            if on_progress is not None:
                on_progress(status)
            if status.phase in (Phase.ALONE, Phase.DROPPING) or status.is_paused:
                raise ConfigError("no generation is being built: start or resume a migration")
            if status.phase is not Phase.BUILDING:
                mark = self._engine.state.owed_mark if mark is None else mark
                if not self._engine.state.owes_since(mark):
                    return True
            self._parts.check_alive()
            remaining = UNTOLD_S if deadline is None else min(UNTOLD_S, deadline - time.monotonic())
            if remaining <= 0:
                return False
            changed.wait_past(seen, remaining)

    def status(self) -> MigrationStatus:
        """Return how far the migration is."""
        found = self.generations
        types = sorted(
            self._types() | found.live.named_types() | (found.other.named_types() if found.other else set())
        )
        spaces = {
            name: (found.live.space_of(name), found.other.space_of(name))
            for name in types
            if found.other is not None and found.live.space_of(name) != found.other.space_of(name)
        }
        return MigrationStatus(
            phase=found.phase,
            is_paused=found.is_paused,
            generation=max([found.live.generation, *found.live.generations.values()]),
            spaces=spaces,
            progress=self._engine.intake_stage.progress().get(MIGRATION_SCAN),
            waiting=self._parts.waiting,
            outage=self._engine.migration_outage,
            started_at=found.started_at,
            since=found.since,
        )

    # ------------------------------------------------------------------ cutting over

    def audit(self, on_progress: Callable[[int], None] | None = None) -> AuditReport:
        """Audit the generation beside the live one: every key, every vector; raises `ConfigError` without one."""
        self._in(Phase.BUILDING, Phase.BUILT, Phase.RETIRED, doing="audit")
        return self._swap.audit(on_progress)

    def cut_over(
        self,
        *,
        veto: Veto | None = None,
        gated: bool = True,
        on_progress: Callable[[int], None] | None = None,
        patience_s: float = _PATIENCE_S,
    ) -> AuditReport:
        """
        Let searches be answered by the next generation from now on; returns the audit that allowed it.

        Everything is audited first, and repaired where that is possible. Raises `ConfigError` when the generation is
        not built, is not at 100 % or is vetoed, and `UnavailableError` when mutations outran it for `patience_s`.
        `veto` replaces the gate of `[quality]`; without one, `gated=False` skips that gate.
        """
        found = self._in(Phase.BUILT, doing="cut over")
        if veto is None and gated:
            veto = self._parts.gate
        return self._swap.proven(found, Phase.RETIRED, veto, on_progress, patience_s)

    def roll_back(
        self,
        *,
        force: bool = False,
        on_progress: Callable[[int], None] | None = None,
        patience_s: float = _PATIENCE_S,
    ) -> AuditReport | None:
        """
        Let searches be answered by the retired generation again, which has followed the log all the time.

        It is audited and repaired as for a cut-over; raises what `cut_over` does. With `force` it is not audited, and
        None is returned: while a bad generation answers searches, speed may be worth more than proof.
        """
        found = self._in(Phase.RETIRED, doing="roll back")
        if not force:
            return self._swap.proven(found, Phase.BUILT, None, on_progress, patience_s)
        self._swap.forced(found, Phase.BUILT, patience_s)
        return None

    @_stepwise
    def drop(self) -> None:
        """Remove the generation beside the live one, in the background: an unwanted new one or the retired one."""
        found = self._in(Phase.BUILDING, Phase.BUILT, Phase.RETIRED, doing="drop")
        dropping = replace(found, phase=Phase.DROPPING, is_paused=False, since=self._parts.clock.now())
        self._put(dropping, RecipePair(self._live, None, self._parts.beside))
        self._engine.intake_stage.cancel_backfill(MIGRATION_SCAN)

    # ------------------------------------------------------------------ what the engine calls

    @property
    def is_dropping(self) -> bool:
        """Whether records are still to be removed; looks at memory only."""
        return self._engine.recipes.pair.idle is not None and self.generations.phase is Phase.DROPPING

    @_stepwise
    def finish_drop(self) -> None:
        """Note that nothing is left of what was dropped."""
        found = self._in(Phase.DROPPING, doing="finish a drop")
        self._put(
            Generations(live=found.live, number=found.number, since=self._parts.clock.now()), RecipePair(self._live)
        )
        logger.info("the generation beside the live one is gone")

    @property
    def is_due(self) -> bool:
        """Whether a retired generation has outlived its grace time. Part of the idle engine's chores."""
        if self._engine.recipes.pair.other is None:
            return False
        found = self.generations
        if found.phase is not Phase.RETIRED or found.since is None:
            return False
        return self._ages.watched_s(Phase.RETIRED, found.since) >= self._parts.grace_s

    def step(self) -> bool:
        """Drop a retired generation whose grace time is over; False when there is none."""
        # The engine must not wait for a step that waits for the engine.
        if not self.is_due or not self._stepping.acquire(blocking=False):
            return False
        try:
            if not self.is_due:
                return False
            logger.info("the grace time of the retired generation is over: dropping it")
            self.drop()
            return True
        finally:
            self._stepping.release()

    # ------------------------------------------------------------------ parts

    @property
    def _live(self) -> ViewRecipe:
        return self._engine.recipes.pair.live

    def _in(self, *phases: Phase, doing: str) -> Generations:
        found = self.generations
        if found.phase not in phases:
            wanted = " or ".join(phases)
            raise ConfigError(f"can not {doing}: the migration is {found.phase.value}, not {wanted}")
        return found

    def _put(self, generations: Generations, pair: RecipePair, *, scan: bool = False) -> None:
        """Store a step and put its recipes in force, between two writes of the engine."""

        def commit() -> None:
            with self._parts.journal.transaction():
                save_generations(self._parts.journal, generations)
                if scan:
                    self._parts.journal.set(MIGRATION_SCAN, "1")

        self._engine.swap_recipes(pair, commit, partial(self._has, generations))

    def _has(self, generations: Generations) -> bool:
        return load_generations(self._parts.journal) == generations

    def _begin_scan(self, found: Generations, *, resume: bool) -> None:
        if found.other is None:
            return
        changed = differing_types(found.live, found.other, {"", *self._types(), *found.other.named_types()})
        types = None if "" in changed else frozenset(changed)
        self._engine.intake_stage.begin_backfill(
            MIGRATION_SCAN, Lane.MIGRATION, types, resume=resume, on_finished=self._note_built
        )

    def _note_built(self) -> None:
        """Called in the transaction that ends the backfill."""
        found = self.generations
        if found.phase is Phase.BUILDING and not found.is_paused:
            save_generations(self._parts.journal, replace(found, phase=Phase.BUILT, since=self._parts.clock.now()))
