"""What is measured: a PKG as a user has it, with probes at its ports; and the raw parts on their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from slipstream.adapters.clock import SystemClock
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.wrappers.faults import FaultyEmbedder, FaultyGraph, FaultyJournal
from slipstream.app.composition import Options, Wrapping, open_pkg
from slipstream.app.slipstream import Slipstream
from slipstream.bench.documents import Documents
from slipstream.domain.entities import Properties
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.requests import Target
from slipstream.domain.stamps import VectorRecord
from slipstream.ports.embedder import Embedder
from slipstream.ports.graph import GraphWriter

COMMIT_SIZE = 1_000
_PATIENCE_S = 3_600.0

T = TypeVar("T")


class BenchmarkError(SlipstreamError):
    """The engine did not do what was to be measured, so there is no figure."""


class Probe:
    """Notes when the engine passes the named points at its ports, and keeps the model below it."""

    def __init__(self) -> None:
        self.models: dict[str, Embedder] = {}
        self._passed: list[tuple[str, float]] = []

    def note(self, name: str) -> None:
        """Note that a point is passed now; called on the engine's threads."""
        self._passed.append((name, time.perf_counter()))

    def watch(self, embedder: Embedder) -> Embedder:
        """Return the model with probes around it."""
        self.models[embedder.spec.id] = embedder
        return FaultyEmbedder(embedder, self.note)

    def taken(self) -> Mapping[str, float]:
        """Return when each point was passed first since the last call."""
        passed, self._passed = self._passed, []
        return dict(reversed(passed))


@dataclass(frozen=True, slots=True)
class Subject:
    """An open PKG, and the model that it embeds with, bare."""

    pkg: Slipstream
    model: Embedder
    probe: Probe

    @property
    def computed(self) -> int:
        """How many texts the model has computed for the engine."""
        return self.pkg.embedding.stats.computed

    @property
    def events(self) -> int:
        """How many events the engine has taken in."""
        return self.pkg.sync.engine.stats.counters["events"]

    def commit(self, changes: Sequence[tuple[str, Properties]]) -> Position:
        """Commit updates, a thousand a transaction; return the position of the last."""
        commit_updates(self.pkg.pkg, changes)
        return self.pkg.pkg.feed.head()

    def drained_s(self, position: Position) -> float:
        """Start the engine, and return how long it took until everything up to the position was searchable."""
        started = time.perf_counter()
        self.pkg.sync.start()
        reached = self.pkg.sync.wait(position, timeout_s=_PATIENCE_S)
        elapsed_s = time.perf_counter() - started
        self.pkg.sync.stop()
        if not reached or self.pkg.status().dead_letters:
            raise BenchmarkError(f"position {position} was not reached cleanly: {self.pkg.status()}")
        return elapsed_s

    def targets(self, keys: Sequence[RecordKey]) -> list[Target]:
        """Return what the index should hold of these keys now, in their order."""
        recipe = self.pkg.sync.engine.recipe
        found: list[Target] = []
        for page in batches(keys, COMMIT_SIZE):
            states = self.pkg.pkg.read(page, recipe.hops()).states
            found.extend(target for key in page if (target := recipe.target(states[key])) is not None)
        return found

    def texts(self, keys: Sequence[RecordKey]) -> list[str]:
        """Return the texts that the engine would embed for these keys now."""
        return [target.request.content for target in self.targets(keys)]

    def records(self, keys: Sequence[RecordKey]) -> list[VectorRecord]:
        """Return complete records of these keys, as the index holds them."""
        index = self.pkg.store.index
        found: list[VectorRecord] = []
        for page in batches(keys, COMMIT_SIZE):
            stamps = [held.records[0] for held in index.stamps(page).values()]
            vectors = index.vectors(page, stamps[0].space)
            found.extend(VectorRecord(stamp, vectors[stamp.key]) for stamp in stamps)
        return found


@contextmanager
def opened(directory: Path, model_id: str) -> Iterator[Subject]:
    """Open a PKG, engine stopped, its model loaded and warm."""
    probe = Probe()
    wrapping = Wrapping(
        graph=lambda graph: FaultyGraph(graph, probe.note),
        journal=lambda journal: FaultyJournal(journal, probe.note),
        embedder=probe.watch,
    )
    with open_pkg(directory, run=False, options=Options(wrapping=wrapping)) as pkg:
        pkg.embedding.embed_query("warm", model_id)
        yield Subject(pkg, probe.models[model_id], probe)


@dataclass(frozen=True, slots=True)
class RawParts:
    """A graph and a store that hold as much as the PKG does, without an engine between them."""

    graph: SqliteGraph
    store: SqliteStore

    def upsert(self, records: Sequence[VectorRecord]) -> None:
        """Write records, a thousand a transaction, each of them durable."""
        for page in batches(records, COMMIT_SIZE):
            if self.store.index.upsert(page):
                raise BenchmarkError("the raw index refused records: their positions are older than what it holds")


@contextmanager
def raw_parts(directory: Path, documents: Documents) -> Iterator[RawParts]:
    """Open the raw parts in a directory of their own; the graph holds the documents."""
    directory.mkdir(parents=True)
    with ExitStack() as stack:
        graph = SqliteGraph(directory / "graph.db", clock=SystemClock())
        stack.callback(graph.close)
        store = SqliteStore(directory / "index.db")
        stack.callback(store.close)
        create_graph(graph, documents)
        yield RawParts(graph, store)


def create_graph(graph: GraphWriter, documents: Documents) -> None:
    """Create entities and relationships, a thousand a transaction."""
    for entities in batches(documents.entities, COMMIT_SIZE):
        with graph.transaction() as tx:
            for entity in entities:
                tx.create_entity(entity.type, entity.id, entity.properties)
    for relationships in batches(documents.relationships, COMMIT_SIZE):
        with graph.transaction() as tx:
            for each in relationships:
                tx.relate(each.ref.source_id, each.ref.type, each.ref.target_id)


def commit_updates(graph: GraphWriter, changes: Sequence[tuple[str, Properties]]) -> None:
    """Commit updates, a thousand a transaction."""
    for page in batches(changes, COMMIT_SIZE):
        with graph.transaction() as tx:
            for entity_id, properties in page:
                tx.update_entity(entity_id, properties)


def moved(records: Sequence[VectorRecord], position: int) -> list[VectorRecord]:
    """Return the records as they would be read at a position."""
    return [VectorRecord(record.stamp._replace(position=Position(position)), record.vector) for record in records]


def timed_s(work: Callable[[], object]) -> float:
    """Return how long the work took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page
