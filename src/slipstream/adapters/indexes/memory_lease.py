"""The lease in memory: several holders that share one room, on a clock that a test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from slipstream.domain.errors import LeaseLostError

_POLL_S = 0.005


@dataclass(slots=True)
class LeaseRoom:
    """What the processes of one PKG share: who holds the lease, under which epoch, and what was written."""

    clock: Callable[[], float]
    silence_s_max: float = 10.0
    epoch: int = 0
    holder: MemoryLease | None = None
    heard_at: float = 0.0
    values: dict[str, str] = field(default_factory=dict)
    lock: threading.Condition = field(default_factory=threading.Condition)


class MemoryLease:
    """A `Lease` among objects of one process. It counts as renewed whenever another asks, until it is `stalled`."""

    def __init__(self, room: LeaseRoom) -> None:
        self._room = room
        self._epoch: int | None = None
        self.stalled = False
        """Set for an owner that runs no more, and has not let go."""

    @staticmethod
    def reopened(room: LeaseRoom) -> LeaseRoom:
        """Return the room as a process finds it after all others have ended."""
        return LeaseRoom(room.clock, room.silence_s_max, room.epoch, values=room.values)

    @property
    def epoch(self) -> int | None:
        """The epoch that this holder writes under; None without the lease."""
        return self._epoch

    @property
    def held(self) -> bool:
        """Whether this holder has an epoch."""
        return self._epoch is not None

    @property
    def is_renewed(self) -> bool:
        """Whether this holder is not stalled."""
        return not (self.held and self.stalled)

    def acquire(self, timeout_s: float) -> bool:
        """Try until the room is free, or its holder is silent."""
        room = self._room
        deadline = room.clock() + timeout_s
        with room.lock:
            while not (self.held or self._take()):
                if room.clock() >= deadline:
                    return False
                room.lock.wait(_POLL_S)
            return True

    def _take(self) -> bool:
        room = self._room
        if room.holder is not None:
            if not room.holder.stalled:
                room.heard_at = room.clock()
            if room.clock() - room.heard_at < room.silence_s_max:
                return False
        room.epoch += 1
        room.holder, self._epoch, room.heard_at = self, room.epoch, room.clock()
        return True

    def renew(self) -> None:
        """Compare the epoch."""
        with self._room.lock:
            self.check()
            self._room.heard_at = self._room.clock()

    def check(self) -> None:
        """Raise `LeaseLostError` unless this holder's epoch is the room's."""
        if self._epoch is None or self._epoch != self._room.epoch:
            self._epoch = None
            raise LeaseLostError("the lease is not held, or another owner has taken over")

    def release(self) -> None:
        """Leave the room free."""
        with self._room.lock:
            if self._room.holder is self:
                self._room.holder = None
            self._epoch = None
            self._room.lock.notify_all()

    def write(self, name: str, value: str) -> None:
        """Write a value, checking the epoch."""
        with self._room.lock:
            self.check()
            self._room.values[name] = value
