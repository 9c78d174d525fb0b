"""Repairs under the brake: what the scrubber leaves alone, and what confirming a plan does and refuses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.audit.brake import BrakePlan
from slipstream.audit.findings import AuditReport
from slipstream.audit.repair import RepairBudget
from slipstream.audit.scrubber import FULL, INCREMENTAL, Scrubber, ScrubSettings
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.errors import (
    NotFoundError,
    RepairNeedsConfirmationError,
    SlipstreamError,
    StalePlanError,
    UnavailableError,
)
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.stamps import VectorRecord
from slipstream.domain.work import Lane
from slipstream.engine.settings import SyncSettings
from slipstream.report.alert_rules import AlertThresholds, Measurements, judge
from slipstream.testkit.system import MemorySystem

ENTITIES, LIMIT = 40, 10
BRAKE = BrakeSettings(share=0.0, records_min=LIMIT)


def make_system() -> MemorySystem:
    system = MemorySystem(settings=SyncSettings(brake=BRAKE))
    for number in range(ENTITIES):
        system.graph.create_entity("Person", f"p{number}", {"name": f"Person {number}"})
    system.settle()
    return system


def make_scrubber(
    system: MemorySystem, settings: ScrubSettings | None = None, *, is_scanning: bool = False
) -> Scrubber:
    def repairs_waiting() -> int:
        system.settle()
        return system.journal.work_count(Lane.REPAIR)

    return Scrubber(
        system.auditor,
        system.repairer,
        system.audits,
        system.journal,
        system.clock,
        settings or ScrubSettings(incremental_every_s=60, full_every_s=3600, sample_every_s=0),
        is_busy=lambda: False,
        repairs_waiting=repairs_waiting,
        is_scanning=lambda: is_scanning,
    )


def records(system: MemorySystem) -> dict[RecordKey, object]:
    assert isinstance(system.index, MemoryIndex)
    return {key: dict(held) for key, held in system.index._records.items() if held}


def lose(system: MemorySystem, numbers: Sequence[int]) -> None:
    """Take records out of the index, as no commit does."""
    assert isinstance(system.index, MemoryIndex)
    for number in numbers:
        del system.index._records[entity_key(f"p{number}")]


def forge(system: MemorySystem, numbers: Sequence[int]) -> None:
    """Give records another text's fingerprint."""
    assert isinstance(system.index, MemoryIndex)
    for number in numbers:
        held = system.index._records[entity_key(f"p{number}")]
        for space, record in held.items():
            held[space] = VectorRecord(record.stamp._replace(fingerprint="forged"), record.vector)


def audited(system: MemorySystem) -> AuditReport:
    return system.auditor.audit()


def plan_of(error: RepairNeedsConfirmationError) -> BrakePlan:
    return BrakePlan.from_dict(error.plan)


def refused(system: MemorySystem, report: AuditReport) -> BrakePlan:
    with pytest.raises(RepairNeedsConfirmationError) as caught:
        system.repairer.repair(report.kept_id)
    assert system.journal.work_count() == 0
    return plan_of(caught.value)


# ---------------------------------------------------------------------- the scrubber


def test_the_scrubber_mends_what_the_brake_allows() -> None:
    system = make_system()
    lose(system, range(LIMIT))
    assert len(make_scrubber(system).run(FULL).divergences["missing"]) == LIMIT
    assert len(records(system)) == ENTITIES
    assert system.repairer.brake.braked() is None


def test_the_scrubber_stops_beyond_it_and_says_what_it_would_do() -> None:
    system = make_system()
    lose(system, range(LIMIT + 1))
    scrubber = make_scrubber(system)
    report = scrubber.run(FULL)
    assert len(records(system)) == ENTITIES - LIMIT - 1
    assert not system.repairer.repaired
    assert any(note.startswith("braked: ") for note in report.notes)
    told = scrubber.summary()["brake"]
    assert told["plan"]["audit_id"] == report.id
    assert told["plan"]["keys"] == {"missing": LIMIT + 1}
    assert (told["plan"]["texts"], told["plan"]["deletions"]) == (LIMIT + 1, 0)
    assert told["plan"]["tokens"] > 0
    assert told["command"] == f"slipstream repair --confirm {told['plan']['id']}"


