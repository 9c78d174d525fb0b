"""The desk: where the process that runs the engine answers the requests of others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta

from slipstream.app.remote.jobs import Job, answered_at_once, notice
from slipstream.app.remote.operations import OPERATIONS, Operation
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import LeaseLostError, SlipstreamError, UnavailableError, UnsupportedError
from slipstream.ports.clock import Clock
from slipstream.ports.requests import WAITING_MAX, CommitWatch, Request, Requests

logger = logging.getLogger(__name__)

_LOOK_S = 0.2
"""How long it sleeps at most between two looks, even if nothing is committed."""
_PAUSE_S = 0.005
"""How long it sleeps at least between two looks, however much is committed."""
_AT_ONCE = 8
"""Requests of one lane that are worked on at a time."""
_STALE_AFTER_S = 600.0
"""The caller of a request that is older than the desk by more than this has gone, or it would have taken over."""
_KEPT_FOR = timedelta(hours=1)
_KEPT_MAX = 1_000
_KEPT_BYTES = 64 * 1024 * 1024
_FORGET_EVERY_S = 30.0
_END_S = 30.0


class Desk:
    """
    Takes requests, each on a thread of its own, and writes progress and answers.

    Start it after the engine and stop it before, since requests need a running one. `owns` says whether this process
    is still the owner; if not, the desk halts the engine.
    """

    def __init__(
        self, slipstream: Slipstream, requests: Requests, clock: Clock, owns: Callable[[], bool] = lambda: True
    ) -> None:
        self._slipstream, self._requests, self._clock, self._owns = slipstream, requests, clock, owns
        self._jobs: dict[int, Job] = {}
        self._opened_at, self._opened_s = clock.now(), clock.monotonic()
        self._forgot_s = self._opened_s
        self._stale: frozenset[int] | None = None
        """Requests that were too old at this desk's first look; None before it."""
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._watch: CommitWatch | None = None
        self._is_superseded = False

    def start(self) -> None:
        """Take requests from now on; starting twice is harmless."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._work, name="slipstream-desk", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = _END_S) -> None:
        """
        Take no more requests, and end those under way as soon as possible: unanswered, they are left to the next
        owner.

        What does not end within `timeout_s` is left behind. Stopping twice is harmless.
        """
        self._stopping.set()
        if self._watch is not None:
            self._watch.interrupt()
        for job in list(self._jobs.values()):
            job.leave()
        deadline = time.monotonic() + timeout_s
        if self._thread is not None:
            self._thread.join(timeout_s)
            self._thread = None
        for job in self._jobs.values():
            if not job.join(max(0.0, deadline - time.monotonic())):
                logger.warning("%s does not end: it is left behind", job.operation.name)
        self._jobs.clear()

    @property
    def is_dead(self) -> bool:
        """Whether its thread has ended although nobody stopped it, and no other process has taken over."""
        if self._stopping.is_set() or self._is_superseded:
            return False
        thread = self._thread
        return thread is not None and not thread.is_alive()

    # ------------------------------------------------------------------ the thread

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                with closing(self._requests.watch()) as self._watch:
                    self._serve(self._watch)
            except LeaseLostError as error:
                logger.warning("the desk is closed: %s", error)
                self._is_superseded = True
                self._slipstream.sync.engine.recover([], error)  # halts it, even with nothing to write
                return
            except SlipstreamError as error:
                logger.warning("the desk waits for the journal: %s", error)
                self._stopping.wait(1.0)

    def _serve(self, watch: CommitWatch) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(_PAUSE_S)
            watch.wait(_LOOK_S)

    def look(self) -> None:
        """Begin the requests that can be begun, cancel those that nobody waits for, and write progress and answers.

        Raises `LeaseLostError` when another process has taken over."""
        if not self._owns():
            raise LeaseLostError(
                "another process has taken over the engine (this one was stopped, or not heard of for long); "
                "nothing is lost. Open the PKG anew"
            )
        self._write()
        if self._stale is None:
            self._stale = self._too_old()
        waiting = self._requests.waiting(0, WAITING_MAX)
        for request in waiting:
            job = self._jobs.get(request.id)
            if job is None:
                self._take(request)
            elif request.is_cancelled:
                job.cancel()
        notice(self._requests, [request for request in waiting if request.id not in self._jobs])
        self._forget()

    def _take(self, request: Request) -> None:
        """Begin a request, refuse it, or leave it waiting for its turn."""
        refused = self._refused(request)
        if refused is not None:
            answered_at_once(self._requests, request, refused)
            return
        operation = OPERATIONS[request.operation]
        busy = sum(1 for job in self._jobs.values() if _lane(job.operation) == _lane(operation))
        if busy < _AT_ONCE and not self._stopping.is_set():
            job = self._jobs[request.id] = Job(request, operation, self._requests)
            job.start(self._slipstream, lambda: self._done(job))

    def _refused(self, request: Request) -> SlipstreamError | None:
        if request.is_cancelled:
            return UnavailableError(f"{request.operation} was given up before it was begun")
        if request.id in (self._stale or ()):
            return UnavailableError(f"{request.operation} was asked for at {request.asked_at}, of nobody: ask again")
        if request.operation not in OPERATIONS:
            return UnsupportedError(
                f"the process that runs the engine does not know {request.operation}: it may be of another version"
            )
        return None

    def _too_old(self) -> frozenset[int]:
        """
        Return the waiting requests that were made long ago, or, by a wrong clock, in the future.

        Called for the first look only: later requests were made to this desk, whatever the clock says.
        """
        now = self._clock.now()
        return frozenset(
            request.id
            for request in self._requests.waiting(0, WAITING_MAX)
            if abs((now - request.asked_at).total_seconds()) > _STALE_AFTER_S
        )

    def _done(self, job: Job) -> None:
        """Write the answer at once, on the job's own thread; if that fails, the next look writes it."""
        try:
            job.deliver()
        except SlipstreamError as error:
            logger.warning("%s is done, but can not be answered now: %s", job.operation.name, error)

    def _write(self) -> None:
        for job in list(self._jobs.values()):
            if job.answer is not None and not job.is_over:
                job.deliver()
            elif not job.is_over:
                job.publish()
            if job.is_over:
                self._jobs.pop(job.request.id, None)

    def _forget(self) -> None:
        now_s = self._clock.monotonic()
        if now_s - self._forgot_s >= _FORGET_EVERY_S:
            self._forgot_s = now_s
            # By the slower of two clocks: if the wall clock was set forward, callers may not have read their answers
            # yet.
            now = min(self._clock.now(), self._opened_at + timedelta(seconds=now_s - self._opened_s))
            self._requests.forget(now - _KEPT_FOR, _KEPT_MAX, _KEPT_BYTES)


def _lane(operation: Operation) -> tuple[bool, str]:
    """Return what an operation shares room with: long ones hold up no short ones, a scope none of another."""
    return operation.is_long, operation.scope
