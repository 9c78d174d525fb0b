"""The swap of the live generation and the one beside it: proven first, and overtaken by nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from slipstream.audit.classes import PAST_THE_CACHE
from slipstream.audit.findings import AuditReport
from slipstream.audit.leaves import LEAVES_MARK
from slipstream.audit.pacing import batched
from slipstream.audit.ratios import counts_text
from slipstream.domain.errors import ConfigError, PoisonEventError, UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.work import Lane
from slipstream.migration.parts import MigrationParts, Veto
from slipstream.ports.scans import PAGE
from slipstream.recipes.generations import Generations, Phase, load_generations, save_generations
from slipstream.recipes.in_force import RecipePair

logger = logging.getLogger(__name__)

UNTOLD_S = 0.5
"""Look again after so long at the latest: nobody is told when another process puts work into the journal."""
_ROUNDS_MAX = 3
"""How often what the audit finds is repaired before a cut-over is refused."""
_DRAINED = frozenset({"live", "retry", "migration"})
"""Lanes in which the generation beside has nothing left at the moment of a swap."""

Progress = Callable[[int], None]


class OvertakenError(Exception):
    """Something has happened since the proof, and it need not hold any more."""


class LiveSwap:
    """
    Cut-over and roll-back: the same swap in either direction.

    `stepping` is held while it swaps, and not while it proves: another step that is taken meanwhile ends the swap.
    """

    def __init__(self, parts: MigrationParts, stepping: threading.RLock) -> None:
        self._parts, self._engine, self._stepping = parts, parts.sync.engine, stepping

    def audit(self, on_progress: Progress | None = None) -> AuditReport:
        """Audit the generation beside the live one: every key, every vector."""
        return self._parts.auditor_of(self._parts.beside).audit(on_progress, pace=self._parts.pace())

    def proven(
        self, found: Generations, phase: Phase, veto: Veto | None, on_progress: Progress | None, patience_s: float
    ) -> AuditReport:
        """Audit, repair and swap; returns the audit that allowed it, and raises what `Migrations.cut_over` does."""
        for _ in range(_ROUNDS_MAX):
            buried = self._buried
            report = self._proven(on_progress, patience_s)
            reasons = veto() if veto is not None else ()
            if reasons:
                raise ConfigError(
                    f"the cut-over is vetoed: {'; '.join(reasons)}. Both generations stay as they are: mend the next "
                    "one, or set other thresholds (`[quality]`, `gate=`)"
                )
            if self._swapped(found, phase, buried, patience_s):
                return report
            logger.info("a record became a dead letter behind the audit: auditing again")
        raise ConfigError("records keep becoming dead letters: look at `slipstream dead-letters`, then try again")

    def forced(self, found: Generations, phase: Phase, patience_s: float) -> None:
        """Swap without proof."""
        while not self._swapped(found, phase, self._buried, patience_s):
            logger.info("a record beside the live one became a dead letter: swapping all the same")

    @property
    def _buried(self) -> int:
        """How many keys have become dead letters; one that did so after an audit may be a record that it found."""
        return self._engine.state.buried

    def _proven(self, on_progress: Progress | None, patience_s: float) -> AuditReport:
        for _ in range(_ROUNDS_MAX):
            self._await_recovery(patience_s)
            report = self.audit(on_progress)
            if self._is_complete(report):
                return report
            for kind, keys in report.divergences.items():
                self._engine.mark(keys, lane=Lane.MIGRATION, reason=kind, force=kind in PAST_THE_CACHE)
            self._drained(patience_s)
        shown = counts_text({**report.counts(), "owed": len(report.owed), "unsettled": report.unsettled})
        raise ConfigError(
            f"the next generation is not complete ({shown}): look at "
            "`slipstream dead-letters` and at the audit, then cut over again"
        )

    def _is_complete(self, report: AuditReport) -> bool:
        """
        Whether the generation beside lacks nothing but records that the live one can not render either.

        What live traffic has only just made dirty does not count: the swap waits until that is written.
        """
        is_all_owed = bool(report.owed) and report.consistency is None
        if (
            any(report.divergences.values())
            or report.unsettled
            or is_all_owed
            or report.owed_by_lane.keys() - _DRAINED
        ):
            return False
        return all(self._fails_in_live(page) for page in batched(report.unrenderable, PAGE))

    def _fails_in_live(self, keys: Sequence[RecordKey]) -> bool:
        """Whether the live recipe can render none of the keys either."""
        live = self._parts.pair.live
        for state in self._parts.graph.read(keys, live.hops()).states.values():
            try:
                live.target(state)
            except PoisonEventError:
                continue
            return False
        return True

    def _swapped(self, proven: Generations, phase: Phase, buried: int, patience_s: float) -> bool:
        """
        Swap the two generations in a moment at which the one beside lacks nothing that the live one reflects.

        `proven` is what was audited; raises `ConfigError` when another thread has taken a step since. Returns False
        when a key has become a dead letter since the audit began, at which there were `buried` of them.
        """
        with self._stepping:
            self._engine.state.is_draining = True
            try:
                self._swap_when_drained(proven, phase, buried, patience_s)
                return True
            except OvertakenError:
                return False
            finally:
                self._engine.state.is_draining = False

    def _swap_when_drained(self, proven: Generations, phase: Phase, buried: int, patience_s: float) -> None:
        if not self._wait_until(lambda: self._swap_if_drained(proven, phase, buried), patience_s):
            raise UnavailableError(self._why_not_drained(patience_s))

    def _swap_if_drained(self, proven: Generations, phase: Phase, buried: int) -> bool:
        found, pair = self._parts.generations, self._parts.pair
        if found != proven or found.other is None or pair.other is None:
            raise ConfigError(f"another step was taken meanwhile, and the migration is {found.phase}: try again")
        swapped = replace(found, live=found.other, other=found.live, phase=phase, since=self._parts.clock.now())

        def commit() -> None:
            if self._buried != buried:
                raise OvertakenError
            with self._parts.journal.transaction():
                save_generations(self._parts.journal, swapped)
                self._parts.journal.set(LEAVES_MARK, None)
                self._parts.put_in_force(swapped.live)

        flipped = RecipePair(pair.other, pair.live)
        if not self._engine.swap_recipes(flipped, commit, partial(self._is_kept, swapped), drained=True):
            return False
        self._parts.on_live(swapped.live)
        return True

    def _is_kept(self, generations: Generations) -> bool:
        return load_generations(self._parts.journal) == generations

    def _why_not_drained(self, patience_s: float) -> str:
        outage = self._engine.migration_outage
        if outage is not None:
            return f"the generation beside the live one could not be completed within {patience_s:g} s: {outage}"
        left = counts_text({lane.name.lower(): self._parts.journal.work_count(lane) for lane in Lane})
        return (
            f"there was no moment within {patience_s:g} s at which the generation beside the live one lacked nothing "
            f"(waiting: {left or 'new changes'}): its model or the index is too slow for this traffic, or something "
            "else is still to be done; try when there is less"
        )

    def _await_recovery(self, patience_s: float) -> None:
        """Wait until the model of the generation beside works, or nothing waits for it; else `UnavailableError`."""
        if not self._wait_until(lambda: self._engine.migration_outage is None or not self._parts.waiting, patience_s):
            raise UnavailableError(self._why_not_drained(patience_s))

    def _drained(self, patience_s: float) -> None:
        self._wait_until(lambda: not self._parts.waiting, patience_s)

    def _wait_until(self, is_so: Callable[[], bool], patience_s: float) -> bool:
        """Ask again whenever the engine has got further; False when patience has ended."""
        changed, deadline = self._engine.changed, time.monotonic() + patience_s
        while True:
            seen = changed.count
            if is_so():
                return True
            self._parts.check_alive()
            remaining = min(UNTOLD_S, deadline - time.monotonic())
            if remaining <= 0:
                return False
            changed.wait_past(seen, remaining)
