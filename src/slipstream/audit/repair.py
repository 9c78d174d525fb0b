"""
Repair: marks what an audit found dirty, within a budget, and looks again at exactly those keys.

The engine then makes index and graph equal, in the repair lane, behind all live traffic. Word rows need no model:
they are made equal at once, by the writer that every other change of them goes through. The findings are kept with
the audit and the place reached is kept in the journal, so a repair that was cut short goes on where it was; a key
that is marked twice, or was mended meanwhile, costs a comparison.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, TypedDict

from slipstream.audit.auditor import Auditor
from slipstream.audit.below import damage_in, looked_in, refuse_blind
from slipstream.audit.brake import DELETING, RESTAMPING, BrakePlan
from slipstream.audit.braking import Brake
from slipstream.audit.classes import CLASSES, PAST_THE_CACHE
from slipstream.audit.findings import UNRENDERABLE, AuditReport
from slipstream.audit.pacing import FULL_SPEED, Pace
from slipstream.audit.taking_over import DRIFTED
from slipstream.audit.unfencing import unfence
from slipstream.audit.words_found import WORD_KINDS, word_kind
from slipstream.domain.audits import Finding
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.errors import (
    InvalidInputError,
    NotFoundError,
    RepairNeedsConfirmationError,
    StalePlanError,
    TransientError,
)
from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import EmbeddingRequest
from slipstream.ports.audits import AuditLog
from slipstream.ports.clock import Clock
from slipstream.ports.costs import measured_cost, rendered
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.recipe import Recipe
from slipstream.ports.telemetry import NO_TRACER, Tracer

REPAIR = "repair"
"""Where the journal keeps how far a repair is that somebody asked for."""
SPAN = "slipstream.repair"
KINDS = (*CLASSES, UNRENDERABLE, *WORD_KINDS)
_VECTORS = frozenset({*CLASSES, UNRENDERABLE})
_WORD_ORPHANED = word_kind("orphaned")
PAST_THE_DIGEST = frozenset({word_kind("corrupt"), _WORD_ORPHANED})
"""Classes of word rows whose digest or position may be false: they are written or removed whatever these say."""
_PAGE = 500
_PROBE_TEXTS = 32
_WAIT_S = 0.1

Progress = Callable[[int, int], None]
"""Told how many keys have been marked so far, and of how many."""
Rest = Callable[[float], None]
"""Waits so many seconds; may raise, to end the repair between two pages."""


class Mark(Protocol):
    """Marks keys dirty, durably, in the repair lane."""

    def __call__(self, keys: Sequence[RecordKey], *, reason: str, force: bool = False) -> None:
        """Mark keys; with `force` they are embedded anew past fingerprint and cache."""
        ...


class ReconcileWords(Protocol):
    """Makes word rows equal to the graph, durably, and returns when that is done."""

    def __call__(self, keys: Sequence[RecordKey], *, anew: bool = False) -> object:
        """Write what differs; with `anew` all of it anew, past stored digests and positions."""
        ...


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What a repair would do and cost. Seconds are those of the embedder alone, measured on some of the texts."""

    keys: Mapping[str, int]
    """By divergence class."""
    texts: int
    """Texts to embed, at most: one whose vector is in the cache costs nothing."""
    tokens: int
    embed_s: float
    deletions: int
    restamps: int
    word_rows: int = 0
    """Word rows to write, which costs no embedding."""
    word_deletions: int = 0


