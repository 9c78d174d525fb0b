"""
The scrubber: audits in the background by a schedule, and repairs what it may.

Incremental audits run often, a full one, which asks no digest, runs on its own slower schedule, and a small sample
is embedded anew now and then. All of it keeps to a share of one core and stands back while live changes wait.
When it ran last is kept in the journal, so a restart neither forgets an overdue audit nor begins all of them at once.
Nothing that a pass raises ends the scrubber: it says what failed, and tries again later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipstream.audit.auditor import Auditor
from slipstream.audit.brake import BRAKED_KINDS
from slipstream.audit.braking import Brake
from slipstream.audit.classes import CLASSES
from slipstream.audit.findings import AuditReport
from slipstream.audit.pacing import SMALL_PAGE, Gait, Pace, TrafficPace
from slipstream.audit.repair import KINDS, Repairer
from slipstream.audit.scrub_state import ScrubMemory, ScrubState
from slipstream.audit.words_found import with_words
from slipstream.domain.errors import InvalidInputError, SlipstreamError
from slipstream.ports.ages import Ages
from slipstream.ports.audits import AuditLog
from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal

logger = logging.getLogger(__name__)

SCRUB_REPAIR = "scrub_repair"
"""Where the journal keeps how far the scrubber's own repair is."""
_SLICE_S = 0.1
_IDLE_CORE_SHARE = 0.5
"""What a pass may take while nothing changes."""
_VERIFY_PATIENCE_S = 120.0
_BACKOFF_S_MAX = 60.0
_STOP_S = 5.0

