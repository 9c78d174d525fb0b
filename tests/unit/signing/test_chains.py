"""Chains of signed audits: what is missing, exchanged, forked or cut, and what retention may forget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from slipstream.domain.audits import Finding
from slipstream.domain.errors import InvalidInputError
from slipstream.signing.chains import (
    ChainFound,
    Gap,
    Link,
    examine_chains,
    findings_digest,
    gaps_left,
    gaps_of,
    link_of,
)


def _links(*numbers: int, branch: str = "") -> list[Link]:
    return [
        Link("c", number, None if number == 1 else f"{branch}d{number - 1}", f"{branch}d{number}")
        for number in numbers
    ]


def _found(links: Sequence[Link], gaps: Sequence[Gap] = ()) -> ChainFound:
    (found,) = examine_chains(links, {"c": gaps})
    return found


def _problems(links: Sequence[Link], gaps: Sequence[Gap] = ()) -> tuple[str, ...]:
    return _found(links, gaps).problems


def test_a_whole_chain_holds_in_whatever_order_it_is_given() -> None:
    assert _found(_links(4, 1, 3, 2)) == ChainFound("c", 1, 4, 4, 0, "d4", ())


def test_the_oldest_may_be_gone() -> None:
    assert _found(_links(7, 8, 9)) == ChainFound("c", 7, 9, 3, 0, "d9", ())


@pytest.mark.parametrize(
    ("numbers", "said"), [((1, 2, 4), "number 3 is missing"), ((1, 5, 6), "numbers 2 to 4 are missing")]
)
def test_one_that_was_taken_out_is_missing(numbers: Sequence[int], said: str) -> None:
    (problem,) = _problems(_links(*numbers))
    assert problem.startswith(said)


def test_one_that_was_exchanged_is_found() -> None:
    links = [*_links(1), *_links(2, branch="x"), *_links(3)]
    assert [problem.split(" as ")[0] for problem in _problems(links)] == [
        "number 2 does not follow on number 1",
        "number 3 does not follow on number 2",
    ]


def test_two_of_one_number_are_told() -> None:
    assert any(
        "two different audits of number 2" in each for each in _problems([*_links(1, 2, 3), *_links(2, branch="x")])
    )
    assert _problems([*_links(1, 2, 3), *_links(2, 3)]) == ()


def test_a_first_one_names_none_before_it() -> None:
    assert _problems([Link("c", 1, "d0", "d1")]) == ("number 1 names one before it",)


def test_chains_are_told_apart() -> None:
    assert [found.chain for found in examine_chains([*_links(1, 2), Link("other", 5, "x", "y")], {})] == [
        "c",
        "other",
    ]


GAP = Gap(3, 5, "d2", "d5")


def test_what_retention_has_forgotten_is_not_missing() -> None:
    assert _found(_links(1, 2, 6, 7), [GAP]) == ChainFound("c", 1, 7, 4, 3, "d7", ())


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        (Gap(3, 4, "d2", "d4"), "numbers 3 to 5 are missing"),
        (Gap(4, 5, "d3", "d5"), "numbers 3 to 5 are missing"),
        (Gap(3, 5, "other", "d5"), "what was forgotten behind number 2 does not follow"),
        (Gap(3, 5, "d2", "other"), "number 6 does not follow on what was forgotten"),
    ],
)
def test_a_list_of_what_was_forgotten_must_fit(gap: Gap, said: str) -> None:
    (problem,) = _problems(_links(1, 2, 6, 7), [gap])
    assert problem.startswith(said)


def test_a_later_list_may_say_more() -> None:
    assert _problems(_links(1, 2, 4, 6), [Gap(2, 5, "d1", "d5"), GAP]) == ()


def test_an_audit_that_an_erasure_changed_stands_for_what_it_was() -> None:
    changed = Link("c", 2, "d1", "new", ("d2",))
    assert _found([*_links(1), changed, *_links(3)]) == ChainFound("c", 1, 3, 3, 0, "d3", ())
    assert _problems([*_links(1, 2, 3), changed]) == ()  # an older file has it as it was
    assert _problems([changed, *_links(1, 2, 3)]) == ()
    assert _problems([changed, *_links(6)], [GAP]) == ()


# ---------------------------------------------------------------------- what retention leaves


def test_gaps_are_joined_where_they_touch() -> None:
    kept = _links(1, 6)
    assert gaps_left(kept, _links(3, 5, 4, 2), []) == [Gap(2, 5, "d1", "d5")]
    assert gaps_left(kept, _links(4), [Gap(2, 3, "d1", "d3"), Gap(5, 5, "d4", "d5")]) == [Gap(2, 5, "d1", "d5")]
    assert gaps_left(_links(1, 3, 6), _links(2), [Gap(4, 5, "d3", "d5")]) == [
        Gap(2, 2, "d1", "d2"),
        Gap(4, 5, "d3", "d5"),
    ]


def test_what_was_told_before_a_crash_is_told_once() -> None:
    assert gaps_left(_links(1, 6), _links(2, 3), [Gap(2, 3, "d1", "d3")]) == [Gap(2, 3, "d1", "d3")]


def test_no_gap_is_kept_before_the_oldest() -> None:
    assert gaps_left(_links(6, 9), _links(1, 2, 3, 4, 5), [Gap(7, 8, "d6", "d8")]) == [Gap(7, 8, "d6", "d8")]


@pytest.mark.parametrize("seed", range(30))
def test_however_audits_are_forgotten_the_chain_holds(seed: int) -> None:
    import random

    chance = random.Random(seed)
    kept, gaps = _links(*range(1, 40)), list[Gap]()
    while len(kept) > 2:
        gone = chance.sample(kept[:-1], min(len(kept) - 1, chance.randint(1, 6)))
        kept = [link for link in kept if link not in gone]
        gaps = gaps_left(kept, gone, gaps)
        found = _found(kept, gaps)
        assert found.problems == ()
        assert found.kept + found.forgotten == found.last - found.first + 1
        if len(kept) > 2:  # and one that is taken out without a word is missing all the same
            middle = kept[len(kept) // 2]
            assert _problems([link for link in kept if link is not middle], gaps)


# ---------------------------------------------------------------------- documents


def test_findings_are_digested_in_any_order() -> None:
    some = [Finding("stale", "e:a", "Person"), Finding("stale", "e:b"), Finding("missing", "e:a")]
    told = findings_digest(some)
    assert told["count"] == 3
    assert told == findings_digest(iter([*some[::-1], Finding("stale", "e:a", "Other")]))
    for others in (some[:2], [*some, Finding("stale", "e:c")], [Finding("stalee", ":a"), *some[1:]]):
        assert findings_digest(others)["digest"] != told["digest"]


@pytest.mark.parametrize(
    "evidence",
    [{"number": 1}, {"chain": "c", "number": "x", "previous": None}, {"chain": "c", "number": 0, "previous": None}],
)
def test_a_damaged_link_is_refused(evidence: dict[str, Any]) -> None:
    signature = {"algorithm": "Ed25519", "key_id": "k", "public_key": "p", "value": "v"}
    with pytest.raises(InvalidInputError, match="evidence"):
        link_of({"evidence": evidence, "signature": signature})
    assert link_of({"evidence": evidence}) is None


@pytest.mark.parametrize("forgotten", [None, [{}], [{"first": "x", "last": 1, "before": None, "digest": "d"}]])
def test_a_damaged_list_is_refused(forgotten: object) -> None:
    with pytest.raises(InvalidInputError, match="forgotten"):
        gaps_of({"forgotten": forgotten})
