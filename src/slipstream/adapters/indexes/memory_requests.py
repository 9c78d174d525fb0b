"""Requests in memory: the reference that the durable adapter is compared with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from slipstream.domain.errors import LeaseLostError, QueryLimitError
from slipstream.ports.requests import ARGUMENTS_BYTES_MAX, WAITING_BYTES_MAX, WAITING_MAX, CommitWatch, Request


@dataclass(slots=True)
class RequestList:
    """What the processes of one PKG share."""

    requests: dict[int, Request] = field(default_factory=dict)
    last: int = 0
    commits: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def committed(self) -> None:
        """Wake whoever watches."""
        self.commits += 1
        self.changed.notify_all()


class MemoryRequests:
    """A `Requests` in a dictionary. Safe for threads."""

    def __init__(self, desk: RequestList | None = None, *, is_guest: bool = False) -> None:
        self._desk = desk or RequestList()
        self._is_guest = is_guest

    def as_guest(self) -> MemoryRequests:
        """Return the same list for a process that does not own the engine."""
        return MemoryRequests(self._desk, is_guest=True)

    def reopened(self) -> MemoryRequests:
        """Return the list as the next owner finds it, after every process has ended."""
        return MemoryRequests(self._desk)

    def submit(self, operation: str, arguments: str, asked_at: datetime) -> int:
        """Add a request, if there is room."""
        size = len(arguments.encode())
        with self._desk.changed:
            waiting = self.waiting(0, WAITING_MAX)
            total = size + sum(len(request.arguments.encode()) for request in waiting)
            if size > ARGUMENTS_BYTES_MAX or len(waiting) >= WAITING_MAX or total > WAITING_BYTES_MAX:
                raise QueryLimitError(f"{operation}: too much is asked at a time")
            self._desk.last += 1
            request = Request(id=self._desk.last, operation=operation, arguments=arguments, asked_at=asked_at)
            self._desk.requests[request.id] = request
            self._desk.committed()
            return request.id

    def waiting(self, after: int, limit: int) -> Sequence[Request]:
        """Return unanswered requests by id."""
        with self._desk.changed:
            found = (r for i, r in sorted(self._desk.requests.items()) if i > after and r.answer is None)
            return list(found)[: max(limit, 0)]

    def begin(self, request_id: int) -> int:
        """Count an attempt."""
        self._require_owner()
        self._change(request_id, lambda request: replace(request, attempts=request.attempts + 1))
        found = self.look(request_id)
        return 0 if found is None or found.answer is not None else found.attempts

    def tell(self, request_id: int, progress: str) -> None:
        """Replace the progress."""
        self._require_owner()
        self._change(request_id, lambda request: replace(request, progress=progress))

    def answer(self, request_id: int, answer: str) -> bool:
        """Answer once."""
        self._require_owner()
        return self._change(request_id, lambda request: replace(request, answer=answer))

    def look(self, request_id: int) -> Request | None:
        """Return one request."""
        with self._desk.changed:
            return self._desk.requests.get(request_id)

    def cancel(self, request_id: int) -> None:
        """Mark an unanswered request."""
        self._change(request_id, lambda request: replace(request, is_cancelled=True))

    def forget(self, asked_before: datetime, keep: int, keep_bytes: int) -> int:
        """Drop old answered requests, and the oldest of too many."""
        self._require_owner()
        kept = kept_bytes = gone = 0
        with self._desk.changed:
            for identity, request in sorted(self._desk.requests.items(), reverse=True):
                if request.answer is None:
                    continue
                size = len(request.arguments) + len(request.progress or "") + len(request.answer)
                if request.asked_at < asked_before or kept >= keep or kept_bytes + size > keep_bytes:
                    del self._desk.requests[identity]
                    gone += 1
                else:
                    kept, kept_bytes = kept + 1, kept_bytes + size
        return gone

    def watch(self) -> CommitWatch:
        """Return a watch over the list."""
        return _Watch(self._desk)

    def _require_owner(self) -> None:
        if self._is_guest:
            raise LeaseLostError("only the owner of the engine answers")

    def _change(self, request_id: int, change: Callable[[Request], Request]) -> bool:
        with self._desk.changed:
            request = self._desk.requests.get(request_id)
            if request is None or request.answer is not None:
                return False
            self._desk.requests[request_id] = change(request)
            self._desk.committed()
            return True


class _Watch:
    def __init__(self, desk: RequestList) -> None:
        self._desk, self._seen = desk, desk.commits
        self._interrupted = False

    def wait(self, timeout_s: float) -> bool:
        with self._desk.changed:
            self._desk.changed.wait_for(lambda: self._interrupted or self._desk.commits != self._seen, timeout_s)
            found, self._seen = self._desk.commits != self._seen, self._desk.commits
            return found

    def interrupt(self) -> None:
        with self._desk.changed:
            self._interrupted = True
            self._desk.changed.notify_all()

    def close(self) -> None:
        """Do nothing: nothing is held."""
