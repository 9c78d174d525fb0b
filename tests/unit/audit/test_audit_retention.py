"""What is forgotten of past audits: no frequent kind pushes a rare one out, and nothing unfinished goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.audit.retention import CLEAN_MAX, FORGET_EVERY, KEPT_MAX, size_bytes_of, superfluous
from slipstream.domain.audits import KeptAudit
from slipstream.domain.keys import entity_key
from slipstream.testkit.system import MemorySystem

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def kept(number: int, kind: str, *, consistent: bool = True, minute: int = 0) -> KeptAudit:
    at = (NOON + timedelta(minutes=minute)).isoformat()
    report: dict[str, Any] = {"kind": kind, "finished_at": at, "consistent": consistent}
    return KeptAudit(number, report)


def test_a_year_of_audits_keeps_the_daily_ones_and_thins_the_clean_ones() -> None:
    days = 40
    audits = [
        kept(minute, "full" if minute % 1_440 == 0 else "incremental", minute=minute)
        for minute in range(days * 1_440)
    ]
    gone = set(superfluous(audits[::-1]))
    left = [audit for audit in audits if audit.id not in gone]
    assert [audit.id for audit in left if audit.report["kind"] == "full"] == [day * 1_440 for day in range(days)]
    clean = [audit for audit in left if audit.report["kind"] == "incremental"]
    assert len(clean) == KEPT_MAX
    assert [audit.id for audit in clean[-CLEAN_MAX:]] == [audit.id for audit in audits[-CLEAN_MAX:]]
    hours = [audit.report["finished_at"][:13] for audit in clean[:-CLEAN_MAX]]
    assert len(hours) == len(set(hours))  # one of each hour
    assert len(hours) > 24 * 14


def test_what_found_something_is_not_thinned() -> None:
    audits = [kept(number, "incremental", consistent=False) for number in range(KEPT_MAX + 7)]
    assert list(superfluous(audits[::-1])) == [6, 5, 4, 3, 2, 1, 0]


def test_an_audit_whose_repair_is_not_finished_stays() -> None:
    audits = [kept(number, "full") for number in range(KEPT_MAX + 3)]
    assert list(superfluous(audits[::-1], {1})) == [2, 0]


def with_findings(number: int, findings: int) -> KeptAudit:
    audit = kept(number, "incremental", consistent=False)
    return KeptAudit(number, {**audit.report, "counts": {"missing": findings}})


def test_past_its_bytes_the_oldest_audits_go_but_never_the_newest_nor_a_spared_one() -> None:
    audits = [with_findings(number, 1_000) for number in range(10)]
    size = size_bytes_of(audits[0].report)
    assert list(superfluous(audits[::-1], bytes_max=10 * size)) == []
    assert list(superfluous(audits[::-1], bytes_max=4 * size)) == [5, 4, 3, 2, 1, 0]
    assert list(superfluous(audits[::-1], {2}, bytes_max=4 * size)) == [5, 4, 3, 1, 0]
    assert list(superfluous(audits[::-1], bytes_max=0)) == [8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_a_small_audit_behind_a_large_one_is_kept() -> None:
    audits = [with_findings(0, 1), with_findings(1, 100_000), with_findings(2, 1)]
    assert list(superfluous(audits[::-1], bytes_max=1_000_000)) == [1]


def test_audits_that_find_much_are_forgotten_before_many_of_them_are_kept() -> None:
    system = MemorySystem()
    for number in range(200):
        system.graph.create_entity("Person", f"p{number}", {"name": f"n{number}"})
    system.settle()
    index = system.index
    assert isinstance(index, MemoryIndex)
    index._records.clear()
    assert system.auditor._memory is not None
    system.auditor._memory = replace(system.auditor._memory, history_bytes_max=100_000)
    for _ in range(FORGET_EVERY - 1):
        newest = system.auditor.audit()
        sizes = [size_bytes_of(audit.report) for audit in system.audits.audits(None, 10_000)]
        assert sum(sizes) <= 100_000
        assert system.audits.audit(newest.kept_id) is not None
    assert 2 <= len(sizes) < FORGET_EVERY - 1


class CutShortError(Exception):
    """The repair is cut short."""


def test_an_auditor_forgets_and_spares_what_its_repairer_is_at() -> None:
    system = MemorySystem()
    system.graph.create_entity("Person", "ada", {"name": "Ada"})
    system.settle()
    index = system.index
    assert isinstance(index, MemoryIndex)
    del index._records[entity_key("ada")]
    first = system.auditor.audit().kept_id

    def cut(done: int, total: int) -> None:
        raise CutShortError

    with pytest.raises(CutShortError):
        system.repairer.repair(first, on_progress=cut)
    for _ in range(KEPT_MAX + FORGET_EVERY):
        system.auditor.audit()
    left = [audit.id for audit in system.audits.audits(None, 10_000)]
    assert len(left) <= KEPT_MAX + FORGET_EVERY
    assert first in left
    assert first + 1 not in left
    system.repairer.repair()
    for _ in range(FORGET_EVERY):
        system.auditor.audit()
    assert system.audits.audit(first) is None
