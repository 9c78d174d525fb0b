"""Alerts that fire once for each incident and resolve, over restarts and broken sinks."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from slipstream.consistency.alert_rules import RULES, AlertThresholds, Measurements, Reading, judge
from slipstream.domain.errors import SlipstreamError
from slipstream.ports.alerts import AlertEvent, AlertSink
from slipstream.ports.clock import Clock
from slipstream.ports.journal import Journal

__all__ = ["BACKLOG_MAX", "RULES", "STATE", "AlertThresholds", "Alerts", "Measurements", "judge"]

logger = logging.getLogger(__name__)

STATE = "alerts"
"""Name of the journal's value."""
BACKLOG_MAX = 100
"""Undelivered events kept for each sink."""
_TURN_S = 1.0
"""A sink that answers, but slowly, gets no further event in the same evaluation after this long."""
_REST_FACTOR = 9
"""A sink that failed is left alone for this many times as long as its failure took: a tenth of the caller's time."""


@dataclass(frozen=True, slots=True)
class _State:
    """What is durable: the incidents that are open, and what each sink has still to be told."""

    firing: Mapping[str, AlertEvent] = field(default_factory=dict)
    backlog: Mapping[str, tuple[AlertEvent, ...]] = field(default_factory=dict)

    def as_json(self) -> str:
        """Return the state as the journal keeps it."""
        firing = [event.as_dict() for event in self.firing.values()]
        backlog = {name: [event.as_dict() for event in events] for name, events in self.backlog.items() if events}
        return json.dumps({"version": 1, "firing": firing, "backlog": backlog}, allow_nan=False)


class Alerts:
    """
    Turns measurements into alerts.

    A rule fires when it is breached and resolves when it is not. Lag and outages must last `for_s`, at every look,
    before they count as begun, and as long before they count as over: a spike fires nothing, and a value that
    flutters about its limit is one incident. Incidents are durable. The hold is not: a restart begins it anew.

    A transition is saved together with what each sink has still to be told, and only then told, so that every sink
    hears of it at least once. `sinks` are told apart by name, over restarts too. One `Alerts` to a journal. Safe
    for threads: a call never waits for another one's delivery.
    """

    def __init__(
        self, journal: Journal, clock: Clock, thresholds: AlertThresholds, sinks: Mapping[str, AlertSink]
    ) -> None:
        self._journal, self._clock, self._thresholds = journal, clock, thresholds
        self._sinks = dict(sinks)
        self._lock = threading.Lock()
        self._delivering = threading.Lock()
        self._turning: dict[str, tuple[float, datetime]] = {}  # rule: since when it has read unlike its state
        self._rest_until: dict[str, float] = {}
        self._broken: set[str] = set()
        self._state = _loaded(journal.get(STATE), self._sinks)

    def evaluate(self, measurements: Measurements) -> Sequence[AlertEvent]:
        """
        Return the rules that begin to fire or resolve now, and hand out everything that is undelivered.

        A sink's failure is logged, never raised. Raises only what the journal raises; then nothing has turned, and
        the next call finds it again.
        """
        with self._lock:
            events = [event for reading in judge(measurements, self._thresholds) if (event := self._turn(reading))]
            if events:
                self._save(self._after(events))
                for event in events:
                    del self._turning[event.rule]
        for event in events:
            logger.debug("alert %s %s: %s", event.rule, event.state, event.message)
        self.deliver()
        return events

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

    def _after(self, events: Sequence[AlertEvent]) -> _State:
        firing = dict(self._state.firing)
        for event in events:
            if event.state == "firing":
                firing[event.rule] = event
            else:
                del firing[event.rule]
        backlog = {name: _bounded(name, (*self._state.backlog.get(name, ()), *events)) for name in self._sinks}
        return _State(firing, backlog)

    def _save(self, state: _State) -> None:
        self._journal.set(STATE, state.as_json())
        self._state = state

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
                self._save(_State(self._state.firing, {**self._state.backlog, name: waiting[1:]}))


def _bounded(name: str, events: tuple[AlertEvent, ...]) -> tuple[AlertEvent, ...]:
    """Drop the oldest events past the limit, but never the newest of a rule: it says how things stand."""
    kept = list(events)
    while len(kept) > BACKLOG_MAX:
        newest = {event.rule: index for index, event in enumerate(kept)}
        oldest = next(index for index, event in enumerate(kept) if newest[event.rule] != index)
        dropped = kept.pop(oldest)
        logger.error("alert sink %s has been broken for too long: %s is dropped undelivered", name, dropped.id)
    return tuple(kept)


def _loaded(text: str | None, sinks: Mapping[str, AlertSink]) -> _State:
    """Return the state as it was saved, without rules and sinks that there are no longer."""
    if text is None:
        return _State()
    try:
        data = json.loads(text)
        firing = [AlertEvent.from_dict(item) for item in data["firing"]]
        backlog = {name: tuple(map(AlertEvent.from_dict, items)) for name, items in data["backlog"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # What may not be read must not stop the engine that it watches over.
        logger.error("the saved alerts can not be read (%s): open incidents fire once more", error)  # noqa: TRY400
        return _State()
    for name in backlog.keys() - sinks.keys():
        logger.warning("there is no alert sink %s any more: %d alerts for it are dropped", name, len(backlog[name]))
    return _State(
        {event.rule: event for event in firing if event.rule in RULES},
        {name: events for name, events in backlog.items() if name in sinks},
    )
