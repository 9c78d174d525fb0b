"""
The ladybug graph beside the in-memory one: data, schema extension, rollback, trimming and reopening together.

This mixture is what damages an open database when a schema statement is ever rolled back.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slipstream.adapters.graphs.ladybug import LadybugGraph
from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.domain.entities import Direction, Hop
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.log import LogEntry, Rescan
from slipstream.domain.positions import Position
from slipstream.testing.clock import ManualClock

IDS = st.sampled_from(["a", "b", "c", "e:1", "é"])
TYPES = st.sampled_from(["Person", "Org", "Some Thing"])
RELATIONS = st.sampled_from(["KNOWS", "K"])
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
    st.tuples(st.just("unrelate"), st.builds("{}:{}:{}".format, RELATIONS, IDS, IDS)),
    st.tuples(st.just("once"), IDS),
)
HOPS = [Hop(name, direction, 2) for name in ("KNOWS", "K") for direction in Direction]


class Rollback(Exception):  # noqa: N818 - thrown to abandon a transaction
    """Abandons a transaction."""


def apply(graph: MemoryGraph | LadybugGraph, mutations: list[Any], *, fail: bool) -> list[str]:
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


def comparable(entry: LogEntry) -> Any:
    """Return an entry without what only one graph can have: its id and the schema's growth in another order."""
    return entry if isinstance(entry, Rescan) else entry.model_copy(update={"event_id": ""})


class TwoGraphs(RuleBasedStateMachine):
    """Every rule runs on both; every observation must be the same."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._clock = ManualClock()
        self.model = MemoryGraph(self._clock)
        self.real = self._open()

    def _open(self) -> LadybugGraph:
        path = Path(self._directory.name) / "graph"
        return LadybugGraph(path, clock=self._clock, buffer_pool_size_bytes=64 << 20)

    @rule(mutations=st.lists(MUTATIONS, min_size=1, max_size=6), fail=st.sampled_from([False, False, True]))
    def mutate(self, mutations: list[Any], fail: bool) -> None:
        assert apply(self.real, mutations, fail=fail) == apply(self.model, mutations, fail=fail)

    @rule()
    def reopen(self) -> None:
        self.real.close()
        self.real = self._open()
        assert not self.real.changed_while_closed

    @precondition(lambda self: self.model.last_commit > 3)
    @rule(keep=st.integers(0, 5))
    def trim(self, keep: int) -> None:
        through = Position(max(self.model.last_commit - keep, 0))
        assert self.real.log.trim(through) == self.model.log.trim(through)

    @invariant()
    def same_state(self) -> None:
        keys: list[RecordKey] = [item.key for item in self.model.scan(None, 100)]
        assert self.real.scan(None, 100) == self.model.scan(None, 100)
        hops = dict.fromkeys(("Person", "Org", "Some Thing"), HOPS)
        assert self.real.read(keys, hops) == self.model.read(keys, hops)
        ids = [key.id for key in keys]
        assert self.real.adjacent(ids, None, None, 100) == self.model.adjacent(ids, None, None, 100)
        assert self.real.counts() == self.model.counts()

    @invariant()
    def same_log_and_schema(self) -> None:
        oldest = Position(self.model.log._trimmed)
        expected = [comparable(entry) for entry in self.model.log.read(oldest, 1000)]
        found = [comparable(entry) for entry in self.real.log.read(oldest, 1000)]
        assert found == expected
        assert all(isinstance(entry, PKGEvent) for entry in found)
        assert self.real.schema() == self.model.schema()

    def teardown(self) -> None:
        self.real.close()
        self._directory.cleanup()


TestTwoGraphs = TwoGraphs.TestCase
TestTwoGraphs.settings = settings(
    max_examples=60, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
