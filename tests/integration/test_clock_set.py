"""The wall clock is set by years, in either direction: nothing is due for ever, too soon, or forgotten."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipstream.adapters.graphs.sqlite.graph import SqliteGraph
from slipstream.adapters.indexes.memory_requests import MemoryRequests
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.lease import LeaseTiming
from slipstream.app.composition import Options, open_pkg
from slipstream.app.remote.desk import Desk
from slipstream.app.remote.operations import operation_named
from slipstream.audit.braking import Brake
from slipstream.audit.scrubber import FULL, Scrubber, ScrubSettings
from slipstream.domain.brake import BRAKE, Braked
from slipstream.domain.errors import InvalidInputError, RateLimitedError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.work import Lane, WorkItem
from slipstream.engine.failures import CircuitBreaker
from slipstream.events.queue import EventQueue
from slipstream.ports.ages import Ages
from slipstream.ports.feed import Retention
from slipstream.ports.journal import DELAY_S_MAX
from slipstream.report.alerts import Alerts, AlertThresholds, Measurements
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.embedders import HashEmbedder
from slipstream.testkit.system import MemorySystem

both_ways = pytest.mark.parametrize("days", [-400, 400])
HOUR_S, DAY_S = 3_600.0, 86_400.0


class Wobbly(HashEmbedder):
    """A model that fails for one text, as often as it is told to."""

    fails = 1

    def embed(self, texts: Any) -> Any:
        if self.fails and any("wobbly" in text for text in texts):
            self.fails -= 1
            raise ValueError("not now")
        return super().embed(texts)


# ---------------------------------------------------------------------- work, messages, requests


@both_ways
def test_a_failed_key_is_tried_again_within_the_longest_backoff(tmp_path: Path, days: int) -> None:
    clock = ManualClock()
    store = SqliteStore(tmp_path / "index.db")
    due_at = clock.now() + timedelta(seconds=20)
    store.journal.put_work([WorkItem(entity_key("ada"), Lane.RETRY, attempts=3, due_at=due_at)])
    clock.set_by(days)
    system = MemorySystem(clock=clock, journal=store.journal)  # type: ignore[arg-type]  # a journal as good as its own
    clock.advance(system.engine.settings.backoff_max_s)
    assert [claim.key.id for claim in system.engine.take()] == ["ada"]
    store.close()


def test_a_failed_key_waits_its_time_where_the_clock_is_right() -> None:
    system = MemorySystem()
    due_at = system.clock.now() + timedelta(seconds=20)
    system.journal.put_work([WorkItem(entity_key("ada"), Lane.RETRY, attempts=3, due_at=due_at)])
    system.reopen()
    assert not system.engine.take()
    system.clock.sleep(20)
    assert len(system.engine.take()) == 1


@pytest.mark.parametrize("days", [400, 4_000])
def test_a_key_that_failed_in_a_wrong_year_is_found_when_the_clock_is_right_again(tmp_path: Path, days: int) -> None:
    clock = ManualClock(datetime.now(UTC) + timedelta(days=days))
    with open_pkg(
        tmp_path, create=True, run=False, options=Options(embedders=(Wobbly(dimension=16),), clock=clock)
    ) as slip:
        slip.pkg.create_entity("Note", "a", {"name": "wobbly table"})
        while not slip.status().retrying:
            slip.sync.engine.step()
    with open_pkg(tmp_path, options=Options(embedders=(HashEmbedder(dimension=16),))) as slip:
        position = slip.pkg.create_entity("Note", "b", {"name": "firm table"})
        found = slip.search("table", after=position, timeout_s=60)
    assert sorted(hit.entity_id for hit in found) == ["a", "b"]


@both_ways
@pytest.mark.parametrize("stored", ["memory", "sqlite"])
def test_a_message_is_delivered(tmp_path: Path, days: int, stored: str) -> None:
    clock = ManualClock()
    journal: Any = MemorySystem().journal if stored == "memory" else SqliteStore(tmp_path / "index.db").journal
    queue, heard = EventQueue(journal, journal, clock), list[Any]()
    queue.subscribe("topic", heard.append)
    queue.publish("topic", {"n": 1}, delay_s=10)
    assert queue.deliver("topic") == 0
    clock.set_by(days)
    assert queue.deliver("topic") == 1
    assert heard == [{"n": 1}]


def test_no_message_is_put_off_by_more_than_can_be_told_from_a_wrong_clock() -> None:
    system = MemorySystem()
    queue = EventQueue(system.journal, system.journal, system.clock)
    queue.publish("topic", {"n": 1}, delay_s=DELAY_S_MAX)
    for delay_s in (DELAY_S_MAX + 1, float("nan")):
        with pytest.raises(InvalidInputError, match="delay_s"):
            queue.publish("topic", {"n": 2}, delay_s=delay_s)
    assert queue.depth("topic") == 1


NO_ARGUMENTS, _ = operation_named("discard_dead_letters").signature.arguments_as_json((), {})


def desk_of(requests: MemoryRequests, clock: ManualClock, done: list[str]) -> Desk:
    slipstream: Any = SimpleNamespace(audits=None, discard_dead_letters=lambda **_: done.append("discarded"))
    return Desk(slipstream, requests, clock)


def answered(desk: Desk, requests: MemoryRequests, number: int) -> str:
    watch = requests.watch()
    for _ in range(1_000):
        desk.look()
        request = requests.look(number)
        assert request is not None
        if request.answer is not None:
            return request.answer
        watch.wait(0.1)
    raise AssertionError("it was never answered")


@both_ways
def test_a_request_is_done_that_is_asked_when_the_clock_has_been_set(days: int) -> None:
    clock, requests, done = ManualClock(), MemoryRequests(), list[str]()
    desk = desk_of(requests, clock, done)
    desk.look()
    clock.set_by(days)
    number = requests.submit("discard_dead_letters", NO_ARGUMENTS, clock.now())
    assert "error" not in answered(desk, requests, number)
    assert done == ["discarded"]


@both_ways
def test_a_request_of_another_year_that_a_new_owner_finds_is_to_be_asked_again(days: int) -> None:
    clock, requests, done = ManualClock(), MemoryRequests(), list[str]()
    number = requests.submit("discard_dead_letters", "{}", clock.now())
    clock.set_by(days)
    assert "ask again" in answered(desk_of(requests, clock, done), requests, number)
    assert not done


# ---------------------------------------------------------------------- the lease


@both_ways
def test_an_owner_keeps_the_lease_and_leaves_it(tmp_path: Path, days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    timing = LeaseTiming(beat_s=0.02, silence_s_max=30.0, poll_s=0.01)
    first, second = (SqliteStore(tmp_path / "index.db", shared=True, timing=timing) for _ in range(2))
    assert first.lease.acquire(5)
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + days * 86_400 * 10**9)
    first.lease.renew()
    assert not second.lease.acquire(0.2)
    monkeypatch.undo()
    first.lease.renew()
    assert not second.lease.acquire(0.2)
    first.lease.release()
    assert second.lease.acquire(5)
    for store in (first, second):
        store.close()


# ---------------------------------------------------------------------- schedules and alerts

SCHEDULE = ScrubSettings(incremental_every_s=0, full_every_s=DAY_S, sample_every_s=0)


def scrubber_of(system: MemorySystem) -> Scrubber:
    return Scrubber(
        system.auditor,
        system.repairer,
        system.audits,
        system.journal,
        system.clock,
        SCHEDULE,
        is_busy=lambda: False,
        repairs_waiting=lambda: 0,
    )


@both_ways
def test_a_scheduled_audit_is_due_by_the_time_that_passes(days: int) -> None:
    system = MemorySystem()
    scrubber, clock = scrubber_of(system), system.clock
    assert isinstance(clock, ManualClock)
    scrubber.run(FULL)
    assert scrubber.due() is None
    clock.set_by(days)
    assert (scrubber.due(), scrubber.age_s()) == (None, 0.0)
    clock.advance(DAY_S)
    assert (scrubber.due(), scrubber.age_s()) == (FULL, DAY_S)


@pytest.mark.parametrize(("days", "age_s"), [(-400, None), (400, 400 * DAY_S)])
def test_behind_a_restart_an_audit_of_another_year_is_done_again(days: int, age_s: float | None) -> None:
    system = MemorySystem()
    clock = system.clock
    assert isinstance(clock, ManualClock)
    scrubber_of(system).run(FULL)
    clock.set_by(days)
    scrubber = scrubber_of(system)
    assert scrubber.age_s() == age_s  # of one that lies ahead nobody knows, so that no alert fires nor resolves
    clock.advance(DAY_S)
    assert scrubber.due() == FULL
    scrubber.run(FULL)
    assert (scrubber.due(), scrubber.age_s()) == (None, 0.0)


@both_ways
def test_an_alert_fires_and_resolves_by_the_time_that_passes(days: int) -> None:
    clock = ManualClock()
    alerts = Alerts(MemorySystem().journal, clock, AlertThresholds(for_s=10), {})
    good = Measurements(lag_s=0.0, dead_letters=0)
    bad = Measurements(lag_s=5.0, dead_letters=0)
    assert not alerts.evaluate(bad)
    clock.set_by(days)
    assert not alerts.evaluate(bad)
    clock.advance(10)
    assert [event.state for event in alerts.evaluate(bad)] == ["firing"]
    assert not alerts.evaluate(good)
    clock.set_by(-days)
    clock.advance(10)
    assert [event.state for event in alerts.evaluate(good)] == ["resolved"]


@both_ways
def test_the_lag_is_told_as_it_is(days: int) -> None:
    system = MemorySystem()
    clock = system.clock
    assert isinstance(clock, ManualClock)
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    clock.advance(5)
    assert system.sync.status().lag_s == 5.0  # not read yet
    clock.set_by(days)
    assert system.sync.status().lag_s == 5.0
    system.engine.intake()
    clock.set_by(-days)
    clock.advance(2)
    system.graph.create_entity("Person", "bob", {"name": "Bob"})
    assert 2.0 <= system.sync.status().lag_s <= 8.0 or days > 0
    system.settle()
    assert system.sync.status().lag_s == 0.0


# ---------------------------------------------------------------------- what is kept for a while


@both_ways
def test_the_log_is_kept_as_long_as_it_is_to_be(tmp_path: Path, days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = SqliteGraph(tmp_path / "graph.db", clock=ManualClock())
    with graph.transaction() as tx:
        for number in range(1_200):
            tx.create_entity("Person", f"p{number}", {"name": "P"})
    kept = Retention(kept_bytes=1 << 40, kept_s=DAY_S)
    assert graph.feed.trim(kept) == 0
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + days * DAY_S)
    assert graph.feed.trim(kept) == 0
    graph.close()


@both_ways
def test_a_retired_generation_has_its_grace_time(days: int) -> None:
    clock = ManualClock()
    ages, since = Ages(clock), clock.now()
    assert ages.watched_s("retired", since) == 0.0
    clock.set_by(days)
    clock.advance(HOUR_S)
    assert ages.watched_s("retired", since) == HOUR_S


def test_a_generation_that_was_retired_in_a_year_to_come_is_kept_for_its_grace_time_and_no_longer() -> None:
    clock = ManualClock()
    ages, since = Ages(clock), clock.now() + timedelta(days=400)
    assert ages.watched_s("retired", since) == 0.0
    clock.advance(HOUR_S)
    assert (ages.of("retired", since), ages.watched_s("retired", since)) == (None, HOUR_S)


# ---------------------------------------------------------------------- others


def test_a_server_that_asks_for_a_year_is_asked_again_within_minutes() -> None:
    breaker = CircuitBreaker(0.2, 30.0, random.Random(1))
    breaker.trip(RateLimitedError("come back next year", retry_after_s=400 * DAY_S), 0.0)
    assert 30.0 < breaker.wait_s(0.0) <= 300.0
    breaker.close()
    breaker.trip(UnavailableError("down"), 0.0)
    assert breaker.wait_s(0.0) <= 0.2


@pytest.mark.parametrize(("days", "is_held"), [(-400, False), (0, True)])
def test_the_brake_is_let_go_by_an_audit_behind_it_whatever_the_clock_said_then(days: int, is_held: bool) -> None:
    system = MemorySystem()
    clock = system.clock
    assert isinstance(clock, ManualClock)
    brake: Brake = system.repairer.brake
    system.journal.set(BRAKE, Braked("too much", clock.now()).dump())
    clock.set_by(days)
    clock.advance(1)
    brake.let_go(clock.now() - timedelta(seconds=2))  # of an audit that began before it, were the clock right
    assert (brake.braked() is not None) == is_held
