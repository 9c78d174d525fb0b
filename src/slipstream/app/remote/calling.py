"""The asking side: turns a call into a request, and the answer into the result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from slipstream.app.remote.failures import raised_error
from slipstream.app.remote.operations import Operation, operation_named
from slipstream.domain.errors import UnavailableError
from slipstream.ports.audits import AuditLog
from slipstream.ports.clock import Clock
from slipstream.ports.requests import CommitWatch, Request, Requests

_LOOK_S = 0.25
"""How long a waiting caller sleeps at most between two looks, even if nothing is committed."""
PATIENCE_S = 30.0
"""How long a caller waits for the owner to notice its request, before it gives up."""


class Caller:
    """
    Asks the process that runs the engine, and waits for its answer. Safe for threads.

    A caller that is interrupted, or whose callback raises, cancels its request. `stranded` is called now and then
    while it waits, so that this process can take over and answer when no other does.
    """

    def __init__(
        self,
        requests: Requests,
        audits: AuditLog,
        clock: Clock,
        *,
        patience_s: float = PATIENCE_S,
        stranded: Callable[[], None] | None = None,
    ) -> None:
        self._requests, self._audits, self._clock, self._patience_s = requests, audits, clock, patience_s
        self._stranded = stranded

    def within(self, patience_s: float) -> Caller:
        """Return a caller that gives up after `patience_s`."""
        return Caller(self._requests, self._audits, self._clock, patience_s=patience_s, stranded=self._stranded)

    def call(self, name: str, *args: object, **kwargs: object) -> Any:
        """Return what the operation returns in the owner's process, or raise what it raises; callbacks get its
        progress.

        Raises `UnavailableError` when no owner notices the request in time."""
        operation = operation_named(name)
        arguments, callbacks = operation.signature.arguments_as_json(args, kwargs)
        with closing(self._requests.watch()) as watch:
            request_id = self._requests.submit(name, arguments, self._clock.now())
            return self._followed(operation, request_id, callbacks, watch)

    def follow(self, name: str, request_id: int, callbacks: Mapping[str, Callable[..., None]]) -> Any:
        """Return or raise what `call` does, of a request that was made already."""
        with closing(self._requests.watch()) as watch:
            return self._followed(operation_named(name), request_id, callbacks, watch)

    def _followed(
        self,
        operation: Operation,
        request_id: int,
        callbacks: Mapping[str, Callable[..., None]],
        watch: CommitWatch,
    ) -> Any:
        try:
            progress = _Progress(operation, callbacks, self._audits)
            given_up_at = time.monotonic() + self._patience_s
            looked_at = time.monotonic()
            while (answer := self._looked(request_id, progress, given_up_at)) is None:
                watch.wait(_LOOK_S)
                if self._stranded is not None and time.monotonic() - looked_at >= _LOOK_S / 2:
                    self._stranded()
                    looked_at = time.monotonic()
        except BaseException:
            self._requests.cancel(request_id)
            raise
        return self._result(operation, json.loads(answer))

    def _looked(self, request_id: int, progress: _Progress, given_up_at: float) -> str | None:
        request = self._requests.look(request_id)
        if request is None:
            raise UnavailableError("the request was forgotten before it was answered: ask again")
        progress.show(request)
        if request.answer is None and not _is_noticed(request) and time.monotonic() >= given_up_at:
            raise UnavailableError(
                f"the process that runs the engine has taken no notice of {request.operation} for "
                f"{self._patience_s:g} s: see whether it hangs or was stopped, end it, and try again"
            )
        return request.answer

    def _result(self, operation: Operation, answer: Mapping[str, Any]) -> Any:
        if "error" in answer:
            raise raised_error(answer["error"])
        return operation.signature.result(answer["result"], self._audits)


class _Progress:
    """Tells callbacks the progress of a request since the last look."""

    def __init__(self, operation: Operation, callbacks: Mapping[str, Callable[..., None]], audits: AuditLog) -> None:
        self._operation, self._callbacks, self._audits = operation, callbacks, audits
        self._told: dict[str, int] = {}
        self._text: str | None = None

    def show(self, request: Request) -> None:
        if request.progress is None or request.progress == self._text:
            return
        self._text = request.progress
        heard: Mapping[str, Sequence[Any]] = json.loads(request.progress)
        for name, (count, told) in heard.items():
            if name in self._callbacks and self._told.get(name) != count:
                self._told[name] = count
                self._callbacks[name](*self._operation.signature.heard(name, told, self._audits))


def _is_noticed(request: Request) -> bool:
    return request.attempts > 0 or request.progress is not None
