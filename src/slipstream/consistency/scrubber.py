"""
The scrubber: audits in the background by a schedule, repairs what it may, and raises alerts.

Incremental audits run often, a full one, which asks no digest, runs on its own slower schedule, and a small sample
is embedded anew now and then. All of it keeps to a share of one core and stands back while live changes wait.
When it ran last is kept in the journal, so a restart neither forgets an overdue audit nor begins all of them at once.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slipstream.consistency.audit import Auditor
from slipstream.consistency.classes import CLASSES
from slipstream.consistency.pacing import SMALL_PAGE, Gait, Pace, TrafficPace
from slipstream.consistency.repair import KINDS, Repairer
from slipstream.consistency.report import AuditReport
from slipstream.domain.errors import InvalidInputError, SlipstreamError
from slipstream.ports.audits import AuditLog
from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal

logger = logging.getLogger(__name__)

SCRUB = "scrub"
_SLICE_S = 0.1
_IDLE_CORE_SHARE = 0.5
"""What a pass may take while nothing changes."""
_VERIFY_PATIENCE_S = 120.0

FULL, INCREMENTAL, SAMPLE = "full", "incremental", "sample"
Passes = Mapping[str, float]


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
    """Drift is not repaired by itself: where a model has changed silently, it would mix old and new vectors."""

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


@dataclass(slots=True)
class ScrubState:
    """What the journal keeps: when each kind of pass ended last (UTC), and whether the scrubber is paused."""

    ended_at: dict[str, datetime] = field(default_factory=dict)
    paused: bool = False

    @classmethod
    def load(cls, text: str | None) -> ScrubState:
        """Return the state that `dump` wrote; a new one where there is none."""
        if text is None:
            return cls()
        found = json.loads(text)
        return cls({kind: datetime.fromisoformat(at) for kind, at in found["ended_at"].items()}, found["paused"])

    def dump(self) -> str:
        """Return the state as JSON."""
        ended_at = {kind: at.isoformat() for kind, at in self.ended_at.items()}
        return json.dumps({"ended_at": ended_at, "paused": self.paused})


class ScrubInterruptedError(Exception):
    """The scrubber is to stop; the pass that was under way counts for nothing."""


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
    ) -> None:
        self._auditor, self._repairer, self._audits = auditor, repairer, audits
        self._journal, self._clock, self.settings = journal, clock, settings
        self._is_busy, self._repairs_waiting = is_busy, repairs_waiting
        self._opened_at = clock.now()
        self._stopping = threading.Event()
        self._interrupted = threading.Event()
        self._thread: threading.Thread | None = None
        self.running: str | None = None
        """The kind of pass that is under way."""
        self.error: str | None = None
        """Why the last pass failed, None when it did not."""

    # ------------------------------------------------------------------ state

    @property
    def state(self) -> ScrubState:
        """When passes ended last, and whether the scrubber is paused."""
        return ScrubState.load(self._journal.get(SCRUB))

    def pause(self) -> None:
        """Start no further pass, also after a restart, until `resume`."""
        self._set_paused(paused=True)

    def resume(self) -> None:
        """Go on by the schedule."""
        self._set_paused(paused=False)

    def _set_paused(self, *, paused: bool) -> None:
        state = self.state
        state.paused = paused
        self._journal.set(SCRUB, state.dump())

    def age_s(self) -> float | None:
        """Return how long ago the last full pass ended (or this process began); None when none is scheduled."""
        if not self.settings.enabled or not self.settings.full_every_s:
            return None
        ended_at = self.state.ended_at.get(FULL, self._opened_at)
        return max(0.0, (self._clock.now() - ended_at).total_seconds())

    def due(self) -> str | None:
        """Return the kind of pass that is due, the weightiest first; None when none is or the scrubber is paused."""
        state = self.state
        if state.paused or not self.settings.enabled:
            return None
        return next((kind for kind, wait_s in self._waits_s(state) if wait_s <= 0), None)

    def _waits_s(self, state: ScrubState) -> list[tuple[str, float]]:
        now = self._clock.now()
        waits: list[tuple[str, float]] = []
        for kind, every_s in self.settings.intervals_s().items():
            if every_s:
                # What never ran is due one short interval after opening: a start has better things to do.
                began = state.ended_at.get(kind)
                due_in_s = every_s if began else min(every_s, self.settings.incremental_every_s or every_s)
                waits.append((kind, due_in_s - (now - (began or self._opened_at)).total_seconds()))
        return waits

    def summary(self) -> dict[str, Any]:
        """Return the scrubber's state as plain data, ready for JSON."""
        state = self.state
        newest = self._audits.audits(None, 1)
        return {
            "enabled": self.settings.enabled,
            "paused": state.paused,
            "running": self.running,
            "error": self.error,
            "ended_at": {kind: at.isoformat() for kind, at in sorted(state.ended_at.items())},
            "due_in_s": {kind: round(wait_s, 1) for kind, wait_s in self._waits_s(state)},
            "last_audit": newest[0].report if newest else None,
        }

    # ------------------------------------------------------------------ working

    def step(self) -> AuditReport | None:
        """Do the pass that is due, if one is, and repair what it found and may be repaired."""
        kind = self.due()
        return None if kind is None else self.run(kind)

    def run(self, kind: str) -> AuditReport:
        """Do one pass now, within the budget; raises `ScrubInterruptedError` when the scrubber is stopped."""
        self.running = kind
        self._interrupted.clear()
        try:
            pace = self._pace()
            if kind == FULL:
                report = self._auditor.audit(pace=pace)
            elif kind == SAMPLE:
                report = self._auditor.audit_sample(self.settings.sample_size, pace=pace)
            else:
                report = self._auditor.audit_changes(pace=pace)
            self._repair(report)
            self._note(kind, report)
            self.error = None
            return report
        except SlipstreamError as error:
            self.error = f"{type(error).__name__}: {error}"
            raise
        finally:
            self.running = None

    def _note(self, kind: str, report: AuditReport) -> None:
        state = self.state
        now = self._clock.now()
        # A full pass leaves nothing to an incremental one, also when it was meant to be one.
        for done in {kind, report.kind} & {FULL, SAMPLE, INCREMENTAL} | ({INCREMENTAL} if kind == FULL else set()):
            state.ended_at[done] = now
        self._journal.set(SCRUB, state.dump())

    def _repair(self, report: AuditReport) -> None:
        kinds = [kind for kind, n in report.counts().items() if n and kind in self.settings.repair]
        if not kinds or report.id is None:
            return
        logger.warning("audit %s found %s: repairing", report.id, {kind: report.counts()[kind] for kind in kinds})
        result = self._repairer.repair(report.id, kinds)
        waited_s = 0.0
        while self._repairs_waiting() and waited_s < _VERIFY_PATIENCE_S:
            self._rest(_SLICE_S)
            waited_s += _SLICE_S
        remaining = self._repairer.verify(result)
        if remaining.is_divergent:
            logger.error("after the repair of audit %s still divergent: %s", report.id, remaining.counts())
            report.notes.append(f"still divergent after the repair: {len(remaining.divergent_keys())} keys")

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
        return self._stopping.is_set() or self._interrupted.is_set()

    def interrupt(self) -> None:
        """Give the pass that is under way up, if one is; it stays due."""
        self._interrupted.set()

    # ------------------------------------------------------------------ the thread

    def start(self, on_tick: Callable[[], object]) -> None:
        """
        Run by the schedule on a thread of its own; starting twice is harmless.

        `on_tick` is called between passes, about once a second.
        """
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._loop, args=(on_tick,), name="slipstream-scrub", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the thread; a pass that is under way is given up and is due again."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _loop(self, on_tick: Callable[[], object]) -> None:
        failures = 0
        while not self._stopping.wait(min(60.0, 1.0 * 2**failures)):
            try:
                self.step()
                on_tick()
                failures = 0
            except ScrubInterruptedError:
                continue  # somebody else's audit goes first, or the end has come
            except SlipstreamError as error:
                failures = min(failures + 1, 6)
                logger.warning("scrubbing failed and is tried again: %s: %s", type(error).__name__, error)
            except Exception:
                self.error = "the scrubber died: see the log"
                logger.exception("the scrubber died")
                raise
