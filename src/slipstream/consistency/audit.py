"""The auditor: compares what the graph renders now with what the index holds, in full or where digests differ."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from slipstream.consistency.carrying import RECIPE, Earlier, carry
from slipstream.consistency.comparing import Comparer, Settle, count
from slipstream.consistency.drift import DriftCheck
from slipstream.consistency.full import FullAudit, Progress, batched
from slipstream.consistency.incremental import Changes, IncrementalAudit
from slipstream.consistency.ledger import Ledger, LedgerBuilder, LedgerMark
from slipstream.consistency.report import AuditReport
from slipstream.consistency.sampling import choose, embed_anew, offer
from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.positions import Position
from slipstream.ports.audits import AuditLog, LeafStore
from slipstream.ports.clock import Clock
from slipstream.ports.digests import RangeDigests
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.recipe import Recipe
from slipstream.ports.scans import PAGE
from slipstream.ports.telemetry import NO_TRACER, Tracer

AUDITS_MAX = 500
"""Finished audits that are kept; older ones are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditMemory:
    """What an auditor needs to audit incrementally and to leave evidence."""

    leaves: LeafStore
    audits: AuditLog
    journal: Journal
    changes: Changes
    recipe_id: Callable[[], str]
    """Returns the digest of views, routes and models: the digest tree of another recipe is void."""


SPAN = "slipstream.audit"
DEEP_ALL = 1 << 62
"""As `deep`: embed everything anew."""