def test_the_same_findings_are_the_same_plan_however_often_they_are_found() -> None:
    system = make_system()
    lose(system, range(20))
    scrubber = make_scrubber(system)
    scrubber.run(FULL)
    first = scrubber.summary()["brake"]
    for kind in (INCREMENTAL, FULL, INCREMENTAL):
        system.clock.sleep(60)
        assert len(scrubber.run(kind).divergences["missing"]) == 20
        assert scrubber.summary()["brake"] == first
    lose(system, [30])
    system.clock.sleep(60)
    scrubber.run(FULL)
    second = scrubber.summary()["brake"]
    assert second["plan"]["keys"] == {"missing": 21}
    assert second["at"] == first["at"]  # one incident


def test_new_stamps_need_no_confirmation() -> None:
    system = make_system()
    assert isinstance(system.index, MemoryIndex)
    for held in system.index._records.values():
        for space, record in held.items():
            held[space] = VectorRecord(record.stamp._replace(schema_hash="another"), record.vector)
    assert len(make_scrubber(system).run(FULL).divergences["outdated"]) == ENTITIES
    assert system.audit().is_consistent


def test_what_a_scan_under_way_explains_raises_no_alarm_and_is_left_to_it() -> None:
    system = make_system()
    forge(system, range(20))
    scrubber = make_scrubber(system, is_scanning=True)
    assert len(scrubber.run(FULL).divergences["stale"]) == 20
    assert (system.repairer.brake.braked(), system.journal.work_count()) == (None, 0)


def test_a_model_that_is_down_hides_the_cost_and_not_the_plan() -> None:
    system = make_system()
    lose(system, range(20))

    def down(name: str) -> None:
        if name.startswith("embed"):
            raise UnavailableError("the model is down")

    system.hook = down
    scrubber = make_scrubber(system)
    scrubber.run(FULL)
    told = scrubber.summary()["brake"]
    assert (told["plan"]["keys"], told["plan"]["embed_s"]) == ({"missing": 20}, None)
    assert "cost unknown" in told["why"]
    system.hook = lambda name: None
    priced = system.repairer.braked(told["plan"]["audit_id"])
    assert priced is not None
    assert (priced.id, priced.embed_s is None) == (told["plan"]["id"], False)


def test_the_brake_lets_go_when_an_audit_shows_no_more_need() -> None:
    system = make_system()
    before = dict(records(system))
    lose(system, range(20))
    scrubber = make_scrubber(system)
    scrubber.run(FULL)
    assert isinstance(system.index, MemoryIndex)
    for number in range(15):  # somebody puts them back
        key = entity_key(f"p{number}")
        system.index._records[key] = before[key]  # type: ignore[assignment]
    system.clock.sleep(60)
    assert len(scrubber.run(INCREMENTAL).divergences["missing"]) == 5
    assert scrubber.summary()["brake"] is None
    assert len(records(system)) == ENTITIES


def test_the_alert_fires_and_resolves_with_it() -> None:
    def reading(system: MemorySystem) -> tuple[bool, str]:
        measured = Measurements(lag_s=0.0, dead_letters=0, brake=system.repairer.brake.said())
        found = next(r for r in judge(measured, AlertThresholds()) if r.rule == "brake")
        return found.is_breached, found.message

    system = make_system()
    assert not reading(system)[0]
    lose(system, range(20))
    make_scrubber(system).run(FULL)
    is_breached, message = reading(system)
    assert is_breached
    braked = system.repairer.brake.braked()
    assert braked is not None
    assert f"slipstream repair --confirm {braked.plan_id}: 0 records to delete and 20 to embed" in message
    system.repairer.confirm(str(braked.plan_id))
    assert not reading(system)[0]


def test_what_is_braked_survives_a_restart() -> None:
    system = make_system()
    lose(system, range(20))
    make_scrubber(system).run(FULL)
    told = make_scrubber(system).summary()["brake"]
    system.reopen()
    assert make_scrubber(system).summary()["brake"] == told
    assert told["plan"]["audit_id"] in system.repairer.brake.needed_audits()


# ---------------------------------------------------------------------- confirming


