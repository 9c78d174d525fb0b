"""
Mutations, audits, repairs, crashes and tampering in any order, against a model that knows what is wrong.

The model is an oracle of its own: it renders every entity and looks at every stored record, without the audit's code.
It runs over an index in memory, which makes no digests, and over SQLite, which keeps them and is written to past its
adapter.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.adapters.indexes.sqlite import SqliteStore
from slipstream.adapters.indexes.sqlite.codec import STAMP_COLUMNS, row_stamp, stamp_row
from slipstream.audit.auditor import Auditor
from slipstream.audit.findings import AuditReport
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Stamp, Vector, VectorRecord, vector_checksum
from slipstream.ports.index import VectorIndex
from slipstream.testkit.records import unit_vector
from slipstream.testkit.system import MemorySystem
from tests.depth import examples
from tests.simulation.simulator import VIEWS

NAMES = [f"p{number}" for number in range(5)]
FAILPOINTS = (
    "leaves.put.before",
    "index.upsert.before",
    "index.upsert.middle",
    "index.upsert.after",
    "index.scan.before",
    "index.stamps.before",
    "graph.read.after",
    "journal.commit.before",
    "journal.commit.after",
    "audit_ledger.before",
    "audit_ledger.after",
    "repair.before",
    "repair.after",
)
names = st.sampled_from(NAMES)
texts = st.sampled_from(["one", "two", "three"])


class Died(BaseException):
    """The process dies here: nothing may catch it."""


Records = dict[RecordKey, dict[Space, VectorRecord]]


class RawMemory:
    """The index in memory, past its adapter."""

    def __init__(self) -> None:
        self.index: VectorIndex = MemoryIndex()

    @property
    def _inner(self) -> MemoryIndex:
        assert isinstance(self.index, MemoryIndex)
        return self.index

    def records(self) -> Records:
        return {key: dict(held) for key, held in self._inner._records.items() if held}

    def tombstones(self) -> dict[RecordKey, Position]:
        return dict(self._inner._tombstones)

    def put(self, key: RecordKey, stamp: Stamp, vector: Vector) -> None:
        self._inner._records.setdefault(key, {})[stamp.space] = VectorRecord(stamp, vector)

    def drop(self, key: RecordKey, space: Space) -> None:
        del self._inner._records[key][space]
        if not self._inner._records[key]:
            del self._inner._records[key]

    def bury(self, key: RecordKey, position: Position) -> None:
        self._inner._tombstones[key] = position

    def close(self) -> None:
        self.index.close()


class RawSqlite:
    """The index in SQLite: read and written to by a client of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="slipstream-test-")
        path = Path(self._folder.name) / "index.db"
        self._store = SqliteStore(path)
        self.index: VectorIndex = self._store.index
        self._raw = sqlite3.connect(path, isolation_level=None)

    def _spaces(self) -> dict[int, Space]:
        rows = self._raw.execute("SELECT id, model_id, model_version, dimension, generation FROM spaces")
        return {number: Space(*identity) for number, *identity in rows}

    def records(self) -> Records:
        found: Records = {}
        spaces = self._spaces()
        names = ", ".join(f"r.{name}" for name in STAMP_COLUMNS)
        query = f"SELECT {names}, v.vector FROM records r JOIN vectors v ON v.record = r.id"  # noqa: S608
        for *row, blob in self._raw.execute(query):
            stamp = row_stamp(tuple(row), spaces)
            found.setdefault(stamp.key, {})[stamp.space] = VectorRecord(stamp, np.frombuffer(blob, np.float32))
        return found

    def tombstones(self) -> dict[RecordKey, Position]:
        rows = self._raw.execute("SELECT key, position FROM tombstones")
        return {RecordKey.decode(key): Position(position) for key, position in rows}

    def put(self, key: RecordKey, stamp: Stamp, vector: Vector) -> None:
        if stamp.space not in self._spaces().values():
            identity = (
                stamp.space.model_id,
                stamp.space.model_version,
                stamp.space.dimension,
                stamp.space.generation,
            )
            names = "model_id, model_version, dimension, generation"
            self._raw.execute(f"INSERT INTO spaces ({names}) VALUES (?, ?, ?, ?)", identity)  # noqa: S608
        self.drop(key, stamp.space)
        row = stamp_row(stamp, self._number(stamp.space))
        marks = ", ".join("?" * len(STAMP_COLUMNS))
        inserted = f"INSERT INTO records ({', '.join(STAMP_COLUMNS)}) VALUES ({marks})"  # noqa: S608
        record = self._raw.execute(inserted, row).lastrowid
        self._raw.execute("INSERT INTO vectors VALUES (?, ?)", (record, np.asarray(vector, np.float32).tobytes()))

    def _number(self, space: Space) -> int:
        return next(number for number, known in self._spaces().items() if known == space)

    def drop(self, key: RecordKey, space: Space) -> None:
        where = (key.encode(), self._number(space))
        rows = self._raw.execute("SELECT id FROM records WHERE key = ? AND space = ?", where).fetchall()
        self._raw.executemany("DELETE FROM vectors WHERE record = ?", rows)
        self._raw.executemany("DELETE FROM records WHERE id = ?", rows)

    def bury(self, key: RecordKey, position: Position) -> None:
        self._raw.execute("REPLACE INTO tombstones VALUES (?, ?)", (key.encode(), position))

    def close(self) -> None:
        self._raw.close()
        self._store.close()
        self._folder.cleanup()


