"""The scrubber: what is due when, its budget, what it repairs, and what it remembers."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.audit.findings import AuditReport
from slipstream.audit.incremental import IncrementalAudit
from slipstream.audit.scrubber import FULL, INCREMENTAL, SAMPLE, Scrubber, ScrubInterruptedError, ScrubSettings
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.errors import InvalidInputError, UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.stamps import VectorRecord, vector_checksum
from slipstream.domain.work import Lane
from slipstream.engine.settings import SyncSettings
from slipstream.testkit.system import MemorySystem

SETTINGS = ScrubSettings(incremental_every_s=60, full_every_s=3600, sample_every_s=0)


def make_system(entities: int = 10) -> MemorySystem:
    system = MemorySystem(settings=SyncSettings(brake=BrakeSettings(records_min=2_000)))
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
        held[space] = VectorRecord(record.stamp._replace(fingerprint="forged"), record.vector)
    for _ in range(2):
        assert [key.id for key in scrubber.run(FULL).divergences["stale"]] == ["p3"]
    assert not system.repairer.repaired


DEEP_LOOK = replace(SETTINGS, sample_size=1000)


def let_drift(system: MemorySystem, *names: str) -> None:
    """Give records a vector that is not their text's, with its right checksum."""
    index = system.index
    assert isinstance(index, MemoryIndex)
    ((_, other),) = index._records[entity_key("p9")].items()
    for name in names:
        ((space, record),) = index._records[entity_key(name)].items()
        stamp = record.stamp._replace(checksum=vector_checksum(other.vector))
        index._records[entity_key(name)] = {space: VectorRecord(stamp, other.vector)}
    system.clock.sleep(1)


def drifted(system: MemorySystem) -> tuple[str, int, int]:
    """Return the kind of the newest kept audit, and how many drifted keys it counts and names."""
    newest = system.audits.audits(None, 1)[0]
    found = system.audits.findings(newest.id, None, 100, "drifted")
    return newest.report["kind"], newest.report["counts"]["drifted"], len(found)


def test_drift_is_found_by_the_sample_and_stands_until_the_record_is_written_anew() -> None:
    system = make_system()
    scrubber = make_scrubber(system, DEEP_LOOK)
    scrubber.run(FULL)
    let_drift(system, "p1")
    assert scrubber.run(FULL).is_consistent  # checksum and vector agree with each other
    assert [key.id for key in scrubber.run(SAMPLE).divergences["drifted"]] == ["p1"]
    assert drifted(system) == ("sample", 1, 1)
    assert not system.repairer.repaired
    for kind in (INCREMENTAL, FULL, INCREMENTAL, SAMPLE):
        system.clock.sleep(1)
        report = scrubber.run(kind)
        assert drifted(system) == (kind, 1, 1)
        assert (report.consistency, report.fresh, report.expected) == (0.9, 9, 10)
    system.graph.update_entity("p1", {"name": "Ada"})
    system.clock.sleep(1)
    system.settle()
    assert scrubber.run(INCREMENTAL).is_consistent
    assert drifted(system) == ("incremental", 0, 0)


def test_drift_that_a_later_sample_does_not_see_any_more_is_over() -> None:
    system = make_system()
    scrubber = make_scrubber(system, DEEP_LOOK)
    scrubber.run(FULL)
    index = system.index
    assert isinstance(index, MemoryIndex)
    before = dict(index._records[entity_key("p1")])
    let_drift(system, "p1")
    assert len(scrubber.run(SAMPLE).divergences["drifted"]) == 1
    index._records[entity_key("p1")] = before  # the model gives the old vector again, so to speak
    assert scrubber.run(SAMPLE).is_consistent


def test_drift_of_another_recipe_is_forgotten() -> None:
    system = make_system()
    scrubber = make_scrubber(system, DEEP_LOOK)
    scrubber.run(FULL)
    let_drift(system, "p1")
    scrubber.run(SAMPLE)
    memory = system.auditor._memory
    assert memory is not None
    system.auditor._memory = replace(memory, recipe_id=lambda: "another")
    assert scrubber.run(FULL).is_consistent


