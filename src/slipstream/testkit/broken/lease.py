"""Leases that are wrong on purpose, each in one way: the suite must fail every one of them."""

from __future__ import annotations

from slipstream.adapters.indexes.memory_lease import LeaseRoom, MemoryLease


class TakesAHeldLease(MemoryLease):
    """Takes the lease even while another holds it."""

    def _take(self) -> bool:
        self._room.holder = None
        return super()._take()


class ForgetsTheEpochCheck(MemoryLease):
    """Writes without any epoch check."""

    def write(self, name: str, value: str) -> None:
        """Write without a look."""
        with self._room.lock:
            self._room.values[name] = value


class ChecksItsOwnMemory(MemoryLease):
    """Checks only its own memory, which does not know that another owner has taken over."""

    def write(self, name: str, value: str) -> None:
        """Look at what it remembers."""
        if self._epoch is None:
            self.check()
        with self._room.lock:
            self._room.values[name] = value


class GivesAnEpochAgain(MemoryLease):
    """Gives a new epoch only when a silent owner is replaced."""

    def _take(self) -> bool:
        was_free, before = self._room.holder is None, self._room.epoch
        taken = super()._take()
        if taken and was_free and before:
            self._room.epoch = self._epoch = before
        return taken


class ForgetsTheEpochAtReopen(MemoryLease):
    """Keeps the epoch in memory only."""

    @staticmethod
    def reopened(room: LeaseRoom) -> LeaseRoom:
        """Begin anew."""
        return LeaseRoom(room.clock, room.silence_s_max, values=room.values)


class WaitsForSilentOwners(MemoryLease):
    """Never replaces a silent owner."""

    def _take(self) -> bool:
        return self._room.holder is None and super()._take()


class ReplacesTheLiving(MemoryLease):
    """Replaces a living owner, whose renewals it ignores."""

    def _take(self) -> bool:
        holder = self._room.holder
        was_stalled = holder is not None and holder.stalled
        if holder is not None:
            holder.stalled = True
        try:
            return super()._take()
        finally:
            if holder is not None:
                holder.stalled = was_stalled


class ReplacesAtOnce(MemoryLease):
    """Replaces an owner that is silent for a moment only."""

    def _take(self) -> bool:
        if self._room.holder is not None and self._room.holder.stalled:
            self._room.holder = None
        return super()._take()


class ReleasesForOthers(MemoryLease):
    """Releases a lease that another owner holds by now."""

    def release(self) -> None:
        """Empty the room."""
        with self._room.lock:
            self._room.holder, self._epoch = None, None


class RenewsWhateverComes(MemoryLease):
    """Renews without checking the epoch."""

    def renew(self) -> None:
        """Only note the time."""
        self._room.heard_at = self._room.clock()


class WritesAfterItsRelease(MemoryLease):
    """Goes on writing under its old epoch after its release."""

    _last: int | None = None

    def write(self, name: str, value: str) -> None:
        """Write under the last epoch."""
        self._last = self._epoch or self._last
        with self._room.lock:
            if self._last != self._room.epoch:
                self.check()
            self._room.values[name] = value


class TriesOnce(MemoryLease):
    """Tries once, whatever the time limit."""

    def acquire(self, timeout_s: float) -> bool:
        """Try."""
        del timeout_s
        return super().acquire(0)


BROKEN_LEASES: dict[type[MemoryLease], str] = {
    TakesAHeldLease: "test_a_held_lease_is_not_taken",
    ForgetsTheEpochCheck: "test_only_the_holder_writes",
    ChecksItsOwnMemory: "test_a_silent_owner_is_replaced_and_writes_no_more",
    GivesAnEpochAgain: "test_released_it_goes_to_the_next_one_under_a_higher_epoch",
    ForgetsTheEpochAtReopen: "test_epochs_grow_over_every_process_of_the_pkg",
    WaitsForSilentOwners: "test_a_silent_owner_is_replaced_and_writes_no_more",
    ReplacesTheLiving: "test_who_is_heard_of_keeps_it",
    ReplacesAtOnce: "test_a_silent_owner_is_not_replaced_before_its_time",
    ReleasesForOthers: "test_what_was_taken_over_is_not_the_old_owners_to_release",
    RenewsWhateverComes: "test_renewing_what_is_not_held_fails",
    WritesAfterItsRelease: "test_who_has_released_it_writes_no_more",
    TriesOnce: "test_a_waiter_gets_it_when_it_is_released",
}
"""Each broken lease, and the case that was written for its fault."""
