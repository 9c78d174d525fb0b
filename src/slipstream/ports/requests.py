"""Requests: what other processes ask of the one that runs the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

ARGUMENTS_BYTES_MAX = 8 * 1024 * 1024
WAITING_MAX = 1_000
"""Requests that may be unanswered at a time: past it something is wrong with the owner, or with who asks."""
WAITING_BYTES_MAX = 64 * 1024 * 1024
"""The same for the size of their arguments together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One call that is asked of the owner; `answer` is None until the owner has answered.

    `arguments`, `progress` and `answer` are JSON, whose form asker and owner have agreed on.
    """

    id: int
    operation: str
    arguments: str
    asked_at: datetime
    attempts: int = 0
    """How often an owner has begun it: more than once when one died in the middle."""
    is_cancelled: bool = False
    progress: str | None = None
    answer: str | None = None


class CommitWatch(Protocol):
    """Notices that something was committed to the store, by whichever process. For one thread at a time."""

    def wait(self, timeout_s: float) -> bool:
        """
        Wait for a commit since the last call (at first: since the watch was made); False when time ran out.

        No commit is missed, but one may have written nothing of interest: look at the store after each call.
        """
        ...

    def interrupt(self) -> None:
        """End the wait that is under way, and every later one, at once; for any thread."""
        ...

    def close(self) -> None:
        """Release it; closing twice is harmless."""
        ...


@runtime_checkable
class Requests(Protocol):
    """
    A durable list of requests and their answers, in the order in which they were asked.

    Delivery is at least once: an owner that dies in the middle leaves a request unanswered, and the next owner does
    it again. The first answer stands. Everything but `submit`, `cancel`, `look` and `watch` is the owner's alone, and
    raises `LeaseLostError` for anybody else. Each call is a durable, atomic step of its own.
    """

    def submit(self, operation: str, arguments: str, asked_at: datetime) -> int:
        """
        Ask; returns the request's id, higher than any before. Asking twice makes two requests.

        Raises `QueryLimitError`, and keeps nothing, when the arguments are too large or too much waits already.
        """
        ...

    def waiting(self, after: int, limit: int) -> Sequence[Request]:
        """Return unanswered requests with ids behind `after`, oldest first, cancelled ones among them."""
        ...

    def begin(self, request_id: int) -> int:
        """Note that an owner begins a request; returns how often one has, 0 for an unknown or answered request."""
        ...

    def tell(self, request_id: int, progress: str) -> None:
        """Replace a request's progress; nothing happens when the request is unknown or answered."""
        ...

    def answer(self, request_id: int, answer: str) -> bool:
        """Answer a request for good; False, and nothing happens, when it is unknown or answered already."""
        ...

    def look(self, request_id: int) -> Request | None:
        """Return a request as it stands; None when it was forgotten, or never asked."""
        ...

    def cancel(self, request_id: int) -> None:
        """Tell the owner that nobody waits for a request; no effect when it is unknown, answered or cancelled."""
        ...

    def forget(self, asked_before: datetime, keep: int, keep_bytes: int) -> int:
        """
        Forget answered requests asked before `asked_before`, then the oldest past `keep` or `keep_bytes` in all.

        Returns how many. Unanswered requests are never forgotten: `submit` bounds them.
        """
        ...

    def watch(self) -> CommitWatch:
        """Return what waits for commits to the store; the caller closes it."""
        ...