@dataclass(slots=True)
class RepairResult:
    """What a repair did."""

    audit_id: int
    kinds: tuple[str, ...] = KINDS
    """The classes that it was to mend."""
    marked: dict[str, int] = field(default_factory=dict)
    """Keys by divergence class."""
    marked_before: int = 0
    """Keys that had been marked before the repair was cut short and went on here."""

    mended: list[str] = field(default_factory=list)
    """What was mended below the records, by store and place."""

    @property
    def keys(self) -> int:
        """How many keys were marked."""
        return sum(self.marked.values())


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far a repair is; kept in the journal."""

    audit_id: int
    kinds: tuple[str, ...]
    after: Finding | None = None
    marked: int = 0

    def dump(self) -> str:
        return json.dumps([self.audit_id, list(self.kinds), self.after, self.marked])

    @classmethod
    def load(cls, text: str) -> _Progress:
        audit_id, kinds, after, marked = json.loads(text)
        return cls(audit_id, tuple(kinds), None if after is None else Finding(*after), marked)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairBudget:
    """How much a repair may ask of the engine."""

    keys_per_s: float = 1_000.0
    waiting_max: int = 5_000
    """With more keys than this waiting in the engine, no more are marked."""

    def __post_init__(self) -> None:
        if not self.keys_per_s > 0:
            raise InvalidInputError("must be greater than 0", field="repair.keys_per_s")
        if self.waiting_max < 1:
            raise InvalidInputError("must be at least 1", field="repair.waiting_max")


class Repairer:
    """
    Repairs kept audits, one at a time; safe for threads.

    How far a repair is stands in a `slot` of the journal: the scrubber has one of its own, so that it never gives
    somebody's interrupted repair up. Naming another audit in the same slot does.
    """

    def __init__(
        self,
        graph: GraphReader,
        index: VectorIndex,
        recipe: Recipe,
        service: EmbeddingService,
        auditor: Auditor,
        audits: AuditLog,
        journal: Journal,
        clock: Clock,
        *,
        mark: Mark,
        waiting: Callable[[], int],
        tracer: Tracer = NO_TRACER,
        brake: BrakeSettings | None = None,
        identity: Callable[[], str | None] = lambda: None,
        words: ReconcileWords | None = None,
    ) -> None:
        self.words = words
        """What makes word rows equal to the graph; None leaves them as they are."""
        self._graph, self._index, self._recipe, self._service = graph, index, recipe, service
        self._auditor, self._audits, self._journal, self._clock = auditor, audits, journal, clock
        self._mark, self._waiting, self._tracer = mark, waiting, tracer
        self._one_at_a_time = threading.Lock()
        self.brake = Brake(audits, journal, clock, brake or BrakeSettings(), identity)
        """What may not be mended unasked."""
        self.repaired: Counter[str] = Counter()
        """Keys marked since this process started, by class."""

    # ------------------------------------------------------------------ before

    def plan(self, audit_id: int, kinds: Sequence[str] = KINDS) -> RepairPlan:
        """Return what a repair of a kept audit would do and cost; changes nothing."""
        counts: Counter[str] = Counter()
        probe: list[EmbeddingRequest] = []
        for page in self._pages(_Progress(self._known(audit_id), tuple(kinds))):
            counts.update(finding.kind for finding in page)
            if len(probe) < _PROBE_TEXTS:
                probe += self._requests(page, _PROBE_TEXTS - len(probe))
        texts = sum(counts[kind] for kind in set(CLASSES) - DELETING - RESTAMPING)
        cost = measured_cost(self._service, self._clock, probe).scaled_to(texts)
        return RepairPlan(
            keys=dict(counts),
            texts=texts,
            tokens=cost.tokens,
            embed_s=cost.embed_s,
            deletions=sum(counts[kind] for kind in DELETING),
            restamps=sum(counts[kind] for kind in RESTAMPING),
            word_rows=sum(counts[kind] for kind in WORD_KINDS if kind != _WORD_ORPHANED),
            word_deletions=counts[_WORD_ORPHANED],
        )

    def precondition(self, audit_id: int, kinds: Sequence[str] = KINDS) -> str:
        """Return a text that a repair of a kept audit is planned with, and that is another one for anything else."""
        kept = self._audits.audit(self._known(audit_id))
        if kept is None:
            raise NotFoundError(f"audit {audit_id} is not kept any more: audit again")
        return self.brake.precondition(kept, kinds)

    def braked(self, audit_id: int, kinds: Sequence[str] = KINDS) -> BrakePlan | None:
        """
        Return the plan that somebody has to confirm before a kept audit is repaired; None when nobody has to.

        The plan is kept. Raises `NotFoundError` for an audit that is not.
        """
        kept = self._audits.audit(self._known(audit_id))
        if kept is None or not self.brake.is_over(kept.report, kinds):
            return None
        plan = self.brake.planned(kept, kinds)
        if plan.embed_s is not None:
            return plan
        try:
            cost = self.plan(plan.audit_id, plan.kinds)
        except TransientError:
            return plan  # the model does not answer now: what it costs is not known
        return self.brake.priced(plan, cost.tokens, cost.embed_s)

    def _requests(self, page: Sequence[Finding], limit: int) -> list[EmbeddingRequest]:
        without = DELETING | RESTAMPING | set(WORD_KINDS)
        keys = [RecordKey.decode(finding.key) for finding in page if finding.kind not in without]
        return rendered(self._graph, self._recipe, keys[:limit])

    # ------------------------------------------------------------------ doing

    @property
    def unfinished(self) -> int | None:
        """The audit whose repair was cut short, None when there is none; not the scrubber's."""
        return self.unfinished_in(REPAIR)

    def unfinished_in(self, slot: str) -> int | None:
        """Return the audit whose repair was cut short in a slot, None when there is none."""
        text = self._journal.get(slot)
        return None if text is None else _Progress.load(text).audit_id

    def repair(
        self,
        audit_id: int | None = None,
        kinds: Sequence[str] = KINDS,
        budget: RepairBudget | None = None,
        on_progress: Progress | None = None,
        *,
        slot: str = REPAIR,
        rest: Rest | None = None,
    ) -> RepairResult:
        """
        Mark everything that a kept audit found (None: go on with the repair that was cut short).

        Raises `NotFoundError` for an audit that is not kept, or when there is nothing to go on with, and
        `RepairNeedsConfirmationError` when it would delete or embed more than the brake allows: see `confirm`. The
        engine does the work; `verify` then looks again. `rest` does the waiting: for the budget, for the engine, and
        for another repair.
        """
        wait = rest or self._clock.sleep
        with self._turn(wait):
            mended = self._mend_below(audit_id)  # before anything is read by which something is deleted
            progress = self._begun(audit_id, kinds, slot)
            result = self._repair(progress, budget or RepairBudget(), on_progress, slot, wait)
            result.mended = mended
            return result

    def mend(self, audit_id: int, *, rest: Rest | None = None) -> list[str]:
        """
        Mend what an audit found below the records, and nothing else; returns what is mended, by store and place.

        What the audit found of keys was read past that damage, so audit again. Raises `CorruptionError` when rows
        may still be there that no read finds.
        """
        with self._turn(rest or self._clock.sleep):
            return self._mend_below(audit_id)

    def _mend_below(self, audit_id: int | None) -> list[str]:
        """Mend what the stores found wrong with themselves; raises `CorruptionError` where rows stay unread."""
        kept = None if audit_id is None else self._audits.audit(audit_id)
        damages = [] if kept is None else damage_in(kept.report)
        left = self._auditor.below.mend(damages, self._auditor.position)
        refuse_blind(left)
        return [f"{damage.store}: {damage.place}" for damage in damages if damage not in left]

    def confirm(
        self,
        plan_id: str,
        budget: RepairBudget | None = None,
        on_progress: Progress | None = None,
        *,
        rest: Rest | None = None,
    ) -> RepairResult:
        """
        Mark exactly what a plan names; one that was cut short goes on, of one that was applied nothing is done.

        Raises `NotFoundError` for a plan that is not kept, `StalePlanError` when its keys are not on both sides
        what they were when it was made: then nothing is done.
        """
        wait = rest or self._clock.sleep
        with self._turn(wait):
            plan = self.brake.plan(plan_id)
            if plan.applied is not None:
                return RepairResult(plan.audit_id, plan.kinds, marked_before=sum(plan.applied.values()))
            mended = self._mend_below(plan.audit_id)
            progress = self._begun_before(plan.audit_id, plan.kinds, REPAIR)
            if progress is None:
                self._check_stands(plan)
                progress = self._begin(plan.audit_id, plan.kinds, REPAIR)
            result = self._repair(progress, budget or RepairBudget(), on_progress, REPAIR, wait)
            result.mended = mended
            return result

    def _check_stands(self, plan: BrakePlan) -> None:
        """Raise `StalePlanError` unless each key of a plan is still of the class that it was found to be of."""
        planned = {(finding.kind, finding.key) for finding in self.brake.findings(plan)}
        report = self._auditor.audit_keys(**_asked_of(planned))
        found = {(finding.kind, finding.key) for finding in report.findings()}
        differing = {key for _, key in planned ^ found}
        if differing:
            raise StalePlanError(
                f"plan {plan.id} is out of date: {len(differing):,} keys differ; audit again (`slipstream repair` "
                "does, and makes a new plan where one is needed)"
            )

    @contextmanager
    def _turn(self, wait: Rest) -> Iterator[None]:
        while not self._one_at_a_time.acquire(blocking=False):
            wait(_WAIT_S)
        try:
            yield
        finally:
            self._one_at_a_time.release()

    def _repair(
        self, progress: _Progress, limits: RepairBudget, on_progress: Progress | None, slot: str, wait: Rest
    ) -> RepairResult:
        result = RepairResult(progress.audit_id, progress.kinds, marked_before=progress.marked)
        total = self._total(progress)
        for page in self._pages(progress):
            started = self._clock.monotonic()
            with self._tracer.span(SPAN, {"db.operation.name": "repair", "db.operation.batch.size": len(page)}):
                self._mark_page(page)
            progress = replace(progress, after=page[-1], marked=progress.marked + len(page))
            # Marked first: dying in between marks the page once more, which is harmless.
            self._journal.set(slot, progress.dump())
            for kind, n in Counter(finding.kind for finding in page).items():
                result.marked[kind] = result.marked.get(kind, 0) + n
                self.repaired[kind] += n
            if on_progress is not None:
                on_progress(progress.marked, total)
            if progress.marked < total:
                self._pause(len(page) / limits.keys_per_s - (self._clock.monotonic() - started), limits, wait)
        with self._journal.transaction():
            self._journal.set(slot, None)
            self.brake.note_applied(progress.audit_id, progress.kinds, result.marked)
        return result

    def _begun(self, audit_id: int | None, kinds: Sequence[str], slot: str) -> _Progress:
        text = self._journal.get(slot)
        if audit_id is None:
            if text is None:
                raise NotFoundError("no repair was cut short, so none goes on: name an audit (`slipstream audits`)")
            return _Progress.load(text)
        unknown = set(kinds) - set(KINDS)
        if unknown:
            raise InvalidInputError(f"unknown classes {sorted(unknown)}; known are {', '.join(KINDS)}", field="kinds")
        started = self._begun_before(audit_id, kinds, slot)
        if started is not None:
            return started
        plan = self.braked(audit_id, kinds)
        if plan is not None:
            raise RepairNeedsConfirmationError(
                f"{plan.said}. Nothing was done. Look at them (`slipstream audits show {plan.audit_id}`), then apply "
                f"exactly this plan: {plan.command}",
                plan=plan.as_dict(),
            )
        return self._begin(audit_id, kinds, slot)

    def _begun_before(self, audit_id: int, kinds: Sequence[str], slot: str) -> _Progress | None:
        """Return how far the same repair was when it was cut short, None when there is none."""
        text = self._journal.get(slot)
        started = None if text is None else _Progress.load(text)
        is_same = started is not None and (started.audit_id, started.kinds) == (audit_id, tuple(kinds))
        return started if is_same else None

    def _begin(self, audit_id: int, kinds: Sequence[str], slot: str) -> _Progress:
        progress = _Progress(self._known(audit_id), tuple(kinds))
        self._journal.set(slot, progress.dump())
        return progress

    def _known(self, audit_id: int) -> int:
        if self._audits.audit(audit_id) is None:
            raise NotFoundError(f"audit {audit_id} is not kept (any more): audit again")
        return audit_id

    def _total(self, progress: _Progress) -> int:
        kept = self._audits.audit(progress.audit_id)
        counts: Mapping[str, int] = {} if kept is None else kept.report["counts"]
        return sum(counts.get(kind, 0) for kind in progress.kinds)

    def _pages(self, progress: _Progress) -> Iterator[list[Finding]]:
        after = progress.after
        while page := self._audits.findings(progress.audit_id, after, _PAGE):
            after = page[-1]
            chosen = [finding for finding in page if finding.kind in progress.kinds]
            if chosen:
                yield chosen

    def _mark_page(self, page: Sequence[Finding]) -> None:
        by_kind: dict[str, list[RecordKey]] = {}
        for finding in page:
            by_kind.setdefault(finding.kind, []).append(RecordKey.decode(finding.key))
        unfence(self._graph, self._index, [key for kind, keys in by_kind.items() if kind in _VECTORS for key in keys])
        for kind, keys in by_kind.items():
            if kind in _VECTORS:
                self._mark(keys, reason=f"repair: {kind}", force=kind in PAST_THE_CACHE)
            elif self.words is not None:
                self.words(keys, anew=kind in PAST_THE_DIGEST)

    def _pause(self, wait_s: float, limits: RepairBudget, wait: Rest) -> None:
        wait(max(0.0, wait_s))
        while self._waiting() > limits.waiting_max:
            wait(_WAIT_S)

    # ------------------------------------------------------------------ after

    def verify(self, result: RepairResult, *, pace: Pace = FULL_SPEED) -> AuditReport:
        """
        Audit exactly what the repair was to mend, and embed anew what had drifted; raises what the pace does.

        Call it once the engine has caught up.
        """
        found: dict[tuple[str, str], None] = {}
        for findings in self._pages(_Progress(result.audit_id, result.kinds)):
            found.update(dict.fromkeys((finding.kind, finding.key) for finding in findings))
        report = self._auditor.audit_keys(**_asked_of(found), pace=pace)
        kept = self._audits.audit(result.audit_id)
        if kept is not None and damage_in(kept.report):
            self._auditor.look_below(report, looked_in(kept.report), pace)
        return report


class _Asked(TypedDict):
    keys: Sequence[RecordKey]
    anew: Collection[RecordKey]
    words: Sequence[RecordKey]


def _asked_of(findings: Iterable[tuple[str, str]]) -> _Asked:
    """Return what an audit of some findings, by kind and key, has to look at."""
    keys: dict[RecordKey, None] = {}
    anew: set[RecordKey] = set()
    words: dict[RecordKey, None] = {}
    for kind, text in findings:
        key = RecordKey.decode(text)
        (keys if kind in _VECTORS else words)[key] = None
        if kind == DRIFTED:
            anew.add(key)
    return {"keys": list(keys), "anew": anew, "words": list(words)}
