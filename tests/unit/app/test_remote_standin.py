"""Standing in: a lease for as long as something is asked that nobody else answers, and not longer."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from slipstream.adapters.indexes.memory_lease import LeaseRoom, MemoryLease
from slipstream.app.remote.standin import StandIn
from slipstream.domain.errors import ConfigError

LONG_S = 60.0


class Owners:
    """Counts owners that were composed and closed."""

    def __init__(self) -> None:
        self.composed = self.closed = 0
        self.error: Exception | None = None

    def take_over(self) -> Callable[[], None]:
        if self.error is not None:
            raise self.error
        self.composed += 1
        return self.close

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def room() -> LeaseRoom:
    return LeaseRoom(time.monotonic)


def test_it_steps_in_once_and_leaves_when_nothing_is_asked(room: LeaseRoom) -> None:
    mine, others, owners = MemoryLease(room), MemoryLease(room), Owners()
    stand_in = StandIn(mine, owners.take_over)
    for _ in range(3):
        stand_in.step_in()
    assert (owners.composed, owners.closed, mine.held) == (1, 0, True)
    assert others.acquire(LONG_S), "it leaves by itself"
    assert owners.closed == 1
    stand_in.step_in()
    assert owners.composed == 1, "somebody else owns it"
    others.release()
    stand_in.step_in()
    assert owners.composed == 2
    stand_in.stop()
    stand_in.stop()
    assert (owners.closed, mine.held) == (2, False)
    stand_in.step_in()
    assert owners.composed == 2


def test_what_opening_alone_would_raise_is_raised_and_the_lease_left(room: LeaseRoom) -> None:
    mine, owners = MemoryLease(room), Owners()
    owners.error = ConfigError("no model")
    stand_in = StandIn(mine, owners.take_over)
    with pytest.raises(ConfigError):
        stand_in.step_in()
    assert not mine.held
    owners.error = None
    stand_in.step_in()
    assert mine.held
    stand_in.stop()