Raw = RawMemory | RawSqlite


class AuditMachine(RuleBasedStateMachine):
    raw_of: type[Raw] = RawMemory

    def __init__(self) -> None:
        super().__init__()
        self.raw: Raw = self.raw_of()
        self.system = MemorySystem(VIEWS, index=self.raw.index)
        self.report: AuditReport | None = None

    # ------------------------------------------------------------------ what users do

    @rule(kind=st.sampled_from(["write", "write", "remove"]), name=names, text=texts)
    def change(self, kind: str, name: str, text: str) -> None:
        self.change_(kind, name, text)

    @rule(one=names, other=names, text=texts)
    def relate(self, one: str, other: str, text: str) -> None:
        self.relate_(one, other, text)

    def change_(self, kind: str, name: str, text: str) -> None:
        if kind == "write":
            with self.system.graph.transaction() as transaction:
                transaction.upsert_entity("Person", name, {"name": name, "bio": text})
        elif self.exists(name):
            self.system.graph.delete_entity(name)

    def relate_(self, one: str, other: str, text: str) -> None:
        if self.exists(one) and self.exists(other):
            with self.system.graph.transaction() as transaction:
                transaction.relate(one, "WORKS_AT", other, {"role": text}, replace=True)

    @rule(name=names, text=texts)
    def evolve(self, name: str, text: str) -> None:
        if self.exists(name):
            self.system.graph.update_entity(name, {f"extra_{text}": text})

    def exists(self, name: str) -> bool:
        return entity_key(name) in self.system.graph.read([entity_key(name)], {}).states

    # ------------------------------------------------------------------ what the engine does

    @rule(steps=st.integers(1, 4))
    def work(self, steps: int) -> None:
        for _ in range(steps):
            self.system.engine.step()

    @rule()
    def settle(self) -> None:
        self.system.settle()

    @rule()
    def restart(self) -> None:
        self.system.reopen()

    @rule(failpoint=st.sampled_from(FAILPOINTS), action=st.sampled_from(["work", "full", "incremental", "repair"]))
    def die(self, failpoint: str, action: str) -> None:
        def hook(name: str) -> None:
            if name == failpoint:
                raise Died(name)

        self.system.hook = hook
        try:
            if action == "work":
                self.system.settle()
            elif action == "repair" and self.report is not None and self.report.id is not None:
                self.system.repairer.repair(self.report.id)
            else:
                self.audit(incremental=action == "incremental")
        except Died:
            self.system.hook = lambda name: None
            self.system.reopen()
        finally:
            self.system.hook = lambda name: None

    # ------------------------------------------------------------------ what nobody should do

    @rule(data=st.data())
    @precondition(lambda self: self.raw.records())
    def tamper(self, data: st.DataObject) -> None:
        records = self.raw.records()
        key = data.draw(st.sampled_from(sorted(records)))
        space, record = data.draw(st.sampled_from(sorted(records[key].items(), key=lambda item: item[0])))
        how = data.draw(st.sampled_from(sorted(_WAYS)))
        _WAYS[how](self.raw, key, space, record)

    @rule(name=st.sampled_from([*NAMES, "nobody"]))
    def bury(self, name: str) -> None:
        self.raw.bury(entity_key(name), Position(10**12))

    # ------------------------------------------------------------------ audits

    @rule(incremental=st.booleans())
    def audit(self, incremental: bool) -> None:
        auditor = self.system.auditor
        self.report = auditor.audit_changes() if incremental else auditor.audit()
        found = {key: kind for kind, keys in self.report.divergences.items() for key in keys}
        assert found == self.verdict()
        assert self.report.unsettled == 0
        assert self.report.expected == len(self.wanted())
        fenced = {key for key, kind in found.items() if kind == "corrupt" and self.is_only_fenced(key)}
        differing = {kind for key, kind in found.items() if key not in fenced} - {"outdated"}
        assert (self.report.graph_digest == self.report.index_digest) == (not differing)

    @rule(
        incremental=st.booleans(),
        changes=st.lists(st.tuples(st.sampled_from(["write", "remove", "relate"]), names, names, texts), max_size=3),
        every=st.integers(1, 4),
    )
    def audit_beside_mutations(self, incremental: bool, changes: list[tuple[str, str, str, str]], every: int) -> None:
        """What was wrong before and still is must be found, and nothing that never was."""
        self.system.settle()
        before, reads = self.verdict(), 0

        def change(name: str) -> None:
            nonlocal reads
            if name in ("graph.read.after", "index.scan.before", "index.stamps.before"):
                reads += 1
                if changes and reads % every == 0:
                    kind, one, other, text = changes.pop()
                    if kind == "relate":
                        self.relate_(one, other, text)
                    else:
                        self.change_(kind, one, text)

        self.system.hook = change
        try:
            auditor = self.waiting_auditor()
            report = auditor.audit_changes() if incremental else auditor.audit()
        finally:
            self.system.hook = lambda name: None
        assert (report.unsettled, report.owed) == (0, [])
        self.system.settle()
        found = {key: kind for kind, keys in report.divergences.items() for key in keys}
        after = self.verdict()
        assert found.items() <= before.items() | after.items()
        assert before.items() & after.items() <= found.items()

    def waiting_auditor(self) -> Auditor:
        """Return the system's auditor, which lets the engine work whenever it waits."""

        def settle(position: Position, keys: Sequence[RecordKey], patience_s: float) -> Sequence[RecordKey]:
            del patience_s
            self.system.settle()
            return self.system.engine.state.lagging(position, keys)

        auditor = self.system.auditor
        return Auditor(
            auditor._graph,
            auditor._index,
            auditor._recipe,
            self.system.clock,
            memory=auditor._memory,
            settle=settle,
        )

    @rule()
    @precondition(lambda self: self.report is not None and self.report.id is not None)
    def repair(self) -> None:
        assert self.report is not None
        self.system.repairer.repair(self.report.kept_id)

    @rule()
    def mend_everything(self) -> None:
        self.system.settle()
        for _ in range(2):  # the second one has nothing to do
            report = self.system.auditor.audit()
            self.system.repairer.repair(report.kept_id)
            self.system.settle()
        assert report.is_consistent
        assert self.verdict() == {}
        assert self.system.auditor.audit_changes().consistency in (1.0, None)  # None of an empty graph
        self.equals_a_clean_rebuild()

    def equals_a_clean_rebuild(self) -> None:
        """What changes have led to, step by step, is what building everything anew gives."""
        clean = RawMemory()
        rebuilt = MemorySystem(VIEWS, index=clean.index)
        rebuilt.graph = self.system.graph
        rebuilt.reopen()
        rebuilt.engine.request_full_scan()
        rebuilt.settle()
        assert _content(self.raw.records()) == _content(clean.records())

    @invariant()
    def nothing_behind_the_index_can_hurt_the_graph(self) -> None:
        assert self.system.graph.feed.head() >= self.system.engine.frontier

    def teardown(self) -> None:
        try:
            self.mend_everything()
        finally:
            self.raw.close()

    # ------------------------------------------------------------------ the oracle

    def wanted(self) -> dict[RecordKey, Any]:
        recipe, graph = self.system.engine.recipe, self.system.graph
        keys = [row.key for row in graph.scan(None, 10_000)]
        states = graph.read(keys, recipe.hops()).states
        targets = {key: recipe.target(state) for key, state in states.items()}
        return {key: target for key, target in targets.items() if target is not None}

    def verdict(self) -> dict[RecordKey, str]:
        wanted, found = self.wanted(), dict[RecordKey, str]()
        version, head = self.system.graph.schema().version, self.system.graph.feed.head()
        records, fenced = self.raw.records(), {k for k, at in self.raw.tombstones().items() if at > head}
        for key in wanted.keys() | records.keys() | fenced:
            target, held = wanted.get(key), list(records.get(key, {}).values())
            if target is None:
                found[key] = "orphaned" if held else "corrupt"
            elif not held:
                found[key] = "missing"
            elif any(
                r.stamp.space == target.space and (not _is_sound(r) or _is_ahead(r.stamp, version, head))
                for r in held
            ):
                found[key] = "corrupt"
            elif len(held) > 1:
                found[key] = "duplicate"
            elif held[0].stamp.space != target.space:
                found[key] = "wrong_model"
            elif not _is_said(held[0].stamp, target):
                found[key] = "stale"
            elif held[0].stamp.schema_version < version:
                found[key] = "outdated"
            elif key in fenced:
                found[key] = "corrupt"
        return found

    def is_only_fenced(self, key: RecordKey) -> bool:
        """Whether nothing is wrong with a key but its tombstone."""
        held = list(self.raw.records().get(key, {}).values())
        version, head = self.system.graph.schema().version, self.system.graph.feed.head()
        return all(_is_sound(record) and not _is_ahead(record.stamp, version, head) for record in held)


