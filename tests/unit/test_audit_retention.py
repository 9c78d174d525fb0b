"""What is forgotten of past audits: no frequent kind pushes a rare one out, and nothing unfinished goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.consistency.retention import CLEAN_MAX, FORGET_EVERY, KEPT_MAX, superfluous
from slipstream.domain.audits import KeptAudit
from slipstream.domain.keys import entity_key
from slipstream.testing.system import MemorySystem

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
