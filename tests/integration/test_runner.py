"""The threaded pipeline over in-memory adapters and real time."""

from __future__ import annotations

import random
import threading

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.errors import SlipstreamError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.positions import Position
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.system import MemorySystem
from tests.until import LONG_S


@pytest.fixture
def system() -> MemorySystem:
    system = MemorySystem(
        settings=SyncSettings(idle_wait_s=0.02, batch_min=4, batch_max=32, backoff_base_s=0.02, backoff_max_s=0.1)
    )
    clock = SystemClock()
    system.clock = clock
    system.graph = MemoryGraph(clock)
    system.reopen()
    return system


def test_a_reader_waits_for_its_own_write(system: MemorySystem) -> None:
    with system.sync:
        position = system.graph.create_entity("Person", "ada", {"name": "Ada"})
        assert system.sync.wait(position, timeout_s=60)
        assert system.stamp("ada") is not None


def test_waiting_for_the_future_times_out(system: MemorySystem) -> None:
    with system.sync:
        assert not system.sync.wait(Position(10_000), timeout_s=0.05)


def test_waiting_for_a_stopped_engine_is_refused(system: MemorySystem) -> None:
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    with pytest.raises(UnavailableError, match="not running"):
        system.sync.wait(system.graph.feed.head(), timeout_s=1)


def test_a_burst_goes_through_the_pipeline_and_stops_cleanly(system: MemorySystem) -> None:
    with system.sync:
        for batch in range(20):
            with system.graph.transaction() as tx:
                for number in range(50):
                    tx.upsert_entity("Person", f"p{number}", {"name": f"{batch} {number}"})
        assert system.sync.drain(timeout_s=60)
        status = system.sync.status()
        assert (status.pending, status.lag_events) == (0, 0)
    assert system.audit().is_consistent
    assert system.engine.checkpoint == system.graph.feed.head()
    assert not system.sync.running


def test_stopping_in_the_middle_loses_nothing(system: MemorySystem) -> None:
    for number in range(500):
        system.graph.create_entity("Person", f"p{number}", {"name": f"n{number}"})
    system.sync.start()
    system.sync.stop()
    system.reopen()
    with system.sync:
        assert system.sync.drain(timeout_s=60)
    assert system.audit().is_consistent


def test_writers_beside_the_pipeline(system: MemorySystem) -> None:
    def write(worker: int) -> None:
        for number in range(100):
            system.graph.upsert_entity("Person", f"p{number % 10}", {"name": f"{worker} {number}"})

    with system.sync:
        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert system.sync.drain(timeout_s=60)
    assert system.audit().is_consistent


def test_what_is_written_again_and_again_meanwhile_is_embedded_once_more(system: MemorySystem) -> None:
    may_go = threading.Event()

    def hook(name: str) -> None:
        if name == "embed.before":
            assert may_go.wait(LONG_S)

    system.hook = hook
    with system.sync:
        for number in range(100):
            system.graph.upsert_entity("Person", "ada", {"name": f"Ada {number}"})
        may_go.set()
        assert system.sync.drain(LONG_S)
    assert system.service.stats.computed <= 2
    assert system.audit().is_consistent


def test_an_outage_in_every_stage_is_waited_out(system: MemorySystem) -> None:
    failing = {"graph.read.before": 3, "embed.before": 3, "index.upsert.after": 3, "journal.commit.before": 3}

    def hook(name: str) -> None:
        if failing.get(name, 0):
            failing[name] -= 1
            raise UnavailableError(f"down at {name}")

    system.hook = hook
    with system.sync:
        for number in range(200):
            system.graph.create_entity("Person", f"p{number}", {"name": f"n{number}"})
        assert system.sync.drain(timeout_s=60)
    assert not any(failing.values())
    assert system.journal.letter_count() == 0
    assert system.audit().is_consistent


def test_marks_are_worked_off_without_any_commit(system: MemorySystem) -> None:
    with system.sync:
        system.graph.create_entity("Person", "ada", {"name": "Ada"})
        assert system.sync.drain(timeout_s=60)
        system.sync.mark([entity_key("ada")], reason="asked", force=True)
        assert system.sync.drain(timeout_s=60)
    assert system.service.stats.computed == 2


def test_a_live_change_passes_what_is_embedded_in_the_background(system: MemorySystem) -> None:
    is_held, may_go = threading.Event(), threading.Event()

    def hook(name: str) -> None:
        if name == "embed.before" and threading.current_thread().name == "slipstream-embed":
            is_held.set()
            may_go.wait(30)

    with system.sync:
        with system.graph.transaction() as tx:
            for number in range(20):
                tx.upsert_entity("Person", f"p{number}", {"name": f"n{number}"})
        assert system.sync.drain(timeout_s=60)
        system.hook = hook
        system.sync.mark([entity_key(f"p{number}") for number in range(20)], reason="asked", force=True)
        assert is_held.wait(60)
        passing = system.graph.create_entity("Person", "ada", {"name": "Ada"})
        assert system.sync.wait(passing, timeout_s=60)
        held = system.graph.update_entity("p0", {"name": "newer"})  # in flight: it runs once more
        assert not system.sync.wait(held, timeout_s=0.05)
        may_go.set()
        assert system.sync.wait(held, timeout_s=60)
        assert system.sync.drain(timeout_s=60)
    assert system.audit().is_consistent


def test_work_in_the_background_beside_live_changes_and_outages(system: MemorySystem) -> None:
    failing = {"graph.read.before": 5, "embed.before": 9, "index.upsert.after": 9, "journal.commit.before": 5}
    rng = random.Random(7)

    def hook(name: str) -> None:
        if failing.get(name, 0) and rng.random() < 0.2:
            failing[name] -= 1
            raise UnavailableError(f"down at {name}")

    with system.sync:
        with system.graph.transaction() as tx:
            for number in range(200):
                tx.upsert_entity("Person", f"p{number}", {"name": f"n{number}"})
        assert system.sync.drain(timeout_s=60)
        system.hook = hook
        for number in range(200):
            system.sync.mark([entity_key(f"p{n}") for n in rng.sample(range(200), 20)], reason="asked", force=True)
            system.graph.update_entity(f"p{number}", {"name": f"m{number}"})
        assert system.sync.drain(timeout_s=60)
    assert system.journal.letter_count() == 0
    assert system.audit().is_consistent
    assert system.engine.checkpoint == system.graph.feed.head()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_pipeline_tells_those_who_wait(system: MemorySystem) -> None:
    class Bug(BaseException):
        pass

    def hook(name: str) -> None:
        if name == "graph.read.before":
            raise Bug

    system.hook = hook
    system.sync.start()
    position = system.graph.create_entity("Person", "ada", {"name": "Ada"})
    with pytest.raises(SlipstreamError, match="pipeline died"):
        system.sync.wait(position, timeout_s=10)
    system.sync.stop()
