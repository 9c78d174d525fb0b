"""Who works beside the engine: writers of the graph, readers of the index, an operator, an auditor, a warden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from slipstream.domain.errors import LeaseLostError, SlipstreamError, TransientError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey, entity_key, relationship_key
from slipstream.domain.positions import Position
from slipstream.evolution.selector import ReembeddingSelector
from tests.simulation.threads.owner import Owner, Parts
from tests.simulation.threads.recipes import PERSON, PLACE, POISON, WORKS_AT
from tests.simulation.threads.scheduler import Process, SimulationError, Task
from tests.simulation.threads.store import SILENCE_S_MAX

if TYPE_CHECKING:
    from tests.simulation.threads.schedule import Schedule

_NAMES = ("ada", "bob", "cyd", "dee")


class Mutator:
    """Another program that writes the graph: it commits, and what it was told is acknowledged."""

    def __init__(self, schedule: Schedule, mutations: int) -> None:
        self._schedule, self._left = schedule, mutations
        self._rng = schedule.scheduler.rng
        self._ids = [f"n{number}" for number in range(self._rng.randint(3, 5))]
        self._deletes = 0
        schedule.on_stopped = self._go_on
        self._heat = self._rng.choice([0.0, 0.3, 0.8])
        """How much of it is about one and the same entity."""

    def main(self) -> None:
        """Do all mutations, with pauses."""
        schedule = self._schedule
        while self._left:
            self._left -= 1
            self._mutate()
            schedule.committed()
            schedule.scheduler.point("graph commit")
            if self._rng.random() < 0.3:
                schedule.scheduler.sleep(self._rng.choice([0.01, 0.3, 2.0]))
        schedule.are_mutations_done = True

    def _go_on(self) -> None:
        """Write some more, deletes first: while a process is stopped, the next one is to pass it."""
        self._left += self._rng.randint(2, 5)
        self._deletes = self._rng.choice([0, 1, 1, 2])

    def _word(self) -> str:
        return POISON if self._rng.random() < 0.02 else self._rng.choice(_NAMES)

    def _one_of(self, ids: Sequence[str]) -> str:
        return ids[0] if self._rng.random() < self._heat else self._rng.choice(ids)

    def _mutate(self) -> None:
        graph, rng = self._schedule.graph, self._rng
        rows = graph.scan(None, 100)
        ids = [row.key.id for row in rows if row.key.kind.value == "e"]
        relationships = [row.key.id for row in rows if row.key.kind.value == "r"]
        roll = rng.random()
        if self._deletes and ids:
            self._deletes -= 1
            graph.delete_entity(self._one_of(ids))
        elif len(ids) < 2 or roll < 0.25:
            kind = rng.choice([PERSON, PLACE])
            graph.upsert_entity(kind, self._one_of(self._ids), {"name": self._word(), "bio": self._word()})
        elif roll < 0.5:
            graph.update_entity(self._one_of(ids), {rng.choice(["name", "bio"]): self._word()})
        elif roll < 0.55:  # a property that nobody had before: a schema version
            graph.update_entity(rng.choice(ids), {f"p{rng.randrange(4)}": 1})
        elif roll < 0.72:
            graph.delete_entity(self._one_of(ids))
        elif roll < 0.92 or not relationships:
            with graph.transaction() as transaction:
                role = {"role": self._word()}
                transaction.relate(self._one_of(ids), WORKS_AT, rng.choice(ids), role, replace=True)
        else:
            graph.unrelate(rng.choice(relationships))


class Reader:
    """Waits for positions and searches, in the owner's process, and holds it to its word."""

    def __init__(self, schedule: Schedule, parts: Parts) -> None:
        self._schedule, self._parts = schedule, parts
        self._rng = schedule.scheduler.rng

    def main(self) -> None:
        """Ask for as long as mutations go on, or a few times."""
        while self._schedule.has_turn("reads"):
            try:
                self._ask()
            except (SlipstreamError, ValueError) as error:
                self._schedule.faults.note(f"not answered: {error}")
                if isinstance(error, LeaseLostError) or self._parts.sync.failure is not None:
                    return
            self._schedule.scheduler.sleep(self._rng.choice([0.0, 0.1, 1.0]))

    def _ask(self) -> None:
        position = self._position()
        if self._rng.random() < 0.5:
            if self._parts.sync.wait(position, self._rng.choice([0.0, 0.5, 10.0])):
                self._schedule.truth.check_reflected(position, "what was waited for")
            return
        results = self._parts.searcher.search("ada", 50, after=position, timeout_s=2.0)
        found = [hit.entity_id for hit in results]
        # What a model embeds that could not be asked is not missing, for the results say so.
        due = set() if results.unasked else self._schedule.truth.must_be_found(position)
        missing = due - {_key_of(hit.entity_id) for hit in results}
        if len(set(found)) < len(found) or missing or results.frontier < position:
            raise SimulationError(f"searched after {position}: found {found}, missing {missing}")

    def _position(self) -> Position:
        head = self._schedule.graph.feed.head()
        return Position(max(0, head - self._rng.choice([0, 0, 1, 3])))


