"""Whatever is measured and whoever fails: one firing for each incident, resolved in the end, heard by every sink."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.domain.errors import UnavailableError
from slipstream.ports.alerts import AlertEvent
from slipstream.report.alert_rules import TROUBLES
from slipstream.report.alerts import RULES, Alerts, AlertThresholds, Measurements
from slipstream.testkit.clock import ManualClock
from tests.depth import examples

GOOD = Measurements(lag_s=0.0, dead_letters=0, consistency=1.0, scrub_age_s=0.0)
HOLD_S = 5.0
HELD = {"lag", "disk", *(trouble.rule for trouble in TROUBLES if trouble.is_held)}
MEASURED = st.builds(
    Measurements,
    lag_s=st.sampled_from([0.0, 9.0]),
    dead_letters=st.sampled_from([0, 2]),
    consistency=st.sampled_from([None, 1.0, 0.5]),
    scrub_age_s=st.sampled_from([None, 0.0, 1e9]),
    halted=st.sampled_from([None, "disk full"]),
    outage=st.sampled_from([None, "model down"]),
)


class Death(BaseException):
    """The process is killed."""


class Receiver:
    """A sink with a memory; `mood` says what happens to the next events."""

    def __init__(self) -> None:
        self.heard: list[AlertEvent] = []
        self.mood = "fine"

    def notify(self, event: AlertEvent) -> None:
        if self.mood in ("fine", "lost acknowledgement", "dies after"):
            self.heard.append(event)
        if self.mood in ("down", "lost acknowledgement"):
            raise UnavailableError(self.mood)
        if self.mood in ("dies before", "dies after"):
            self.mood = "fine"
            raise Death

    def turns(self, rule: str) -> list[AlertEvent]:
        """The events of one rule, without the repetitions that at-least-once allows."""
        of_rule = [event for event in self.heard if event.rule == rule]
        return [event for n, event in enumerate(of_rule) if n == 0 or event.id != of_rule[n - 1].id]


class AlertsMachine(RuleBasedStateMachine):
    """Measurements, time, restarts, kills and sinks that fail, in any order."""

    @initialize()
    def begin(self) -> None:
        self.journal, self.clock = MemoryJournal(), ManualClock()
        self.receivers: Mapping[str, Receiver] = {"first": Receiver(), "second": Receiver()}
        self.truth: dict[str, list[bool]] = {name: [] for name in RULES}
        self.restart()

    @rule()
    def restart(self) -> None:
        self.alerts = Alerts(self.journal, self.clock, AlertThresholds(for_s=HOLD_S), self.receivers)

    @rule(measured=MEASURED, wait_s=st.sampled_from([0.001, 1.0, HOLD_S]))
    def look(self, measured: Measurements, wait_s: float) -> None:
        self.clock.advance(wait_s)
        before = set(self.alerts.firing())
        try:
            self.alerts.evaluate(measured)
        except Death:
            self.restart()
        self._check_turns(measured, before, set(self.alerts.firing()))

    def _check_turns(self, measured: Measurements, before: set[str], after: set[str]) -> None:
        bad = {
            "consistency": None if measured.consistency is None else measured.consistency < 0.999,
            "lag": None if measured.lag_s is None else measured.lag_s > 1,
            "dead_letters": None if measured.dead_letters is None else measured.dead_letters > 0,
            "scrub_overdue": None if measured.scrub_age_s is None else measured.scrub_age_s > 172_800,
            "disk": measured.disk_free_mb is not None and measured.disk_free_mb < 100,
            **{trouble.rule: getattr(measured, trouble.rule) is not None for trouble in TROUBLES},
        }
        for name in after - before:
            assert bad[name] is True, f"{name} fired without a cause"
        for name in before - after:
            assert bad[name] is False, f"{name} resolved although nobody knows that it is over"
        for name in set(RULES) - HELD:
            assert bad[name] is None or (name in after) == bad[name]

    @rule(
        who=st.sampled_from(["first", "second"]),
        mood=st.sampled_from(["fine", "down", "lost acknowledgement", "dies before", "dies after"]),
    )
    def feel(self, who: str, mood: str) -> None:
        self.receivers[who].mood = mood

    @invariant()
    def every_sink_hears_firing_and_resolved_in_turn(self) -> None:
        for receiver in self.receivers.values():
            for name in RULES:
                turns = receiver.turns(name)
                assert [event.state for event in turns] == ["firing", "resolved"] * (len(turns) // 2) + ["firing"] * (
                    len(turns) % 2
                )
                for fired, resolved in zip(turns[::2], turns[1::2], strict=False):
                    assert fired.incident == resolved.incident

    @invariant()
    def what_is_undelivered_is_all_that_a_sink_lacks(self) -> None:
        for name, count in self.alerts.undelivered().items():
            if count == 0:
                heard = {rule_ for rule_ in RULES if len(self.receivers[name].turns(rule_)) % 2}
                assert heard == set(self.alerts.firing())

    def teardown(self) -> None:
        if not hasattr(self, "alerts"):
            return
        for receiver in self.receivers.values():
            receiver.mood = "fine"
        for _ in range(3):
            self.clock.advance(HOLD_S)
            with suppress(Death):
                self.alerts.evaluate(GOOD)
        assert self.alerts.firing() == {}
        assert set(self.alerts.undelivered().values()) == {0}
        ids = [list(dict.fromkeys(event.id for event in receiver.heard)) for receiver in self.receivers.values()]
        assert ids[0] == ids[1]


TestAlerts = AlertsMachine.TestCase
TestAlerts.settings = settings(max_examples=examples(40, 600), stateful_step_count=40)
