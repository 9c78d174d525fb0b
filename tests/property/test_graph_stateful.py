"""The graph file beside the in-memory graph: data, schema extension, rollback, trimming and reopening together."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.graphs.sqlite import SqliteGraph
from slipstream.domain.entities import Direction, Hop
from slipstream.domain.errors import PositionLostError, SlipstreamError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import RecordKey, RelationshipRef
from slipstream.domain.positions import ORIGIN, Position
from slipstream.ports.feed import Retention
from slipstream.testkit.clock import ManualClock
from tests.depth import examples

IDS = st.sampled_from(["a", "b", "c", "e:1", "é", "%"])
TYPE_NAMES = ("Person", "person", "Org", "Some Thing", "a.b")
TYPES = st.sampled_from(TYPE_NAMES)
RELATIONS = st.sampled_from(["KNOWS", "K", "k.:"])
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "x", "[]"]), st.floats(-1, 1),
    st.lists(st.sampled_from(["p", "q"]), max_size=2), st.dictionaries(st.just("k"), st.integers(0, 1), max_size=1),
)  # fmt: skip
PROPERTIES = st.dictionaries(st.sampled_from(["name", "tags", "p1", "p2", "p3"]), VALUES, max_size=3)
MUTATIONS = st.one_of(
    st.tuples(st.just("create_entity"), TYPES, IDS, PROPERTIES),
    st.tuples(st.just("upsert_entity"), TYPES, IDS, PROPERTIES),
    st.tuples(st.just("update_entity"), IDS, PROPERTIES),
    st.tuples(st.just("delete_entity"), IDS),
    st.tuples(st.just("relate"), IDS, RELATIONS, IDS, PROPERTIES),
    st.tuples(st.just("unrelate"), st.builds(lambda *ends: RelationshipRef(*ends).id, RELATIONS, IDS, IDS)),
    st.tuples(st.just("once"), IDS),
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOPS = [Hop(name, direction, 2) for name in ("KNOWS", "K", "k.:") for direction in Direction]


class Rollback(Exception):  # noqa: N818 - thrown to abandon a transaction
    """Abandons a transaction."""


def apply(graph: MemoryGraph | SqliteGraph, mutations: list[Any], *, fail: bool) -> list[str]:
    """Run the mutations in one transaction and return how each of them ended."""
    outcomes = []
    with suppress(Rollback), graph.transaction() as tx:
        for name, *arguments in mutations:
            try:
                outcomes.append(repr(getattr(tx, name)(*arguments)))
            except SlipstreamError as error:
                outcomes.append(type(error).__name__)
        if fail:
            raise Rollback
    return outcomes


def told(graph: MemoryGraph | SqliteGraph, after: Position) -> dict[tuple[str, bool], list[PKGEvent]]:
    """
    Return what the feed tells of each key, in order, and of the schema.

    Without what graphs may differ in: where a schema version stands inside of its transaction, in which order the
    relationships of a deleted entity go, the moment, and the ends' types, which are told as they are or as they were.
    An update that plain JSON can not show has no old data; a graph may leave it out for 1 and 1.0 as well.
    """
    found: dict[tuple[str, bool], list[PKGEvent]] = {}
    positions = []
    for entry in graph.feed.read(after, 10_000):
        assert isinstance(entry, PKGEvent)
        positions.append(entry.position)
        is_schema = entry.event_type is PKGEventType.SCHEMA_EVOLVED
        old = None if entry.old_data == entry.new_data else entry.old_data
        apart = {"event_id": "", "position": None, "timestamp": EPOCH, "source_type": None, "target_type": None}
        event = entry.model_copy(update={**apart, "old_data": old})
        if not is_schema:
            event = event.model_copy(update={"schema_version": 1})
        found.setdefault((entry.entity_id, is_schema), []).append(event)
    assert positions == list(range(after + 1, graph.feed.head() + 1))
    return found


class TwoGraphs(RuleBasedStateMachine):
    """Every rule runs on both; every observation must be the same."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._clock = ManualClock()
        self.model = MemoryGraph(self._clock)
        self.real = self._open()
        self._commits = [ORIGIN]
        """Positions between two transactions; what is before the first one has been trimmed."""

    def _open(self) -> SqliteGraph:
        return SqliteGraph(Path(self._directory.name) / "graph.db", clock=self._clock)

    @rule(mutations=st.lists(MUTATIONS, min_size=1, max_size=6), fail=st.sampled_from([False, False, True]))
    def mutate(self, mutations: list[Any], fail: bool) -> None:
        assert apply(self.real, mutations, fail=fail) == apply(self.model, mutations, fail=fail)
        self._commits.append(self.model.feed.head())

    @rule()
    def reopen(self) -> None:
        self.real.close()
        self.real = self._open()

    @precondition(lambda self: self._commits[-1] > self._commits[0] + 3)
    @rule(back=st.integers(1, 5))
    def trim(self, back: int) -> None:
        through = next((at for at in self._commits[-back - 1 :: -1] if at < self._commits[-1]), self._commits[0])
        for graph in (self.real, self.model):
            graph.feed.acknowledge("reader", through)
        self._trim(Retention(kept_bytes=0))
        self._commits = [at for at in self._commits if at >= through]

    @precondition(lambda self: self._commits[-1] > self._commits[0] + 3)
    @rule()
    def trim_past_the_reader(self) -> None:
        self._trim(Retention(kept_bytes=0, limit_bytes=0))
        for graph in (self.real, self.model):
            with pytest.raises(PositionLostError):
                graph.feed.read(Position(self._commits[-1] - 2), 1)
        self._commits = self._commits[-1:]

    def _trim(self, retention: Retention) -> None:
        assert self.real.feed.trim(retention) == self.model.feed.trim(retention)

    @invariant()
    def same_state(self) -> None:
        keys: list[RecordKey] = [item.key for item in self.model.scan(None, 100)]
        assert self.real.scan(None, 100) == self.model.scan(None, 100)
        hops = dict.fromkeys(TYPE_NAMES, HOPS)
        assert self.real.read(keys, hops) == self.model.read(keys, hops)
        ids = [key.id for key in keys]
        assert self.real.adjacent(ids, None, None, 100) == self.model.adjacent(ids, None, None, 100)
        assert self.real.counts() == self.model.counts()

    @invariant()
    def same_log_and_schema(self) -> None:
        assert told(self.real, self._commits[0]) == told(self.model, self._commits[0])
        assert self.real.schema() == self.model.schema()

    def teardown(self) -> None:
        self.real.close()
        self._directory.cleanup()


TestTwoGraphs = TwoGraphs.TestCase
TestTwoGraphs.settings = settings(
    max_examples=examples(30, 400), stateful_step_count=15, suppress_health_check=list(HealthCheck)
)
