"""The auditor: compares what the graph renders now with what the index holds, in full or where digests differ."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from slipstream.audit.below import CHEAP, DEEP, NOT_LOOKED, Below, damage_in, enter_duplicates, looked_in
from slipstream.audit.comparing import Comparer, Owed, Settle, enter, take_back
from slipstream.audit.drift import DriftCheck
from slipstream.audit.findings import AuditReport
from slipstream.audit.full import FullAudit, Progress
from slipstream.audit.incremental import Changes, IncrementalAudit
from slipstream.audit.leaves import Leaves, LeavesBuilder, LeavesMark
from slipstream.audit.pacing import FULL_SPEED, Pace
from slipstream.audit.retention import FORGET_EVERY, HISTORY_BYTES_MAX, every_audit, is_large, superfluous
from slipstream.audit.sampling import choose, embed_anew, offer
from slipstream.audit.sealing import Evidence
from slipstream.audit.taking_over import RECIPE, Earlier, take_over
from slipstream.audit.words import WordsAudit, WordsMemory
from slipstream.audit.words_comparing import AuditedWords
from slipstream.audit.words_found import OPEN_WORD_KINDS, WORD_KINDS
from slipstream.domain.damage import Damage
from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.positions import Position
from slipstream.ports.audits import AuditLog, LeafStore
from slipstream.ports.clock import Clock
from slipstream.ports.digests import RangeDigests
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.recipe import Recipe
from slipstream.ports.telemetry import NO_TRACER, Tracer


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditMemory:
    """What an auditor needs to audit incrementally and to leave evidence."""

    leaves: LeafStore
    audits: AuditLog
    journal: Journal
    changes: Changes
    recipe_id: Callable[[], str]
    """Returns the digest of views, routes and models: the digest tree of another recipe is void."""
    spared: Callable[[], Collection[int]] = tuple
    """Returns the audits that are not to be forgotten yet."""
    history_bytes_max: int = HISTORY_BYTES_MAX
    """What all kept audits may take together."""
    evidence: Evidence | None = None
    """Signs what is kept, and chains it; None where there is no key."""


SPAN = "slipstream.audit"
DEEP_ALL = 1 << 62
"""Given as `deep`: embed everything anew."""


class Auditor:
    """
    Audits one graph and its index. One audit at a time; safe for threads.

    Without `memory` every audit is full and none is kept; without `settle` nothing is waited for: what lags behind
    the graph counts as divergent. `service` is needed for deep audits. `aside` lets work that can wait stand aside
    while a full audit runs at full speed. Without `words` no word rows are compared.
    """

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        recipe: Recipe,
        clock: Clock,
        *,
        memory: AuditMemory | None = None,
        settle: Settle | None = None,
        frontier: Callable[[], Position] | None = None,
        service: EmbeddingService | None = None,
        rng: random.Random | None = None,
        on_kept: Callable[[AuditReport], None] | None = None,
        tracer: Tracer = NO_TRACER,
        below: Below | None = None,
        owed: Owed | None = None,
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
        words: AuditedWords | None = None,
    ) -> None:
        self._graph, self._index, self._recipe, self._clock = graph, index, recipe, clock
        self._memory, self._settle, self._frontier, self._service = memory, settle, frontier, service
        self._owed, self._aside, self._words = owed, aside, words
        self._rng = rng or random.Random()  # noqa: S311  (a sample, not cryptography)
        self._tracer, self.below = tracer, below or Below()
        self.on_kept: list[Callable[[AuditReport], object]] = [] if on_kept is None else [on_kept]
        """Told of every audit that is kept, in the thread that audits."""
        self._one_at_a_time = threading.Lock()
        self._leaves = None if memory is None else Leaves(memory.leaves, memory.journal)
        self._words_memory = None if memory is None or words is None else WordsMemory(memory.journal, words)

    @property
    def has_digests(self) -> bool:
        """Whether the index digests its own records, so that an unchanged one is not read."""
        return isinstance(self._index, RangeDigests)

    def audit(
        self,
        on_progress: Progress | None = None,
        *,
        deep: int | None = None,
        pace: Pace = FULL_SPEED,
    ) -> AuditReport:
        """
        Compare every key of both sides, and every stored vector with its checksum.

        With `deep` about that many records are embedded anew and compared with their vectors (`DEEP_ALL`: all).
        """
        with self._one_at_a_time, self._tracer.span(SPAN, {"db.operation.name": "audit"}):
            report = self._begun("full" if deep is None else "deep")
            self._run_full(report, on_progress, deep, pace)
            return self._kept(report)

    def audit_changes(self, on_progress: Progress | None = None, *, pace: Pace = FULL_SPEED) -> AuditReport:
        """Compare digests, and only what differs key by key; a full audit where there is nothing to start from."""
        with self._one_at_a_time, self._tracer.span(SPAN, {"db.operation.name": "audit"}):
            report = self._begun("incremental")
            refused = self._run_incremental(report, on_progress, pace)
            if refused is not None:
                report = self._begun("full")
                report.notes.append(f"full, because {refused}")
                self._run_full(report, on_progress, None, pace)
            return self._kept(report)

    def audit_sample(self, size: int, *, pace: Pace = FULL_SPEED) -> AuditReport:
        """
        Audit as `audit_changes` does, and embed about `size` randomly chosen records anew.

        It is a deep one of everything where there is nothing to start from.
        """
        with self._one_at_a_time, self._tracer.span(SPAN, {"db.operation.name": "audit"}):
            report = self._begun("sample")
            refused = self._run_incremental(report, None, pace, sample=size)
            if refused is not None:
                report = self._begun("deep")
                report.notes.append(f"all of it, because {refused}")
                self._run_full(report, None, size, pace)
            return self._kept(report)

    def audit_keys(
        self,
        keys: Sequence[RecordKey],
        *,
        anew: Collection[RecordKey] = (),
        words: Sequence[RecordKey] = (),
        pace: Pace = FULL_SPEED,
    ) -> AuditReport:
        """
        Compare some keys only, embed those in `anew` anew, and compare the word rows of those in `words`.

        It is not kept, and waits for no other audit.
        """
        report = self._begun("keys")
        comparer = self._comparer(report, pace)
        outcome = comparer.decide(keys)
        enter(report, outcome)
        report.total_entities = sum(
            compared.target is not None and compared.key.kind is KeyKind.ENTITY for compared in outcome.decided
        )
        if anew:
            drift = self._drift(comparer, 0, 0, pace, anew)
            for compared in outcome.decided:
                offer(comparer, drift, compared)
            drift.enter(report)
        if words and (rows := self._words_audit(report, pace)) is not None:
            report.words = rows.chosen(words)
        return self._finished(report)

    def look_below(self, report: AuditReport, closeness: str, pace: Pace = FULL_SPEED) -> None:
        """Have the stores check themselves, and enter what they find."""
        if closeness and self.below:
            self._enter_below(report, closeness, self.below.look(self.position, deep=closeness == DEEP, pace=pace))

    def _enter_below(self, report: AuditReport, closeness: str, damage: list[Damage]) -> None:
        report.looked_below, report.damage = closeness, damage
        report.notes += self.below.notes

    @contextmanager
    def _looking_below(self, report: AuditReport, closeness: str, pace: Pace) -> Iterator[None]:
        """
        Have the stores check themselves, and enter what they find when the block ends.

        At full speed beside the block, where no audit writes to them: a store checks itself by a few long statements,
        in which SQLite does not hold Python's lock. An audit that keeps out of the way of others has one thread.
        """
        if pace is not FULL_SPEED or not self.below:
            self.look_below(report, closeness, pace)
            yield
            return
        with self.below.beside(self.position, deep=closeness == DEEP) as damage:
            yield
        self._enter_below(report, closeness, damage)

    def position(self) -> Position:
        """Return the newest position of the graph."""
        return self._graph.read([], {}).position

    # ------------------------------------------------------------------ parts

    def _run_full(self, report: AuditReport, on_progress: Progress | None, deep: int | None, pace: Pace) -> None:
        comparer, memory = self._comparer(report, pace), self._memory
        was_deep = self._looked_before() == DEEP
        drift = None
        if deep is not None:
            drift = self._drift(comparer, deep, self._expected(), pace, self._earlier_drift())
        closeness = CHEAP if deep is None and not was_deep else DEEP
        with self._aside() if pace is FULL_SPEED else nullcontext(), self._looking_below(report, closeness, pace):
            # It makes the leaves anew: what is wrong with them has been looked for by now.
            builder = None if memory is None or self._leaves is None else LeavesBuilder(self._leaves, memory.leaves)
            words = self._words_audit(report, pace)
            audit = FullAudit(self._index, comparer, report, builder=builder, drift=drift, pace=pace, words=words)
            audit.run(on_progress)
        if builder is not None and memory is not None:
            builder.finish(LeavesMark(report.position, memory.recipe_id()))
        self._keep_words(report)
        self._look_at_fences(comparer, report, pace)
        enter_duplicates(report, comparer)
        if drift is not None:
            report.notes.append(_said_of(drift.checked))
        elif memory is not None:
            take_over(report, comparer, self._earlier(memory), (), pace)

    def _expected(self) -> int:
        """Return how many records the graph asks for, by the types that have some."""
        covered = frozenset(filter(self._recipe.covers_relationships, self._graph.schema().relationship_types))
        return sum(self._graph.counts(covered).values())

    def _run_incremental(
        self, report: AuditReport, on_progress: Progress | None, pace: Pace, sample: int = 0
    ) -> str | None:
        if self._memory is None or self._leaves is None:
            return "this auditor keeps no digest tree"
        comparer = self._comparer(report, pace)
        audit = IncrementalAudit(self._graph, self._index, comparer, report, self._leaves, pace, on_progress)
        refused = audit.catch_up(self._memory.changes, self._memory.recipe_id())
        if refused is None:
            self.look_below(report, self._looked_before(), pace)
            audit.run()
            self._look_at_fences(comparer, report, pace)
            enter_duplicates(report, comparer)
            embedded = self._embed_sample(comparer, report, pace, sample) if sample else ()
            take_over(report, comparer, self._earlier(self._memory), embedded, pace)
            self._look_at_words(report, self._earlier(self._memory), pace)
        return refused

    def _look_at_words(self, report: AuditReport, earlier: Earlier, pace: Pace) -> None:
        """Compare the word rows that have changed, or were wrong before."""
        words, memory = self._words_audit(report, pace), self._words_memory
        if words is not None and memory is not None:
            standing = [
                RecordKey.decode(finding.key)
                for kind in (*WORD_KINDS, *OPEN_WORD_KINDS)
                for finding in earlier.findings(kind)
            ]
            report.words = words.changed(memory.changes(report.position), standing)
            self._keep_words(report)

    def _keep_words(self, report: AuditReport) -> None:
        if self._words_memory is not None and report.words is not None and report.words.unreadable is None:
            self._words_memory.keep(report.position)

    def _words_audit(self, report: AuditReport, pace: Pace) -> WordsAudit | None:
        if self._words is None:
            return None
        return WordsAudit(self._graph, self._words, report.notes, pace, self._clock)

    def _embed_sample(self, comparer: Comparer, report: AuditReport, pace: Pace, size: int) -> Collection[RecordKey]:
        chosen = [] if self._leaves is None else choose(self._leaves, self._earlier_drift(), size, self._rng)
        drift = self._drift(comparer, len(chosen), len(chosen), pace)
        embedded = embed_anew(report, comparer, drift, chosen, pace)
        report.notes.append(_said_of(len(embedded)))
        return embedded

    def _earlier(self, memory: AuditMemory) -> Earlier:
        return Earlier.of(memory.audits, memory.recipe_id())

    def _looked_before(self) -> str:
        """Return how closely the audit before checked the stores, if it found damage: that is looked for again."""
        kept = None if self._memory is None else self._earlier(self._memory).audit
        return looked_in(kept.report) if kept is not None and damage_in(kept.report) else NOT_LOOKED

    def _earlier_drift(self) -> Collection[RecordKey]:
        return () if self._memory is None else self._earlier(self._memory).drifted()

    def _look_at_fences(self, comparer: Comparer, report: AuditReport, pace: Pace) -> None:
        """
        Find tombstones past the graph's head: no scan and no digest shows them, and they would fence off every write.

        Few are newer than the head: they are of commits made meanwhile, or they are damage.
        """
        named, after = set(report.divergent_keys()), None
        while fenced := self._index.buried(comparer.head().position, after, pace.page):
            after = fenced[-1]
            report.rows.add(index=len(fenced), queries=1)
            for compared in comparer.decide([key for key in fenced if key not in named]).decided:
                if compared.kind == "corrupt":
                    take_back(report, compared, compared.kind)

    def _comparer(self, report: AuditReport, pace: Pace) -> Comparer:
        return Comparer(self._graph, self._index, self._recipe, report, self._settle, pace, self._owed)

    def _drift(
        self, comparer: Comparer, size: int, expected: int, pace: Pace, doubted: Collection[RecordKey] = ()
    ) -> DriftCheck:
        if self._service is None:
            raise ConfigError("a deep audit embeds texts anew: give the auditor an embedding service")
        return DriftCheck(self._service, comparer, size, expected, self._rng, pace, doubted)

    def _begun(self, kind: str) -> AuditReport:
        report = AuditReport(self._graph.read([], {}).position, kind=kind)
        report.started_at, report.started_s = self._clock.now(), self._clock.monotonic()
        return report

    def _finished(self, report: AuditReport) -> AuditReport:
        report.finished_at = self._clock.now()
        report.duration_s = self._clock.monotonic() - report.started_s
        report.frontier = None if self._frontier is None else self._frontier()
        report.position_after = self.position()
        return report

    def _kept(self, report: AuditReport) -> AuditReport:
        self._finished(report)
        if self._memory is not None:
            kept = report.summary() | {RECIPE: self._memory.recipe_id()}
            seal = None if self._memory.evidence is None else self._memory.evidence.seal(report.findings())
            report.id = self._memory.audits.keep(kept, report.findings(), seal)
            if report.id % FORGET_EVERY == 0 or is_large(kept, self._memory.history_bytes_max):
                self._forget(self._memory)
        for told in self.on_kept:
            told(report)
        return report

    def _forget(self, memory: AuditMemory) -> None:
        gone = list(superfluous(every_audit(memory.audits), memory.spared(), memory.history_bytes_max))
        if gone:
            (memory.evidence or memory.audits).forget(gone)


def _said_of(checked: int) -> str:
    if not checked:
        return "no record was embedded anew: there was none that looked right"
    return f"{checked:,} record{' was' if checked == 1 else 's were'} embedded anew"
