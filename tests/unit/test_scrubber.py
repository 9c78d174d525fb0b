"""The scrubber: what is due when, its budget, what it repairs, and what it remembers."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.consistency.scrubber import FULL, INCREMENTAL, SAMPLE, Scrubber, ScrubInterruptedError, ScrubSettings
from slipstream.domain.errors import InvalidInputError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import VectorRecord, vector_checksum
from slipstream.domain.work import Lane
from slipstream.sync.activity import LiveActivity
from slipstream.testing.system import MemorySystem

SETTINGS = ScrubSettings(incremental_every_s=60, full_every_s=3600, sample_every_s=0)


def make_system(entities: int = 10) -> MemorySystem:
    system = MemorySystem()
    for number in range(entities):
        system.graph.create_entity("Person", f"p{number}", {"name": f"Person {number}"})
    system.settle()
    return system


def make_scrubber(system: MemorySystem, settings: ScrubSettings = SETTINGS, busy: bool = False) -> Scrubber:
    def repairs_waiting() -> int:
        system.settle()  # the engine of this system runs only when it is told to
        return system.journal.work_count(Lane.REPAIR)

    return Scrubber(
        system.auditor,
        system.repairer,
        system.audits,
        system.journal,
        system.clock,
        settings,
        is_busy=lambda: busy,
        repairs_waiting=repairs_waiting,
    )


def pass_time(system: MemorySystem, seconds: float) -> None:
    system.clock.sleep(seconds)


def test_nothing_is_due_at_the_start_then_the_full_pass_comes_first() -> None:
    system = make_system()
    scrubber = make_scrubber(system)
    assert scrubber.due() is None
    assert scrubber.step() is None
    pass_time(system, 60)
    assert scrubber.due() == FULL
    report = scrubber.step()
    assert report is not None
    assert (report.kind, report.is_consistent) == ("full", True)
    assert scrubber.due() is None  # a full pass leaves nothing to an incremental one


def test_each_kind_has_a_schedule_of_its_own() -> None:
    system = make_system()
    scrubber = make_scrubber(system, replace(SETTINGS, sample_every_s=600))
    kinds = []
    for _ in range(120):  # two hours
        pass_time(system, 60)
        while (report := scrubber.step()) is not None:
            kinds.append(report.kind)
    assert kinds.count("full") == 2
    assert kinds.count("sample") in (11, 12)
    assert kinds.count("incremental") >= 100


def test_a_restart_forgets_neither_the_schedule_nor_the_pause() -> None:
    system = make_system()
    scrubber = make_scrubber(system)
    pass_time(system, 60)
    scrubber.step()
    system.reopen()
    again = make_scrubber(system)
    assert again.due() is None
    again.pause()
    pass_time(system, 4000)
    assert make_scrubber(system).due() is None
    assert make_scrubber(system).age_s() == pytest.approx(4000, abs=5)
    make_scrubber(system).resume()
    assert make_scrubber(system).due() == FULL


def test_what_was_found_is_repaired_and_looked_at_again() -> None:
    system = make_system()
    scrubber = make_scrubber(system)
    tampered = system.index
    assert isinstance(tampered, MemoryIndex)
    del tampered._records[entity_key("p3")]
    report = scrubber.run(FULL)
    assert [key.id for key in report.divergences["missing"]] == ["p3"]
    assert system.repairer.repaired["missing"] == 1
    assert system.audit().is_consistent
    assert scrubber.run(INCREMENTAL).is_consistent


def test_a_class_that_may_not_be_repaired_is_only_reported() -> None:
    system = make_system()
    scrubber = make_scrubber(system, replace(SETTINGS, repair=("missing",)))
    index = system.index
    assert isinstance(index, MemoryIndex)
    held = index._records[entity_key("p3")]
    for space, record in held.items():
        held[space] = VectorRecord(replace(record.stamp, fingerprint="forged"), record.vector)
    for _ in range(2):
        assert [key.id for key in scrubber.run(FULL).divergences["stale"]] == ["p3"]
    assert not system.repairer.repaired


def test_drift_is_found_by_the_sample_and_left_alone() -> None:
    system = make_system()
    scrubber = make_scrubber(system, replace(SETTINGS, sample_size=1000))
    scrubber.run(FULL)
    index = system.index
    assert isinstance(index, MemoryIndex)
    (p1,), (p2,) = (index._records[entity_key(name)].items() for name in ("p1", "p2"))
    swapped = replace(p1[1].stamp, checksum=vector_checksum(p2[1].vector))
    index._records[entity_key("p1")] = {p1[0]: VectorRecord(swapped, p2[1].vector)}
    assert scrubber.run(FULL).is_consistent  # checksum and vector agree with each other
    assert [key.id for key in scrubber.run(SAMPLE).divergences["drifted"]] == ["p1"]
    assert not system.repairer.repaired


@pytest.mark.parametrize(("busy", "share"), [(True, 0.25), (False, 0.5)])
def test_it_keeps_to_its_share_of_a_core(busy: bool, share: float) -> None:
    system = make_system(320)
    scrubber = make_scrubber(system, replace(SETTINGS, core_share=0.25), busy=busy)
    worked_s = 0.0

    def work(name: str) -> None:
        nonlocal worked_s
        if name == "graph.read.before":
            system.clock.sleep(0.01)
            worked_s += 0.01

    system.hook = work
    began = system.clock.monotonic()
    scrubber.run(FULL)
    assert worked_s >= 20 * 0.01  # pages are small
    assert system.clock.monotonic() - began == pytest.approx(worked_s / share, rel=0.1)


def test_activity_is_what_waits_and_what_came_within_a_second() -> None:
    system = make_system()
    activity = LiveActivity(system.engine, system.clock)
    assert not activity()
    system.graph.update_entity("p1", {"name": "Ada"})
    system.engine.intake()
    assert activity()
    system.settle()
    assert activity()  # only just now
    pass_time(system, 1.5)
    assert not activity()


def test_a_pass_that_fails_is_due_again_and_says_why() -> None:
    system = make_system()
    scrubber = make_scrubber(system)
    pass_time(system, 60)

    def down(name: str) -> None:
        if name == "index.scan.before":
            raise UnavailableError("the index is down")

    system.hook = down
    with pytest.raises(UnavailableError):
        scrubber.step()
    assert scrubber.error == "UnavailableError: the index is down"
    assert scrubber.due() == FULL
    system.hook = lambda name: None
    assert scrubber.step() is not None
    assert scrubber.error is None


def test_a_stopped_scrubber_gives_its_pass_up() -> None:
    system = make_system(200)
    scrubber = make_scrubber(system)
    scrubber.stop()
    with pytest.raises(ScrubInterruptedError):
        scrubber.run(FULL)
    assert scrubber.state.ended_at == {}


def test_an_interrupted_pass_is_begun_anew_by_the_thread() -> None:
    system = make_system(100)
    system.clock.sleep(10_000)
    scrubber = make_scrubber(system)
    scrubber._opened_at -= timedelta(days=1)
    reached, done = threading.Event(), threading.Event()
    interruptions = 0

    def interrupt_once(name: str) -> None:
        nonlocal interruptions
        if name == "graph.read.before" and not interruptions:
            interruptions += 1
            scrubber.interrupt()
            reached.set()

    def tick() -> None:
        if "full" in scrubber.state.ended_at:
            done.set()

    system.hook = interrupt_once
    scrubber.start(tick)
    assert reached.wait(30)
    assert done.wait(30)
    scrubber.stop()
    assert scrubber.error is None


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("scrub.full_every_s", {"full_every_s": -1}),
        ("scrub.core_share", {"core_share": 0}),
        ("scrub.sample_size", {"sample_size": 0}),
        ("scrub.repair", {"repair": ("everything",)}),
    ],
)
def test_wrong_settings_name_the_field(field: str, values: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        replace(SETTINGS, **values)  # type: ignore[arg-type]
    assert caught.value.field == field
