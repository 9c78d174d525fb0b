"""
Mutations, audits, repairs, crashes and tampering in any order, against a model that knows what is wrong.

The model is an oracle of its own: it renders every entity and looks at every stored record, without the audit's code.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from slipstream.adapters.indexes.memory import MemoryIndex
from slipstream.consistency.report import AuditReport
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.models import Space
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Stamp, VectorRecord, vector_checksum
from slipstream.testing.records import unit_vector
from slipstream.testing.simulator import VIEWS
from slipstream.testing.system import MemorySystem

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


class AuditMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.system = MemorySystem(VIEWS)
        self.report: AuditReport | None = None

    # ------------------------------------------------------------------ what users do

    @rule(name=names, text=texts)
    def write(self, name: str, text: str) -> None:
        with self.system.graph.transaction() as transaction:
            transaction.upsert_entity("Person", name, {"name": name, "bio": text})

    @rule(name=names)
    def remove(self, name: str) -> None:
        if self.exists(name):
            self.system.graph.delete_entity(name)

    @rule(one=names, other=names, text=texts)
    def relate(self, one: str, other: str, text: str) -> None:
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
    @precondition(lambda self: self.index._records)
    def tamper(self, data: st.DataObject) -> None:
        records = self.index._records
        key = data.draw(st.sampled_from(sorted(records)))
        space, record = data.draw(st.sampled_from(sorted(records[key].items(), key=lambda item: item[0])))
        how = data.draw(st.sampled_from(sorted(_WAYS)))
        _WAYS[how](self.index, key, space, record)

    @property
    def index(self) -> MemoryIndex:
        assert isinstance(self.system.index, MemoryIndex)
        return self.system.index

    # ------------------------------------------------------------------ audits

    @rule(incremental=st.booleans())
    def audit(self, incremental: bool) -> None:
        auditor = self.system.auditor
        self.report = auditor.audit_changes() if incremental else auditor.audit()
        found = {key: kind for kind, keys in self.report.divergences.items() for key in keys}
        assert found == self.verdict()
        assert self.report.unsettled == 0
        assert self.report.expected == len(self.wanted())
        is_same = self.report.graph_digest == self.report.index_digest
        assert is_same == (not found or set(found.values()) == {"outdated"})

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
        assert self.system.auditor.audit_changes().consistency == 1.0

    @invariant()
    def nothing_behind_the_index_can_hurt_the_graph(self) -> None:
        assert self.system.graph.log.head() >= self.system.engine.frontier

    def teardown(self) -> None:
        self.mend_everything()

    # ------------------------------------------------------------------ the oracle

    def wanted(self) -> dict[RecordKey, Any]:
        recipe, graph = self.system.engine.recipe, self.system.graph
        keys = [row.key for row in graph.scan(None, 10_000)]
        states = graph.read(keys, recipe.hops()).states
        targets = {key: recipe.target(state) for key, state in states.items()}
        return {key: target for key, target in targets.items() if target is not None}

    def verdict(self) -> dict[RecordKey, str]:
        wanted, found = self.wanted(), dict[RecordKey, str]()
        version, head = self.system.graph.schema().version, self.system.graph.log.head()
        for key in wanted.keys() | self.index._records.keys():
            target, held = wanted.get(key), list(self.index._records.get(key, {}).values())
            if target is None:
                found[key] = "orphaned"
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
        return found


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


def _put(index: MemoryIndex, key: RecordKey, stamp: Stamp, vector: Any) -> None:
    index._records.setdefault(key, {})[stamp.space] = VectorRecord(stamp, vector)


def _delete(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    del index._records[key]


def _orphan(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    ghost = entity_key(f"ghost-{key.id}")
    _put(index, ghost, replace(record.stamp, key=ghost), record.vector)


def _forge(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    _put(index, key, replace(record.stamp, fingerprint="forged"), record.vector)


def _relabel(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    _put(index, key, replace(record.stamp, metadata={"forged": True}), record.vector)


def _retype(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    _put(index, key, replace(record.stamp, entity_type="Robot"), record.vector)


def _zero(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    _put(index, key, record.stamp, np.zeros_like(record.vector))


def _flip(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    flipped = record.vector.copy()
    flipped[0] = np.nan if flipped[0] == 0 else -flipped[0]
    _put(index, key, record.stamp, flipped)


def _swap(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    _put(index, key, record.stamp, unit_vector("another", space.dimension))


def _future(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    _put(index, key, replace(record.stamp, position=Position(10**12)), record.vector)


def _double(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    _put(index, key, replace(record.stamp, space=Space("foreign", "1", space.dimension)), record.vector)


def _move(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    del index._records[key][space]
    _double(index, key, space, record)


def _age(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    _put(index, key, replace(record.stamp, schema_version=0), record.vector)


def _invent(index: MemoryIndex, key: RecordKey, space: Space, record: VectorRecord) -> None:
    _put(index, key, replace(record.stamp, schema_version=10_000), record.vector)


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

TestAudits = AuditMachine.TestCase
TestAudits.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
