"""The lease of the engine: a lock file for liveness, and an epoch in the store's file for fencing."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.fencing import Fence, epoch_in
from slipstream.adapters.sqlite.lockfile import LockFile, PosixLockFile, Sign, lock_file
from slipstream.domain.errors import LeaseLostError, UnavailableError

logger = logging.getLogger(__name__)

_BUMP = "UPDATE lease SET epoch = epoch + 1 RETURNING epoch"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTiming:
    """How often an owner renews its lease, and how soon it is replaced."""

    beat_s: float = 1.0
    silence_s_max: float = 10.0
    """An owner that has not renewed for so long, while the waiting process was running, is replaced."""
    poll_s: float = 0.05
    """How often a waiting process tries: it follows a dead owner within this time."""


class SqliteLease:
    """
    A `Lease` over a store's file. Made by `SqliteStore`, whose writes pass only while it is held.

    Every new epoch is given in a write transaction of the file, which checks the lock file once more: of several
    processes that believe that they hold the lock, one gets the epoch, and the others see that they do not hold it.
    """

    def __init__(self, database: Database, fence: Fence, path: Path, timing: LeaseTiming) -> None:
        self._database, self._fence, self._path, self._timing = database, fence, path, timing
        self._acquiring = threading.Lock()
        self._touching = threading.Lock()
        self._lock: LockFile | None = None
        self._watch = _Watch(timing)
        self._stopping = threading.Event()
        self._beating: threading.Thread | None = None

    @property
    def epoch(self) -> int | None:
        """The epoch under which this process writes; None without the lease."""
        return self._fence.epoch

    @property
    def held(self) -> bool:
        """Whether this process has an epoch."""
        return self._fence.epoch is not None

    @property
    def is_renewed(self) -> bool:
        """Whether the thread that renews a held lease lives; True without a lease."""
        beating = self._beating
        return not self.held or beating is None or beating.is_alive()

    # ------------------------------------------------------------------ taking

    def acquire(self, timeout_s: float) -> bool:
        """Try the lock file until it is free, or its holder has been silent for too long."""
        with self._acquiring:
            if self.held:
                return True
            self._let_go()  # clean up after a lease that another process took over
            deadline = time.monotonic() + timeout_s
            while not self._try(deadline):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                time.sleep(min(self._timing.poll_s, remaining))
            return True

    def _try(self, deadline: float) -> bool:
        try:
            return self._take_free() or self._replace_silent()
        except UnavailableError:
            # A holder that was stopped during a write blocks all other writers until it goes on.
            if time.monotonic() >= deadline:
                raise
            logger.debug("the lease can not be taken right now", exc_info=True)
            return False

    def _take_free(self) -> bool:
        lock = lock_file(self._path)
        if not lock.lock():
            return False
        try:
            with self._database.writing(guarded=False) as connection:
                epoch = _next_epoch(connection.execute(_BUMP).fetchone()) if lock.is_current() else None
        except BaseException:
            lock.unlock()
            raise
        if epoch is None:  # another process has just replaced the lock file
            lock.unlock()
            return False
        self._begin(lock, epoch)
        return True

    def _replace_silent(self) -> bool:
        """Replace the lock file of a silent holder, and take a higher epoch; False when the holder is not silent."""
        held = lock_file(self._path)
        if not isinstance(held, PosixLockFile):
            return False
        sign, epoch = held.sign(), self._epoch_in_file()
        if sign is None or not self._watch.is_silent(sign, epoch):
            return False
        successor = held.successor()
        try:
            with self._database.writing(guarded=False) as connection:
                taken = None
                if (held.sign(), epoch_in(connection)) == (sign, epoch):  # else it lives, or another was faster
                    successor.put_in_place()
                    taken = _next_epoch(connection.execute(_BUMP).fetchone())
        except BaseException:
            successor.discard()
            raise
        if taken is None:
            successor.discard()
            return False
        logger.warning("the process that ran the engine is silent (stopped?): taking over under epoch %d", taken)
        self._begin(successor, taken)
        return True

    def _epoch_in_file(self) -> int:
        with self._database.reading() as connection:
            return epoch_in(connection)

    def _begin(self, lock: LockFile, epoch: int) -> None:
        self._lock, self._watch = lock, _Watch(self._timing)
        self._fence.own(epoch)
        self._stopping = threading.Event()
        self._beating = threading.Thread(
            target=self._beat, args=(self._stopping,), name="slipstream-lease", daemon=True
        )
        self._beating.start()

    # ------------------------------------------------------------------ keeping and leaving

    def _beat(self, stopping: threading.Event) -> None:
        while not stopping.wait(self._timing.beat_s):
            try:
                self.renew()
            except LeaseLostError as error:
                logger.warning("the lease is lost: %s", error)
                return
            except Exception as error:  # noqa: BLE001  (whatever it is: without a beat another process takes over)
                logger.warning("the lease could not be renewed, which is tried again: %r", error)

    def renew(self) -> None:
        """Touch the lock file, and raise `LeaseLostError` if another process has a higher epoch."""
        if not self.held:
            raise self._fence.refusal()
        with self._touching:
            if self._lock is not None:
                self._lock.touch()
        with self._database.reading() as connection:
            self._fence.check(connection)

    def release(self) -> None:
        """Refuse to write from now on, then unlock."""
        with self._acquiring:
            self._let_go()

    def _let_go(self) -> None:
        self._stopping.set()
        if self._beating is not None and self._beating is not threading.current_thread():
            self._beating.join()
        self._beating = None
        self._fence.disown()
        with self._touching:  # not while it is touched: the closed descriptor may be reused
            if self._lock is not None:
                self._lock.unlock()
                self._lock = None


class _Watch:
    """How long the same holder has been silent, counting only time in which this process was running."""

    def __init__(self, timing: LeaseTiming) -> None:
        self._silence_s_max, self._step_s_max = timing.silence_s_max, 4 * timing.poll_s
        self._seen: tuple[Sign, int] | None = None
        self._looked_at = 0.0
        self._silent_s = 0.0

    def is_silent(self, sign: Sign, epoch: int) -> bool:
        """Take the holder's newest sign, and return whether it has been silent for too long."""
        now = time.monotonic()
        if self._seen == (sign, epoch):
            # A long gap counts only for a moment: a process that was stopped together with the holder must not
            # replace it.
            self._silent_s += min(now - self._looked_at, self._step_s_max)
        else:
            self._seen, self._silent_s = (sign, epoch), 0.0
        self._looked_at = now
        return self._silent_s >= self._silence_s_max


def _next_epoch(row: tuple[int] | None) -> int:
    if row is None:
        raise UnavailableError("the table `lease` has lost its row: delete index.db, it is built anew from the graph")
    return int(row[0])