def test_a_repair_by_hand_stops_too_and_confirming_applies_exactly_the_plan() -> None:
    system = make_system()
    lose(system, range(20))
    plan = refused(system, audited(system))
    lose(system, [35])  # not in the plan
    progress: list[tuple[int, int]] = []
    result = system.repairer.confirm(plan.id, RepairBudget(), lambda done, total: progress.append((done, total)))
    assert (result.keys, result.marked, progress[-1]) == (20, {"missing": 20}, (20, 20))
    system.settle()
    assert system.repairer.verify(result).is_consistent
    assert {key.id for key in system.audit().divergent_keys()} == {"p35"}


def test_a_repair_within_the_limit_asks_nobody() -> None:
    system = make_system()
    lose(system, range(LIMIT))
    assert system.repairer.repair(audited(system).kept_id).keys == LIMIT


def test_the_classes_that_are_asked_for_decide() -> None:
    system = make_system()
    lose(system, range(8))
    forge(system, range(20, 28))
    report = audited(system)
    assert refused(system, report).keys == {"missing": 8, "stale": 8}
    assert system.repairer.repair(report.kept_id, ("stale",)).keys == 8


def test_a_plan_of_which_the_index_has_moved_is_refused() -> None:
    system = make_system()
    before = dict(records(system))
    lose(system, range(20))
    plan = refused(system, audited(system))
    assert isinstance(system.index, MemoryIndex)
    for number in range(3):
        key = entity_key(f"p{number}")
        system.index._records[key] = before[key]  # type: ignore[assignment]
    with pytest.raises(StalePlanError, match="out of date: 3 keys differ; audit again"):
        system.repairer.confirm(plan.id)
    assert (system.journal.work_count(), system.repairer.unfinished) == (0, None)


def test_a_plan_of_which_the_graph_has_moved_is_refused() -> None:
    system = make_system()
    lose(system, range(20))
    plan = refused(system, audited(system))
    system.graph.delete_entity("p3")
    system.settle()
    with pytest.raises(StalePlanError, match="out of date: 1 keys differ"):
        system.repairer.confirm(plan.id)
    assert len(records(system)) == ENTITIES - 20


def test_other_keys_may_have_moved_meanwhile() -> None:
    system = make_system()
    lose(system, range(20))
    plan = refused(system, audited(system))
    system.graph.update_entity("p30", {"name": "Ada"})
    system.settle()
    assert system.repairer.confirm(plan.id).keys == 20


def test_an_unknown_plan_is_refused() -> None:
    system = make_system()
    lose(system, range(20))
    plan = refused(system, audited(system))
    for wrong in ("", "7", "1-00000000", plan.id[:-1]):
        with pytest.raises(NotFoundError, match="there is no plan"):
            system.repairer.confirm(wrong)


def test_a_plan_of_another_graph_is_refused() -> None:
    system = make_system()
    lose(system, range(20))
    plan = refused(system, audited(system))
    system.repairer.brake._identity = lambda: "another"
    with pytest.raises(NotFoundError, match="there is no plan"):
        system.repairer.confirm(plan.id)


def test_confirming_twice_does_nothing_more() -> None:
    system = make_system()
    lose(system, range(20))
    plan = refused(system, audited(system))
    system.repairer.confirm(plan.id)
    system.settle()
    lose(system, range(20))
    again = system.repairer.confirm(plan.id)
    assert (again.keys, again.marked_before) == (0, 20)
    system.settle()
    assert len(records(system)) == ENTITIES - 20
    assert refused(system, audited(system)).id != plan.id  # it has happened again: a new plan


class _PowerCutError(SlipstreamError):
    pass


@pytest.mark.parametrize("ends_in", ["confirm", "repair"])
def test_a_confirmed_plan_that_was_cut_short_goes_on(ends_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.audit.repair._PAGE", 6)
    system = make_system()
    lose(system, range(20))
    plan = refused(system, audited(system))
    assert system.repairer.brake.braked() is None

    def cut(done: int, total: int) -> None:
        del total
        if done >= 12:
            raise _PowerCutError

    with pytest.raises(_PowerCutError):
        system.repairer.confirm(plan.id, None, cut)
    system.reopen()
    system.settle()
    assert len(records(system)) == ENTITIES - 8
    went_on = system.repairer.confirm(plan.id) if ends_in == "confirm" else system.repairer.repair()
    assert (went_on.keys, went_on.marked_before) == (8, 12)
    system.settle()
    assert len(records(system)) == ENTITIES
    assert system.repairer.brake.plan(plan.id).applied is not None
