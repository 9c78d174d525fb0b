"""Lists of requests that are wrong on purpose, each in one way: the suite must fail every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from slipstream.adapters.indexes.memory_requests import MemoryRequests
from slipstream.ports.requests import CommitWatch, Request


class AnswersTwice(MemoryRequests):
    """Lets a second answer replace the first."""

    def answer(self, request_id: int, answer: str) -> bool:
        """Answer whatever was answered."""
        self._require_owner()
        found = self.look(request_id)
        if found is None:
            return False
        self._desk.requests[request_id] = replace(found, answer=answer)
        self._desk.committed()
        return True


class LosesRequestsAtReopen(MemoryRequests):
    """Keeps waiting requests in memory only."""

    def reopened(self) -> MemoryRequests:
        """Forget what is not answered."""
        for request in self.waiting(0, 1_000):
            del self._desk.requests[request.id]
        return super().reopened()


class LosesAttemptsAtReopen(MemoryRequests):
    """Counts attempts in memory."""

    def reopened(self) -> MemoryRequests:
        """Forget them."""
        for request in self.waiting(0, 1_000):
            self._desk.requests[request.id] = replace(request, attempts=0)
        return super().reopened()


class HidesCancelledRequests(MemoryRequests):
    """Hides cancelled requests, so that the owner does not stop them."""

    def waiting(self, after: int, limit: int) -> Sequence[Request]:
        """Leave out what is cancelled."""
        return [request for request in super().waiting(after, limit) if not request.is_cancelled]


class ShowsAnsweredRequests(MemoryRequests):
    """Shows answered requests as waiting, so that they are done again."""

    def waiting(self, after: int, limit: int) -> Sequence[Request]:
        """Return whatever there is."""
        found = (request for i, request in sorted(self._desk.requests.items()) if i > after)
        return list(found)[: max(limit, 0)]


class NewestFirst(MemoryRequests):
    """Returns the newest first, so that the oldest may wait for ever."""

    def waiting(self, after: int, limit: int) -> Sequence[Request]:
        """Turn the order round."""
        return list(super().waiting(after, 1_000_000))[::-1][: max(limit, 0)]


class TakesAnything(MemoryRequests):
    """Knows no limits."""

    def submit(self, operation: str, arguments: str, asked_at: datetime) -> int:
        """Add."""
        with self._desk.changed:
            self._desk.last += 1
            request = Request(id=self._desk.last, operation=operation, arguments=arguments, asked_at=asked_at)
            self._desk.requests[request.id] = request
            self._desk.committed()
            return request.id


class GivesIdsAgain(MemoryRequests):
    """Numbers requests by those that are there, so that ids come again."""

    def submit(self, operation: str, arguments: str, asked_at: datetime) -> int:
        """Begin behind the newest that is there."""
        with self._desk.changed:
            self._desk.last = max(self._desk.requests, default=0)
            return super().submit(operation, arguments, asked_at)


class LetsGuestsAnswer(MemoryRequests):
    """Lets guests do what only the owner may."""

    def _require_owner(self) -> None:
        pass

    def as_guest(self) -> MemoryRequests:
        """Return one that is as careless."""
        return type(self)(self._desk, is_guest=True)


class ForgetsTheUnanswered(MemoryRequests):
    """Forgets by age alone."""

    def forget(self, asked_before: datetime, keep: int, keep_bytes: int) -> int:
        """Drop what is old, answered or not."""
        gone = super().forget(asked_before, keep, keep_bytes)
        for request in self.waiting(0, 1_000):
            if request.asked_at < asked_before:
                del self._desk.requests[request.id]
                gone += 1
        return gone


class ForgetsTheNewest(MemoryRequests):
    """Keeps the oldest of too many."""

    def forget(self, asked_before: datetime, keep: int, keep_bytes: int) -> int:
        """Drop from the wrong end."""
        gone = super().forget(asked_before, 1_000_000, keep_bytes)
        answered = [i for i, request in sorted(self._desk.requests.items()) if request.answer is not None]
        for identity in answered[keep:]:
            del self._desk.requests[identity]
            gone += 1
        return gone


class KeepsAnySize(MemoryRequests):
    """Bounds the number alone."""

    def forget(self, asked_before: datetime, keep: int, keep_bytes: int) -> int:
        """Ignore the size."""
        del keep_bytes
        return super().forget(asked_before, keep, 10**18)


class AppendsProgress(MemoryRequests):
    """Keeps all that was ever told."""

    def tell(self, request_id: int, progress: str) -> None:
        """Append."""
        found = self.look(request_id)
        super().tell(request_id, (found.progress or "" if found else "") + progress)


class MissesCommits(MemoryRequests):
    """Misses commits between two waits."""

    def watch(self) -> CommitWatch:
        """Return a watch that begins anew with each call."""
        return _Forgetful(self)


class _Forgetful:
    def __init__(self, requests: MemoryRequests) -> None:
        self._requests = requests

    def wait(self, timeout_s: float) -> bool:
        fresh = MemoryRequests.watch(self._requests)
        return fresh.wait(min(timeout_s, 0.1))

    def interrupt(self) -> None:
        """Nothing waits for long."""

    def close(self) -> None:
        """Nothing is held."""


BROKEN_REQUESTS: dict[type[MemoryRequests], str] = {
    AnswersTwice: "test_the_first_answer_stands",
    LosesRequestsAtReopen: "test_everything_is_there_for_the_next_owner",
    LosesAttemptsAtReopen: "test_everything_is_there_for_the_next_owner",
    HidesCancelledRequests: "test_a_cancelled_request_is_told_and_waits_for_its_end",
    ShowsAnsweredRequests: "test_an_answer_is_seen_and_ends_the_waiting",
    NewestFirst: "test_requests_wait_in_the_order_in_which_they_were_asked",
    TakesAnything: "test_the_number_of_those_that_wait_is_bounded",
    GivesIdsAgain: "test_ids_are_never_given_out_again",
    LetsGuestsAnswer: "test_only_the_owner_answers",
    ForgetsTheUnanswered: "test_old_answers_are_forgotten",
    ForgetsTheNewest: "test_the_newest_answers_are_kept",
    KeepsAnySize: "test_answers_are_kept_up_to_a_size",
    AppendsProgress: "test_progress_is_replaced",
    MissesCommits: "test_a_watch_misses_nothing_between_two_calls",
}
"""Each broken list, and the case that was written for its fault."""
