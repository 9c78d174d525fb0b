"""
The simulator: the real engine on a virtual clock, with seeded faults, crashes and interleavings.

Everything random comes from one seed, so a failure is replayed by its seed. Mutations fall between any two stages
of the pipeline; any port call may fail before, in the middle or after its effect (lost acknowledgement); the
process may die at any failpoint, keeping only what the journal, the index and the graph hold.

Checked at every step: the frontier never goes back and never lies (what it covers is in the index as the graph
has it), nor does that of the word rows, which the follower keeps at a pace of its own. Checked at the end, once
faults have stopped: everything converges, and an audit finds nothing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.apply.reconciler import Prepared
from slipstream.audit.findings import AuditReport
from slipstream.domain.entities import Direction, Entity
from slipstream.domain.errors import IncidentError, SlipstreamError, UnavailableError
from slipstream.domain.journal_names import FRONTIER
from slipstream.domain.keys import KeyKind, RecordKey, entity_key
from slipstream.domain.log import Rescan
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.requests import EmbeddingResult
from slipstream.domain.stamps import Stamp
from slipstream.domain.work import Claim
from slipstream.engine.loop import SyncEngine
from slipstream.engine.settings import SyncSettings
from slipstream.ports.sync_view import EntitySync
from slipstream.testkit.clock import ManualClock
from slipstream.testkit.system import MemorySystem
from slipstream.views.declaration import Chain, Via, View
from tests.simulation.word_rows import SimulationError, WordRowsTruth

_IN_FLIGHT_MAX = 3
_STEPS_TO_SETTLE_MAX = 5_000

VIEWS = (
    View(
        type="Person",
        template="{{ name }} {{ bio }} at {% for o in employer %}{{ o.name }} {% endfor %}",
        via={"employer": Via("WORKS_AT", Direction.OUT, ("name",), limit=3)},
        # Whoever worked at the same place, and at the places that those worked at.
        causes=Chain("WORKS_AT", Direction.BOTH, depth=4, properties=("name",), limit=5),
    ),
    View(
        type="WORKS_AT", template="{{ source.name }} works at {{ target.name }} as {{ role }}", is_relationship=True
    ),
)


class SimulatedCrash(BaseException):
    """The process dies here. Not an `Exception`: nothing may catch it."""


@dataclass(slots=True)
class _Flight:
    """A batch somewhere in the pipeline."""

    claims: Sequence[Claim]
    prepared: Prepared | None = None
    results: Sequence[EmbeddingResult] | None = None


@dataclass(slots=True)
class Simulation:
    """One seeded run. Call `run`; `actions` tells what happened."""

    seed: int
    steps: int = 300
    fault_rate: float = 0.02
    crash_rate: float = 0.004
    restore_rate: float = 0.3
    """How often a copy of the graph is brought back, once there is one."""
    pending_max: int = 30
    actions: list[str] = field(default_factory=list)
    crashes: int = 0
    faults: int = 0
    restores: int = 0
    rng: random.Random = field(init=False)
    clock: ManualClock = field(default_factory=ManualClock)
    system: MemorySystem = field(init=False)
    _faulty: bool = True
    _backup: MemoryGraph | None = None
    _is_restored: bool = False
    _frontier: Position = ORIGIN
    _flights: list[_Flight] = field(default_factory=list)
    _wanted: dict[RecordKey, str] = field(default_factory=dict)
    """What each record should be now: its fingerprint, rendered from the graph."""
    _changed_at: dict[RecordKey, Position] = field(default_factory=dict)
    words: WordRowsTruth = field(default_factory=WordRowsTruth)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self._faulty = False
        self.system = self._make_system()
        self._faulty = True

    def _settings(self) -> SyncSettings:
        return SyncSettings(
            pending_max=self.pending_max, log_page=7, batch_min=1, batch_max=4, attempts_max=4, fanout_live_max=2
        )

    def _make_system(self) -> MemorySystem:
        return MemorySystem(VIEWS, self._settings(), hook=self._failpoint, clock=self.clock)

    def _more_actions(self) -> list[str]:
        """Return the names of actions that a kind of simulation adds."""
        return []

    def _live_records(self, stamps: tuple[Stamp, ...]) -> list[Stamp]:
        """Return those of a key's records that the frontier speaks of."""
        return list(stamps)

    # ------------------------------------------------------------------ the system

    @property
    def graph(self) -> MemoryGraph:
        """The graph, which survives every crash."""
        return self.system.graph

    @property
    def engine(self) -> SyncEngine:
        """The engine of the present process."""
        return self.system.engine

    def _open(self) -> None:
        self.system.reopen(adopt=self._is_restored)
        self._is_restored = False
        self._flights = []
        self._frontier = ORIGIN  # a new process learns it anew; it may have been further before the crash
        self.words.reopened()

    def _failpoint(self, name: str) -> None:
        if not self._faulty:
            return
        roll = self.rng.random()
        if roll < self.crash_rate:
            self.actions.append(f"crash at {name}")
            raise SimulatedCrash(name)
        if roll < self.crash_rate + self.fault_rate:
            self.faults += 1
            self.actions.append(f"fault at {name}")
            # A lookup that fails for good poisons its event, and with it keys that no letter names: outages only.
            if name.startswith("graph.adjacent") or self.rng.random() < 0.7:
                raise UnavailableError(f"simulated at {name}")
            raise ValueError(name)

    # ------------------------------------------------------------------ running

    def run(self) -> AuditReport:
        """Run to the end and return the final audit; raises `SimulationError` with the seed."""
        try:
            for _ in range(self.steps):
                self._step()
                self._check_safety()
            self._faulty = False
            self._settle()
            return self._check_convergence()
        except SimulationError as error:
            raise SimulationError(f"seed {self.seed}: {error}; last actions: {self.actions[-40:]}") from error

    def _step(self) -> None:
        actions = [self._mutate, self._take, self._advance, self._advance, self._advance, self._tick, self._chores]
        actions += [self._follow, self._follow]
        actions += [self._restore] if self._backup is not None else []
        actions += [getattr(self, name) for name in self._more_actions()]
        action = self.rng.choice(actions)
        self.actions.append(action.__name__)
        try:
            action()
        except SimulatedCrash:
            self.crashes += 1
            self._reopen()
        except (UnavailableError, ValueError):
            self.actions.append("chore failed")

    def _reopen(self) -> None:
        while True:
            try:
                self._open()
                return
            except IncidentError as error:
                raise SimulationError(f"nothing was restored, but: {error}") from error
            except (SimulatedCrash, SlipstreamError, ValueError):
                continue  # dying while opening is a crash like any other

    def _take(self) -> None:
        self.engine.guarded_intake()
        if len(self._flights) < _IN_FLIGHT_MAX and (claims := self.engine.take()):
            self._flights.append(_Flight(claims))

    def _follow(self) -> None:
        self.system.follower.guarded_step(partial(self.engine.recover, []))

    def _advance(self) -> None:
        """Move one batch one stage on; writes stay in the order in which the batches were taken."""
        if not self._flights:
            return
        flight = self.rng.choice(self._flights)
        try:
            if flight.prepared is None:
                flight.prepared = self.engine.prepare(flight.claims)
                flight.claims = flight.prepared.left(flight.claims)
                if not flight.claims:
                    self._flights.remove(flight)
            elif flight.results is None:
                flight.results = self.engine.embed(flight.prepared)
            elif flight is self._flights[0]:
                self.engine.write(flight.claims, flight.prepared, flight.results)
                self._flights.remove(flight)
        except Exception as error:  # noqa: BLE001  (as in the runner: it ends in a retry, a dead letter or a halt)
            self._flights.remove(flight)
            self.engine.recover(flight.claims, error)

    def _tick(self) -> None:
        self.clock.advance(self.rng.choice([0.01, 0.3, 2.0]))

    def _chores(self) -> None:
        if not self._flights and self.engine.is_settled():
            self.engine.save_checkpoint()
            self.system.maintenance.keep_house(force=True)
            self.system.maintenance.step()
            self.system.write_back.hurry()
            self.system.write_back.step()
            if self.rng.random() < 0.1:
                self._restart()
            elif self.rng.random() < 0.2:
                self._backup = self.graph.copy()

    def _restore(self) -> None:
        """Bring an older state of the graph back, perhaps gone on with by somebody else, beside its newer index."""
        backup, self._backup = self._backup, None
        if backup is None or self.rng.random() >= self.restore_rate:
            return
        self.actions.append("restore")
        self.restores += 1
        self.clock.advance(1.0)
        self.system.graph = backup
        self._is_restored = True
        # Of an earlier process: a copy that was taken in the very session that then died is not noticed at open when
        # somebody has gone on with it past the checkpoint. That is a known limit, which an audit makes good.
        backup.mark_timeline("an-earlier-session")
        for number in range(self.rng.choice([0, 0, 3, 60])):
            backup.upsert_entity("Person", f"n{self.rng.randrange(12)}", {"name": self._word(), "bio": f"{number}"})
        self._reopen()
        self._note_changes()
        # What the other past has left in the index is only looked at by the rescan, at the new head.
        left = [stamp.key for stamp in self.system.index.scan(None, 10_000)]
        self._changed_at.update(dict.fromkeys([*self._wanted, *left], self.graph.feed.head()))
        self.words.note_restored(self.system)

    def _restart(self) -> None:
        """Close and open again, without a crash."""
        self.actions.append("restart")
        try:
            self.system.write_back.leave(1.0)
        finally:
            self._reopen()

    # ------------------------------------------------------------------ mutations

    def _mutate(self) -> None:
        ids = [row.key.id for row in self.graph.scan(None, 100) if row.key.kind.value == "e"]
        relationships = [row.key.id for row in self.graph.scan(None, 100) if row.key.kind.value == "r"]
        choice = self.rng.random()
        if ids and self.rng.random() < 0.05:
            self._write_past_the_log(self.rng.choice(ids))
            return
        with self.graph.transaction() as tx:
            if choice < 0.3 or len(ids) < 3:
                name = f"n{self.rng.randrange(12)}"
                kind = self.rng.choice(["Person", "Organization"])
                tx.upsert_entity(kind, name, {"name": self._word(), "bio": self._word(), "age": 1})
            elif choice < 0.55:
                name = self.rng.choice(["name", "bio", "age"])
                tx.update_entity(self.rng.choice(ids), {name: self.rng.random() if name == "age" else self._word()})
            elif choice < 0.7:
                tx.delete_entity(self.rng.choice(ids))
            elif choice < 0.9 or not relationships:
                role = {"role": self._word()}
                tx.relate(self.rng.choice(ids), "WORKS_AT", self.rng.choice(ids), role, replace=True)
            else:
                tx.unrelate(self.rng.choice(relationships))
        self._note_changes()

    def _write_past_the_log(self, entity_id: str) -> None:
        """Change an entity as where a trigger was gone: the log only says that something may have changed."""
        entity = self.graph.entity(entity_id)
        if entity is None:
            return
        changed = {**entity.properties, "name": self._word()}
        self.graph.write_raw(Entity(entity.id, entity.type, changed))
        types = self.rng.choice([None, frozenset((entity.type,))])
        self.graph.feed.append([Rescan(Position(self.graph.feed.head() + 1), types)])
        self._note_changes()

    def _word(self) -> str:
        return self.rng.choice(["ada", "bob", "cyd", "dee", "eve", "fay"])

    def _render_all(self) -> dict[RecordKey, str]:
        recipe = self.engine.recipe
        keys = [row.key for row in self.graph.scan(None, 10_000)]
        states = self.graph.read(keys, recipe.hops()).states
        targets = {key: recipe.target(state) for key, state in states.items()}
        return {key: target.fingerprint for key, target in targets.items() if target is not None}

    def _note_changes(self) -> None:
        now, head = self._render_all(), self.graph.feed.head()
        for key in now.keys() | self._wanted.keys():
            if now.get(key) != self._wanted.get(key):
                self._changed_at[key] = head
        self._wanted = now
        self.words.note_changes(self.system)

    # ------------------------------------------------------------------ properties

    def _check_safety(self) -> None:
        frontier = self.engine.frontier
        if frontier < self._frontier:
            raise SimulationError(f"the frontier went back from {self._frontier} to {frontier}")
        if self.engine.checkpoint > self.graph.feed.head():
            raise SimulationError("the checkpoint is ahead of the log")
        self._frontier = frontier
        self.words.check_safety(self.system)
        dead = {letter.key for letter in self.system.journal.letters(None, 10_000)}
        held = self.system.index.stamps(list(self._changed_at))
        told = max(frontier, Position(int(self.system.journal.get(FRONTIER) or 0)))  # also to other processes
        for key, changed_at in self._changed_at.items():
            if changed_at > told or key in dead:
                continue
            stamps = held[key].records if key in held else ()
            found = [stamp.fingerprint for stamp in self._live_records(tuple(stamps))]
            wanted = [self._wanted[key]] if key in self._wanted else []
            if found != wanted:
                raise SimulationError(f"{key} changed at {changed_at}, frontier {told}: {found} is not {wanted}")

    def _settle(self) -> None:
        for _ in range(_STEPS_TO_SETTLE_MAX):
            is_done = self.system.follower.is_settled() and not self.system.maintenance.is_due
            if not self._flights and self.engine.is_settled() and is_done:
                return
            self._take()
            self._follow()
            self._advance()
            self._chores()
            self.clock.advance(0.5)
            self._check_safety()
        raise SimulationError(f"not settled: pending {self.engine.pending()}, outage {self.engine.outage}")

    def _check_convergence(self) -> AuditReport:
        if self.engine.frontier != self.graph.feed.head():
            raise SimulationError(f"settled, but the frontier {self.engine.frontier} is not the head")
        report = self.system.audit()
        dead = {letter.key for letter in self.system.journal.letters(None, 10_000)}
        left = [key for key in report.divergent_keys() if key not in dead]
        if left:
            raise SimulationError(f"divergent after settling: {left} {report.divergences}")
        self.words.check_convergence(self.system)
        self._check_sync_view()
        return report

    def _check_sync_view(self) -> None:
        """Every entity has its row, no other has one, and the rows say what index and letters say."""
        self.system.write_back.finish()
        ids = [row.key.id for row in self.graph.scan(None, 10_000) if row.key.kind is KeyKind.ENTITY]
        rows = self.graph.sync_view.read(ids)
        if set(rows) != set(ids) or sum(self.graph.sync_view.counts().values()) != len(ids):
            raise SimulationError(f"the sync view has {sorted(rows)}, the graph {sorted(ids)}")
        dead = {letter.key for letter in self.system.journal.letters(None, 10_000)}
        for entity_id, row in rows.items():
            stamp = self.system.stamp(entity_id)
            at = None if stamp is None else (stamp.position, stamp.created_at, stamp.schema_version)
            wanted = EntitySync.DEAD_LETTER if entity_key(entity_id) in dead else EntitySync.FRESH
            if (row.position, row.embedded_at, row.schema_version) != (at or (None,) * 3) or row.state is not wanted:
                raise SimulationError(f"the sync view says {row}, the index {stamp}")
