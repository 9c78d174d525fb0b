"""One request while the owner of the engine works on it."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from slipstream.app.remote.failures import CancelledCallError, LeavingError, told_error
from slipstream.app.remote.operations import Operation
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import QueryLimitError, SlipstreamError, UnavailableError
from slipstream.ports.requests import Request, Requests

logger = logging.getLogger(__name__)

ANSWER_BYTES_MAX = 32 * 1024 * 1024
_TELL_EVERY_S = 0.2
"""Each time costs a commit: no oftener than a reader's eye can follow."""
_ATTEMPTS_MAX = 3
"""Attempts at a request whose owners died over it: it may be the cause."""


class Job:
    """
    Performs one request on a thread of its own, and keeps its progress and answer until they are written.

    It can be ended only where its operation calls a progress callback, as by Ctrl-C in a process of its own.
    """

    def __init__(self, request: Request, operation: Operation, requests: Requests) -> None:
        self.request, self.operation, self._requests = request, operation, requests
        self.answer: str | None = None
        """None until the job is done; written by `deliver`."""
        self.is_over = False
        self._cancelled, self._leaving = threading.Event(), threading.Event()
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._progress: dict[str, tuple[int, list[Any]]] = {}
        self._has_news, self._told_at = False, float("-inf")
        self._thread: threading.Thread | None = None

    # ------------------------------------------------------------------ from outside

    def start(self, slipstream: Slipstream, on_done: Callable[[], None]) -> None:
        """Begin; `on_done` is called at the end, on the job's own thread."""
        name = f"slipstream-ask-{self.request.id}"
        self._thread = threading.Thread(target=self._run, args=(slipstream, on_done), name=name, daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Have the job end soon, because nobody waits for it."""
        self._cancelled.set()

    def leave(self) -> None:
        """Have the job end soon, without an answer."""
        self._leaving.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the job's thread; False when it has not ended in time."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def publish(self, *, at_once: bool = False) -> None:
        """Write new progress, if there is any, but not too often unless `at_once`."""
        now = time.monotonic()
        with self._writing:  # two threads publish: older progress must not overwrite newer
            with self._lock:
                if not self._has_news or not (at_once or now - self._told_at >= _TELL_EVERY_S):
                    return
                text, self._has_news, self._told_at = json.dumps(self._progress), False, now
            self._requests.tell(self.request.id, text)

    def deliver(self) -> None:
        """Write the answer; raises what the journal raises, and can then be called again."""
        if self.answer is not None:
            self.publish(at_once=True)
            self._requests.answer(self.request.id, self.answer)
            self.is_over = True

    # ------------------------------------------------------------------ on its own thread

    def _run(self, slipstream: Slipstream, on_done: Callable[[], None]) -> None:
        try:
            self.answer = self._performed(slipstream)
        except LeavingError:
            self.is_over = True
        except Exception as error:
            if not isinstance(error, SlipstreamError):
                logger.exception("%s failed", self.operation.name)
            self.answer = json.dumps({"error": told_error(error)})
        finally:
            on_done()

    def _performed(self, slipstream: Slipstream) -> str:
        attempts = self._requests.begin(self.request.id)
        if attempts > _ATTEMPTS_MAX:
            raise UnavailableError(
                f"{attempts - 1} processes have ended while they did {self.operation.name}: it is not tried "
                "again. Look for the reason (memory?), then ask again"
            )
        if attempts > 1 and self.operation.again is not None:
            done = self.operation.again(slipstream)
            if done is not None:
                return self._encoded(done.result)
        arguments, callbacks = self.operation.signature.arguments(self.request.arguments, slipstream.audits)
        # A callback that nobody listens to is still where the job can be ended.
        bridged = {
            name: self._bridge(name) if name in callbacks else self._ending
            for name in self.operation.signature.callbacks
        }
        return self._encoded(self.operation.perform(slipstream, **arguments, **bridged))

    def _encoded(self, result: object) -> str:
        text = json.dumps({"result": self.operation.signature.result_as_data(result)})
        if len(text) > ANSWER_BYTES_MAX:
            raise QueryLimitError(
                f"{self.operation.name}: the answer takes {len(text):,} bytes, at most {ANSWER_BYTES_MAX:,} are "
                "given to another process: ask for less"
            )
        return text

    def _bridge(self, name: str) -> Callable[..., None]:
        def tell(*args: object) -> None:
            self._check()
            told = self.operation.signature.told(name, args)
            with self._lock:  # in memory only: callers may hold up others
                count = self._progress[name][0] + 1 if name in self._progress else 1
                self._progress[name], self._has_news = (count, told), True

        return tell

    def _ending(self, *args: object) -> None:
        del args
        self._check()

    def _check(self) -> None:
        if self._leaving.is_set():
            raise LeavingError
        if self._cancelled.is_set():
            raise CancelledCallError(f"{self.operation.name} was given up by whoever asked for it")


def answered_at_once(requests: Requests, request: Request, error: SlipstreamError) -> None:
    """Answer a request that is refused, with the error."""
    requests.answer(request.id, json.dumps({"error": told_error(error)}))


def notice(requests: Requests, waiting: Sequence[Request]) -> None:
    """Let those who ask see that the owner knows of them, though it has not begun."""
    for request in waiting:
        if request.progress is None:
            requests.tell(request.id, "{}")
