"""What the alerts remember: which incidents are open, and what each sink has still to be told."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from slipstream.domain.erasure import Erased
from slipstream.domain.errors import UnavailableError
from slipstream.ports.alerts import AlertEvent, AlertMemory
from slipstream.ports.clock import Clock

logger = logging.getLogger(__name__)

STATE = "alerts"
"""Name of the memory's value."""
_REST_FACTOR = 9
"""A memory that failed is left alone for this many times as long as its failure took: a tenth of the time."""


@dataclass(frozen=True, slots=True)
class AlertState:
    """The incidents that are open, by rule, and the events that are undelivered, by sink."""

    firing: Mapping[str, AlertEvent] = field(default_factory=dict)
    backlog: Mapping[str, tuple[AlertEvent, ...]] = field(default_factory=dict)

    def cleaned(self, erased: Erased) -> tuple[AlertState, int]:
        """Return the state in which no message tells of an erased entity, and how many did."""
        told = 0

        def clean(event: AlertEvent) -> AlertEvent:
            nonlocal told
            if not erased.is_told_in(event.message):
                return event
            told += 1
            return replace(event, message=erased.without(event.message))

        firing = {rule: clean(event) for rule, event in self.firing.items()}
        backlog = {name: tuple(map(clean, events)) for name, events in self.backlog.items()}
        return AlertState(firing, backlog), told

    def as_json(self) -> str:
        """Return the state as it is kept."""
        firing = [event.as_dict() for event in self.firing.values()]
        backlog = {name: [event.as_dict() for event in events] for name, events in self.backlog.items() if events}
        return json.dumps({"version": 1, "firing": firing, "backlog": backlog}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | None, rules: Collection[str], sinks: Collection[str]) -> Self:
        """Return a state that was kept, but for rules and sinks that are gone; of nonsense an empty one."""
        if text is None:
            return cls()
        try:
            data = json.loads(text)
            firing = [AlertEvent.from_dict(item) for item in data["firing"]]
            backlog = {name: tuple(map(AlertEvent.from_dict, items)) for name, items in data["backlog"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Alerts that can not be read must not stop the engine that they watch over.
            logger.error("the saved alerts can not be read (%s): open incidents fire once more", error)  # noqa: TRY400
            return cls()
        for name in backlog.keys() - set(sinks):
            logger.warning(
                "there is no alert sink %s any more: %d alerts for it are dropped", name, len(backlog[name])
            )
        return cls(
            {event.rule: event for event in firing if event.rule in rules},
            {name: events for name, events in backlog.items() if name in sinks},
        )

    def with_newer(self, newer: AlertState, sinks: Collection[str]) -> AlertState:
        """Return this kept state, continued by `newer`, from before it was read; what fires in both goes on."""
        if not newer.firing and not newer.backlog:
            return self
        superseded = tuple(
            replace(
                event, state="resolved", message=f"goes on as {newer.firing[rule].incident}", at=newer.firing[rule].at
            )
            for rule, event in self.firing.items()
            if rule in newer.firing
        )
        backlog = {name: (*self.backlog.get(name, ()), *superseded, *newer.backlog.get(name, ())) for name in sinks}
        return AlertState({**self.firing, **newer.firing}, backlog)


class Keeping:
    """Keeps a state in a memory that may fail; what can not be kept now is to be given again. Safe for threads."""

    def __init__(self, memory: AlertMemory, clock: Clock, rules: Collection[str], sinks: Sequence[str]) -> None:
        self._memory, self._clock, self._rules, self._sinks = memory, clock, rules, sinks
        self._busy = threading.Lock()
        self._is_read = False
        self._kept: AlertState | None = None
        """None as long as nothing was kept: the state is kept as soon as possible then, while there is room."""
        self._rest_until = float("-inf")
        self.failure: str | None = None
        """Why the newest state is not kept; None when it is."""

    def recalled(self) -> AlertState | None:
        """Return what was kept, but only once, the first time that it can be read; else None."""
        if self._is_read or not self._busy.acquire(blocking=False):
            return None
        try:
            return None if self._is_resting else self._read()
        finally:
            self._busy.release()

    def _read(self) -> AlertState | None:
        began = self._clock.monotonic()
        try:
            text = self._memory.get(STATE)
        except Exception as error:  # noqa: BLE001  (whatever it is, alerts are told without it)
            self._failed(error, began, "read")
            return None
        found = AlertState.from_json(text, self._rules, self._sinks)
        self._kept, self._is_read = None if text is None else found, True
        return found

    def keep(self, newest: Callable[[], AlertState]) -> None:
        """Keep the newest state, unless it is kept already; what fails is logged, and left alone for a while."""
        if not self._busy.acquire(blocking=False):
            return  # another thread is at it; whoever looks next keeps what is newer
        try:
            state = newest()  # asked for here: what another thread has written meanwhile is never put back
            if self._is_read and state is not self._kept and not self._is_resting:
                self._write(state)
        finally:
            self._busy.release()

    def _write(self, state: AlertState) -> None:
        began = self._clock.monotonic()
        try:
            self._memory.set(STATE, state.as_json())
        except Exception as error:  # noqa: BLE001  (likewise)
            self._failed(error, began, "kept")
            return
        if self.failure is not None:
            logger.info("the state of the alerts is kept again")
        self._kept, self.failure = state, None

    def rewrite(self, newest: Callable[[], AlertState]) -> None:
        """Keep the newest state so that nothing of older ones is left; raises what the memory raises."""
        with self._busy:
            if not self._is_read:
                raise UnavailableError(f"the alerts kept before can not be read now ({self.failure}); try again")
            state = newest()
            for _ in range(2):
                self._memory.set(STATE, state.as_json())
            self._kept, self.failure = state, None

    def hurry(self) -> None:
        """Let the next call try again at once, even after a failure."""
        self._rest_until = float("-inf")

    def unknown(self, state: AlertState) -> Sequence[AlertEvent]:
        """Return the open incidents of a state that the memory does not know of."""
        known = set() if self._kept is None else {event.incident for event in self._kept.firing.values()}
        return [event for event in state.firing.values() if event.incident not in known]

    @property
    def _is_resting(self) -> bool:
        return self._clock.monotonic() < self._rest_until

    def _failed(self, error: Exception, began: float, what: str) -> None:
        now = self._clock.monotonic()
        self._rest_until = now + _REST_FACTOR * (now - began)
        reason = f"{type(error).__name__}: {error}"
        if self.failure is None:  # once for each breakdown, not at every look
            logger.warning("the state of the alerts can not be %s now, and stays in memory: %s", what, reason)
        self.failure = reason
