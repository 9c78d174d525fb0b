"""What every part of the graph suite uses: the hooks of an adapter, and short helpers."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest

from slipstream.domain.entities import Entity, EntityState, Hop
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.log import LogEntry
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.feed import ChangeFeed, Retention
from slipstream.ports.graph import GraphReader, GraphTransaction, RestoreMarks
from slipstream.ports.pkg import Mutations

Kind = PKGEventType


class LoggedGraph(Mutations, GraphReader, RestoreMarks, Protocol):
    """A graph with every port that a graph adapter may have."""

    @property
    def feed(self) -> ChangeFeed:
        """The change feed."""
        ...


class Refusal(Exception):  # noqa: N818 - not an error of the house: what a test throws to abandon a transaction
    """Thrown by a test to abandon a transaction."""


def raises(kind: type[Exception], action: Callable[..., object], *args: Any, **kwargs: Any) -> Exception:
    """Return the error that the action raises; fails when it raises none of this kind."""
    with pytest.raises(kind) as caught:
        action(*args, **kwargs)
    return caught.value


def entries(graph: LoggedGraph) -> list[LogEntry]:
    """Return the whole log."""
    return list(graph.feed.read(ORIGIN, 10_000))


def events(graph: LoggedGraph, after: Position = ORIGIN) -> list[PKGEvent]:
    """Return the data events behind a position, without schema evolutions."""
    found = graph.feed.read(after, 10_000)
    return [entry for entry in found if isinstance(entry, PKGEvent) and entry.event_type is not Kind.SCHEMA_EVOLVED]


def kinds(graph: LoggedGraph, after: Position = ORIGIN) -> list[tuple[PKGEventType, str]]:
    """Return type and id of the data events behind a position."""
    return [(event.event_type, event.entity_id) for event in events(graph, after)]


def state(graph: LoggedGraph, entity_id: str, *hops: Hop, of: str = "Person") -> EntityState:
    """Return the state of an entity that must exist."""
    found = graph.read([entity_key(entity_id)], {of: hops}).states[entity_key(entity_id)]
    assert isinstance(found, EntityState)
    return found


def properties(graph: LoggedGraph, entity_id: str) -> Mapping[str, Any]:
    """Return the properties of an entity that must exist."""
    return state(graph, entity_id).entity.properties


def create(graph: LoggedGraph, *ids: str, entity_type: str = "Person", **given: Any) -> None:
    """Create entities in one transaction."""
    with graph.transaction() as tx:
        for entity_id in ids:
            tx.create_entity(entity_type, entity_id, given)


def trimmed(graph: LoggedGraph, through: Position) -> int:
    """Acknowledge the log up to a position for its only consumer, trim the rest, and return how many entries went."""
    graph.feed.acknowledge("index", through)
    return graph.feed.trim(Retention(kept_bytes=0, kept_s=0.0))


def within(graph: LoggedGraph, mutation: Callable[[GraphTransaction], object]) -> None:
    """Run one mutation in a transaction of its own."""
    with graph.transaction() as tx:
        mutation(tx)


def update(graph: LoggedGraph, entity_id: str, **given: Any) -> None:
    """Merge properties into an entity, in a transaction of its own."""
    with graph.transaction() as tx:
        tx.update_entity(entity_id, given)


def relate(graph: LoggedGraph, source_id: str, relationship_type: str, target_id: str, **given: Any) -> str:
    """Create a relationship in a transaction of its own, and return its id."""
    with graph.transaction() as tx:
        return tx.relate(source_id, relationship_type, target_id, given)


def scanned(graph: LoggedGraph, limit: int, types: Collection[str] | None = None) -> list[RecordKey]:
    """Return every key, read in pages; given types, only relationships of these."""
    found: list[RecordKey] = []
    while page := graph.scan(found[-1] if found else None, limit, types):
        assert len(page) <= limit
        found += [item.key for item in page]
    return found


class Aside(threading.Thread):
    """Runs an action in a thread of its own; what it raises is raised where its end is waited for."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._action = action
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Run the action."""
        try:
            self._action()
        except BaseException as error:  # noqa: BLE001 - raised by `finish`
            self._error = error

    def finish(self, patience_s: float) -> None:
        """Wait for its end; fails when that does not come."""
        self.join(patience_s)
        assert not self.is_alive()
        if self._error is not None:
            raise self._error


def at_once(actions: Sequence[Callable[[], object]], patience_s: float) -> None:
    """Run each in a thread of its own, and wait for all."""
    for each in [Aside(action) for action in actions]:
        each.finish(patience_s)


class Graphs(ABC):
    """What an adapter's test file gives: how to open a graph, and raw hooks past the adapter."""

    concurrent: ClassVar[bool] = True
    """False for a fixture that can not be used by two threads."""
    logs_foreign_writes: ClassVar[bool] = False
    """Whether the feed contains what is written past the adapter."""
    patience_s: float = 60.0
    """How long a test waits for what must come; nothing is asserted about the time it takes."""
    reads_snapshots: ClassVar[bool] = True
    """Whether a read sees exactly what its position says; else it may see newer states, never older ones."""

    @abstractmethod
    def open_graph(self, directory: Path) -> LoggedGraph:
        """Open the graph that lives in a directory; a fresh directory gives an empty one."""

    @abstractmethod
    def read_raw(self, graph: LoggedGraph, entity_type: str, entity_id: str) -> dict[str, Any] | None:
        """Return the stored scalar properties of an entity, past the adapter; None when it is not stored."""

    @abstractmethod
    def write_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        """Store an entity past the adapter, as a foreign program would, and return the graph to go on with."""

    @abstractmethod
    def remove_raw(self, graph: LoggedGraph, entity: Entity) -> LoggedGraph:
        """Remove an entity without relationships past the adapter, and return the graph to go on with."""

    @abstractmethod
    def age_log(self, graph: LoggedGraph, seconds: float) -> None:
        """Make everything in the log older by `seconds`: by moving a clock, or past the adapter."""

    def second_handle(self, graph: LoggedGraph) -> LoggedGraph | None:  # noqa: ARG002 - for those that have one
        """Open the same store once more, as another program would; None where a store has one handle only."""
        return None

    @contextmanager
    def beside(self, graph: LoggedGraph) -> Iterator[LoggedGraph]:
        """Yield a second handle of the store, or the graph itself where there is none."""
        other = self.second_handle(graph)
        try:
            yield other or graph
        finally:
            if other is not None:
                other.close()

    def reopened(self, graph: LoggedGraph) -> LoggedGraph:
        """Return the graph closed and opened again, itself where nothing outlives a process."""
        return graph

    @pytest.fixture
    def graph(self, tmp_path: Path) -> Iterator[LoggedGraph]:
        """Give an empty graph."""
        graph = self.open_graph(tmp_path)
        yield graph
        graph.close()