def _is_ahead(stamp: Stamp, version: int, head: Position) -> bool:
    return stamp.position > head or stamp.schema_version > version


def _is_sound(record: VectorRecord) -> bool:
    vector = record.vector
    if vector.shape != (record.stamp.space.dimension,) or not np.all(np.isfinite(vector)):
        return False
    return abs(float(np.linalg.norm(vector)) - 1) < 1e-3 and vector_checksum(vector) == record.stamp.checksum


def _is_said(stamp: Stamp, target: Any) -> bool:
    return (stamp.fingerprint, stamp.entity_type, dict(stamp.metadata)) == (
        target.fingerprint,
        target.entity_type,
        dict(target.metadata),
    ) and not stamp.needs_reembedding


def _content(records: Records) -> dict[RecordKey, object]:
    """Return what a search and its reader get of the records: all but when and at which position they were made."""
    return {
        key: [
            (
                *(space, s.entity_type, s.fingerprint, s.checksum, s.schema_version, s.schema_hash, dict(s.metadata)),
                *(s.extraction_template_version, s.source_document_id, record.vector.tobytes()),
            )
            for space, record in held.items()
            for s in [record.stamp]
        ]
        for key, held in records.items()
    }


def _delete(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.drop(key, space)


def _orphan(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    ghost = entity_key(f"ghost-{key.id}")
    raw.put(ghost, record.stamp._replace(key=ghost), record.vector)


def _forge(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.put(key, record.stamp._replace(fingerprint="forged"), record.vector)


def _relabel(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.put(key, record.stamp._replace(metadata={"forged": True}), record.vector)


def _retype(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.put(key, record.stamp._replace(entity_type="Robot"), record.vector)


def _zero(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.put(key, record.stamp, np.zeros_like(record.vector))


def _flip(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    flipped = record.vector.copy()
    flipped[0] = np.nan if flipped[0] == 0 else -flipped[0]
    raw.put(key, record.stamp, flipped)


def _swap(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.put(key, record.stamp, unit_vector("another", space.dimension))


def _future(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.put(key, record.stamp._replace(position=Position(10**12)), record.vector)


def _double(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.put(key, record.stamp._replace(space=Space("foreign", "1", space.dimension)), record.vector)


def _move(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.drop(key, space)
    _double(raw, key, space, record)


def _age(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.put(key, record.stamp._replace(schema_version=0), record.vector)


def _invent(raw: Raw, key: RecordKey, space: Space, record: VectorRecord) -> None:
    raw.put(key, record.stamp._replace(schema_version=10_000), record.vector)


_WAYS = {
    "delete": _delete,
    "orphan": _orphan,
    "forge": _forge,
    "relabel": _relabel,
    "retype": _retype,
    "zero": _zero,
    "flip": _flip,
    "swap": _swap,
    "future": _future,
    "double": _double,
    "move": _move,
    "age": _age,
    "invent": _invent,
}


class SqliteAuditMachine(AuditMachine):
    raw_of = RawSqlite


TestAudits = AuditMachine.TestCase
TestAudits.settings = settings(max_examples=examples(50, 800), stateful_step_count=30)
TestSqliteAudits = SqliteAuditMachine.TestCase
TestSqliteAudits.settings = settings(max_examples=examples(12, 200), stateful_step_count=25)
