"""One process's view of a PKG whose lease is in memory."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from slipstream.adapters.indexes.memory_lease import LeaseRoom, MemoryLease
from slipstream.testkit.suites.lease import Engine, LeaseSuite, OpenEngine


class MemoryEngine:
    def __init__(self, lease: MemoryLease, room: LeaseRoom) -> None:
        self.lease, self.room = lease, room

    def write(self, value: str) -> None:
        self.lease.write("value", value)


class MemoryLeaseSuite(LeaseSuite):
    kind: type[MemoryLease] = MemoryLease

    @pytest.fixture
    def room(self, silence_s: float) -> LeaseRoom:
        return LeaseRoom(time.monotonic, silence_s)

    @pytest.fixture
    def open_engine(self, silence_s: float, room: LeaseRoom) -> OpenEngine:
        return lambda: MemoryEngine(self.kind(room), room)

    def stall(self, engine: Engine) -> None:
        assert isinstance(engine, MemoryEngine)
        engine.lease.stalled = True

    def read_raw(self, engine: Engine) -> str | None:
        assert isinstance(engine, MemoryEngine)
        return engine.room.values.get("value")

    @pytest.fixture
    def reopen(self, room: LeaseRoom) -> Callable[[], OpenEngine] | None:
        def begin_anew() -> OpenEngine:
            again = self.kind.reopened(room)
            return lambda: MemoryEngine(self.kind(again), again)

        return begin_anew
