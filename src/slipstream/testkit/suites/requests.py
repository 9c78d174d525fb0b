"""The conformance suite of the port `Requests`."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from slipstream.domain.errors import LeaseLostError, QueryLimitError
from slipstream.ports.requests import ARGUMENTS_BYTES_MAX, WAITING_BYTES_MAX, WAITING_MAX, Request, Requests

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
LONG_S = 20.0
ARGUMENTS = '{"text": "ü \\u0000 \\"quoted\\"", "number": 1.5}'
EVERYTHING = 10**9

Reopen = Callable[[], Requests]


class RequestsSuite(ABC):
    """What every list of requests must do. The docstrings of the port are the contract."""

    @pytest.fixture
    @abstractmethod
    def requests(self) -> Requests:
        """Return an empty list, as the owner of the engine sees it; the fixture closes it."""

    @pytest.fixture
    @abstractmethod
    def guest(self, requests: Requests) -> Requests:
        """Return the same list as another process sees it."""

    @pytest.fixture
    def reopen(self) -> Reopen | None:
        """Return what ends every process and gives the list as the next owner sees it; None where nothing lasts."""
        return None

    def ask(self, requests: Requests, *operations: str) -> list[int]:
        """Ask for some operations."""
        return [requests.submit(operation, "{}", NOW) for operation in operations]

    # ------------------------------------------------------------------ asking

    def test_a_request_comes_back_whole(self, requests: Requests, guest: Requests) -> None:
        identity = guest.submit("verify", ARGUMENTS, NOW)
        expected = Request(id=identity, operation="verify", arguments=ARGUMENTS, asked_at=NOW)
        for side in (requests, guest):
            assert side.look(identity) == expected
            assert list(side.waiting(0, 10)) == [expected]
        found = requests.look(identity)
        assert found is not None
        assert found.asked_at.utcoffset() == timedelta(0)

    def test_requests_wait_in_the_order_in_which_they_were_asked(self, requests: Requests, guest: Requests) -> None:
        ids = [identity for side in (guest, requests, guest) for identity in self.ask(side, "a", "b")]
        assert ids == sorted(set(ids))
        assert [request.id for request in requests.waiting(0, 100)] == ids
        assert [request.id for request in requests.waiting(0, 2)] == ids[:2]
        assert [request.id for request in requests.waiting(ids[1], 3)] == ids[2:5]
        assert list(requests.waiting(ids[-1], 10)) == []

    def test_what_nobody_asked_is_not_there(self, requests: Requests) -> None:
        assert requests.look(7) is None
        assert requests.begin(7) == 0
        assert not requests.answer(7, "1")
        requests.tell(7, "1")
        requests.cancel(7)
        assert requests.look(7) is None
        assert list(requests.waiting(0, 10)) == []

    def test_what_is_too_large_is_refused(self, requests: Requests) -> None:
        with pytest.raises(QueryLimitError):
            requests.submit("a", "ü" * (ARGUMENTS_BYTES_MAX // 2 + 1), NOW)
        assert list(requests.waiting(0, 10)) == []

    def test_the_number_of_those_that_wait_is_bounded(self, requests: Requests) -> None:
        ids = self.ask(requests, *["a"] * WAITING_MAX)
        with pytest.raises(QueryLimitError):
            requests.submit("a", "{}", NOW)
        requests.answer(ids[0], "1")
        requests.submit("a", "{}", NOW)
        assert len(requests.waiting(0, 2 * WAITING_MAX)) == WAITING_MAX

    def test_the_size_of_those_that_wait_is_bounded(self, requests: Requests) -> None:
        large = "x" * ARGUMENTS_BYTES_MAX
        for _ in range(WAITING_BYTES_MAX // ARGUMENTS_BYTES_MAX):
            requests.submit("a", large, NOW)
        with pytest.raises(QueryLimitError):
            requests.submit("a", "x", NOW)

    # ------------------------------------------------------------------ answering

    def test_an_answer_is_seen_and_ends_the_waiting(self, requests: Requests, guest: Requests) -> None:
        first, second = self.ask(guest, "a", "b")
        assert requests.answer(first, ARGUMENTS)
        found = guest.look(first)
        assert found is not None
        assert found.answer == ARGUMENTS
        assert [request.id for request in requests.waiting(0, 10)] == [second]

    def test_the_first_answer_stands(self, requests: Requests, guest: Requests) -> None:
        (identity,) = self.ask(guest, "a")
        assert requests.answer(identity, '"first"')
        assert not requests.answer(identity, '"second"')
        requests.tell(identity, '"late"')
        guest.cancel(identity)
        assert requests.begin(identity) == 0
        found = guest.look(identity)
        assert found is not None
        assert (found.answer, found.progress, found.is_cancelled, found.attempts) == ('"first"', None, False, 0)

    def test_an_empty_answer_is_one(self, requests: Requests, guest: Requests) -> None:
        (identity,) = self.ask(guest, "a")
        assert requests.answer(identity, "")
        assert list(requests.waiting(0, 10)) == []

    def test_progress_is_replaced(self, requests: Requests, guest: Requests) -> None:
        (identity,) = self.ask(guest, "a")
        for progress in ("[1]", "[2]"):
            requests.tell(identity, progress)
            found = guest.look(identity)
            assert found is not None
            assert (found.progress, found.answer) == (progress, None)
        assert [request.id for request in requests.waiting(0, 10)] == [identity]

    def test_attempts_are_counted(self, requests: Requests, guest: Requests) -> None:
        first, second = self.ask(guest, "a", "b")
        assert [requests.begin(first), requests.begin(first), requests.begin(second)] == [1, 2, 1]
        assert [request.attempts for request in requests.waiting(0, 10)] == [2, 1]

    def test_a_cancelled_request_is_told_and_waits_for_its_end(self, requests: Requests, guest: Requests) -> None:
        first, second = self.ask(guest, "a", "b")
        guest.cancel(first)
        guest.cancel(first)
        assert [request.is_cancelled for request in requests.waiting(0, 10)] == [True, False]
        assert requests.answer(first, "null")
        assert [request.id for request in requests.waiting(0, 10)] == [second]

    # ------------------------------------------------------------------ who may

    def test_only_the_owner_answers(self, requests: Requests, guest: Requests) -> None:
        (identity,) = self.ask(guest, "a")
        calls: list[Callable[[], object]] = [
            lambda: guest.begin(identity),
            lambda: guest.tell(identity, "1"),
            lambda: guest.answer(identity, "1"),
        ]
        for call in calls:
            with pytest.raises(LeaseLostError):
                call()
        requests.answer(identity, "2")
        with pytest.raises(LeaseLostError):
            guest.forget(NOW + timedelta(1), 0, 0)
        found = guest.look(identity)
        assert found is not None
        assert (found.attempts, found.progress, found.answer) == (0, None, "2")

    # ------------------------------------------------------------------ forgetting

    def test_old_answers_are_forgotten(self, requests: Requests) -> None:
        ids = [requests.submit("a", "{}", NOW + timedelta(seconds=second)) for second in range(4)]
        for identity in (ids[0], ids[1], ids[3]):
            requests.answer(identity, "1")
        assert requests.forget(NOW + timedelta(seconds=1), EVERYTHING, EVERYTHING) == 1
        assert [requests.look(identity) is not None for identity in ids] == [False, True, True, True]
        assert requests.forget(NOW + timedelta(days=1), EVERYTHING, EVERYTHING) == 2
        assert [request.id for request in requests.waiting(0, 10)] == [ids[2]], "what is not answered stays"

    def test_the_newest_answers_are_kept(self, requests: Requests) -> None:
        ids = self.ask(requests, *"abcde")
        for identity in ids[:4]:
            requests.answer(identity, "1")
        assert requests.forget(NOW, 2, EVERYTHING) == 2
        assert [requests.look(identity) is not None for identity in ids] == [False, False, True, True, True]
        assert requests.forget(NOW, 2, EVERYTHING) == 0

    def test_answers_are_kept_up_to_a_size(self, requests: Requests) -> None:
        ids = self.ask(requests, *"abc")
        for identity in ids:
            requests.answer(identity, "x" * 1_000)
        assert requests.forget(NOW, EVERYTHING, 2_500) == 1
        assert [requests.look(identity) is not None for identity in ids] == [False, True, True]

    def test_ids_are_never_given_out_again(self, requests: Requests) -> None:
        ids = self.ask(requests, "a", "b")
        for identity in ids:
            requests.answer(identity, "1")
        requests.forget(NOW + timedelta(1), 0, 0)
        assert min(self.ask(requests, "c")) > max(ids)

    # ------------------------------------------------------------------ noticing

    def test_a_watch_notices_what_others_commit(self, requests: Requests, guest: Requests) -> None:
        with closing(requests.watch()) as owners, closing(guest.watch()) as askers:
            assert not owners.wait(0)
            (identity,) = self.ask(guest, "a")
            assert owners.wait(LONG_S)
            requests.answer(identity, "1")
            assert askers.wait(LONG_S)

    def test_a_watch_misses_nothing_between_two_calls(self, requests: Requests, guest: Requests) -> None:
        with closing(requests.watch()) as watch:
            for _ in range(3):
                self.ask(guest, "a")
                assert watch.wait(LONG_S)
                assert not watch.wait(0)

    def test_a_waiting_watch_wakes(self, requests: Requests, guest: Requests) -> None:
        watching = threading.Event()

        def wait() -> bool:
            with closing(requests.watch()) as watch:
                watching.set()
                return watch.wait(LONG_S)

        with ThreadPoolExecutor(1) as pool:
            woken = pool.submit(wait)
            assert watching.wait(LONG_S)
            self.ask(guest, "a")
            assert woken.result(LONG_S)

    def test_asking_from_many_threads_loses_nothing(self, requests: Requests, guest: Requests) -> None:
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(self.ask, side, *["a"] * 10) for side in (requests, guest) * 2]
            ids = sorted(identity for done in asked for identity in done.result(LONG_S))
        assert [request.id for request in requests.waiting(0, 100)] == ids
        assert len(set(ids)) == 40

    # ------------------------------------------------------------------ durability

    def test_everything_is_there_for_the_next_owner(
        self, requests: Requests, guest: Requests, reopen: Reopen | None
    ) -> None:
        if reopen is None:
            pytest.skip("nothing survives the process")
        begun, answered, cancelled = self.ask(guest, "a", "b", "c")
        requests.begin(begun)
        requests.tell(begun, "[1]")
        requests.answer(answered, '"done"')
        guest.cancel(cancelled)
        again = reopen()
        waiting = list(again.waiting(0, 10))
        assert [request.id for request in waiting] == [begun, cancelled]
        assert (waiting[0].attempts, waiting[0].progress, waiting[1].is_cancelled) == (1, "[1]", True)
        assert again.begin(begun) == 2
        found = again.look(answered)
        assert found is not None
        assert found.answer == '"done"'
        assert min(self.ask(again, "d")) > cancelled
