"""Named consumers of a log, and how much of it is kept."""

from __future__ import annotations

from slipstream.domain.errors import PositionLostError
from slipstream.domain.log import position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.feed import Retention
from slipstream.testkit.suites.graph.base import Graphs, LoggedGraph, create, entries, raises, update

_NOTHING = Retention(kept_bytes=0, kept_s=0.0)
"""Keeps what a consumer still needs, and the head."""
_TEXT = "x" * 1000
_TEXTS = 1500


class ConsumerTests(Graphs):
    """Acknowledging, and trimming by size, by age and past every consumer's place."""

    def test_the_log_is_kept_for_its_slowest_consumer(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c", "d", "e")
        graph.feed.acknowledge("index", Position(5))
        graph.feed.acknowledge("backup", Position(2))
        assert graph.feed.trim(_NOTHING) == 2
        assert [position_of(entry) for entry in graph.feed.read(Position(2), 10)] == [3, 4, 5, 6]
        graph.feed.acknowledge("backup", Position(4))
        assert (graph.feed.trim(_NOTHING), graph.feed.trim(_NOTHING)) == (2, 0)
        graph.feed.acknowledge("backup", Position(6))
        assert graph.feed.trim(_NOTHING) == 1  # the index is the slower one now
        assert [position_of(entry) for entry in graph.feed.read(Position(5), 10)] == [6]

    def test_an_acknowledgement_never_goes_back(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c")
        for through in (Position(3), Position(1), ORIGIN):
            graph.feed.acknowledge("index", through)
        assert graph.feed.trim(_NOTHING) == 3

    def test_a_consumer_that_is_forgotten_holds_nothing_back(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c")
        graph.feed.acknowledge("index", Position(3))
        graph.feed.acknowledge("late", ORIGIN)
        assert graph.feed.trim(_NOTHING) == 0
        graph.feed.acknowledge("late", None)
        graph.feed.acknowledge("late", None)
        graph.feed.acknowledge("unknown", None)
        assert graph.feed.trim(_NOTHING) == 3
        graph.feed.acknowledge("late", Position(1))  # it may come again, from an older place
        raises(PositionLostError, graph.feed.read, Position(1), 10)

    def test_acknowledgements_outlive_the_handle(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c")
        before = (entries(graph), graph.counts(), graph.schema())
        graph.feed.acknowledge("index", Position(4))
        graph.feed.acknowledge("backup", Position(1))
        graph.feed.acknowledge("gone", ORIGIN)
        graph.feed.acknowledge("gone", None)
        graph = self.reopened(graph)
        assert before == (entries(graph), graph.counts(), graph.schema())  # it is no change of the graph
        with self.beside(graph) as other:
            assert other.feed.trim(_NOTHING) == 1
        graph.feed.acknowledge("backup", ORIGIN)
        graph.feed.acknowledge("backup", Position(3))
        graph = self.reopened(graph)
        assert graph.feed.trim(_NOTHING) == 2
        assert [position_of(entry) for entry in graph.feed.read(Position(3), 10)] == [4]
        raises(PositionLostError, graph.feed.read, Position(2), 10)

    def test_the_newest_bytes_are_kept(self, graph: LoggedGraph) -> None:
        """About so many bytes are kept, never fewer: some stores count the log in stretches of rows."""
        _fill(graph)
        head = graph.feed.head()
        graph.feed.acknowledge("index", head)
        young = Retention(kept_bytes=_TEXTS * 1000, kept_s=3600.0)
        assert graph.feed.trim(Retention(kept_bytes=2 * young.kept_bytes, kept_s=3600.0)) == 0
        removed = graph.feed.trim(Retention(kept_bytes=young.kept_bytes // 2, kept_s=3600.0))
        kept = graph.feed.read(Position(removed), 10_000)
        assert (len(kept), position_of(kept[0])) == (head - removed, removed + 1)
        # An entry is at least its text, and at most some hundred bytes more: see `Retention` for what may be kept.
        assert _TEXTS * 0.35 < len(kept) < _TEXTS * 0.9
        assert graph.feed.trim(Retention(kept_bytes=0, kept_s=3600.0)) == len(kept) - 1
        assert graph.feed.head() == head

    def test_what_is_too_old_goes_when_it_is_acknowledged(self, graph: LoggedGraph) -> None:
        create(graph, "a", "b", "c")
        graph.feed.acknowledge("index", Position(3))
        self.age_log(graph, 7200.0)
        graph = self.reopened(graph)
        assert graph.feed.trim(Retention(kept_s=9000.0)) == 0
        assert graph.feed.trim(Retention(kept_s=3600.0)) == 3
        create(graph, "d", "e")
        graph.feed.acknowledge("index", graph.feed.head())
        graph = self.reopened(graph)
        assert graph.feed.trim(Retention(kept_s=9000.0)) == 0
        assert entries_behind(graph, Position(3)) == [4, 5, 6]

    def test_past_the_limit_a_consumer_that_is_left_behind_is_told(self, graph: LoggedGraph) -> None:
        graph.feed.acknowledge("slow", ORIGIN)
        graph.feed.acknowledge("index", ORIGIN)
        _fill(graph)
        head = graph.feed.head()
        graph.feed.acknowledge("index", head)
        size = _TEXTS * 1000
        assert graph.feed.trim(Retention(kept_bytes=0, kept_s=0.0, limit_bytes=2 * size)) == 0
        removed = graph.feed.trim(Retention(kept_bytes=0, kept_s=0.0, limit_bytes=size // 2))
        assert _TEXTS * 0.5 < removed < head
        raises(PositionLostError, graph.feed.read, ORIGIN, 10)
        raises(PositionLostError, graph.feed.read, Position(removed - 1), 10)
        assert position_of(graph.feed.read(Position(removed), 1)[0]) == removed + 1
        graph.feed.acknowledge("slow", head)  # it has backfilled
        assert graph.feed.trim(_NOTHING) == head - removed - 1
        assert entries_behind(graph, Position(head - 1)) == [head]

    def test_the_head_is_never_trimmed(self, graph: LoggedGraph) -> None:
        all_of_it = Retention(kept_bytes=0, kept_s=0.0, limit_bytes=0)
        assert graph.feed.trim(all_of_it) == 0
        create(graph, "a")
        graph = self.reopened(graph)
        assert graph.feed.trim(all_of_it) == 1  # the schema's entry
        assert (graph.feed.trim(all_of_it), graph.feed.head()) == (0, 2)
        graph = self.reopened(graph)
        assert entries_behind(graph, Position(1)) == [2]
        update(graph, "a", n=1)
        assert graph.feed.head() == 4
        far = graph.advance(Position(1000))
        assert graph.feed.trim(all_of_it) == 3
        graph = self.reopened(graph)
        assert entries_behind(graph, Position(4)) == [far]
        create(graph, "b")
        assert graph.feed.head() == 1001


def entries_behind(graph: LoggedGraph, position: Position) -> list[int]:
    """Return the positions of the entries behind one."""
    return [position_of(entry) for entry in graph.feed.read(position, 10_000)]


def _fill(graph: LoggedGraph) -> None:
    """Commit many entries of about a kilobyte."""
    for first in range(0, _TEXTS, 500):
        with graph.transaction() as tx:
            for number in range(first, first + 500):
                tx.create_entity("Text", f"t{number}", {"text": _TEXT})