def test_drift_that_may_be_repaired_is_and_the_mended_keys_are_embedded_anew() -> None:
    system = make_system()
    scrubber = make_scrubber(system, replace(DEEP_LOOK, repair=("drifted",)))
    scrubber.run(FULL)
    let_drift(system, "p1", "p2")
    embedded: list[str] = []
    system.hook = embedded.append
    scrubber.run(SAMPLE)
    assert system.repairer.repaired["drifted"] == 2
    assert embedded.count("embed.before") == 3  # the sample, the repair, and the look at what was mended
    last = scrubber.state.last_repair
    assert last is not None
    assert (last["marked"], last["still_divergent"]) == ({"drifted": 2}, {})
    system.clock.sleep(1)
    assert scrubber.run(INCREMENTAL).is_consistent


def test_a_model_that_does_not_mend_its_drift_is_still_divergent() -> None:
    system = make_system()
    scrubber = make_scrubber(system, replace(DEEP_LOOK, repair=("drifted",)))
    scrubber.run(FULL)
    let_drift(system, "p1")
    system.repairer._mark = lambda keys, *, reason, force=False: None
    report = scrubber.run(SAMPLE)
    last = scrubber.state.last_repair
    assert last is not None
    assert (last["audit"], last["still_divergent"]) == (report.id, {"drifted": 1})
    assert make_scrubber(system).summary()["last_repair"] == last


def test_what_only_a_full_audit_sees_stands_for_an_incremental_one() -> None:
    system = make_system()
    scrubber = make_scrubber(system, replace(SETTINGS, repair=()))
    scrubber.run(FULL)
    audit = system.auditor.audit()
    index = system.index
    assert isinstance(index, MemoryIndex)
    assert audit.is_consistent
    # As of a damage that triggers were unaware of: an audit has found it, digests show nothing.
    ((space, record),) = index._records[entity_key("p3")].items()
    index._records[entity_key("p3")] = {space: VectorRecord(record.stamp, record.vector * 2)}
    assert scrubber.run(FULL).counts()["corrupt"] == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IncrementalAudit, "run", lambda *_: None)
        assert scrubber.run(INCREMENTAL).counts()["corrupt"] == 1
        index._records[entity_key("p3")] = {space: record}
        assert scrubber.run(INCREMENTAL).counts()["corrupt"] == 0


def test_the_sample_waits_for_an_audit_that_is_under_way() -> None:
    system = make_system()
    system.auditor.audit()
    cleared, go_on = threading.Event(), threading.Event()

    def stop_at_the_leaves(name: str) -> None:
        if name == "leaves.clear.after":
            cleared.set()
            assert go_on.wait(30)

    system.hook = stop_at_the_leaves
    full = threading.Thread(target=system.auditor.audit)
    full.start()
    assert cleared.wait(30)
    found: list[AuditReport] = []
    sample = threading.Thread(target=lambda: found.append(system.auditor.audit_sample(5)))
    sample.start()
    sample.join(0.3)
    assert sample.is_alive()
    go_on.set()
    full.join()
    sample.join()
    assert found[0].notes == ["5 records were embedded anew"]


def test_a_sample_without_a_digest_tree_is_a_deep_audit() -> None:
    system = make_system()
    scrubber = make_scrubber(system, replace(DEEP_LOOK, sample_every_s=60))
    report = scrubber.run(SAMPLE)
    assert (report.kind, report.notes[-1]) == ("deep", "10 records were embedded anew")
    assert set(scrubber.state.ended_at) == {FULL, SAMPLE, INCREMENTAL}


def test_the_sample_rests_between_small_batches() -> None:
    system = make_system(320)
    scrubber = make_scrubber(system, replace(SETTINGS, core_share=0.1, sample_size=64), busy=True)
    scrubber.run(FULL)
    worked_s = 0.0

    def work(name: str) -> None:
        nonlocal worked_s
        if name == "embed.before":
            system.clock.sleep(0.01)
            worked_s += 0.01

    system.hook = work
    began = system.clock.monotonic()
    scrubber.run(SAMPLE)
    assert worked_s == pytest.approx(0.04)  # 16 texts at once
    assert system.clock.monotonic() - began == pytest.approx(worked_s / 0.1, rel=0.1)


