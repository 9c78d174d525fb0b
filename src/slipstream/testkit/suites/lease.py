"""
The conformance suite of the port `Lease`, with the store that it fences.

An adapter's test file gives what opens another process's view of the same PKG, a stalled owner, and raw reading.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest

from slipstream.domain.errors import LeaseLostError
from slipstream.ports.lease import Lease


class Engine(Protocol):
    """One process's view of a PKG."""

    @property
    def lease(self) -> Lease:
        """Its lease."""
        ...

    def write(self, value: str) -> None:
        """Write a value durably, as an owner does."""
        ...


OpenEngine = Callable[[], Engine]

_HARDLY = pytest.mark.parametrize("silence_s", [5.0], indirect=True, ids=["times 5"])
"""For cases in which a living owner must not be replaced, however busy the machine is."""
_NEVER = pytest.mark.parametrize("silence_s", [1e6], indirect=True, ids=["never"])
"""For cases in which no owner may be taken for silent."""


class LeaseSuite(ABC):
    """What every lease must do. The docstrings of the port are the contract."""

    silence_s_max = 0.4
    """After how long the adapter under test replaces a silent owner."""
    patience_s = 60.0
    """How long a case waits for what must happen."""

    @pytest.fixture
    def silence_s(self, request: pytest.FixtureRequest) -> float:
        """Return the `silence_s_max` for the engines of this case."""
        return float(self.silence_s_max * getattr(request, "param", 1.0))

    @pytest.fixture
    @abstractmethod
    def open_engine(self, silence_s: float) -> OpenEngine:
        """Return what opens the same PKG once more; the fixture closes what it has opened."""

    @abstractmethod
    def stall(self, engine: Engine) -> None:
        """Stop an owner without releasing anything."""

    @abstractmethod
    def read_raw(self, engine: Engine) -> str | None:
        """Return what was written last, past the adapter."""

    @pytest.fixture
    def reopen(self) -> Callable[[], OpenEngine] | None:
        """Return what ends every process of the PKG and lets others begin; None where nothing is durable."""
        return None

    # ------------------------------------------------------------------ taking and leaving

    def test_a_free_lease_is_taken_at_once(self, open_engine: OpenEngine) -> None:
        lease = open_engine().lease
        assert (lease.held, lease.epoch) == (False, None)
        assert lease.acquire(0)
        assert lease.held
        assert lease.epoch is not None
        assert lease.epoch >= 1

    def test_taking_what_one_has_changes_nothing(self, open_engine: OpenEngine) -> None:
        lease = open_engine().lease
        assert lease.acquire(0)
        epoch = lease.epoch
        assert lease.acquire(0)
        assert lease.epoch == epoch

    def test_a_held_lease_is_not_taken(self, open_engine: OpenEngine) -> None:
        owner, other = open_engine().lease, open_engine().lease
        assert owner.acquire(0)
        assert not other.acquire(0)
        assert (other.held, other.epoch) == (False, None)
        assert owner.held
        owner.renew()

    def test_released_it_goes_to_the_next_one_under_a_higher_epoch(self, open_engine: OpenEngine) -> None:
        epochs: list[int] = []
        for engine in [open_engine() for _ in range(3)] * 2:
            assert engine.lease.acquire(0)
            epochs.append(engine.lease.epoch or 0)
            engine.lease.release()
            assert (engine.lease.held, engine.lease.epoch) == (False, None)
        assert epochs == sorted(set(epochs))

    def test_releasing_what_is_not_held_is_harmless(self, open_engine: OpenEngine) -> None:
        owner, other = open_engine(), open_engine()
        assert owner.lease.acquire(0)
        other.lease.release()
        owner.lease.renew()
        owner.write("still")
        owner.lease.release()
        owner.lease.release()
        assert other.lease.acquire(0)

    @_NEVER
    def test_a_waiter_gets_it_when_it_is_released(self, open_engine: OpenEngine) -> None:
        owner, waiter = open_engine().lease, open_engine().lease
        assert owner.acquire(0)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(waiter.acquire, self.patience_s)
            assert not waiting.done()
            owner.release()
            assert waiting.result(self.patience_s)
        assert waiter.held

    def test_a_waiter_gives_up_in_time(self, open_engine: OpenEngine) -> None:
        owner, waiter = open_engine().lease, open_engine().lease
        assert owner.acquire(0)
        began = time.monotonic()
        assert not waiter.acquire(0.2)
        assert time.monotonic() - began >= 0.2

    @_NEVER
    def test_of_many_one_has_it_at_a_time(self, open_engine: OpenEngine) -> None:
        engines = [open_engine() for _ in range(6)]
        inside: list[int] = []
        epochs: list[int] = []
        guard = threading.Lock()

        def take_turns(number: int) -> None:
            for _ in range(4):
                assert engines[number].lease.acquire(self.patience_s)
                with guard:
                    assert inside == []
                    inside.append(number)
                    epochs.append(engines[number].lease.epoch or 0)
                engines[number].write(str(number))
                with guard:
                    inside.remove(number)
                engines[number].lease.release()

        with ThreadPoolExecutor(len(engines)) as pool:
            for done in [pool.submit(take_turns, number) for number in range(len(engines))]:
                done.result(4 * self.patience_s)
        assert epochs == sorted(set(epochs))

    # ------------------------------------------------------------------ what is written

    def test_only_the_holder_writes(self, open_engine: OpenEngine) -> None:
        owner, other = open_engine(), open_engine()
        assert owner.lease.acquire(0)
        owner.write("first")
        with pytest.raises(LeaseLostError):
            other.write("second")
        assert self.read_raw(owner) == "first"

    def test_who_has_released_it_writes_no_more(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        assert engine.lease.acquire(0)
        engine.write("first")
        engine.lease.release()
        with pytest.raises(LeaseLostError):
            engine.write("second")
        assert self.read_raw(engine) == "first"

    def test_renewing_what_is_not_held_fails(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with pytest.raises(LeaseLostError):
            engine.lease.renew()
        assert engine.lease.acquire(0)
        engine.lease.renew()
        engine.lease.release()
        with pytest.raises(LeaseLostError):
            engine.lease.renew()

    # ------------------------------------------------------------------ silence

    @_HARDLY
    def test_who_is_heard_of_keeps_it(self, open_engine: OpenEngine, silence_s: float) -> None:
        owner, waiter = open_engine(), open_engine()
        assert owner.lease.acquire(0)
        epoch = owner.lease.epoch
        assert not waiter.lease.acquire(1.5 * silence_s)
        assert owner.lease.epoch == epoch
        owner.lease.renew()
        owner.write("still")

    def test_a_silent_owner_is_replaced_and_writes_no_more(self, open_engine: OpenEngine) -> None:
        old, new = open_engine(), open_engine()
        assert old.lease.acquire(0)
        old.write("old")
        before = old.lease.epoch or 0
        self.stall(old)
        assert new.lease.acquire(self.patience_s)
        assert (new.lease.epoch or 0) > before
        new.write("new")
        with pytest.raises(LeaseLostError):
            old.write("late")
        with pytest.raises(LeaseLostError):
            old.lease.renew()
        assert not old.lease.held
        assert self.read_raw(new) == "new"

    @_HARDLY
    def test_a_silent_owner_is_not_replaced_before_its_time(self, open_engine: OpenEngine, silence_s: float) -> None:
        old, new = open_engine(), open_engine()
        assert old.lease.acquire(0)
        self.stall(old)
        assert not new.lease.acquire(silence_s / 10)
        old.write("still")

    def test_what_was_taken_over_is_not_the_old_owners_to_release(self, open_engine: OpenEngine) -> None:
        old, new, third = open_engine(), open_engine(), open_engine()
        assert old.lease.acquire(0)
        self.stall(old)
        assert new.lease.acquire(self.patience_s)
        old.lease.release()
        assert not third.lease.acquire(0)
        assert not old.lease.acquire(0)
        new.lease.renew()
        new.write("new")
        new.lease.release()
        assert old.lease.acquire(self.patience_s)
        old.write("old again")
        assert self.read_raw(old) == "old again"

    @_HARDLY
    def test_one_of_many_waiters_replaces_a_silent_owner(self, open_engine: OpenEngine, silence_s: float) -> None:
        old, waiters = open_engine(), [open_engine() for _ in range(5)]
        assert old.lease.acquire(0)
        self.stall(old)
        taken, deadline = threading.Event(), time.monotonic() + self.patience_s

        def wait(lease: Lease) -> bool:
            """Wait until another has the lease, and then as long as it would take to replace a silent owner."""
            while not taken.is_set() and time.monotonic() < deadline:
                if lease.acquire(silence_s / 10):
                    taken.set()
                    return True
            return lease.acquire(1.5 * silence_s)

        with ThreadPoolExecutor(len(waiters)) as pool:
            ended = [pool.submit(wait, waiter.lease) for waiter in waiters]
            assert [done.result(2 * self.patience_s) for done in ended].count(True) == 1
        (new,) = [waiter for waiter in waiters if waiter.lease.held]
        new.write("new")
        for other in (old, *(waiter for waiter in waiters if waiter is not new)):
            with pytest.raises(LeaseLostError):
                other.write("late")
        assert self.read_raw(new) == "new"

    # ------------------------------------------------------------------ durability

    def test_epochs_grow_over_every_process_of_the_pkg(
        self, open_engine: OpenEngine, reopen: Callable[[], OpenEngine] | None
    ) -> None:
        if reopen is None:
            pytest.skip("nothing survives the process")
        first = open_engine()
        assert first.lease.acquire(0)
        first.write("first")
        before = first.lease.epoch or 0
        again = reopen()()
        assert again.lease.acquire(self.patience_s)
        assert (again.lease.epoch or 0) > before
        assert self.read_raw(again) == "first"
