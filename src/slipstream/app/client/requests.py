"""Requests that a server keeps: long operations, whose progress and answer are asked for until they are done."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Never

from slipstream.app.client.answers import not_understood
from slipstream.app.client.wire import Wire
from slipstream.domain.errors import NotFoundError, SlipstreamError, UnsupportedError
from slipstream.ports.requests import CommitWatch, Request

logger = logging.getLogger(__name__)

_PATH = "/v1/requests"


class WireRequests:
    """The list of requests of a server's PKG, as far as who asks needs it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def submit(self, operation: str, arguments: str, asked_at: datetime) -> int:
        """Ask; the server notes its own time."""
        del asked_at
        found = self._wire.post(_PATH, {"operation": operation, **json.loads(arguments)})
        try:
            return int(found["id"])
        except (TypeError, ValueError) as error:
            raise not_understood("a request without a number") from error

    def look(self, request_id: int) -> Request | None:
        """Return the request as the server has it."""
        try:
            found = self._wire.get(f"{_PATH}/{request_id}")
        except NotFoundError:
            return None
        try:
            return _request(found)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise not_understood("a request that is none") from error

    def cancel(self, request_id: int) -> None:
        """Tell the server, if it can be told: one that can not be reached now is told by nobody."""
        try:
            self._wire.ask("DELETE", f"{_PATH}/{request_id}", is_safe=True)
        except SlipstreamError as error:
            logger.info("request %s could not be cancelled: %s", request_id, error)

    def watch(self) -> CommitWatch:
        """Return what waits between two looks."""
        return _Pause()

    # What only the owner of the engine does.

    def waiting(self, after: int, limit: int) -> Sequence[Request]:
        """Raise: it is the owner's."""
        _owners(after, limit)

    def begin(self, request_id: int) -> int:
        """Raise: it is the owner's."""
        _owners(request_id)

    def tell(self, request_id: int, progress: str) -> None:
        """Raise: it is the owner's."""
        _owners(request_id, progress)

    def answer(self, request_id: int, answer: str) -> bool:
        """Raise: it is the owner's."""
        _owners(request_id, answer)

    def forget(self, asked_before: datetime, keep: int, keep_bytes: int) -> int:
        """Raise: it is the owner's."""
        _owners(asked_before, keep, keep_bytes)


def _owners(*what: object) -> Never:
    del what
    raise UnsupportedError("requests are taken and answered by the process that runs the engine alone")


def _request(found: dict[str, Any]) -> Request:
    answer: dict[str, Any] | None = None
    if found["state"] == "done":
        answer = {"result": found.get("result")}
    elif found["state"] == "failed":
        answer = {"error": found["error"]["error"]}
    return Request(
        id=int(found["id"]),
        operation=str(found["operation"]),
        arguments="{}",
        asked_at=datetime.fromisoformat(found["asked_at"]),
        attempts=int(found["attempts"]),
        is_cancelled=bool(found["is_cancelled"]),
        progress=json.dumps(found.get("progress") or {}),  # a server that tells of it has taken notice
        answer=None if answer is None else json.dumps(answer),
    )


class _Pause:
    """Waits between two looks, a little longer each time: short operations are answered soon."""

    _FIRST_S, _GROWTH = 0.01, 1.5

    def __init__(self) -> None:
        self._ended, self._pause_s = threading.Event(), self._FIRST_S

    def wait(self, timeout_s: float) -> bool:
        """Wait; never more than `timeout_s`."""
        pause_s = min(self._pause_s, timeout_s)
        self._pause_s = pause_s * self._GROWTH
        return self._ended.wait(pause_s)

    def interrupt(self) -> None:
        """End the wait."""
        self._ended.set()

    def close(self) -> None:
        """End the wait."""
        self._ended.set()