class Auditor:
    """
    Audits one graph and its index. One audit at a time; safe for threads.

    Without `memory` every audit is full and none is kept; without `settle` nothing is waited for: what lags behind
    the graph counts as divergent. `service` is needed for deep audits.
    """

    def __init__(
        self,
        graph: Graph,
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
    ) -> None:
        self._graph, self._index, self._recipe, self._clock = graph, index, recipe, clock
        self._memory, self._settle, self._frontier, self._service = memory, settle, frontier, service
        self._rng = rng or random.Random()  # noqa: S311  (a sample, not cryptography)
        self._tracer = tracer
        self.on_kept: list[Callable[[AuditReport], object]] = [] if on_kept is None else [on_kept]
        """Told of every audit that is kept, in the thread that audits."""
        self._one_at_a_time = threading.Lock()
        self._ledger = None if memory is None else Ledger(memory.leaves, memory.journal)

    @property
    def has_digests(self) -> bool:
        """Whether the index digests its own records, so that an unchanged one is not read."""
        return isinstance(self._index, RangeDigests)

    def audit(
        self,
        on_progress: Progress | None = None,
        *,
        deep: int | None = None,
        page: int = PAGE,
        read_ahead: bool = False,
    ) -> AuditReport:
        """
        Compare every key of both sides, and every stored vector with its checksum.

        With `deep` about so many records are embedded anew and compared with their vectors (`DEEP_ALL`: all). With
        `read_ahead` a second thread reads both stores: faster by a third, and more in the way of everything else.
        """
        with self._one_at_a_time, self._tracer.span(SPAN, {"db.operation.name": "audit"}):
            report = self._begun("full" if deep is None else "deep")
            self._run_full(report, on_progress, deep, page, read_ahead)
            return self._kept(report)

    def audit_changes(
        self, on_progress: Progress | None = None, *, page: int = PAGE, read_ahead: bool = False
    ) -> AuditReport:
        """Compare digests, and only what differs key by key; a full audit where there is nothing to start from."""
        with self._one_at_a_time, self._tracer.span(SPAN, {"db.operation.name": "audit"}):
            report = self._begun("incremental")
            refused = self._run_incremental(report, on_progress, page)
            if refused is not None:
                report = self._begun("full")
                report.notes.append(f"full, because {refused}")
                self._run_full(report, on_progress, None, page, read_ahead)
            return self._kept(report)

    def audit_sample(self, size: int, on_progress: Progress | None = None, *, page: int = PAGE) -> AuditReport:
        """
        Audit as `audit_changes` does, and embed about `size` randomly chosen records anew.

        `on_progress` is called behind each page, and nothing is embedded in larger batches. A deep audit where there
        is nothing to start from.
        """
        with self._one_at_a_time, self._tracer.span(SPAN, {"db.operation.name": "audit"}):
            report = self._begun("sample")
            refused = self._run_incremental(report, on_progress, page, sample=size)
            if refused is not None:
                report = self._begun("deep")
                report.notes.append(f"all of it, because {refused}")
                self._run_full(report, on_progress, size, page, read_ahead=False)
            return self._kept(report)

    def audit_keys(
        self,
        keys: Sequence[RecordKey],
        on_progress: Progress | None = None,
        *,
        anew: Collection[RecordKey] = (),
        page: int = PAGE,
    ) -> AuditReport:
        """Compare some keys only, and embed those of `anew` anew; not kept. Asks no leaf: it waits for no audit."""
        report = self._begun("keys")
        comparer = self._comparer(report)
        drift = self._drift(comparer, 1.0) if anew else None
        for batch in batched(keys, page):
            outcome = comparer.decide(batch)
            for compared in outcome.decided:
                count(report, compared)
                report.total_entities += compared.target is not None and compared.key.kind is KeyKind.ENTITY
                if drift is not None and compared.key in anew:
                    offer(comparer, drift, compared)
            if drift is not None:
                drift.enter(report)
            report.unsettled += len(outcome.unsettled)
            if on_progress is not None:
                on_progress(len(batch))
        return self._finished(report)

    # ------------------------------------------------------------------ parts

    def _run_full(
        self, report: AuditReport, on_progress: Progress | None, deep: int | None, page: int, read_ahead: bool
    ) -> None:
        comparer, memory = self._comparer(report), self._memory
        builder = None if memory is None or self._ledger is None else LedgerBuilder(self._ledger, memory.leaves)
        drift = None
        if deep is not None:
            records = sum(self._graph.counts().values())
            drift = self._drift(comparer, min(1.0, deep / max(1, records)), self._earlier_drift())
        audit = FullAudit(
            self._graph, self._index, comparer, report, builder=builder, drift=drift, read_ahead=read_ahead
        )
        audit.run(page, on_progress)
        if builder is not None and memory is not None:
            builder.finish(LedgerMark(report.position, memory.recipe_id()))
        if drift is not None:
            report.notes.append(f"{drift.checked} records were embedded anew")
        elif memory is not None:
            carry(report, comparer, self._earlier(memory), (), page, on_progress)

    def _run_incremental(
        self, report: AuditReport, on_progress: Progress | None, page: int, sample: int = 0
    ) -> str | None:
        if self._memory is None or self._ledger is None:
            return "this auditor keeps no digest tree"
        comparer = self._comparer(report)
        audit = IncrementalAudit(self._graph, self._index, comparer, report, self._ledger)
        refused = audit.catch_up(self._memory.changes, self._memory.recipe_id(), page, on_progress)
        if refused is None:
            audit.run(page, on_progress)
            embedded: Collection[RecordKey] = ()
            if sample:
                chosen = choose(self._ledger, self._earlier_drift(), sample, self._rng)
                embedded = embed_anew(report, comparer, self._drift(comparer, 1.0), chosen, page, on_progress)
                report.notes.append(f"{len(embedded)} records were embedded anew")
            carry(report, comparer, self._earlier(self._memory), embedded, page, on_progress)
        return refused

    def _earlier(self, memory: AuditMemory) -> Earlier:
        return Earlier.of(memory.audits, memory.recipe_id())

    def _earlier_drift(self) -> Collection[RecordKey]:
        return () if self._memory is None else self._earlier(self._memory).drifted()

    def _comparer(self, report: AuditReport) -> Comparer:
        return Comparer(self._graph, self._index, self._recipe, report, self._settle)

    def _drift(self, comparer: Comparer, share: float, doubted: Collection[RecordKey] = ()) -> DriftCheck:
        if self._service is None:
            raise ConfigError("a deep audit embeds texts anew: give the auditor an embedding service")
        return DriftCheck(self._service, comparer, share, self._rng, doubted)

    def _begun(self, kind: str) -> AuditReport:
        report = AuditReport(self._graph.read([], {}).position, kind=kind)
        report.started_at, report.started_s = self._clock.now(), self._clock.monotonic()
        return report

    def _finished(self, report: AuditReport) -> AuditReport:
        report.finished_at = self._clock.now()
        report.duration_s = self._clock.monotonic() - report.started_s
        report.frontier = None if self._frontier is None else self._frontier()
        return report

    def _kept(self, report: AuditReport) -> AuditReport:
        self._finished(report)
        if self._memory is not None:
            kept = report.summary() | {RECIPE: self._memory.recipe_id()}
            report.id = self._memory.audits.keep(kept, report.findings(), audits_max=AUDITS_MAX)
        for told in self.on_kept:
            told(report)
        return report
