"""The change log, and readers and writers beside each other."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from slipstream.domain.entities import EntityState
from slipstream.domain.errors import ConfigError, InvalidInputError, PositionLostError, UnavailableError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import entity_key
from slipstream.domain.log import Rescan, position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.testkit.suites.graph.base import (
    Aside,
    Graphs,
    LoggedGraph,
    at_once,
    create,
    entries,
    events,
    properties,
    raises,
    trimmed,
    update,
)


class FeedTests(Graphs):
    """Order, trimming, waiting, snapshots."""

    def test_positions_are_dense_and_in_commit_order(self, graph: LoggedGraph) -> None:
        for number in range(5):
            create(graph, f"a{number}", f"b{number}", n=number)
        found = entries(graph)
        assert [position_of(entry) for entry in found] == list(range(1, graph.feed.head() + 1))
        ids = [entry.event_id for entry in found if isinstance(entry, PKGEvent)]
        assert len(set(ids)) == len(ids) == 11
        assert [event.entity_id for event in events(graph)] == [f"{x}{n}" for n in range(5) for x in "ab"]
        pages = [graph.feed.read(Position(start), 4) for start in range(0, len(found), 4)]
        assert [entry for page in pages for entry in page] == found
        assert graph.feed.read(graph.feed.head(), 10) == []
        assert graph.feed.read(ORIGIN, 0) == []

    def test_events_carry_plain_json_and_provenance(self, graph: LoggedGraph) -> None:
        moment = datetime(2024, 1, 1, tzinfo=UTC)
        create(graph, "a", when=moment, deep=[{"at": moment}], source_document_id="doc", extraction_confidence=0.5)
        create(graph, "b", source_document_id=7, extraction_confidence=1.5)
        first, second = events(graph)
        assert first.new_data is not None
        assert first.new_data["when"] == moment.isoformat()
        assert first.new_data["deep"] == [{"at": moment.isoformat()}]
        assert (first.source_document_id, first.extraction_confidence) == ("doc", 0.5)
        assert (second.source_document_id, second.extraction_confidence) == (None, None)
        assert PKGEvent.parse(first.model_dump_json()) == first
        assert first.timestamp.utcoffset() == timedelta(0)

    def test_a_trimmed_range_is_lost_and_the_head_is_kept(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c", "d")
        head = graph.feed.head()
        assert trimmed(graph, Position(2)) == 2
        raises(PositionLostError, lambda: graph.feed.read(Position(1), 10))
        assert [position_of(entry) for entry in graph.feed.read(Position(2), 10)] == [3, 4, 5]
        assert (trimmed(graph, Position(2)), trimmed(graph, Position(99))) == (0, 2)
        assert graph.feed.head() == head
        assert [position_of(entry) for entry in graph.feed.read(Position(4), 10)] == [5]
        create(graph, "e")
        assert [position_of(entry) for entry in graph.feed.read(head, 10)] == [6]

    def test_advancing_jumps_and_asks_for_a_rescan_of_everything(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b")
        head, far = graph.feed.head(), Position(1_000_000)
        assert graph.advance(far) == graph.feed.head() == far
        graph = self.reopened(graph)
        assert graph.feed.head() == graph.read([], {}).position == far
        assert graph.feed.wait(Position(far - 1), 0.0)
        for inside in (head, Position(head + 1), Position(far - 1)):
            assert list(graph.feed.read(inside, 10)) == [Rescan(far)]
        assert list(graph.feed.read(far, 10)) == []
        create(graph, "c")
        assert graph.read([entity_key("c")], {}).position == graph.feed.head() == far + 1
        assert graph.advance(far) == far + 1
        assert graph.advance(ORIGIN) == far + 1
        numbers = [*range(1, head + 1), far, far + 1]
        assert [position_of(entry) for entry in entries(graph)] == numbers
        for limit in (1, 2, 3):
            after, found = ORIGIN, list[int]()
            while page := graph.feed.read(after, limit):
                after = position_of(page[-1])
                found += [position_of(entry) for entry in page]
            assert found == numbers
        assert graph.counts() == {"Person": 3}
        for wrong in (-1, 2**62):
            raises(InvalidInputError, graph.advance, Position(wrong))

    def test_a_log_with_jumps_is_trimmed(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b")
        graph.advance(Position(100))
        create(graph, "c")
        graph.advance(Position(10**9))
        graph.advance(Position(10**9 + 1))
        graph = self.reopened(graph)
        assert [position_of(entry) for entry in entries(graph)] == [1, 2, 3, 100, 101, 10**9, 10**9 + 1]
        assert trimmed(graph, Position(50)) == 3
        raises(PositionLostError, lambda: graph.feed.read(Position(2), 10))
        assert [position_of(entry) for entry in graph.feed.read(Position(50), 2)] == [100, 101]
        assert trimmed(graph, Position(10**10)) == 3
        assert list(graph.feed.read(Position(10**9), 10)) == [Rescan(Position(10**9 + 1))]
        graph.advance(Position(10**9 + 9))
        graph = self.reopened(graph)
        create(graph, "d")
        assert [position_of(entry) for entry in graph.feed.read(Position(10**9 + 5), 9)] == [10**9 + 9, 10**9 + 10]

    def test_a_mark_is_kept_and_is_no_change(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        before = (entries(graph), graph.counts(), graph.schema())
        assert graph.timeline is None
        graph.mark_timeline("first")
        graph.mark_timeline("second")
        identity = graph.identity
        graph = self.reopened(graph)
        assert graph.timeline == "second"
        assert graph.identity == identity != ""
        assert before == (entries(graph), graph.counts(), graph.schema())

    def test_advancing_waits_its_turn(self, graph: LoggedGraph) -> None:
        with graph.transaction() as tx:
            tx.create_entity("Person", "a")
            raises(ConfigError, graph.advance, Position(50))
            raises(ConfigError, graph.mark_timeline, "mark")
        graph.advance(Position(50))
        graph.close()
        raises(UnavailableError, graph.advance, Position(60))
        raises(UnavailableError, graph.mark_timeline, "mark")
        raises(UnavailableError, lambda: graph.timeline)
        raises(UnavailableError, lambda: graph.identity)

    def test_waiting_ends_at_the_commit(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        assert graph.feed.wait(ORIGIN, 0.0)
        assert not graph.feed.wait(graph.feed.head(), 0.001)
        if not self.concurrent:
            return
        feed, head, woken = graph.feed, graph.feed.head(), list[bool]()
        waiter = Aside(lambda: woken.append(feed.wait(head, self.patience_s)))
        create(graph, "b")
        waiter.finish(2 * self.patience_s)
        assert woken == [True]

    def test_a_snapshot_and_its_position_belong_together(self, graph: LoggedGraph) -> None:
        """A reader beside a writer: the text that it sees is the one of the position that it is told."""
        create(graph, "a", n=0)
        if not (self.concurrent and self.reads_snapshots):
            return  # then `test_no_state_is_older_than_its_position` says what holds
        base, looks, problems = graph.feed.head(), 0, list[str]()
        done = threading.Event()

        def look() -> None:
            nonlocal looks
            while not done.is_set():
                looks += 1
                seen = graph.read([entity_key("a")], {})
                found = seen.states[entity_key("a")]
                assert isinstance(found, EntityState)
                if found.entity.properties["n"] != seen.position - base:
                    problems.append(f"saw {found.entity.properties['n']} at {seen.position - base}")

        reader = Aside(look)
        try:
            for number in range(1, 3000):
                update(graph, "a", n=number)
                if number >= 60 and looks >= 30:  # both had their turns
                    break
        finally:
            done.set()
            reader.finish(self.patience_s)
        assert problems == []

    def test_two_writers_take_turns(self, graph: LoggedGraph) -> None:
        create(graph, "counter", n=0)
        if not self.concurrent:
            return

        def count() -> None:
            for _ in range(20):
                with graph.transaction() as tx:
                    tx.update_entity("counter", {"n": properties(graph, "counter")["n"] + 1})

        at_once([count] * 3, self.patience_s)
        assert properties(graph, "counter")["n"] == 60
        assert [event.new_data for event in events(graph)] == [{"n": n} for n in range(61)]
