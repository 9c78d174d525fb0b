"""An engine that stops while its model hangs: what is left behind writes nothing, and loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.errors import NotRunningError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.system import MemorySystem

LONG_S = 60.0


class Hanging:
    """A hook at whose place calls hang until they are let go."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.reached, self.let_go = threading.Event(), threading.Event()
        self.let_go.set()
        self.passed = 0

    def __call__(self, name: str) -> None:
        if name == self._place:
            self.reached.set()
            assert self.let_go.wait(LONG_S)
            self.passed += 1


def system_of(hook: Hanging) -> MemorySystem:
    system = MemorySystem(settings=SyncSettings(idle_wait_s=0.02, backoff_base_s=0.02), hook=hook)
    system.clock = SystemClock()
    system.graph = MemoryGraph(system.clock)
    system.reopen()
    return system


def records(system: MemorySystem) -> int:
    return len(system.index.scan(None, 1_000))


@pytest.fixture
def model() -> Iterator[Hanging]:
    hook = Hanging("embed.before")
    yield hook
    hook.let_go.set()


def started(system: MemorySystem, hook: Hanging, entities: int) -> list[threading.Thread]:
    """Have the engine hang over some entities; returns its threads."""
    hook.let_go.clear()
    hook.reached.clear()
    with system.graph.transaction() as tx:
        for number in range(entities):
            tx.create_entity("Person", f"p{number}", {"name": f"Person {number}"})
    before = set(threading.enumerate())
    system.sync.start()
    assert hook.reached.wait(LONG_S)
    return [thread for thread in threading.enumerate() if thread not in before]


@pytest.mark.parametrize("entities", [1, 50], ids=["in the reader", "in the pipeline"])
def test_what_hangs_is_left_behind_and_writes_nothing(model: Hanging, entities: int) -> None:
    system = system_of(model)
    threads = started(system, model, entities)
    system.sync.stop(0.05)
    assert not system.sync.running
    model.let_go.set()
    for thread in threads:
        thread.join(LONG_S)
    assert not any(thread.is_alive() for thread in threads)
    assert records(system) == 0
    with pytest.raises(NotRunningError, match="open the PKG anew"):
        system.sync.start()
    system.reopen()
    system.settle()
    assert records(system) == entities
    assert system.audit().is_consistent


def test_no_further_batch_is_begun(model: Hanging) -> None:
    system = system_of(model)
    started(system, model, 50)
    stopping = threading.Thread(target=system.sync.stop, args=(LONG_S,))
    stopping.start()
    while not system.sync._pipeline._stopping.wait(LONG_S):
        pass
    model.let_go.set()
    stopping.join(LONG_S)
    assert not stopping.is_alive()
    assert model.passed == 1  # the batch that was under way, which is written
    assert 0 < records(system) <= 50


def test_a_model_that_answers_in_time_is_waited_for(model: Hanging) -> None:
    system = system_of(model)
    started(system, model, 1)
    threading.Timer(0.1, model.let_go.set).start()
    system.sync.stop(LONG_S)
    assert records(system) == 1
    system.sync.start()  # nothing was left behind
    system.sync.stop()


def test_a_store_that_hangs_is_told() -> None:
    hook = Hanging("index.upsert.before")
    system = system_of(hook)
    threads = started(system, hook, 1)
    with pytest.raises(UnavailableError, match="hangs in a write"):
        system.sync.stop(0.05)
    hook.let_go.set()
    for thread in threads:
        thread.join(LONG_S)
    assert system.engine.is_pending([entity_key("p0")]) == [False]  # it was written in the end