class Operator:
    """Repairs, embeds anew, replays dead letters, edits views and writes directly, beside the running engine."""

    def __init__(self, schedule: Schedule, owner: Owner, parts: Parts) -> None:
        self._schedule, self._owner, self._parts = schedule, owner, parts
        self._rng = schedule.scheduler.rng

    def main(self) -> None:
        """Do some of it, one after the other."""
        acts: list[Callable[[], None]] = [self._repair, self._repair, self._reembed, self._replay, self._edit]
        while self._schedule.has_turn("acts"):
            act = self._rng.choice(acts)
            self._schedule.note(act.__name__)
            try:
                act()
            except (SlipstreamError, ValueError) as error:
                self._schedule.note(f"{act.__name__} failed: {error}")
                if isinstance(error, LeaseLostError) or self._parts.sync.failure is not None:
                    return
            self._schedule.scheduler.sleep(self._rng.choice([0.0, 0.1, 1.0]))

    def write_directly(self) -> None:
        """Reflect events at once, as a handler does that is told by somebody else than the log."""
        while self._schedule.has_turn("writes"):
            self._schedule.scheduler.block(self._schedule.waiting, "commit", 0.5)
            entries = self._schedule.graph.feed._entries[-1:]
            events = [entry for entry in entries if isinstance(entry, PKGEvent)]
            try:
                self._parts.direct.reflect(self._parts.graph, events)
            except (SlipstreamError, ValueError) as error:
                self._schedule.note(f"not written: {error}")
                if isinstance(error, LeaseLostError) or self._parts.sync.failure is not None:
                    return

    def _repair(self) -> None:
        keys = [row.key for row in self._schedule.graph.scan(None, 100)]
        chosen = self._rng.sample(keys, min(2, len(keys)))
        asked = self._schedule.scheduler.points
        self._parts.sync.mark(chosen, reason="simulated", force=True)
        self._schedule.asked_anew(chosen, asked)

    def _reembed(self) -> None:
        self._parts.engine.intake_stage.selections.add(
            ReembeddingSelector(entity_types=(PERSON,)), "simulated", force=True, page_size=2
        )

    def _replay(self) -> None:
        self._parts.sync.replay(self._parts.letters.letters(None, 10))

    def _edit(self) -> None:
        if self._schedule.edition == 1:
            self._schedule.edition = 2
            while self._parts.sync.failure is None:
                try:
                    self._owner.put_in_force(self._parts, 2)
                except TransientError as error:
                    self._schedule.note(f"not in force: {error}")
                else:
                    return


class AuditorAtWork:
    """Audits beside everything else: what is only behind, or owed, is no divergence."""

    def __init__(self, schedule: Schedule, owner: Owner, parts: Parts) -> None:
        self._schedule, self._process, self._parts = schedule, owner.process, parts

    def main(self) -> None:
        """Audit once in a while."""
        while self._schedule.has_turn("audits"):
            self._schedule.scheduler.sleep(self._schedule.scheduler.rng.choice([0.1, 1.0]))
            try:
                self._audit()
            except SlipstreamError as error:
                self._schedule.note(f"not audited: {error}")
                if self._parts.sync.failure is not None:
                    return

    def _audit(self) -> None:
        report = self._parts.auditor.audit()
        outdated = report.divergences.get("outdated", ())  # of an older schema version: the next pass moves them
        wrong = set(report.divergent_keys()) - self._schedule.truth.excused - set(outdated)
        wrong -= self._schedule.truth.owed | self._schedule.durable.late
        is_at_work = self._parts.sync.failure is None and self._schedule.owning is self._process
        if wrong and is_at_work and self._schedule.edition == 1:
            raise SimulationError(f"an audit calls {wrong} divergent: {report.divergences}")


class Warden:
    """
    Stops the process that runs the engine, as SIGSTOP does, for so long that another one takes over.

    It is stopped right where one of its threads is, at a point of a kind that the seed has chosen.
    """

    _KINDS = (None, None, "writer", "begin", "commit", "index.upsert", "index.delete", "embed", "graph.read")

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._rng = schedule.scheduler.rng
        self._kind: str | None = None
        self._countdown = 0
        self._stopped: list[Process] = []
        self._waiting: list[Task] = []

    def main(self) -> None:
        """Stop it once or twice."""
        schedule = self._schedule
        for _ in range(self._rng.randint(1, 2)):
            kinds = self._KINDS if schedule.durable.together else (*self._KINDS, *["index.upsert"] * 8)
            self._kind = self._rng.choice(kinds)
            self._countdown = self._rng.randint(1, 300 if self._kind is None else 8)
            schedule.scheduler.block(self._waiting, "warden", 20.0)
            self._countdown = 0
            if self._stopped:
                schedule.scheduler.sleep(SILENCE_S_MAX + self._rng.choice([0.0, 1.0, 5.0, 9.0]))
                process = self._stopped.pop()
                process.is_stopped = False
                schedule.note(f"{process.name} goes on")

    def look(self, what: str) -> None:
        """Stop the process whose thread has come to a point, when that is the one."""
        process = self._schedule.scheduler.current.process
        if not self._countdown or self._kind not in (None, what) or process is not self._schedule.owning:
            return
        self._countdown -= 1
        if not self._countdown:
            process.is_stopped = True
            self._stopped.append(process)
            self._schedule.note(f"{process.name} is stopped")
            self._schedule.on_stopped()
            self._schedule.scheduler.wake(self._waiting)


def _key_of(record_id: str) -> RecordKey:
    return relationship_key(record_id) if ":" in record_id else entity_key(record_id)
