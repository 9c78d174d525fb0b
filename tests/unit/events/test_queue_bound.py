"""A topic that nobody takes from is bounded: publishing is refused, nothing that was taken is lost."""

from __future__ import annotations

import pytest

from slipstream.adapters.indexes.memory import MemoryJournal
from slipstream.domain.errors import UnavailableError
from slipstream.domain.refusals import is_cut
from slipstream.events.queue import MUTATIONS_TOPIC, EventQueue
from slipstream.testkit.clock import ManualClock

TOPIC = "told"


def queue(journal: MemoryJournal, bytes_max: int = 1_000) -> EventQueue:
    return EventQueue(journal, journal, ManualClock(), bytes_max)


def fill(events: EventQueue) -> int:
    """Publish until it is refused; returns how many were taken."""
    for taken in range(10_000):
        try:
            events.publish(TOPIC, {"n": "x" * 50})
        except UnavailableError:
            return taken
    raise AssertionError("never refused")


def test_publishing_is_refused_past_the_bound_and_goes_on_when_there_is_room() -> None:
    journal = MemoryJournal()
    events, heard = queue(journal), list[object]()
    taken = fill(events)
    assert (events.depth(TOPIC), journal.size_bytes(TOPIC) <= 1_000) == (taken, True)
    assert taken >= 10
    with pytest.raises(UnavailableError, match=f"topic {TOPIC} holds"):
        queue(journal).publish(TOPIC, {"n": "x" * 500})  # another process sees the same
    events.publish("other", {"n": 1})
    events.subscribe(TOPIC, heard.append)
    assert events.deliver(TOPIC) == taken
    assert len(heard) == taken
    assert fill(events) == taken


def test_a_message_that_is_larger_than_the_bound_is_taken_alone() -> None:
    events = queue(MemoryJournal(), bytes_max=10)
    events.publish(TOPIC, {"n": "x" * 50})
    with pytest.raises(UnavailableError):
        events.publish(TOPIC, {"n": 1})


def test_a_message_that_nobody_can_read_is_kept_cut() -> None:
    journal = MemoryJournal()
    events = queue(journal, bytes_max=1 << 20)
    journal.append(MUTATIONS_TOPIC, ["x" * 100_000])
    events.subscribe(MUTATIONS_TOPIC, lambda _: None)
    events.deliver(MUTATIONS_TOPIC)
    (letter,) = journal.letters(None, 10)
    assert is_cut(letter.payload)
    assert not letter.can_be_replayed
    assert journal.refused_size().size_bytes < 10_000