FULL, INCREMENTAL, SAMPLE = "full", "incremental", "sample"
_COUNTS_AS = {
    FULL: (FULL, INCREMENTAL),
    "deep": (FULL, INCREMENTAL),
    SAMPLE: (SAMPLE, INCREMENTAL),
    INCREMENTAL: (INCREMENTAL,),
}
"""Kinds of pass that are not due for a while when an audit of a kind has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubSettings:
    """Schedule, budget, and what is repaired without asking. An interval of 0 switches that kind of pass off."""

    enabled: bool = True
    incremental_every_s: float = 60.0
    full_every_s: float = 24 * 3600.0
    sample_every_s: float = 6 * 3600.0
    sample_size: int = 200
    core_share: float = 0.02
    """How much of one core a pass may take while changes flow, in 0..1: it rests accordingly after every few keys."""
    repair: tuple[str, ...] = tuple(name for name in CLASSES if name != "drifted")
    """Vectors and word rows of these classes. Drift is not repaired by itself: where a model has changed silently,
    it would mix old and new vectors."""

    def __post_init__(self) -> None:
        for name in ("incremental_every_s", "full_every_s", "sample_every_s"):
            if not getattr(self, name) >= 0:
                raise InvalidInputError("must not be negative", field=f"scrub.{name}")
        if not 0 < self.core_share <= 1:
            raise InvalidInputError("must be greater than 0 and at most 1", field="scrub.core_share")
        if self.sample_size < 1:
            raise InvalidInputError("must be at least 1", field="scrub.sample_size")
        unknown = set(self.repair) - set(KINDS)
        if unknown:
            raise InvalidInputError(
                f"unknown classes {sorted(unknown)}; known are {', '.join(KINDS)}", field="scrub.repair"
            )

    def intervals_s(self) -> Mapping[str, float]:
        """Return how often each kind of pass is due, the weightiest first."""
        return {FULL: self.full_every_s, SAMPLE: self.sample_every_s, INCREMENTAL: self.incremental_every_s}


class ScrubInterruptedError(Exception):
    """The scrubber was told to stop: the pass that was under way does not count."""


class Scrubber:
    """One scrubber a PKG. `step` does what is due; `start` runs it on a thread of its own."""

    def __init__(
        self,
        auditor: Auditor,
        repairer: Repairer,
        audits: AuditLog,
        journal: Journal,
        clock: Clock,
        settings: ScrubSettings,
        *,
        is_busy: Callable[[], bool],
        repairs_waiting: Callable[[], int],
        is_scanning: Callable[[], bool] = lambda: False,
    ) -> None:
        self._auditor, self._repairer, self._audits = auditor, repairer, audits
        self._clock, self.settings = clock, settings
        self._is_busy, self._repairs_waiting = is_busy, repairs_waiting
        self._is_scanning = is_scanning
        self._memory = ScrubMemory(journal, clock)
        self._opened_s = clock.monotonic()
        self._ages = Ages(clock)
        self._failures = 0
        self._stopping = threading.Event()
        self._interrupted = threading.Event()
        self._waiting, self._waiting_lock = 0, threading.Lock()
        self._thread: threading.Thread | None = None
        self.running: str | None = None
        """The kind of pass that is under way."""
        self.error = self.state.error
        """Why the last pass failed, None when it did not."""
        auditor.on_kept.append(self._note)

    # ------------------------------------------------------------------ state

    @property
    def state(self) -> ScrubState:
        """When passes ended last, whether the scrubber is paused, and what it remembers besides."""
        return self._memory.read()

    @property
    def health(self) -> str:
        """The first of `off`, `paused`, `dead`, `failing`, `stopped` and `working` that is so."""
        if not self.settings.enabled:
            return "off"
        if self.state.paused:
            return "paused"
        if self.is_dead:
            return "dead"
        if self.error is not None:
            return "failing"
        thread = self._thread
        return "working" if thread is not None and thread.is_alive() else "stopped"

    @property
    def is_dead(self) -> bool:
        """Whether the thread has ended although nobody stopped it."""
        thread = self._thread
        return thread is not None and not thread.is_alive() and not self._stopping.is_set()

    @property
    def failure(self) -> str | None:
        """Why no scheduled audit succeeds, None when one does, or when none is wanted."""
        return self.error or self.health if self.health in ("dead", "failing") else None

    def pause(self) -> None:
        """Start no further pass, also after a restart, until `resume`."""
        with self._memory.changed() as state:
            state.paused = True

    def resume(self) -> None:
        """Go on by the schedule."""
        with self._memory.changed() as state:
            state.paused = False

    def age_s(self) -> float | None:
        """
        Return how long ago a full audit ended (or the PKG was first opened); None when none is scheduled.

        It is None, too, when that time is still to come: the clock has been set back, and nobody knows.
        """
        if not self.settings.enabled or not self.settings.full_every_s:
            return None
        state = self.state
        return self._ages.of(FULL, state.ended_at.get(FULL, state.opened_at))

    def due(self) -> str | None:
        """Return the kind of pass that is due, the weightiest first; None when none is or the scrubber is paused."""
        state = self.state
        if state.paused or not self.settings.enabled:
            return None
        braked = self._brake.braked()
        if braked is not None and braked.plan_id is None and not self._is_scanning():
            return FULL  # the engine has found too much: what is to be confirmed is the plan of a kept audit
        return next((kind for kind, wait_s in self._waits_s(state) if wait_s <= 0), None)

    def _waits_s(self, state: ScrubState) -> list[tuple[str, float]]:
        return [
            (kind, self._wait_s(kind, every_s, state.ended_at.get(kind)))
            for kind, every_s in self.settings.intervals_s().items()
            if every_s
        ]

    def _wait_s(self, kind: str, every_s: float, ended_at: datetime | None) -> float:
        age_s = None if ended_at is None else self._ages.of(kind, ended_at)
        if age_s is not None:
            return every_s - age_s
        # What never ran, as far as anybody knows, is due one short interval after opening: a start has better to do.
        opened_for_s = self._clock.monotonic() - self._opened_s
        return min(every_s, self.settings.incremental_every_s or every_s) - opened_for_s

    def summary(self) -> dict[str, Any]:
        """Return the scrubber's state as plain data, ready for JSON."""
        state = self.state
        newest = self._audits.audits(None, 1)
        return {
            "enabled": self.settings.enabled,
            "health": self.health,
            "paused": state.paused,
            "running": self.running,
            "error": self.error,
            "ended_at": {kind: at.isoformat() for kind, at in sorted(state.ended_at.items())},
            "due_in_s": {kind: round(wait_s, 1) for kind, wait_s in self._waits_s(state)},
            "last_repair": state.last_repair,
            "brake": self._brake.summary(),
            "last_audit": newest[0].report if newest else None,
        }

    # ------------------------------------------------------------------ working

    def step(self) -> AuditReport | None:
        """Do the pass that is due, and repair what may be repaired; else go on with a repair that was cut short."""
        kind = self.due()
        if kind is not None:
            return self.run(kind)
        is_wanted = self.settings.enabled and not self.state.paused
        if is_wanted and self._repairer.unfinished_in(SCRUB_REPAIR) is not None:
            with self._working("repair"):
                self._mend(None, with_words(self.settings.repair))
        return None

    def run(self, kind: str) -> AuditReport:
        """Do one pass now, within the budget; raises `ScrubInterruptedError` when the scrubber is stopped."""
        with self._working(kind):
            pace = self._pace()
            if kind == FULL:
                report = self._auditor.audit(pace=pace)
            elif kind == SAMPLE:
                report = self._auditor.audit_sample(self.settings.sample_size, pace=pace)
            else:
                report = self._auditor.audit_changes(pace=pace)
            self._note(report, kind)
            self._repair(report)
            return report

    @contextmanager
    def _working(self, kind: str) -> Iterator[None]:
        """Say what is being done, and why it failed when it does."""
        self.running = kind
        self._interrupted.clear()
        try:
            yield
        except ScrubInterruptedError:
            raise
        except BaseException as error:
            self.error = f"{type(error).__name__}: {error}"
            raise
        else:
            self.error = None
        finally:
            self.running = None

    def _note(self, report: AuditReport, *kinds: str) -> None:
        """Take note of an audit that is kept, whoever has asked for it."""
        now = self._clock.now()
        with self._memory.changed() as state:
            state.ended_at.update(dict.fromkeys((*kinds, *_COUNTS_AS.get(report.kind, ())), now))
        self._release(report)

    def _release(self, report: AuditReport) -> None:
        """Let the brake go when an audit shows that there is no need of it any more."""
        braked = self._brake.braked()
        if braked is None or report.started_at is None:
            return
        is_told = braked.plan_id is not None or report.kind in (FULL, "deep")  # else only a full one sees all of it
        if is_told and not self._brake.is_over(report.summary(), self._scanned_kinds):
            self._brake.let_go(report.started_at)

    @property
    def _scanned_kinds(self) -> tuple[str, ...]:
        """The classes that a scan of the engine mends, and those that are repaired unasked."""
        return tuple(kind for kind in BRAKED_KINDS if kind != "drifted" or kind in self.settings.repair)

    def _repair(self, report: AuditReport) -> None:
        if report.id is not None and report.damage and self._repairer.mend(report.id, rest=self._rest):
            return  # what it found of keys was read past that damage: the next audit tells what is left
        wanted = with_words(self.settings.repair)
        kinds = [kind for kind, n in report.counts().items() if n and kind in wanted]
        if report.id is None or self._is_braked(report, report.id, kinds) or not kinds:
            return
        logger.warning("audit %s found %s: repairing", report.id, {kind: report.counts()[kind] for kind in kinds})
        remaining = self._mend(report.id, kinds)
        if not remaining.is_consistent:
            report.notes.append(f"still divergent after the repair: {sum(remaining.counts().values())} keys")

    def _is_braked(self, report: AuditReport, audit_id: int, kinds: Sequence[str]) -> bool:
        """Whether what is to be mended is too much to be mended unasked; then its plan is kept, and told of."""
        braked = self._brake.braked()
        if braked is not None and braked.plan_id is None:
            kinds = self._scanned_kinds  # the plan is to say all that the engine has left undone
        if not self._brake.is_over(report.summary(), kinds):
            return False
        if self._is_scanning():  # views were changed, say: what differs is looked at already
            logger.warning("audit %d found more than the brake allows: left to the scan that is under way", audit_id)
            return True
        plan = self._repairer.braked(audit_id, kinds)
        if plan is not None and report.started_at is not None:
            self._brake.hold(plan, report.started_at)
            report.notes.append(f"braked: {plan.said}: {plan.command}")
        return plan is not None

    @property
    def _brake(self) -> Brake:
        return self._repairer.brake

    def _mend(self, audit_id: int | None, kinds: Sequence[str]) -> AuditReport:
        """Repair a kept audit (None: go on), wait for the engine, look at the same keys again, and remember it."""
        result = self._repairer.repair(audit_id, kinds, slot=SCRUB_REPAIR, rest=self._rest)
        waited_s = 0.0
        while self._repairs_waiting() and waited_s < _VERIFY_PATIENCE_S:
            self._rest(_SLICE_S)
            waited_s += _SLICE_S
        remaining = self._repairer.verify(result, pace=self._pace())
        still = {kind: n for kind, n in remaining.counts().items() if n}
        if still:
            logger.error("after the repair of audit %s still divergent: %s", result.audit_id, still)
        facts = {"audit": result.audit_id, "marked": result.marked, "still_divergent": still}
        with self._memory.changed() as state:
            state.last_repair = {"at": self._clock.now().isoformat(), **facts}
        return remaining

    def _pace(self) -> Pace:
        busy = Gait(page=SMALL_PAGE, core_share=self.settings.core_share)
        idle = Gait(page=SMALL_PAGE, core_share=max(self.settings.core_share, _IDLE_CORE_SHARE))
        return TrafficPace(self._is_busy, self._clock, busy=busy, idle=idle, sleep=self._rest)

    def _rest(self, seconds: float) -> None:
        while seconds > 0 and not self._is_ending:
            self._clock.sleep(min(seconds, _SLICE_S))
            seconds -= _SLICE_S
        if self._is_ending:
            raise ScrubInterruptedError

    @property
    def _is_ending(self) -> bool:
        return self._stopping.is_set() or self._interrupted.is_set() or self._waiting > 0

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let no pass go on while the block runs: somebody waits for an audit or a repair of their own."""
        with self._waiting_lock:
            self._waiting += 1
        try:
            yield
        finally:
            with self._waiting_lock:
                self._waiting -= 1

    def interrupt(self) -> None:
        """Make the pass that is under way, if any, give up; it stays due."""
        self._interrupted.set()

    # ------------------------------------------------------------------ the thread

    def start(self) -> None:
        """Run by the schedule on a thread of its own; starting twice is harmless, and a dead one is replaced."""
        if self._thread is None or not self._thread.is_alive():
            self._stopping.clear()
            self._thread = threading.Thread(target=self._loop, name="slipstream-scrub", daemon=True)
            self._thread.start()

    def leave(self) -> None:
        """Have the pass that is under way give up, and begin none any more: `stop` waits for it."""
        self._stopping.set()

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """
        Stop the thread; what is under way is given up: a pass is due again, a repair goes on where it was.

        One that hangs in a model is left behind after that time.
        """
        self.leave()
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None

    def _loop(self) -> None:
        while not self._stopping.wait(min(_BACKOFF_S_MAX, 1.0 * 2**self._failures)):
            try:
                self.step()
                self._failures = 0
                self._remember()
            except ScrubInterruptedError:
                continue  # somebody else's audit goes first, or the end has come
            except Exception as error:  # noqa: BLE001  (whatever it is, audits go on)
                if not self._stopping.is_set():
                    self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._failures = min(self._failures + 1, 6)
        self.error = f"{type(error).__name__}: {error}"
        is_ours = isinstance(error, SlipstreamError)
        logger.warning("scrubbing failed and is tried again: %s", self.error, exc_info=None if is_ours else error)
        try:
            self._remember()
        except Exception as unsaved:  # noqa: BLE001  (the journal may be what fails; the alerts know all the same)
            logger.warning("the journal can not keep why scrubbing failed: %r", unsaved)

    def _remember(self) -> None:
        """Have the journal know whether the last pass failed, so that the next process does."""
        with self._memory.changed() as state:
            state.error = self.error


def unfinished_repairs(repairer: Repairer) -> list[int]:
    """Return the audits whose repair was cut short, or waits to be confirmed: they are still needed."""
    found = (repairer.unfinished, repairer.unfinished_in(SCRUB_REPAIR), *repairer.brake.needed_audits())
    return [audit_id for audit_id in found if audit_id is not None]
