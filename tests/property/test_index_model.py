"""The SQLite store against the in-memory reference: random writes of two stores on one file, reopens, rollbacks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.adapters.indexes.sqlite import SqliteIndex, SqliteStore
from slipstream.domain.keys import RecordKey, entity_key, relationship_key
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion, SearchFilter, Stamp, VectorRecord
from slipstream.ports.index import VectorIndex
from slipstream.testkit.records import make_record, unit_vector
from tests.depth import examples

_KEYS = [*(entity_key(f"n{i}") for i in range(9)), entity_key("ü 🦊"), relationship_key("KNOWS:n1:n2")]
_SPACES = [Space("m", "1", 4), Space("m", "1", 4, generation=2), Space("a", "1", 6)]

keys = st.sampled_from(_KEYS)
spaces = st.sampled_from(_SPACES)
positions = st.integers(0, 12).map(Position)
metadata = st.dictionaries(st.sampled_from(["city", "n"]), st.sampled_from(["Bern", 1, 1.0, True, False, 0.5]))
records = st.builds(
    lambda key, position, space, seed, **fields: make_record(
        key, position, space, unit_vector(seed, space.dimension), **fields
    ),
    keys,
    positions,
    spaces,
    st.integers(0, 5),  # few vectors: ties are common
    entity_type=st.sampled_from(["Person", "Place"]),
    schema_version=st.integers(1, 3),
    metadata=metadata,
)
batches = st.lists(records, max_size=12, unique_by=lambda record: (record.stamp.key, record.stamp.space))
deletions = st.lists(st.builds(Deletion, keys, positions, st.none() | spaces), max_size=5)
filters = st.builds(
    SearchFilter,
    entity_types=st.none() | st.frozensets(st.sampled_from(["Person", "Place", "Nothing"])),
    schema_version_min=st.none() | st.integers(1, 4),
    metadata=metadata,
)


class _RolledBackError(Exception):
    """What a failing transaction fails with."""


class StoreMachine(RuleBasedStateMachine):
    """Two stores on one file, as two processes would have them, and one model of both."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "index.db"
        self.model = MemoryIndex()
        self.stores: list[SqliteStore] = []

    @initialize()
    def open(self) -> None:
        self.stores = [SqliteStore(self.path), SqliteStore(self.path)]

    def both(self, which: bool, call: Callable[[VectorIndex], object]) -> None:
        assert call(self.stores[which].index) == call(self.model)

    @rule(batch=batches, which=st.booleans())
    def upsert(self, batch: list[VectorRecord], which: bool) -> None:
        self.both(which, lambda index: list(index.upsert(batch)))

    @rule(batch=deletions, which=st.booleans())
    def delete(self, batch: list[Deletion], which: bool) -> None:
        self.both(which, lambda index: list(index.delete(batch)))

    @rule(position=positions, which=st.booleans(), spoil=st.booleans(), data=st.data())
    def restamp(self, position: Position, which: bool, spoil: bool, data: st.DataObject) -> None:
        held = self.model.scan(None, 1000)
        if not held:
            return
        stamps = data.draw(st.lists(st.sampled_from(held), max_size=4))
        changed: list[Stamp] = [
            stamp._replace(position=position, entity_type="Place", schema_version=3, metadata={"n": 1})
            for stamp in stamps
        ]
        if spoil:
            changed = [stamp._replace(fingerprint="other") for stamp in changed]
        self.both(which, lambda index: index.restamp(changed))

    @rule(position=positions, which=st.booleans())
    def vacuum(self, position: Position, which: bool) -> None:
        self.both(which, lambda index: index.vacuum(position))

    @rule(batch=batches, removed=deletions, which=st.booleans(), commits=st.booleans())
    def transaction(self, batch: list[VectorRecord], removed: list[Deletion], which: bool, commits: bool) -> None:
        store = self.stores[which]

        def write(index: VectorIndex) -> None:
            index.upsert(batch)
            index.delete(removed)

        with suppress(_RolledBackError), store.journal.transaction():
            write(store.index)
            for space in _SPACES:
                store.index.search(space, unit_vector("q", space.dimension), 3, SearchFilter())
            if not commits:
                raise _RolledBackError
        if commits:
            write(self.model)

    @rule(which=st.booleans())
    def reopen(self, which: bool) -> None:
        self.stores[which].close()
        self.stores[which] = SqliteStore(self.path)

    @rule(which=st.booleans(), space=spaces, seed=st.integers(0, 7), k=st.integers(0, 40), where=filters)
    def search(self, which: bool, space: Space, seed: int, k: int, where: SearchFilter) -> None:
        query = unit_vector(seed, space.dimension)
        self.both(which, lambda index: list(index.search(space, query, k, where)))

    @rule(which=st.booleans(), after=st.none() | keys, limit=st.integers(1, 8))
    def scan(self, which: bool, after: RecordKey | None, limit: int) -> None:
        found = list(self.stores[which].index.scan(after, limit))
        rest = list(self.model.scan(after, 1000))
        assert found == rest[: len(found)]
        assert len(found) >= min(limit, len(rest))
        assert len(found) == len(rest) or found[-1].key != rest[len(found)].key

    @invariant()
    def holds_the_same(self) -> None:
        for store in self.stores:
            index: SqliteIndex = store.index
            assert index.stamps(_KEYS) == self.model.stamps(_KEYS)
            for space in _SPACES:
                mine, theirs = index.vectors(_KEYS, space), self.model.vectors(_KEYS, space)
                assert mine.keys() == theirs.keys()
                assert all(np.array_equal(mine[key], theirs[key]) for key in mine)

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=examples(25, 400),
    stateful_step_count=25,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),  # explaining a failure takes minutes here
)
