"""Several handles of one store, in several threads: who waits, who follows, who writes; and the end of a handle."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from slipstream.domain.entities import EntityState, Hop
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import entity_key
from slipstream.domain.log import LogEntry, position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.feed import DEFAULT_RETENTION, ChangeFeed
from slipstream.testkit.suites.graph.base import (
    Aside,
    Graphs,
    LoggedGraph,
    at_once,
    create,
    entries,
    properties,
    raises,
    update,
)


class HandleTests(Graphs):
    """Handles beside each other."""

    def test_every_method_of_a_closed_graph_says_so(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        with self.beside(graph) as other:
            feed = graph.feed
            graph.close()
            graph.close()
            calls: list[Callable[[], object]] = [
                lambda: graph.read([entity_key("a")], {}), lambda: graph.scan(None, 10), graph.counts, graph.schema,
                lambda: graph.schema_at(1), lambda: graph.adjacent(["a"], None, None, 1), lambda: create(graph, "b"),
                lambda: graph.timeline, lambda: graph.mark_timeline("mark"), lambda: graph.advance(Position(99)),
                feed.head, lambda: feed.read(ORIGIN, 10), lambda: feed.wait(ORIGIN, 0.0),
                lambda: feed.wait(Position(99), 0.0), lambda: feed.trim(DEFAULT_RETENTION),
                lambda: feed.acknowledge("index", Position(1)), lambda: feed.acknowledge("index", None),
            ]  # fmt: skip
            for call in calls:
                raises(UnavailableError, call)
            if other is not graph:  # the store goes on
                create(other, "b")
                assert other.counts() == {"Person": 2}

    def test_who_waits_is_told_when_the_graph_closes(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        if not self.concurrent:
            return
        feed, head, ends = graph.feed, graph.feed.head(), list[object]()

        def wait() -> None:
            try:
                ends.append(feed.wait(head, self.patience_s))
            except UnavailableError as error:
                ends.append(error)

        waiter = Aside(wait)
        graph.close()
        waiter.finish(2 * self.patience_s)
        assert [type(end) for end in ends] == [UnavailableError]

    def test_waiting_ends_at_the_commit_of_another_handle(self, graph: LoggedGraph) -> None:
        create(graph, "a")
        if not self.concurrent:
            return
        with self.beside(graph) as other:
            for waiting, writing in ((graph, other), (other, graph)):
                head, begins, woken = waiting.feed.head(), threading.Event(), list[bool]()

                def wait(feed: ChangeFeed, head: Position, begins: threading.Event, woken: list[bool]) -> None:
                    begins.set()
                    woken.append(feed.wait(head, self.patience_s))

                waiter = Aside(partial(wait, waiting.feed, head, begins, woken))
                assert begins.wait(self.patience_s)
                assert not waiting.feed.wait(head, 0.01)  # so that it does wait by now
                update(writing, "a", n=int(head))
                waiter.finish(2 * self.patience_s)
                assert woken == [True]
                assert position_of(waiting.feed.read(head, 10)[-1]) == writing.feed.head()

    def test_who_follows_the_log_of_several_writers_misses_nothing(self, graph: LoggedGraph) -> None:
        """Each page behind the last one: no entry turns up behind a position that was read already."""
        create(graph, *"abc")
        if not self.concurrent:
            return
        followed, done = list[LogEntry](), threading.Event()

        def follow(feed_of: LoggedGraph) -> None:
            while True:
                was_done = done.is_set()
                page = feed_of.feed.read(position_of(followed[-1]) if followed else ORIGIN, 50)
                followed.extend(page)
                if was_done and not page:
                    return

        def write(writer: LoggedGraph, name: str) -> None:
            for number in range(12):
                with writer.transaction() as tx:
                    for other in "abc":
                        tx.update_entity(other, {name: number})
                    tx.relate(name, "K", "a", discriminator=str(number))

        with self.beside(graph) as second, self.beside(graph) as third:
            writers = [(graph, "a"), (second, "b"), (third, "c")]
            follower = Aside(partial(follow, second))
            try:
                at_once([partial(write, *each) for each in writers], self.patience_s)
            finally:
                done.set()
                follower.finish(self.patience_s)
        assert followed == entries(graph)
        assert followed
        assert position_of(followed[-1]) == graph.feed.head()
        assert (graph.counts()["K"], properties(graph, "a")) == (36, {"a": 11, "b": 11, "c": 11})

    def test_no_state_is_older_than_its_position(self, graph: LoggedGraph) -> None:
        """A reader beside a writer: whatever is stamped with a position holds every commit up to it."""
        with graph.transaction() as tx:
            tx.create_entity("Person", "a", {"n": 0})
            tx.create_entity("Person", "b", {"n": 0})
            tx.relate("a", "K", "b", {"n": 0})
        if not self.concurrent:
            return
        base, looks, problems, done = graph.feed.head(), 0, list[str](), threading.Event()

        def look(reader: LoggedGraph) -> None:
            nonlocal looks
            while not done.is_set():
                looks += 1
                seen = reader.read([entity_key("a")], {"Person": [Hop("K")]})
                found = seen.states[entity_key("a")]
                assert isinstance(found, EntityState)
                ((neighbour,),) = found.neighbours.values()
                for each in (found.entity, neighbour.entity, neighbour.relationship):
                    if each.properties["n"] * 3 < seen.position - base:  # type: ignore[operator]
                        problems.append(f"saw {each} at {seen.position - base}")

        with self.beside(graph) as second:
            reader = Aside(partial(look, second))
            try:
                for number in range(1, 3000):
                    with graph.transaction() as tx:
                        tx.update_entity("a", {"n": number})
                        tx.update_entity("b", {"n": number})
                        tx.update_relationship("K:a:b", {"n": number})
                    if number >= 60 and looks >= 30:  # both had their turns
                        break
            finally:
                done.set()
                reader.finish(self.patience_s)
        assert looks > 1
        assert problems == []

    def test_writers_of_several_handles_take_turns(self, graph: LoggedGraph) -> None:
        create(graph, "counter", n=0)
        if not self.concurrent:
            return

        def count(writer: LoggedGraph) -> None:
            for _ in range(20):
                with writer.transaction() as tx:
                    tx.update_entity("counter", {"n": properties(writer, "counter")["n"] + 1})

        with self.beside(graph) as second, self.beside(graph) as third:
            at_once([partial(count, each) for each in (graph, second, third)], self.patience_s)
        assert properties(graph, "counter")["n"] == 60
