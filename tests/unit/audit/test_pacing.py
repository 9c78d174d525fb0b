"""The pace of an audit: small pages and rests while live changes flow, full speed while they do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.audit.pacing import SMALL_PAGE, Gait, SteadyPace, TrafficPace, polite
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.models import Space
from slipstream.domain.stamps import Stamp, Vector
from slipstream.ports.scans import PAGE
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.system import MemorySystem


class NotingIndex(MemoryIndex):
    """Notes how much is asked for at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def scan(self, after: RecordKey | None, limit: int) -> Sequence[Stamp]:
        self.asked.append(limit)
        return super().scan(after, limit)

    def vectors(self, keys: Sequence[RecordKey], space: Space) -> Mapping[RecordKey, Vector]:
        self.asked.append(len(keys))
        return super().vectors(keys, space)


def filled(index: MemoryIndex, entities: int) -> MemorySystem:
    system = MemorySystem(index=index)
    with system.graph.transaction() as transaction:
        for number in range(entities):
            transaction.create_entity("Person", f"p{number:04}", {"name": f"Person {number}"})
    system.settle()
    return system


def test_it_goes_small_and_rests_while_changes_flow_and_fast_while_they_do_not() -> None:
    clock, busy = ManualClock(), [True]
    pace = polite(lambda: busy[0], clock, busy_share=0.2)
    assert pace.page == SMALL_PAGE
    clock.advance(0.1)
    pace.rest()
    assert clock.monotonic() == pytest.approx(0.5)  # 0.1 s of work is a fifth of it
    busy[0] = False
    clock.advance(0.1)
    pace.rest()
    assert clock.monotonic() == pytest.approx(0.6)
    assert pace.page == PAGE
    busy[0] = True
    clock.advance(0.1)
    pace.rest()  # a change has come meanwhile
    assert clock.monotonic() == pytest.approx(1.1)
    assert pace.page == SMALL_PAGE


def test_a_long_wait_is_not_answered_by_an_endless_rest() -> None:
    clock = ManualClock()
    gait = Gait(page=SMALL_PAGE, core_share=0.02)
    pace = TrafficPace(lambda: True, clock, busy=gait, idle=gait)
    clock.advance(30)
    pace.rest()
    assert clock.monotonic() == pytest.approx(35)


@pytest.mark.parametrize("incremental", [False, True])
def test_everything_that_is_read_comes_in_pages_of_the_pace(incremental: bool) -> None:
    index = NotingIndex()
    system = filled(index, 100)
    system.auditor.audit()
    for key in [entity_key(f"p{number:04}") for number in range(0, 100, 2)]:
        del index._records[key]  # suspects as well
    index.asked.clear()
    pace = SteadyPace(page=SMALL_PAGE)
    report = system.auditor.audit_changes(pace=pace) if incremental else system.auditor.audit(pace=pace)
    assert report.kind == ("incremental" if incremental else "full")
    assert report.counts()["missing"] == 50
    assert max(index.asked) <= SMALL_PAGE
    index.asked.clear()
    system.auditor.audit()
    assert max(index.asked) == PAGE


def test_a_busy_audit_keeps_to_its_share_whatever_it_does() -> None:
    index = NotingIndex()
    system = filled(index, 200)
    for number in range(150):
        del index._records[entity_key(f"p{number:04}")]
    worked_s = 0.0

    def work(name: str) -> None:
        nonlocal worked_s
        if name in ("graph.read.before", "index.stamps.before"):
            system.clock.sleep(0.01)
            worked_s += 0.01

    system.hook = work
    began = system.clock.monotonic()
    report = system.auditor.audit(pace=polite(lambda: True, system.clock, busy_share=0.25))
    assert report.counts()["missing"] == 150
    assert system.clock.monotonic() - began == pytest.approx(4 * worked_s, rel=0.1)


def test_an_index_without_digests_is_read_once_and_then_only_where_it_differs() -> None:
    index = NotingIndex()
    system = filled(index, 1_000)
    system.auditor.audit()
    assert not system.auditor.has_digests
    unchanged = system.auditor.audit_changes()
    assert (unchanged.kind, unchanged.rows.index, unchanged.is_consistent) == ("incremental", 1_000, True)
    del index._records[entity_key("p0500")]
    report = system.auditor.audit_changes()
    assert report.counts()["missing"] == 1
    assert report.rows.index < 1_000 + 2 * 256 + 10  # one leaf key by key, and the suspect


def test_an_audit_of_an_index_without_digests_rests_and_can_be_stopped() -> None:
    system = filled(NotingIndex(), 300)
    system.auditor.audit()

    class StoppedError(Exception):
        pass

    def stop(seconds: float) -> None:
        raise StoppedError

    gait = Gait(page=SMALL_PAGE, core_share=0.1)
    with pytest.raises(StoppedError):
        system.auditor.audit_changes(pace=TrafficPace(lambda: True, system.clock, busy=gait, idle=gait, sleep=stop))


def test_a_deep_audit_embeds_as_many_as_it_was_asked_for() -> None:
    system = filled(MemoryIndex(), 20)
    with system.graph.transaction() as transaction:
        for one in range(20):
            for other in range(20):
                if one != other:  # no view covers them: they have no records
                    transaction.relate(f"p{one:04}", "KNOWS", f"p{other:04}", {})
    system.settle()
    for size in (1, 7, 20, 1_000):
        before = system.service.stats.computed
        report = system.auditor.audit(deep=size)
        assert system.service.stats.computed - before == min(size, 20)
        assert (
            report.notes[-1] == ("1 record was" if size == 1 else f"{min(size, 20)} records were") + " embedded anew"
        )


def test_a_deep_audit_says_when_it_embedded_nothing() -> None:
    report = filled(MemoryIndex(), 0).auditor.audit(deep=5)
    assert report.notes == ["no record was embedded anew: there was none that looked right"]
