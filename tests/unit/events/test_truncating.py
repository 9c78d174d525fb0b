"""An emptied table: what of it is deleted, in pages, and what comes late or again."""

from __future__ import annotations

import pytest

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import Change, Place, Truncation
from slipstream.events.changing import Outcome
from slipstream.events.truncating import Truncator
from tests.unit.events.test_changing import ROW, SPACE, Feed

APPLIED, DUPLICATE, OUTDATED = Outcome.APPLIED, Outcome.DUPLICATE, Outcome.OUTDATED


def truncation(order: int | None, space: str = SPACE, **more: object) -> Truncation:
    text = None if order is None else f"{order:020d}"
    return Truncation(space=space, event_id=f"t{order}", order=text, **more)  # type: ignore[arg-type]


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    changes: list[Change] = [feed.row("created", str(number), number, {"n": number}) for number in range(7)]
    changes.append(feed.row("created", "0", 1, {"n": 1}, space="kg.public.note_tag"))
    feed.write(*changes)
    return feed


@pytest.mark.parametrize("page", [1, 2, 7, 100])
def test_the_rows_of_the_table_are_gone_and_no_others(feed: Feed, page: int) -> None:
    with feed.graph.transaction() as tx:
        tx.create_entity("note", "kg.public.note:made-by-hand")
    assert Truncator(feed.graph, page).run(truncation(10)) is APPLIED
    assert feed.graph.counts() == {"note": 1, "note_tag": 1}
    assert feed.properties("kg.public.note_tag:0") == {"n": 1}


def test_newer_rows_stay(feed: Feed) -> None:
    feed.one(feed.row("updated", "3", 20, {"n": 3}))
    assert Truncator(feed.graph, 2).run(truncation(10)) is APPLIED
    assert feed.graph.counts() == {"note": 1, "note_tag": 1}


def test_what_comes_late_is_outdated(feed: Feed) -> None:
    Truncator(feed.graph).run(truncation(10))
    assert feed.one(feed.row("created", "99", 9, {"n": 9})) is OUTDATED
    assert feed.one(feed.row("created", "1", 11, {"n": 1})) is APPLIED


def test_it_is_done_once(feed: Feed) -> None:
    Truncator(feed.graph).run(truncation(10))
    feed.one(feed.row("created", "1", 11, {"n": 1}))
    assert Truncator(feed.graph).run(truncation(10)) is DUPLICATE
    assert Truncator(feed.graph).run(truncation(5)) is OUTDATED
    assert feed.properties(f"{SPACE}:1") == {"n": 1}


def test_without_an_order_it_is_done_once_by_its_id_and_its_place(feed: Feed) -> None:
    here = truncation(None, place=Place("kg/0", 7, 7))
    assert Truncator(feed.graph, 2).run(here) is APPLIED
    assert feed.graph.counts() == {"note_tag": 1}
    feed.one(feed.row("created", "1", 11, {"n": 1}))
    assert Truncator(feed.graph).run(here) is DUPLICATE
    assert feed.graph.counts() == {"note": 1, "note_tag": 1}


def test_entities_that_are_gone_already_are_no_error(feed: Feed) -> None:
    with feed.graph.transaction() as tx:
        tx.delete_entity(f"{SPACE}:1")
    assert Truncator(feed.graph, 2).run(truncation(10)) is APPLIED


def test_a_partition_can_not_be_emptied(feed: Feed) -> None:
    for space in ("kg.public.event", "kg.public.event_2025"):
        feed.one(feed.row("created", "1", 5, ROW, space=space))
    with pytest.raises(InvalidInputError, match=r"is a partition of kg\.public\.event.*take a snapshot"):
        Truncator(feed.graph).run(truncation(9, "kg.public.event_2025"))


def test_the_commit_is_told(feed: Feed) -> None:
    truncator = Truncator(feed.graph, 3)
    truncator.run(truncation(10))
    assert truncator.position == feed.graph.feed.head()
