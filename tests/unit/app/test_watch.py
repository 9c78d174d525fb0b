"""The watch: alerts fire whatever the scrubber is doing, and say when it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from slipstream.app.ticker import Ticker
from slipstream.app.watch import Watch
from slipstream.domain.errors import UnavailableError
from slipstream.engine.facts import SyncStatus
from slipstream.ports.alerts import AlertEvent
from slipstream.report.alerts import Alerts, AlertThresholds
from slipstream.testkit.system import MemorySystem
from tests.unit.audit.test_scrubber import make_scrubber, make_system


@dataclass
class Told:
    """A sink that remembers, and lets a test wait for a rule."""

    events: list[AlertEvent] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def notify(self, event: AlertEvent) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def wait_for(self, rule: str) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: any(event.rule == rule for event in self.events), 30)


def make_watch(
    system: MemorySystem, told: Told, status: Callable[[], SyncStatus] | None = None
) -> tuple[Watch, Callable[[], None]]:
    """Return a watch over a scrubber whose first pass is due, and what stops both."""
    limits = AlertThresholds(for_s=0)
    scrubber = make_scrubber(system)
    scrubber._opened_s -= 86_400.0
    alerts = Alerts(system.journal, system.clock, limits, {"told": told})
    watch = Watch(status or system.sync.status, system.audits, system.repairer, scrubber, alerts, limits)

    def stop() -> None:
        watch.stop()
        scrubber.stop()

    scrubber.start()
    watch.start()
    return watch, stop


def test_alerts_fire_while_a_pass_is_under_way() -> None:
    system, told = make_system(), Told()
    inside, go_on = threading.Event(), threading.Event()

    def block(name: str) -> None:
        if name == "index.scan.before":
            inside.set()
            assert go_on.wait(60)

    system.hook = block
    _, stop = make_watch(system, told)
    assert inside.wait(30)
    system.graph.update_entity("p1", {"name": "Ada"})
    system.clock.sleep(100)  # the index lags behind
    assert told.wait_for("lag")
    go_on.set()
    stop()


@pytest.mark.parametrize(
    "error", [UnavailableError("the index is down"), KeyError("e:p1")], ids=["ours", "unforeseen"]
)
def test_alerts_fire_while_passes_fail(error: Exception) -> None:
    system, told = make_system(), Told()

    def down(name: str) -> None:
        if name == "index.scan.before":
            raise error

    system.hook = down
    watch, stop = make_watch(system, told)
    assert told.wait_for("scrub_failed")
    assert watch.metrics().scrub_failing is True
    system.graph.update_entity("p1", {"name": "Ada"})
    system.clock.sleep(100)
    assert told.wait_for("lag")
    assert not watch.is_dead
    stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_alerts_outlive_a_dead_scrubber() -> None:
    class Bug(BaseException):
        pass

    system, told = make_system(), Told()

    def die(name: str) -> None:
        if name == "index.scan.before":
            raise Bug

    system.hook = die
    watch, stop = make_watch(system, told)
    assert told.wait_for("scrub_failed")
    system.graph.update_entity("p1", {"name": "Ada"})
    system.clock.sleep(100)
    assert told.wait_for("lag")
    assert watch.is_dead
    stop()


def test_a_log_that_does_not_answer_is_an_outage() -> None:
    system, told = make_system(), Told()

    def status() -> SyncStatus:
        raise UnavailableError("the graph is closed")

    watch, stop = make_watch(system, told, status)
    assert told.wait_for("outage")
    stop()
    found = watch.measurements()
    assert (found.lag_s, found.dead_letters, found.outage) == (None, None, "UnavailableError: the graph is closed")


def test_a_ticker_survives_what_its_call_raises_and_logs_it_once(caplog: pytest.LogCaptureFixture) -> None:
    calls, enough = 0, threading.Event()

    def tick() -> None:
        nonlocal calls
        calls += 1
        if calls >= 5:
            enough.set()
        raise ValueError("odd")

    ticker = Ticker(tick, "ticking", every_s=0.001)
    ticker.start()
    ticker.start()
    assert enough.wait(30)
    assert not ticker.is_dead
    ticker.stop()
    assert caplog.text.count("ticking failed") == 1
