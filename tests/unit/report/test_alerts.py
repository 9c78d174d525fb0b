"""Alerts: once for each incident, resolved in the end, over restarts, crashes and broken sinks."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pytest

from slipstream.adapters.alerts.log import LogSink
from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.domain.errors import CorruptionError, InvalidInputError, LeaseLostError, UnavailableError
from slipstream.ports.alerts import AlertEvent, AlertSink
from slipstream.report.alert_rules import TROUBLES
from slipstream.report.alerts import BACKLOG_MAX, RULES, STATE, Alerts, AlertThresholds, Measurements, judge
from slipstream.testkit.clock import ManualClock

GOOD = Measurements(lag_s=0.0, dead_letters=0, consistency=1.0, scrub_age_s=60.0, disk_free_mb=5_000.0)
LAGGING = replace(GOOD, lag_s=5.0)
BAD_LETTERS = replace(GOOD, dead_letters=3)
HOLD_S = 10.0


class Crash(BaseException):
    """The process dies here."""


@dataclass(slots=True)
class Inbox:
    """A sink that keeps what it is told, and fails while `failure` is set: before it takes the event, or after."""

    events: list[AlertEvent] = field(default_factory=list)
    failure: BaseException | None = None
    takes_it_first: bool = False
    calls: int = 0
    clock: ManualClock | None = None
    call_takes_s: float = 0.0

    def notify(self, event: AlertEvent) -> None:
        self.calls += 1
        if self.clock is not None:
            self.clock.advance(self.call_takes_s)
        if self.failure is None or self.takes_it_first:
            self.events.append(event)
        if self.failure is not None:
            raise self.failure

    @property
    def turns(self) -> list[tuple[str, str]]:
        return [(event.rule, event.state) for event in self.events]


@dataclass(slots=True)
class Place:
    """A journal and a clock that outlive the `Alerts` on them."""

    journal: MemoryJournal = field(default_factory=MemoryJournal)
    clock: ManualClock = field(default_factory=ManualClock)
    inbox: Inbox = field(default_factory=Inbox)
    thresholds: AlertThresholds = field(default_factory=lambda: AlertThresholds(for_s=HOLD_S))

    def start(self, **more: AlertSink) -> Alerts:
        return Alerts(self.journal, self.clock, self.thresholds, {"inbox": self.inbox, **more})

    def look(self, alerts: Alerts, measurements: Measurements, *, wait_s: float = 1.0) -> list[tuple[str, str]]:
        self.clock.advance(wait_s)
        return [(event.rule, event.state) for event in alerts.evaluate(measurements)]


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.mark.parametrize(
    ("rule", "bad", "value", "threshold"),
    [
        ("consistency", {"consistency": 0.9989}, 0.9989, 0.999),
        ("lag", {"lag_s": 1.001}, 1.001, 1.0),
        ("dead_letters", {"dead_letters": 1}, 1.0, 0.0),
        ("scrub_overdue", {"scrub_age_s": 172_801.0}, 172_801.0, 172_800.0),
        ("halted", {"halted": "disk full"}, 1.0, 0.0),
        ("outage", {"outage": "the model is down"}, 1.0, 0.0),
        ("engine", {"engine": "the embedder died"}, 1.0, 0.0),
        ("blind", {"blind": "audits: locked"}, 1.0, 0.0),
        ("disk", {"disk_free_mb": 99.0}, 99.0, 100.0),
        ("disk", {"disk_full": "index.db"}, 5_000.0, 100.0),
    ],
)
def test_each_rule_fires_once_and_resolves_once(
    place: Place, rule: str, bad: Mapping[str, Any], value: float, threshold: float
) -> None:
    alerts, measured = place.start(), replace(GOOD, **bad)
    turns = [turn for _ in range(30) for turn in place.look(alerts, measured)]
    assert turns == [(rule, "firing")]
    fired = alerts.firing()[rule]
    assert (fired.value, fired.threshold) == (value, threshold)
    turns = [turn for _ in range(30) for turn in place.look(alerts, GOOD)]
    assert turns == [(rule, "resolved")]
    assert alerts.firing() == {}
    assert place.inbox.turns == [(rule, "firing"), (rule, "resolved")]
    assert place.inbox.events[0].incident == place.inbox.events[1].incident


def test_values_at_their_limits_are_good(place: Place) -> None:
    alerts = place.start()
    at_limit = Measurements(lag_s=1.0, dead_letters=0, consistency=0.999, scrub_age_s=172_800.0)
    assert [place.look(alerts, at_limit) for _ in range(30)] == [[]] * 30


def test_a_lag_spike_shorter_than_the_hold_fires_nothing(place: Place) -> None:
    alerts = place.start()
    for _ in range(5):
        assert place.look(alerts, LAGGING) == []
        assert place.look(alerts, LAGGING, wait_s=HOLD_S - 0.1) == []
        assert place.look(alerts, GOOD) == []


def test_lag_fires_when_it_has_held_and_says_since_when(place: Place) -> None:
    alerts = place.start()
    assert place.look(alerts, LAGGING) == []
    began = place.clock.now()
    assert place.look(alerts, LAGGING, wait_s=HOLD_S) == [("lag", "firing")]
    event = alerts.firing()["lag"]
    assert (event.since, event.at) == (began, place.clock.now())


def test_a_flapping_value_is_one_incident(place: Place) -> None:
    alerts = place.start()
    turns = []
    for _ in range(20):
        turns += place.look(alerts, LAGGING, wait_s=HOLD_S / 2)
        turns += place.look(alerts, LAGGING, wait_s=HOLD_S)
        turns += place.look(alerts, GOOD, wait_s=HOLD_S / 2)
    assert turns == [("lag", "firing")]
    place.look(alerts, GOOD, wait_s=HOLD_S)
    assert place.inbox.turns == [("lag", "firing"), ("lag", "resolved")]


def test_unknown_neither_fires_nor_resolves(place: Place) -> None:
    alerts = place.start()
    unknown = replace(GOOD, consistency=None, scrub_age_s=None)
    assert place.look(alerts, unknown) == []
    assert place.look(alerts, replace(GOOD, consistency=0.5, scrub_age_s=1e6)) == [
        ("consistency", "firing"),
        ("scrub_overdue", "firing"),
    ]
    assert place.look(alerts, unknown, wait_s=1000) == []
    assert set(alerts.firing()) == {"consistency", "scrub_overdue"}


def test_several_rules_are_incidents_of_their_own(place: Place) -> None:
    alerts = place.start()
    place.look(alerts, replace(GOOD, dead_letters=1, halted="corrupt"))
    place.look(alerts, replace(GOOD, halted="corrupt"))
    assert place.inbox.turns == [("dead_letters", "firing"), ("halted", "firing"), ("dead_letters", "resolved")]
    assert list(alerts.firing()) == ["halted"]


def test_a_restart_neither_fires_twice_nor_forgets_to_resolve(place: Place) -> None:
    place.look(place.start(), BAD_LETTERS)
    alerts = place.start()
    assert list(alerts.firing()) == ["dead_letters"]
    assert place.look(alerts, BAD_LETTERS) == []
    assert place.look(place.start(), GOOD) == [("dead_letters", "resolved")]
    assert place.look(place.start(), GOOD) == []
    assert place.inbox.turns == [("dead_letters", "firing"), ("dead_letters", "resolved")]
    assert place.inbox.events[0].incident == place.inbox.events[1].incident


def test_a_restart_begins_the_hold_anew(place: Place) -> None:
    place.look(place.start(), LAGGING)
    alerts = place.start()
    assert place.look(alerts, LAGGING, wait_s=3600) == []  # nobody looked in that hour
    assert place.look(alerts, LAGGING, wait_s=HOLD_S) == [("lag", "firing")]


@pytest.mark.parametrize("takes_it_first", [False, True])
def test_a_crash_while_delivering_delivers_after_the_restart(place: Place, takes_it_first: bool) -> None:
    place.inbox.failure, place.inbox.takes_it_first = Crash(), takes_it_first
    with pytest.raises(Crash):
        place.look(place.start(), BAD_LETTERS)
    place.inbox.failure = None
    alerts = place.start()
    assert place.look(alerts, BAD_LETTERS) == []
    assert place.inbox.turns == [("dead_letters", "firing")] * (1 + takes_it_first)  # the repetition has the same id
    assert len({event.id for event in place.inbox.events}) == 1
    assert alerts.undelivered() == {"inbox": 0}


@dataclass(slots=True)
class FailingMemory:
    """A journal that can not be written, or not even be read, while an error is set."""

    inner: MemoryJournal
    unwritable: Exception | None = None
    unreadable: Exception | None = None
    writes: int = 0

    def get(self, name: str) -> str | None:
        if self.unreadable is not None:
            raise self.unreadable
        return self.inner.get(name)

    def set(self, name: str, value: str | None) -> None:
        self.writes += 1
        if self.unwritable is not None:
            raise self.unwritable
        self.inner.set(name, value)


FAILURES = [
    UnavailableError("the disk is full"),
    LeaseLostError("taken over"),
    CorruptionError("damaged"),
    OSError(28),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_what_can_not_be_kept_is_told_once_all_the_same(place: Place, failure: Exception) -> None:
    memory = FailingMemory(place.journal, unwritable=failure)
    alerts = Alerts(memory, place.clock, place.thresholds, {"inbox": place.inbox})
    for _ in range(30):
        place.look(alerts, BAD_LETTERS)
    assert place.inbox.turns == [("dead_letters", "firing")]
    assert alerts.unkept is not None
    assert place.look(alerts, GOOD) == [("dead_letters", "resolved")]
    assert place.inbox.turns == [("dead_letters", "firing"), ("dead_letters", "resolved")]
    assert place.journal.get(STATE) is None


def test_what_could_not_be_kept_is_kept_later_and_known_after_a_restart(place: Place) -> None:
    memory = FailingMemory(place.journal, unwritable=UnavailableError("locked"))
    alerts = Alerts(memory, place.clock, place.thresholds, {"inbox": place.inbox})
    place.look(alerts, BAD_LETTERS)
    memory.unwritable = None
    place.look(alerts, BAD_LETTERS)
    assert alerts.unkept is None
    assert place.look(place.start(), GOOD) == [("dead_letters", "resolved")]
    assert place.inbox.turns == [("dead_letters", "firing"), ("dead_letters", "resolved")]


def test_what_resolved_unkept_is_not_open_after_a_restart_and_tells_the_same_incident(place: Place) -> None:
    memory = FailingMemory(place.journal)
    alerts = Alerts(memory, place.clock, place.thresholds, {"inbox": place.inbox})
    place.look(alerts, BAD_LETTERS)
    memory.unwritable = UnavailableError("locked")
    place.look(alerts, GOOD)
    place.look(place.start(), GOOD)  # killed: the memory still says that it fires
    assert place.inbox.turns == [
        ("dead_letters", "firing"),
        ("dead_letters", "resolved"),
        ("dead_letters", "resolved"),
    ]
    assert len({event.incident for event in place.inbox.events}) == 1
    assert len({event.id for event in place.inbox.events}) == 2
    assert place.start().firing() == {}


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_an_incident_that_nobody_will_know_of_is_resolved_at_the_end(place: Place, failure: Exception) -> None:
    memory = FailingMemory(place.journal)
    alerts = Alerts(memory, place.clock, place.thresholds, {"inbox": place.inbox})
    place.look(alerts, BAD_LETTERS)  # this one is known
    memory.unwritable = failure
    place.look(alerts, replace(BAD_LETTERS, halted="full"))
    alerts.leave()
    assert place.inbox.turns == [("dead_letters", "firing"), ("halted", "firing"), ("halted", "resolved")]
    assert list(place.start().firing()) == ["dead_letters"]


def test_nothing_is_resolved_at_the_end_that_is_kept(place: Place) -> None:
    memory = FailingMemory(place.journal, unwritable=UnavailableError("locked"))
    alerts = Alerts(memory, place.clock, place.thresholds, {"inbox": place.inbox})
    place.look(alerts, BAD_LETTERS)
    memory.unwritable = None
    alerts.leave()
    assert place.inbox.turns == [("dead_letters", "firing")]
    assert list(place.start().firing()) == ["dead_letters"]


def test_a_memory_that_can_not_be_read_is_not_written_over_and_taken_up_later(place: Place) -> None:
    place.look(place.start(), replace(BAD_LETTERS, halted="corrupt"))
    memory = FailingMemory(place.journal, unreadable=UnavailableError("locked"))
    alerts = Alerts(memory, place.clock, place.thresholds, {"inbox": place.inbox})
    assert place.look(alerts, BAD_LETTERS) == [("dead_letters", "firing")]
    assert memory.writes == 0
    memory.unreadable = None
    assert place.look(alerts, GOOD) == [("dead_letters", "resolved"), ("halted", "resolved")]
    opened = {event.incident for event in place.inbox.events if event.state == "firing"}
    closed = {event.incident for event in place.inbox.events if event.state == "resolved"}
    assert (len(opened), closed) == (3, opened)


def test_a_memory_that_takes_long_to_fail_gets_a_tenth_of_the_time(place: Place) -> None:
    class Locked(FailingMemory):
        def set(self, name: str, value: str | None) -> None:
            place.clock.advance(5.0)
            FailingMemory.set(self, name, value)

    memory = Locked(place.journal, unwritable=UnavailableError("locked"))
    alerts = Alerts(memory, place.clock, place.thresholds, {"inbox": place.inbox})
    for _ in range(45):
        place.look(alerts, BAD_LETTERS, wait_s=0.9)
    assert memory.writes == 1
    place.look(alerts, BAD_LETTERS, wait_s=6.0)
    assert memory.writes == 2


@pytest.mark.parametrize("failure", [UnavailableError("down"), ZeroDivisionError("a bug")])
def test_a_broken_sink_hinders_nobody_and_is_told_later_in_order(
    place: Place, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Inbox(failure=failure)
    alerts = place.start(broken=broken)
    with caplog.at_level(logging.INFO, "slipstream.report.alerts"):
        place.look(alerts, BAD_LETTERS)
        place.look(alerts, GOOD)
        place.look(alerts, replace(GOOD, halted="corrupt"))
        assert len(place.inbox.turns) == 3
        assert alerts.undelivered() == {"inbox": 0, "broken": 3}
        assert broken.calls == 3  # one attempt at each look, always the oldest
        broken.failure = None
        place.look(alerts, replace(GOOD, halted="corrupt"))
    assert broken.turns == place.inbox.turns
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]  # once, not at every look


def test_what_a_broken_sink_missed_outlives_a_restart(place: Place) -> None:
    place.inbox.failure = UnavailableError("down")
    place.look(place.start(), BAD_LETTERS)
    place.inbox.failure = None
    alerts = place.start()
    assert alerts.undelivered() == {"inbox": 1}
    assert place.look(alerts, BAD_LETTERS) == []
    assert place.inbox.turns == [("dead_letters", "firing")]


def test_a_sink_that_hangs_gets_a_tenth_of_the_time(place: Place) -> None:
    hanging = Inbox(failure=UnavailableError("no answer"), clock=place.clock, call_takes_s=5.0)
    alerts = place.start(hanging=hanging)
    place.look(alerts, BAD_LETTERS)
    for _ in range(45):
        place.look(alerts, BAD_LETTERS, wait_s=0.9)
    assert hanging.calls == 1
    place.look(alerts, BAD_LETTERS, wait_s=5.0)
    assert hanging.calls == 2


def test_a_slow_sink_does_not_hold_the_caller_for_its_whole_backlog(place: Place) -> None:
    slow = Inbox(failure=UnavailableError("down"))
    alerts = place.start(slow=slow)
    for _ in range(5):
        place.look(alerts, BAD_LETTERS)
        place.look(alerts, GOOD)
    slow.failure, slow.clock, slow.call_takes_s = None, place.clock, 0.6
    place.look(alerts, GOOD)
    assert len(slow.turns) == 2
    for _ in range(4):
        place.look(alerts, GOOD)
    assert slow.turns == place.inbox.turns


def test_the_backlog_is_bounded_and_keeps_how_things_stand(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.inbox.failure = UnavailableError("down")
    alerts = place.start()
    place.look(alerts, replace(GOOD, halted="corrupt"))
    for _ in range(BACKLOG_MAX):
        place.look(alerts, replace(BAD_LETTERS, halted="corrupt"))
        place.look(alerts, replace(GOOD, halted="corrupt"))
    assert alerts.undelivered() == {"inbox": BACKLOG_MAX}
    assert "is dropped undelivered" in caplog.text
    place.inbox.failure = None
    place.look(alerts, replace(GOOD, halted="corrupt"))
    assert place.inbox.turns[0] == ("halted", "firing")  # the oldest of all, and still true
    assert place.inbox.turns[-1] == ("dead_letters", "resolved")


def test_an_event_that_is_dropped_while_it_is_delivered_takes_no_other_one_along(place: Place) -> None:
    heard: list[AlertEvent] = []
    made: list[AlertEvent] = []

    class Busy:
        def notify(self, event: AlertEvent) -> None:
            heard.append(event)
            if len(heard) == 1:  # so much happens during the first call that the limit drops its event
                for number in range(2 * BACKLOG_MAX):
                    place.clock.advance(0.001)
                    made.extend(alerts.evaluate(BAD_LETTERS if number % 2 else GOOD))

    alerts = Alerts(place.journal, place.clock, place.thresholds, {"busy": Busy()})
    alerts.evaluate(BAD_LETTERS)
    assert heard[1:] == made[-BACKLOG_MAX:]
    assert alerts.undelivered() == {"busy": 0}


def test_a_sink_that_is_no_longer_configured_is_forgotten(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.look(place.start(gone=Inbox(failure=UnavailableError("down"))), BAD_LETTERS)
    alerts = place.start()
    assert "no alert sink gone any more" in caplog.text
    place.look(alerts, GOOD)
    assert list(json.loads(place.journal.get(STATE) or "")["backlog"]) == []


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"firing": [{"rule": "lag"}], "backlog": {}}', "{}"])
def test_unreadable_state_is_reported_and_does_not_stop_the_watch(
    place: Place, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    place.journal.set(STATE, text)
    alerts = place.start()
    assert "can not be read" in caplog.text
    assert place.look(alerts, BAD_LETTERS) == [("dead_letters", "firing")]


def test_a_call_never_waits_for_another_ones_delivery(place: Place) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Stuck:
        def notify(self, event: AlertEvent) -> None:
            entered.set()
            assert leave.wait(30)

    alerts = Alerts(place.journal, place.clock, place.thresholds, {"stuck": Stuck()})
    thread = threading.Thread(target=alerts.evaluate, args=[BAD_LETTERS])
    thread.start()
    try:
        assert entered.wait(30)
        assert [event.state for event in alerts.evaluate(GOOD)] == ["resolved"]
        assert alerts.firing() == {}
        assert alerts.undelivered() == {"stuck": 2}
    finally:
        leave.set()
        thread.join(30)
    assert alerts.undelivered() == {"stuck": 0}  # the thread that was at it took the second one along


def test_the_log_sink_warns_and_informs(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    alerts = place.start(log=LogSink())
    with caplog.at_level(logging.INFO, "slipstream.alerts"):
        place.look(alerts, replace(GOOD, halted="corrupt\nWARNING forged line"))
        place.look(alerts, GOOD)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "halted firing: the engine has halted: corrupt WARNING forged line" in caplog.messages[0]
    assert all("\n" not in message for message in caplog.messages)


def test_judge_holds_every_known_measurement_against_its_limit() -> None:
    readings = judge(replace(GOOD, halted="x", outage="y"), AlertThresholds())
    assert [reading.rule for reading in readings] == list(RULES)
    assert [reading.rule for reading in readings if reading.is_breached] == ["halted", "outage"]
    unknown = judge(Measurements(lag_s=None, dead_letters=None), AlertThresholds())
    assert [reading.rule for reading in unknown] == [trouble.rule for trouble in TROUBLES]
    (failed,) = [
        reading for reading in judge(replace(GOOD, scrub_failed="z"), AlertThresholds()) if reading.is_breached
    ]
    assert (failed.rule, failed.hold_s) == ("scrub_failed", AlertThresholds().for_s)


def test_a_consistency_just_below_one_is_not_called_a_whole() -> None:
    reading = judge(replace(GOOD, consistency=0.99999999), AlertThresholds(consistency_min=1.0))[0]
    assert reading.is_breached
    assert "consistency is 99.9999 %, at least 100 % is wanted" in reading.message


@pytest.mark.parametrize(
    "wrong",
    [
        {"consistency_min": 99.9},
        {"consistency_min": float("nan")},
        {"lag_s_max": -1.0},
        {"lag_s_max": float("inf")},
        {"dead_letters_max": -1},
        {"scrub_age_s_max": float("nan")},
        {"disk_free_mb_min": -1.0},
        {"for_s": -0.1},
    ],
)
def test_wrong_thresholds_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=f"alerts.{next(iter(wrong))}"):
        AlertThresholds(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"consistency": 1.1}, {"lag_s": float("nan")}, {"scrub_age_s": -1.0}, {"dead_letters": -1}]
)
def test_measurements_that_can_not_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(wrong))):
        replace(GOOD, **wrong)


def test_events_survive_json_and_refuse_naive_times(place: Place) -> None:
    place.look(place.start(), BAD_LETTERS)
    event = place.inbox.events[0]
    assert AlertEvent.from_dict(json.loads(json.dumps(event.as_dict()))) == event
    with pytest.raises(InvalidInputError, match="since"):
        replace(event, since=datetime(2026, 1, 1))  # noqa: DTZ001  (that is the point)
