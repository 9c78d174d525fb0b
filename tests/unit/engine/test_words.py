"""The follower of word rows: what it reads, when it scans, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import pytest

from slipstream.domain.brake import BRAKE, Braked, BrakeSettings
from slipstream.domain.entities import Entity
from slipstream.domain.errors import LeaseLostError, UnavailableError
from slipstream.domain.journal_names import ADOPTED, WORDS_FRONTIER, WORDS_SCAN, WORDS_VIEWS
from slipstream.domain.keys import entity_key
from slipstream.domain.log import Rescan
from slipstream.domain.positions import ORIGIN, Position
from slipstream.engine.settings import SyncSettings
from slipstream.engine.word_scan import ScanReason, WordScan, consumed_for_words
from slipstream.ports.feed import INDEX_CONSUMER, WORDS_CONSUMER, Retention
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import View, Words

STEPS_MAX = 10_000


@dataclass
class Hook:
    """Raises what it is told to, once, and notes what is called."""

    raising: dict[str, Exception] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> None:
        self.calls.append(name)
        if (error := self.raising.pop(name, None)) is not None:
            raise error


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def system(hook: Hook) -> MemorySystem:
    settings = SyncSettings(log_page=10, brake=BrakeSettings(share=0.05, records_min=5))
    return MemorySystem(settings=settings, hook=hook)


def follow(system: MemorySystem, until: Callable[[], bool] | None = None) -> None:
    """Drive the follower alone, without the engine."""
    follower = system.follower
    for _ in range(STEPS_MAX):
        if until is not None and until():
            return
        if not follower.guarded_step(partial(system.engine.recover, [])):
            if until is None and follower.is_settled():
                return
            system.clock.sleep(0.5)
    raise AssertionError("it never settles")


def people(system: MemorySystem, numbers: Sequence[int], name: str = "Name") -> None:
    with system.graph.transaction() as tx:
        for number in numbers:
            tx.upsert_entity("Person", f"p{number:03}", {"name": f"{name}{number}"})


def rewrite_past_the_log(system: MemorySystem, numbers: Sequence[int], name: str) -> None:
    for number in numbers:
        system.graph.write_raw(Entity(f"p{number:03}", "Person", {"name": f"{name}{number}"}))


def rescan(system: MemorySystem, types: frozenset[str] | None = None) -> Position:
    at = Position(system.graph.feed.head() + 1)
    system.graph.feed.append([Rescan(at, types)])
    return at


def done(system: MemorySystem) -> int:
    progress = system.follower.progress()
    return 0 if progress is None else progress.done


def names(system: MemorySystem) -> set[str]:
    keys = [stamp.key for stamp in system.words.scan(None, 10_000)]
    return {row.name for row in system.words.rows(keys).values()}


def test_it_follows_the_log_while_the_engine_stands_still(system: MemorySystem) -> None:
    people(system, range(25))
    follow(system)
    assert names(system) == {f"Name{number}" for number in range(25)}
    assert (system.engine.frontier, system.follower.frontier) == (ORIGIN, system.graph.feed.head())
    assert system.journal.get(WORDS_FRONTIER) == str(system.graph.feed.head())


def test_the_frontier_is_published_also_where_no_event_has_a_row(system: MemorySystem) -> None:
    people(system, range(2))
    follow(system)
    system.graph.relate("p000", "KNOWS", "p001")
    follow(system)
    assert system.journal.get(WORDS_FRONTIER) == str(system.graph.feed.head())
    assert system.words.count() == 2


def test_a_first_fill_goes_on_where_it_was_and_live_entries_pass_beside_it(system: MemorySystem, hook: Hook) -> None:
    people(system, range(100))
    begun = system.graph.feed.head()
    follow(system, lambda: done(system) >= 30)
    people(system, [500], "Live")
    follow(system, lambda: "Live500" in names(system))
    status = system.follower.status(system.graph.feed.head(), 0.0)
    assert (status.frontier, status.is_scanning, status.lag_events) == (ORIGIN, True, system.graph.feed.head())
    assert status.scan is not None
    assert (status.scan.reason, status.scan.total) == ("first fill", 100)
    assert consumed_for_words(system.journal) > begun
    compared = system.words.count()
    system.reopen()
    hook.calls.clear()
    follow(system)
    assert system.follower.frontier == system.graph.feed.head()
    assert system.words.count() == 101
    assert hook.calls.count("words.put.before") <= (101 - compared) // 10 + 1
    assert system.journal.get(WORDS_SCAN) is None
    assert system.journal.get(WORDS_VIEWS) == system.follower.writer.views.digest


def test_a_scan_gets_its_turn_beside_a_log_that_never_ends(system: MemorySystem) -> None:
    people(system, range(60))
    for number in range(STEPS_MAX):
        if system.follower.frontier > ORIGIN:
            break
        people(system, range(1_000, 1_010), f"Round{number} ")
        system.follower.guarded_step(partial(system.engine.recover, []))
    assert system.follower.frontier > ORIGIN


def test_a_rescan_is_weighed_and_what_the_brake_allows_is_written(system: MemorySystem) -> None:
    people(system, range(30))
    follow(system)
    before = system.follower.frontier
    rewrite_past_the_log(system, range(5), "Other")
    at = rescan(system)
    system.follower.step()
    assert (system.follower.frontier, system.follower.is_scanning) == (before, True)
    follow(system)
    assert {f"Other{number}" for number in range(5)} < names(system)
    assert system.follower.frontier == at
    assert system.journal.get(BRAKE) is None


def test_a_rescan_that_finds_too_much_is_braked_and_writes_nothing(system: MemorySystem) -> None:
    people(system, range(30))
    follow(system)
    rewrite_past_the_log(system, range(6), "Other")
    at = rescan(system)
    follow(system)
    assert not any(name.startswith("Other") for name in names(system))
    braked = Braked.load(system.journal.get(BRAKE))
    assert braked is not None
    assert "6 word rows to write or delete" in braked.why
    assert system.follower.frontier == at, "the log is followed on; what was braked waits for a person"
    people(system, [7], "Live")
    follow(system)
    assert "Live7" in names(system)


def test_what_the_log_explains_meanwhile_is_not_counted_by_the_brake(system: MemorySystem) -> None:
    people(system, range(30))
    follow(system)
    rewrite_past_the_log(system, range(6), "Other")
    rescan(system)
    follow(system, lambda: system.follower.is_scanning)
    people(system, range(3), "Said")
    follow(system)
    assert {"Said0", "Other3", "Other5"} < names(system)
    assert system.journal.get(BRAKE) is None


def test_a_brake_of_vectors_is_told_beside_that_of_words(system: MemorySystem) -> None:
    people(system, range(30))
    follow(system)
    system.journal.set(BRAKE, Braked("6 records to embed", system.clock.now()).dump())
    rewrite_past_the_log(system, range(6), "Other")
    rescan(system)
    follow(system)
    braked = Braked.load(system.journal.get(BRAKE))
    assert braked is not None
    assert braked.why.startswith("6 records to embed; graph and word rows differ")


def test_an_adopted_graph_is_taken_for_the_truth(system: MemorySystem) -> None:
    people(system, range(30))
    follow(system)
    rewrite_past_the_log(system, range(20), "Other")
    system.journal.set(ADOPTED, str(rescan(system)))
    follow(system)
    assert sum(name.startswith("Other") for name in names(system)) == 20


def test_a_rescan_of_some_types_compares_no_others(system: MemorySystem, hook: Hook) -> None:
    people(system, range(30))
    system.graph.upsert_entity("Place", "home", {"name": "Home"})
    follow(system)
    system.graph.write_raw(Entity("home", "Place", {"name": "Castle"}))
    rewrite_past_the_log(system, [1], "Other")
    rescan(system, frozenset({"Place"}))
    follow(system)
    assert "Castle" in names(system)
    assert "Other1" not in names(system)


def test_a_log_that_was_trimmed_past_it_has_everything_compared(system: MemorySystem) -> None:
    people(system, range(10))
    follow(system)
    people(system, range(3), "Later")
    system.graph.feed.acknowledge(WORDS_CONSUMER, None)
    system.graph.feed.trim(Retention(kept_bytes=0, kept_s=0.0))
    people(system, [3], "Last")
    follow(system)
    assert {"Later0", "Later2", "Last3"} < names(system)
    assert system.follower.frontier == system.graph.feed.head()


def test_the_log_is_kept_for_it_while_it_is_behind(system: MemorySystem, caplog: pytest.LogCaptureFixture) -> None:
    people(system, range(3))
    follow(system)
    people(system, range(3), "Later")
    people(system, range(3), "Last")
    system.graph.feed.acknowledge(INDEX_CONSUMER, system.graph.feed.head())
    system.graph.feed.trim(Retention(kept_bytes=0, kept_s=0.0))
    follow(system)
    assert names(system) == {"Last0", "Last1", "Last2"}
    assert "can not be brought up by the log" not in caplog.text


def test_rows_that_were_removed_by_something_else_are_filled_again(system: MemorySystem) -> None:
    people(system, range(20))
    follow(system)
    system.words.clear()
    system.follower.refill()
    assert not system.follower.is_settled()
    follow(system)
    assert system.words.count() == 20
    system.words.clear()
    for name in (WORDS_FRONTIER, WORDS_SCAN, WORDS_VIEWS):
        system.journal.set(name, None)
    system.reopen()
    follow(system)
    assert system.words.count() == 20


def test_an_edited_view_compares_all_and_goes_on_after_a_restart(system: MemorySystem, hook: Hook) -> None:
    people(system, range(60))
    follow(system)
    system.views = (View(type="Person", words=Words(name=("name",), body=(), stemmer="none")),)
    system.reopen()
    follow(system, lambda: done(system) >= 30)
    system.reopen()
    resumed = system.follower.progress()
    assert resumed is not None
    assert (resumed.reason, resumed.done) == ("views changed", 30)
    hook.calls.clear()
    follow(system)
    assert hook.calls.count("words.put.before") == 3
    assert {row.stemmer for row in system.words.rows([entity_key("p000"), entity_key("p059")]).values()} == {"none"}


def test_a_store_that_is_down_is_waited_for_and_tells_of_it(system: MemorySystem, hook: Hook) -> None:
    people(system, range(3))
    hook.raising["words.put.before"] = UnavailableError("the disk is gone")

    def step() -> bool:
        return system.follower.guarded_step(partial(system.engine.recover, []))

    while (outage := system.follower.outage) is None:
        step()
    assert outage == "UnavailableError: the disk is gone"
    assert system.engine.outage is None
    assert not step(), "it waits before it tries again"
    follow(system)
    assert (system.follower.outage, system.words.count()) == (None, 3)


def test_a_lost_lease_halts_the_engine(system: MemorySystem, hook: Hook) -> None:
    people(system, range(3))
    hook.raising["words.put.before"] = LeaseLostError("another process has taken over")
    follow(system, lambda: system.engine.halted is not None)
    assert isinstance(system.engine.halted, LeaseLostError)
    assert system.words.count() == 0


def test_a_defect_is_raised_and_what_was_begun_is_done_again(system: MemorySystem, hook: Hook) -> None:
    people(system, range(3))
    hook.raising["words_frontier.after"] = ZeroDivisionError("a defect")
    with pytest.raises(ZeroDivisionError):
        follow(system)
    follow(system)
    assert system.words.count() == 3


def test_scans_are_merged_into_one_that_does_what_both_do() -> None:
    def scan(reason: ScanReason, *types: str, is_explained: bool = False) -> WordScan:
        return WordScan(
            reason=reason,
            is_explained=is_explained,
            consumed=Position(len(reason)),
            views="v",
            types=frozenset(types) or None,
            after="e:x",
            done=7,
        )

    fill, views = scan(ScanReason.FILL, is_explained=True), scan(ScanReason.VIEWS, is_explained=True)
    some, lost = scan(ScanReason.RESCAN, "A", is_explained=True), scan(ScanReason.LOST)
    fresh = WordScan(
        reason=ScanReason.RESCAN, is_explained=False, consumed=Position(99), views="v", types=frozenset({"B"})
    )
    assert some.merged(fresh).types == frozenset({"A", "B"})
    assert not some.merged(fresh).is_explained
    assert (fill.merged(fresh).reason, fill.merged(fresh).is_explained) == (ScanReason.FILL, True)
    assert views.merged(fill).reason is fill.merged(views).reason is ScanReason.FILL
    assert lost.merged(fresh).types is None
    assert (fill.merged(fresh).consumed, fill.merged(fresh).after, fill.merged(fresh).done) == (99, None, 0)
    assert WordScan.load(some.dump()) == some
    assert WordScan.load(None) is None


def test_progress_tells_a_rate_and_what_is_left() -> None:
    system = MemorySystem(settings=SyncSettings(log_page=10), clock=ManualClock())
    people(system, range(50))
    for _ in range(3):
        system.follower.step()
        system.clock.sleep(1.0)
    progress = system.follower.progress()
    assert progress is not None
    assert (progress.done, progress.total, progress.rate, progress.eta_s) == (30, 50, 10.0, 2.0)
