"""What one process asks, the other does: results, errors, progress, cancelling, and owners that come and go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from slipstream.adapters.indexes.memory_audits import MemoryAudits
from slipstream.adapters.indexes.memory_requests import MemoryRequests
from slipstream.app.remote import calling, desk, jobs
from slipstream.app.remote.calling import Caller
from slipstream.app.remote.desk import Desk
from slipstream.audit.findings import AuditReport
from slipstream.audit.repair import RepairBudget, RepairResult
from slipstream.domain.errors import (
    InvalidInputError,
    LeaseLostError,
    NotFoundError,
    QueryLimitError,
    SlipstreamError,
    UnavailableError,
    UnsupportedError,
)
from slipstream.domain.positions import Position
from slipstream.recipes.generations import Phase
from slipstream.testkit.clock import ManualClock

LONG_S = 20.0


class Owner:
    """An open PKG as far as a desk looks at it; every method waits for its gate."""

    def __init__(self) -> None:
        self.audits = MemoryAudits()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.begun: dict[str, threading.Event] = {}
        self.gates: dict[str, threading.Event] = {}
        self.results: dict[str, Any] = {}
        self.phase = Phase.ALONE
        self.asides = 0
        self.repairer = SimpleNamespace(repair=self._stepwise("repair"), unfinished=7)
        self.scrubber = SimpleNamespace(aside=self._aside, health="ok", summary=self._of("summary"))
        self.halted: list[Exception] = []
        engine = SimpleNamespace(recover=lambda _, error: self.halted.append(error))
        self.sync = SimpleNamespace(drain=self._stepwise("drain"), engine=engine)
        self.migrations = SimpleNamespace(
            start=self._of("start"),
            status=self._of("status"),
            is_declared=True,
            generations=SimpleNamespace(phase=Phase.ALONE),
        )
        self.verify = self._stepwise("verify")
        self.discard_dead_letters = self._of("discard")

    def _aside(self) -> AbstractContextManager[None]:
        self.asides += 1
        return nullcontext()

    def began(self, name: str) -> threading.Event:
        return self.begun.setdefault(name, threading.Event())

    def closed(self, name: str) -> threading.Event:
        return self.gates.setdefault(name, threading.Event())

    def _of(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls.append((name, arguments))
            self.began(name).set()
            if name in self.gates:
                assert self.gates[name].wait(LONG_S)
            found = self.results.get(name)
            if isinstance(found, BaseException):
                raise found
            return found

        return call

    def _stepwise(self, name: str) -> Callable[..., Any]:
        """Tell progress while the gate is closed, as all that takes long does."""
        plain = self._of(name)

        def call(on_progress: Callable[..., None], **arguments: Any) -> Any:
            self.began(name).set()
            gate, done = self.gates.get(name), 0
            while gate is not None and not gate.wait(0.001):
                done += 1
                on_progress(*((done, 9) if name == "repair" else (done,)))
            on_progress(*((9, 9) if name == "repair" else (9,)))
            self.gates.pop(name, None)
            return plain(**arguments)

        return call


@pytest.fixture
def owner() -> Owner:
    owner = Owner()
    report = AuditReport(Position(1))
    report.id = owner.audits.keep(report.summary(), report.findings())
    owner.results = {"verify": report, "discard": 3, "summary": {"paused": False}, "repair": RepairResult(7)}
    return owner


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def requests() -> MemoryRequests:
    return MemoryRequests()


@pytest.fixture
def caller(requests: MemoryRequests, owner: Owner, clock: ManualClock) -> Caller:
    return Caller(requests.as_guest(), owner.audits, clock)


@pytest.fixture
def open_desk(owner: Owner, requests: MemoryRequests, clock: ManualClock) -> Iterator[Callable[[], Desk]]:
    desks: list[Desk] = []

    def opened() -> Desk:
        desks.append(Desk(owner, requests, clock))  # type: ignore[arg-type]
        desks[-1].start()
        return desks[-1]

    yield opened
    for gate in owner.gates.values():
        gate.set()
    for one in desks:
        one.stop()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(24) as pool:
        yield pool


# ---------------------------------------------------------------------- answers


def test_what_is_asked_is_done_there(caller: Caller, owner: Owner, open_desk: Callable[[], Desk]) -> None:
    open_desk()
    assert caller.call("discard_dead_letters", ["a"]) == 3
    assert caller.call("repairer.unfinished") == 7
    assert caller.call("migrations.is_declared") is True
    assert caller.call("scrubber.summary") == {"paused": False}
    assert owner.calls == [("discard", {"ids": ["a"]}), ("summary", {})]


def test_an_audit_is_loaded_by_who_asked(caller: Caller, owner: Owner, open_desk: Callable[[], Desk]) -> None:
    open_desk()
    told: list[int] = []
    assert caller.call("verify", told.append, deep=5) == owner.results["verify"]
    assert owner.calls == [("verify", {"deep": 5})]
    assert told == [9]


def test_a_repair_puts_the_scrubber_aside(caller: Caller, owner: Owner, open_desk: Callable[[], Desk]) -> None:
    open_desk()
    told: list[tuple[int, int]] = []
    found = caller.call(
        "repairer.repair", 7, ["stale"], RepairBudget(), lambda done, total: told.append((done, total))
    )
    assert found == RepairResult(7)
    assert (owner.asides, told) == (1, [(9, 9)])


def test_an_error_is_raised_where_it_was_asked_for(
    caller: Caller, owner: Owner, open_desk: Callable[[], Desk]
) -> None:
    open_desk()
    owner.results["discard"] = InvalidInputError("is wrong", field="ids")
    with pytest.raises(InvalidInputError, match="ids: is wrong") as raised:
        caller.call("discard_dead_letters")
    assert raised.value.field == "ids"
    owner.results["discard"] = NotFoundError("nothing there")
    with pytest.raises(NotFoundError, match=r"^nothing there$"):
        caller.call("discard_dead_letters")


def test_a_defect_there_does_not_end_the_desk(caller: Caller, owner: Owner, open_desk: Callable[[], Desk]) -> None:
    open_desk()
    owner.results["discard"] = ZeroDivisionError("x")
    with pytest.raises(SlipstreamError, match="ZeroDivisionError"):
        caller.call("discard_dead_letters")
    assert caller.call("scrubber.health") == "ok"


def test_an_answer_that_is_no_answer_is_an_error(caller: Caller, owner: Owner, open_desk: Callable[[], Desk]) -> None:
    open_desk()
    owner.results["discard"] = object()
    with pytest.raises(InvalidInputError, match="can not be sent"):
        caller.call("discard_dead_letters")


def test_an_answer_is_bounded(
    caller: Caller, owner: Owner, open_desk: Callable[[], Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ANSWER_BYTES_MAX", 100)
    open_desk()
    owner.results["summary"] = {"text": "x" * 100}
    with pytest.raises(QueryLimitError, match="ask for less"):
        caller.call("scrubber.summary")


def test_only_the_table_is_ever_called(
    caller: Caller, requests: MemoryRequests, clock: ManualClock, open_desk: Callable[[], Desk], owner: Owner
) -> None:
    with pytest.raises(UnsupportedError):
        caller.call("journal.set", "checkpoint", "0")
    asked = [
        requests.submit(name, '{"arguments": {}, "callbacks": []}', clock.now())
        for name in ("close", "journal.close", "verify.__globals__", "__class__", "", "sync.engine")
    ]
    open_desk()
    assert caller.call("scrubber.health") == "ok"
    for request_id in asked:
        found = requests.look(request_id)
        assert found is not None
        assert '"UnsupportedError"' in (found.answer or "")
    assert owner.calls == []


# ---------------------------------------------------------------------- at the same time


def test_what_takes_long_holds_up_nothing_short(
    caller: Caller, owner: Owner, open_desk: Callable[[], Desk], pool: ThreadPoolExecutor
) -> None:
    open_desk()
    gate = owner.closed("drain")
    owner.results["drain"] = True
    drains = [pool.submit(caller.call, "sync.drain") for _ in range(12)]  # more than are worked on at a time
    assert owner.began("drain").wait(LONG_S)
    assert caller.call("scrubber.health") == "ok"
    gate.set()
    assert [done.result(LONG_S) for done in drains] == [True] * 12


def test_who_may_do_less_holds_up_no_one_who_may_do_more(
    caller: Caller, owner: Owner, requests: MemoryRequests, clock: ManualClock, open_desk: Callable[[], Desk]
) -> None:
    gate = owner.closed("drain")
    owner.results["drain"] = True
    for _ in range(150):
        requests.submit("sync.drain", '{"arguments": {}, "callbacks": []}', clock.now())
    open_desk()
    assert owner.began("drain").wait(LONG_S)
    assert caller.call("repairer.repair", 7, ["stale"]) == RepairResult(7)
    gate.set()


def test_those_that_wait_for_their_turn_are_noticed(
    caller: Caller,
    owner: Owner,
    requests: MemoryRequests,
    open_desk: Callable[[], Desk],
    pool: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk, "_AT_ONCE", 1)
    owner.results["drain"] = True
    gate = owner.closed("drain")
    open_desk()
    drains = [pool.submit(caller.call, "sync.drain") for _ in range(3)]
    with requests_watch(requests) as look:
        look(lambda: [calling._is_noticed(request) for request in requests.waiting(0, 9)] == [True] * 3)
    assert [request.attempts for request in requests.waiting(0, 9)] == [1, 0, 0]
    gate.set()
    assert [done.result(LONG_S) for done in drains] == [True] * 3


def test_progress_is_told_while_it_goes_on(
    caller: Caller, owner: Owner, open_desk: Callable[[], Desk], pool: ThreadPoolExecutor
) -> None:
    open_desk()
    gate, told = owner.closed("verify"), threading.Event()
    seen: list[int] = []

    def on_progress(done: int) -> None:
        seen.append(done)
        if len(seen) == 2:
            told.set()

    audit = pool.submit(caller.call, "verify", on_progress)
    assert told.wait(LONG_S)
    gate.set()
    audit.result(LONG_S)
    assert seen == [*sorted(seen[:-1]), 9]


# ---------------------------------------------------------------------- giving up


def test_who_is_interrupted_cancels(
    caller: Caller, owner: Owner, requests: MemoryRequests, open_desk: Callable[[], Desk]
) -> None:
    open_desk()
    owner.closed("verify")

    def interrupt(done: int) -> None:
        del done
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        caller.call("verify", interrupt)
    with requests_watch(requests) as look:
        look(lambda: not requests.waiting(0, 9))
    found = requests.look(1)
    assert found is not None
    assert found.is_cancelled
    assert "given up" in (found.answer or "")


def test_what_was_given_up_before_it_began_is_not_done(
    owner: Owner, requests: MemoryRequests, clock: ManualClock, open_desk: Callable[[], Desk]
) -> None:
    request_id = requests.submit("discard_dead_letters", '{"arguments": {}, "callbacks": []}', clock.now())
    requests.cancel(request_id)
    open_desk()
    with requests_watch(requests) as look:
        look(lambda: not requests.waiting(0, 9))
    assert owner.calls == []


def test_nobody_who_answers_is_told_in_the_end(
    owner: Owner, requests: MemoryRequests, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "_LOOK_S", 0.01)
    impatient = Caller(requests.as_guest(), owner.audits, clock, patience_s=0.05)
    with pytest.raises(UnavailableError, match=r"no notice of scrubber\.summary"):
        impatient.call("scrubber.summary")
    (request,) = requests.waiting(0, 9)
    assert request.is_cancelled


# ---------------------------------------------------------------------- owners come and go


def test_what_an_owner_leaves_the_next_one_does(
    caller: Caller, owner: Owner, open_desk: Callable[[], Desk], pool: ThreadPoolExecutor, requests: MemoryRequests
) -> None:
    gate = owner.closed("verify")
    first = open_desk()
    audit = pool.submit(caller.call, "verify")
    assert owner.began("verify").wait(LONG_S)
    first.stop()
    assert not audit.done()
    gate.set()
    open_desk()
    assert audit.result(LONG_S) == owner.results["verify"]
    (found,) = [requests.look(1)]
    assert found is not None
    assert found.attempts == 2


def test_a_step_that_was_taken_before_the_owner_died_is_not_taken_twice(
    caller: Caller, owner: Owner, requests: MemoryRequests, clock: ManualClock, open_desk: Callable[[], Desk]
) -> None:
    request_id = requests.submit("migrations.start", '{"arguments": {}, "callbacks": []}', clock.now())
    requests.begin(request_id)
    owner.migrations.generations.phase = Phase.BUILDING
    owner.results["status"] = None  # what it returns does not matter here
    open_desk()
    with requests_watch(requests) as look:
        look(lambda: not requests.waiting(0, 9))
    assert [name for name, _ in owner.calls] == ["status"]


def test_a_request_that_owners_die_with_is_not_tried_for_ever(
    owner: Owner, requests: MemoryRequests, clock: ManualClock, open_desk: Callable[[], Desk]
) -> None:
    request_id = requests.submit("verify", '{"arguments": {}, "callbacks": []}', clock.now())
    for _ in range(3):
        requests.begin(request_id)
    open_desk()
    with requests_watch(requests) as look:
        look(lambda: not requests.waiting(0, 9))
    found = requests.look(request_id)
    assert found is not None
    assert "3 processes have ended" in (found.answer or "")
    assert owner.calls == []


def test_what_was_asked_long_ago_of_nobody_is_refused(
    owner: Owner, requests: MemoryRequests, clock: ManualClock, open_desk: Callable[[], Desk]
) -> None:
    request_id = requests.submit("discard_dead_letters", '{"arguments": {}, "callbacks": []}', clock.now())
    clock.advance(timedelta(minutes=11).total_seconds())
    open_desk()
    with requests_watch(requests) as look:
        look(lambda: not requests.waiting(0, 9))
    found = requests.look(request_id)
    assert found is not None
    assert "ask again" in (found.answer or "")
    assert owner.calls == []


def test_an_owner_that_lost_the_lease_answers_nothing(
    caller: Caller, owner: Owner, open_desk: Callable[[], Desk], pool: ThreadPoolExecutor, requests: MemoryRequests
) -> None:
    gate = owner.closed("verify")
    first = open_desk()
    audit: Future[object] = pool.submit(caller.call, "verify")
    assert owner.began("verify").wait(LONG_S)
    requests._is_guest = True
    gate.set()
    assert first._thread is not None
    first._thread.join(LONG_S)  # it ends by itself
    with pytest.raises(LeaseLostError):
        requests.tell(1, "late")
    assert not audit.done()
    requests._is_guest = False
    open_desk()
    assert audit.result(LONG_S) == owner.results["verify"]


def test_old_answers_are_forgotten(
    caller: Caller, requests: MemoryRequests, clock: ManualClock, open_desk: Callable[[], Desk]
) -> None:
    open_desk()
    assert caller.call("scrubber.health") == "ok"
    clock.advance(timedelta(hours=2).total_seconds())
    with requests_watch(requests) as look:
        look(lambda: requests.look(1) is None)


def test_starting_and_stopping_twice_is_harmless(caller: Caller, open_desk: Callable[[], Desk]) -> None:
    one = open_desk()
    one.start()
    assert caller.call("scrubber.health") == "ok"
    one.stop()
    one.stop()
    one.start()
    assert caller.call("scrubber.health") == "ok"


class requests_watch:  # noqa: N801  (reads as a function)
    """Wait for conditions on a list of requests, woken by its commits."""

    def __init__(self, requests: MemoryRequests) -> None:
        self._watch = requests.watch()

    def __enter__(self) -> Callable[[Callable[[], bool]], None]:
        def look(condition: Callable[[], bool]) -> None:
            for _ in range(int(LONG_S / 0.1)):
                if condition():
                    return
                self._watch.wait(0.1)
            pytest.fail("it did not come to pass")

        return look

    def __exit__(self, *args: object) -> None:
        self._watch.close()