# ---------------------------------------------------------------------- repairs


def lose(system: MemorySystem, count: int) -> None:
    index = system.index
    assert isinstance(index, MemoryIndex)
    for number in range(count):
        del index._records[entity_key(f"p{number}")]


def test_a_repair_that_waits_for_a_busy_engine_ends_when_it_is_told_and_goes_on_later() -> None:
    system = make_system(1_200)
    scrubber = make_scrubber(system)
    lose(system, 1_100)
    looks = 0

    def waiting() -> int:  # the embedder is down: what waits never gets less
        nonlocal looks
        looks += 1
        if looks == 3:
            scrubber.interrupt()
        assert looks < 10
        return 10_000

    system.repairer._waiting = waiting
    with pytest.raises(ScrubInterruptedError):
        scrubber.run(FULL)
    assert system.repairer.repaired["missing"] == 500
    assert scrubber.error is None
    system.repairer._waiting = lambda: 0
    assert scrubber.due() is None  # the audit itself has been done
    scrubber.step()
    assert system.repairer.repaired["missing"] == 1_100
    assert system.audit().is_consistent
    assert scrubber.step() is None
    assert system.repairer.repaired["missing"] == 1_100


def test_somebodys_interrupted_repair_is_left_to_them() -> None:
    system = make_system(1_200)
    scrubber = make_scrubber(system, replace(SETTINGS, repair=("orphaned",)))
    lose(system, 1_100)
    report = system.auditor.audit()

    def cut(marked: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        system.repairer.repair(report.kept_id, on_progress=cut)
    index = system.index
    assert isinstance(index, MemoryIndex)
    ((space, record),) = index._records[entity_key("p1199")].items()
    nobody = entity_key("nobody")
    index._records[nobody] = {space: VectorRecord(record.stamp._replace(key=nobody), record.vector)}
    scrubber.run(FULL)
    assert system.repairer.repaired["orphaned"] == 1
    assert system.repairer.unfinished == report.id
    resumed = system.repairer.repair()
    assert (resumed.audit_id, resumed.marked, resumed.marked_before) == (report.id, {"missing": 600}, 500)
    assert system.repairer.unfinished is None


def test_repairs_go_one_after_the_other() -> None:
    system = make_system(5)
    lose(system, 2)
    report = system.auditor.audit()
    waited: list[float] = []

    def rest(seconds: float) -> None:
        waited.append(seconds)
        system.repairer._one_at_a_time.release()

    system.repairer._one_at_a_time.acquire()
    assert system.repairer.repair(report.kept_id, rest=rest).keys == 2
    assert len(waited) == 1


def test_a_repair_is_judged_by_what_it_was_to_mend(caplog: pytest.LogCaptureFixture) -> None:
    system = make_system()
    scrubber = make_scrubber(system, replace(SETTINGS, repair=("missing",)))
    lose(system, 1)
    index = system.index
    assert isinstance(index, MemoryIndex)
    ((space, record),) = index._records[entity_key("p3")].items()
    index._records[entity_key("p3")] = {space: VectorRecord(record.stamp._replace(fingerprint="x"), record.vector)}
    report = scrubber.run(FULL)
    assert (report.counts()["missing"], report.counts()["stale"]) == (1, 1)
    assert "still divergent" not in caplog.text
    last = scrubber.state.last_repair
    assert last is not None
    assert last["still_divergent"] == {}


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


def test_no_pass_goes_on_while_somebody_waits_for_an_audit_of_their_own() -> None:
    system = make_system()
    scrubber = make_scrubber(system)
    with scrubber.aside(), pytest.raises(ScrubInterruptedError):
        scrubber.run(FULL)
    assert scrubber.error is None
    assert scrubber.run(FULL).is_consistent


def test_the_engine_is_busy_for_a_second_behind_a_live_change() -> None:
    system = make_system()
    pass_time(system, 1.5)
    assert not system.engine.is_busy
    assert not system.engine.has_live_work
    system.graph.update_entity("p1", {"name": "Ada"})
    system.engine.intake()
    assert system.engine.has_live_work
    system.settle()
    assert not system.engine.has_live_work
    assert system.engine.is_busy  # only just now
    pass_time(system, 1.5)
    assert not system.engine.is_busy


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
    scrubber._opened_s -= 86_400.0
    reached, done = threading.Event(), threading.Event()
    interruptions = 0

    def interrupt_once(name: str) -> None:
        nonlocal interruptions
        if name == "graph.read.before" and not interruptions:
            interruptions += 1
            scrubber.interrupt()
            reached.set()

    def note(report: AuditReport) -> None:
        if report.kind == "full":
            done.set()

    system.auditor.on_kept.append(note)
    system.hook = interrupt_once
    scrubber.start()
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


# ---------------------------------------------------------------------- failures, and how old audits are


def test_an_exception_that_nobody_foresaw_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    system = make_system()
    scrubber = make_scrubber(system)
    scrubber._opened_s -= 86_400.0
    failed, done = threading.Event(), threading.Event()
    health: list[str | None] = []

    def fail_once(name: str) -> None:
        if name == "index.scan.before" and not failed.is_set():
            failed.set()
            raise KeyError("e:p3070")

    def note(report: AuditReport) -> None:
        health.extend((scrubber.health, scrubber.failure, make_scrubber(system).failure))
        done.set()

    system.hook = fail_once
    system.auditor.on_kept.insert(0, note)
    scrubber.start()
    assert done.wait(30)
    scrubber.stop()
    assert health == ["failing", "KeyError: 'e:p3070'", "KeyError: 'e:p3070'"]
    assert "Traceback" in caplog.text
    assert scrubber.failure is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_scrubber_says_so_and_can_be_started_anew() -> None:
    class Bug(BaseException):
        pass

    system = make_system()
    scrubber = make_scrubber(system)
    scrubber._opened_s -= 86_400.0

    def die(name: str) -> None:
        raise Bug

    system.hook = die
    scrubber.start()
    thread = scrubber._thread
    assert thread is not None
    thread.join(30)
    assert (scrubber.is_dead, scrubber.health, scrubber.failure) == (True, "dead", "Bug: ")
    system.hook = lambda name: None
    scrubber.start()
    assert not scrubber.is_dead
    scrubber.stop()
    assert scrubber.health == "failing"


def test_a_scrubber_that_was_told_to_leave_is_not_dead() -> None:
    scrubber = make_scrubber(make_system())
    scrubber.start()
    thread = scrubber._thread
    assert thread is not None
    scrubber.leave()  # closing does so first, while alerts are still looked at
    thread.join(30)
    assert not thread.is_alive()
    assert (scrubber.is_dead, scrubber.failure, scrubber.health) == (False, None, "stopped")
    scrubber.start()
    assert scrubber.health == "working"
    scrubber.stop()


def test_what_was_never_scrubbed_is_as_old_as_the_pkg_is_over_restarts() -> None:
    system = make_system()
    make_scrubber(system)
    for _ in range(10):
        pass_time(system, 30)  # never open for long enough to begin a pass
        system.reopen()
        scrubber = make_scrubber(system)
        assert scrubber.step() is None
    assert scrubber.age_s() == pytest.approx(300, abs=5)


def test_a_full_audit_that_somebody_asks_for_counts() -> None:
    system = make_system()
    scrubber = make_scrubber(system)
    pass_time(system, 7200)
    system.auditor.audit()
    assert scrubber.age_s() == pytest.approx(0, abs=1)
    assert scrubber.due() is None
    pass_time(system, 600)
    system.auditor.audit_changes()
    assert scrubber.age_s() == pytest.approx(600, abs=1)
    system.auditor.audit(deep=3)
    assert scrubber.age_s() == pytest.approx(0, abs=1)
