"""The brake: what it allows, which plan is which, and what a plan says."""

from __future__ import annotations

import pytest

from slipstream.app.config import parse_config
from slipstream.audit.brake import WEIGHTY, BrakePlan, findings_digest, plan_id, weight, weighty
from slipstream.audit.classes import CLASSES
from slipstream.domain.audits import Finding
from slipstream.domain.brake import Braked, BrakeSettings
from slipstream.domain.errors import InvalidInputError
from slipstream.testkit.clock import ManualClock


@pytest.mark.parametrize(
    ("records", "limit"), [(0, 100), (1_000, 100), (2_000, 100), (2_020, 101), (10_000, 500), (1_000_001, 50_000)]
)
def test_the_limit_is_a_share_of_the_index_and_at_least_a_hundred(records: int, limit: int) -> None:
    assert BrakeSettings().limit(records) == limit


def test_both_limits_can_be_set() -> None:
    settings = parse_config("[brake]\nshare = 0.5\nrecords_min = 3\n").brake.settings()
    assert [settings.limit(records) for records in (0, 6, 8)] == [3, 3, 4]
    for wrong in ({"share": 1.1}, {"share": -0.1}, {"records_min": -1}):
        with pytest.raises(InvalidInputError, match="brake"):
            BrakeSettings(**wrong)


def test_a_new_stamp_weighs_nothing() -> None:
    assert set(CLASSES) - set(WEIGHTY) == {"outdated"}
    counts = {"orphaned": 3, "outdated": 1_000, "stale": 2, "unrenderable": 9, "missing": 0}
    assert weight(counts, counts) == 5
    assert weight(counts, ["stale", "outdated"]) == 2
    assert weighty(counts, list(counts)) == ("orphaned", "stale")


def test_the_same_findings_have_the_same_digest_in_whatever_order() -> None:
    findings = [Finding("stale", "e:1", "A"), Finding("orphaned", "e:2"), Finding("orphaned", "e:1")]
    assert findings_digest(findings) == findings_digest(reversed(findings))
    others = [findings[:2], [*findings, Finding("stale", "e:3")], [Finding("stale", "e:2"), *findings[1:]]]
    assert len({findings_digest(each) for each in (findings, *others)}) == 4


def test_a_plan_is_of_one_audit_position_and_graph() -> None:
    told = (12, "ab", 7, "graph")
    first = plan_id(*told)
    assert first.startswith("12-")
    assert len(first) == len("12-") + 8
    assert first == plan_id(*told)
    assert len({first, plan_id(12, "ac", 7, "graph"), plan_id(12, "ab", 8, "graph"), plan_id(12, "ab", 7, None)}) == 4


def test_a_plan_says_what_it_would_do_and_survives_the_journal() -> None:
    plan = BrakePlan(
        id="12-0123abcd",
        audit_id=12,
        kinds=("missing", "orphaned"),
        position=7,
        findings="ab",
        keys={"missing": 1_200, "orphaned": 300},
        index_records=1_000,
        limit=100,
        deletions=300,
        texts=1_200,
    )
    assert BrakePlan.from_dict(plan.as_dict()) == plan
    assert "300 records to delete and 1,200 to embed (cost unknown) of 1,000 in the index" in plan.said
    assert plan.command == "slipstream repair --confirm 12-0123abcd"


def test_what_is_braked_survives_the_journal() -> None:
    for plan in (None, "12-0123abcd"):
        braked = Braked("too much", ManualClock().now(), plan)
        assert Braked.load(braked.dump()) == braked
    assert Braked.load(None) is None
