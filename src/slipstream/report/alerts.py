"""Alerts that fire once for each incident and resolve, over restarts and broken sinks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from slipstream.domain.erasure import Erased, Swept
from slipstream.domain.errors import SlipstreamError
from slipstream.ports.alerts import AlertEvent, AlertMemory, AlertSink
from slipstream.ports.clock import Clock
from slipstream.report.alert_rules import RULES, AlertThresholds, Measurements, Reading, judge
from slipstream.report.alert_state import STATE, AlertState, Keeping

__all__ = ["BACKLOG_MAX", "RULES", "STATE", "AlertThresholds", "Alerts", "Measurements", "judge"]

logger = logging.getLogger(__name__)

BACKLOG_MAX = 100
"""Undelivered events kept for each sink."""
_TURN_S = 1.0
"""A sink that answers, but slowly, gets no further event in the same evaluation after this long."""
_REST_FACTOR = 9
"""A sink that failed is left alone for this many times as long as its failure took: a tenth of the caller's time."""


class Alerts:
    """
    Turns measurements into alerts.

    A rule fires when it is breached and resolves when it is not. What comes and goes must last `for_s`, at every
    look, before it counts as begun, and as long before it counts as over: a spike fires nothing, and a value that
    flutters about its limit is one incident. Incidents are durable. The hold is not: a restart begins it anew.

    A transition is kept in `memory` together with what each sink has still to be told, then told, then kept as told:
    every sink hears of it at least once. What can not be kept is told all the same, held here, and kept later; what
    could not be kept until the end is resolved by `leave`, because nobody else knows of it. `sinks` are told apart by
    name, over restarts too. One `Alerts` to a memory. Safe for threads: a call never waits for another one's
    delivery.
    """

    def __init__(
        self, memory: AlertMemory, clock: Clock, thresholds: AlertThresholds, sinks: Mapping[str, AlertSink]
    ) -> None:
        self._clock, self._thresholds = clock, thresholds
        self._sinks = dict(sinks)
        self._lock = threading.Lock()
        self._delivering = threading.Lock()
        self._turning: dict[str, tuple[float, datetime]] = {}  # rule: since when it has read unlike its state
        self._rest_until: dict[str, float] = {}
        self._broken: set[str] = set()
        self._state = AlertState()
        self._keeping = Keeping(memory, clock, RULES, tuple(sinks))
        self._recall()

    def evaluate(self, measurements: Measurements) -> Sequence[AlertEvent]:
        """
        Return the rules that begin to fire or resolve now, and hand out everything that is undelivered.

        Neither a sink's failure nor the memory's is raised: both are logged.
        """
        self._recall()
        with self._lock:
            events = [event for reading in judge(measurements, self._thresholds) if (event := self._turn(reading))]
            self._take(events)
        self._keep()
        self.deliver()
        return events

    def leave(self) -> None:
        """
        End the watch: keep what is not kept yet, and resolve the incidents that could not be kept.

        Waits for no sink longer than `evaluate` does.
        """
        self._keeping.hurry()
        self._keep()
        reason = self._keeping.failure
        if reason is None:
            return
        with self._lock:
            unknown = self._keeping.unknown(self._state)
            said = f"no longer watched: the process ends, and could not keep that this fires ({reason})"
            now = self._clock.now()
            self._take([replace(event, state="resolved", message=said, at=now) for event in unknown])
        self.deliver()

    def _take(self, events: Sequence[AlertEvent]) -> None:
        if events:
            self._state = self._after(events)
            for event in events:
                self._turning.pop(event.rule, None)
                logger.debug("alert %s %s: %s", event.rule, event.state, event.message)

    def _recall(self) -> None:
        """Take in what was kept, as soon as it can be read: nothing is written over it before."""
        found = self._keeping.recalled()
        if found is not None:
            with self._lock:
                self._state = found.with_newer(self._state, tuple(self._sinks))

    def _keep(self) -> None:
        self._keeping.keep(self._newest)

    def _newest(self) -> AlertState:
        with self._lock:
            return self._state

    def scrub(self, erased: Erased, *, rehearse: bool = False) -> Swept:
        """
        Put the mark where a message tells of an erased entity, and leave nothing of what was kept before.

        Raises `UnavailableError` when what is kept can not be read or written now, `LeaseLostError` when it is
        another process's.
        """
        self._keeping.hurry()
        self._recall()
        with self._lock:
            cleaned, told = self._state.cleaned(erased)
            searched = len(self._state.firing) + sum(map(len, self._state.backlog.values()))
            if not rehearse:
                self._state = cleaned
        if not rehearse:
            self._keeping.rewrite(self._newest)
        return Swept(place="messages of alerts", searched=searched, removed=told)

    @property
    def unkept(self) -> str | None:
        """Why the state is only in memory; None when it is kept."""
        return self._keeping.failure

    def firing(self) -> Mapping[str, AlertEvent]:
        """Return the open incidents, by rule; rules that are quiet are absent (all names: `RULES`)."""
        with self._lock:
            return dict(self._state.firing)

    def undelivered(self) -> Mapping[str, int]:
        """Return how many events each sink has still to be told."""
        with self._lock:
            return {name: len(self._state.backlog.get(name, ())) for name in self._sinks}

    def deliver(self) -> None:
        """Hand out what is undelivered, each sink for itself; `evaluate` does it too."""
        if not self._delivering.acquire(blocking=False):
            return  # another thread is at it, and takes along what has been added meanwhile
        try:
            for name, sink in self._sinks.items():
                self._deliver_to(name, sink)
                self._keep()
        finally:
            self._delivering.release()

    # ------------------------------------------------------------------ turning

    def _turn(self, reading: Reading) -> AlertEvent | None:
        """Return the transition that this reading completes, if it does."""
        opened = self._state.firing.get(reading.rule)
        if reading.is_breached == (opened is not None):
            self._turning.pop(reading.rule, None)
            return None
        began = self._turning.setdefault(reading.rule, (self._clock.monotonic(), self._clock.now()))
        if self._clock.monotonic() - began[0] < reading.hold_s:
            return None
        return AlertEvent(
            rule=reading.rule,
            state="firing" if opened is None else "resolved",
            message=reading.message,
            value=float(reading.value),
            threshold=float(reading.threshold),
            since=began[1] if opened is None else opened.since,
            at=self._clock.now(),
        )

    def _after(self, events: Sequence[AlertEvent]) -> AlertState:
        firing = dict(self._state.firing)
        for event in events:
            if event.state == "firing":
                firing[event.rule] = event
            else:
                del firing[event.rule]
        backlog = {name: _bounded(name, (*self._state.backlog.get(name, ()), *events)) for name in self._sinks}
        return AlertState(firing, backlog)

    # ------------------------------------------------------------------ delivering

    def _deliver_to(self, name: str, sink: AlertSink) -> None:
        """Tell a sink what it has to be told, in order, until it fails or has had its turn."""
        started = self._clock.monotonic()
        if started < self._rest_until.get(name, started):
            return
        while (event := self._next(name)) is not None and self._clock.monotonic() - started <= _TURN_S:
            if not self._notify(name, sink, event):
                now = self._clock.monotonic()
                self._rest_until[name] = now + _REST_FACTOR * (now - started)
                return
            self._forget(name, event)

    def _notify(self, name: str, sink: AlertSink, event: AlertEvent) -> bool:
        try:
            sink.notify(event)
        except Exception as error:  # whatever it is, the event stays undelivered and is offered again
            if name not in self._broken:  # once for each breakdown, not at every look
                is_ours = isinstance(error, SlipstreamError)
                logger.warning(
                    "alert sink %s: %s; alerts for it are kept and offered again",
                    name,
                    error if is_ours else repr(error),
                    exc_info=not is_ours,
                )
            self._broken.add(name)
            return False
        if name in self._broken:
            self._broken.discard(name)
            logger.info("alert sink %s takes alerts again", name)
        return True

    def _next(self, name: str) -> AlertEvent | None:
        with self._lock:
            waiting = self._state.backlog.get(name, ())
            return waiting[0] if waiting else None

    def _forget(self, name: str, event: AlertEvent) -> None:
        with self._lock:
            waiting = self._state.backlog.get(name, ())
            if waiting and waiting[0] is event:  # else the limit has dropped it meanwhile
                self._state = replace(self._state, backlog={**self._state.backlog, name: waiting[1:]})


def _bounded(name: str, events: tuple[AlertEvent, ...]) -> tuple[AlertEvent, ...]:
    """Drop the oldest events past the limit, but never the newest of a rule: it says how things stand."""
    kept = list(events)
    while len(kept) > BACKLOG_MAX:
        newest = {event.rule: index for index, event in enumerate(kept)}
        oldest = next(index for index, event in enumerate(kept) if newest[event.rule] != index)
        dropped = kept.pop(oldest)
        logger.error("alert sink %s has been broken for too long: %s is dropped undelivered", name, dropped.id)
    return tuple(kept)
