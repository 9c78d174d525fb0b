"""
Repair: marks what an audit found dirty, within a budget, and looks again at exactly those keys.

The engine then makes index and graph equal, in the repair lane, behind all live traffic. The findings are kept with
the audit and the place reached is kept in the journal, so a repair that was cut short goes on where it was; a key
that is marked twice, or was mended meanwhile, costs a comparison.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from slipstream.consistency.audit import Auditor
from slipstream.consistency.classes import CLASSES, PAST_THE_CACHE
from slipstream.consistency.report import UNRENDERABLE, AuditReport
from slipstream.consistency.unfencing import unfence
from slipstream.domain.audits import Finding
from slipstream.domain.errors import InvalidInputError, NotFoundError
from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import EmbeddingRequest
from slipstream.ports.audits import AuditLog
from slipstream.ports.clock import Clock
from slipstream.ports.costs import measured_cost, rendered
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.recipe import Recipe
from slipstream.ports.telemetry import NO_TRACER, Tracer

REPAIR = "repair"
SPAN = "slipstream.repair"
KINDS = (*CLASSES, UNRENDERABLE)
_PAGE = 500
_PROBE_TEXTS = 32
_DELETING = frozenset({"orphaned", "duplicate"})
_RESTAMPING = frozenset({"outdated"})

Progress = Callable[[int, int], None]
"""Told how many keys have been marked so far, and of how many."""


class Mark(Protocol):
    """Marks keys dirty, durably, in the repair lane."""

    def __call__(self, keys: Sequence[RecordKey], *, reason: str, force: bool = False) -> None:
        """Mark keys; with `force` they are embedded anew past fingerprint and cache."""
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


@dataclass(slots=True)
class RepairResult:
    """What a repair did."""

    audit_id: int
    marked: dict[str, int] = field(default_factory=dict)
    """Keys by divergence class."""

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
    """Repairs kept audits, one at a time."""

    def __init__(
        self,
        graph: Graph,
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
    ) -> None:
        self._graph, self._index, self._recipe, self._service = graph, index, recipe, service
        self._auditor, self._audits, self._journal, self._clock = auditor, audits, journal, clock
        self._mark, self._waiting, self._tracer = mark, waiting, tracer
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
        texts = sum(n for kind, n in counts.items() if kind not in _DELETING | _RESTAMPING | {UNRENDERABLE})
        cost = measured_cost(self._service, self._clock, probe).scaled_to(texts)
        return RepairPlan(
            keys=dict(counts),
            texts=texts,
            tokens=cost.tokens,
            embed_s=cost.embed_s,
            deletions=sum(counts[kind] for kind in _DELETING),
            restamps=sum(counts[kind] for kind in _RESTAMPING),
        )

    def _requests(self, page: Sequence[Finding], limit: int) -> list[EmbeddingRequest]:
        keys = [RecordKey.decode(finding.key) for finding in page if finding.kind not in _DELETING | _RESTAMPING]
        return rendered(self._graph, self._recipe, keys[:limit])

    # ------------------------------------------------------------------ doing

    @property
    def unfinished(self) -> int | None:
        """The audit whose repair was cut short, None when there is none."""
        text = self._journal.get(REPAIR)
        return None if text is None else _Progress.load(text).audit_id

    def repair(
        self,
        audit_id: int | None = None,
        kinds: Sequence[str] = KINDS,
        budget: RepairBudget | None = None,
        on_progress: Progress | None = None,
    ) -> RepairResult:
        """
        Mark everything that a kept audit found (None: go on with the repair that was cut short).

        Raises `NotFoundError` for an audit that is not kept, or when there is nothing to go on with. The engine
        does the work; `verify` then looks again.
        """
        progress = self._begun(audit_id, kinds)
        limits = budget or RepairBudget()
        result = RepairResult(progress.audit_id)
        total = self._total(progress)
        for page in self._pages(progress):
            started = self._clock.monotonic()
            with self._tracer.span(SPAN, {"db.operation.name": "repair", "db.operation.batch.size": len(page)}):
                self._mark_page(page)
            progress = replace(progress, after=page[-1], marked=progress.marked + len(page))
            # Marked first: dying in between marks the page once more, which is harmless.
            self._journal.set(REPAIR, progress.dump())
            for kind, n in Counter(finding.kind for finding in page).items():
                result.marked[kind] = result.marked.get(kind, 0) + n
                self.repaired[kind] += n
            if on_progress is not None:
                on_progress(progress.marked, total)
            if progress.marked < total:
                self._pause(len(page) / limits.keys_per_s - (self._clock.monotonic() - started), limits)
        self._journal.set(REPAIR, None)
        return result

    def _begun(self, audit_id: int | None, kinds: Sequence[str]) -> _Progress:
        text = self._journal.get(REPAIR)
        if audit_id is None:
            if text is None:
                raise NotFoundError("no repair was cut short: name an audit")
            return _Progress.load(text)
        unknown = set(kinds) - set(KINDS)
        if unknown:
            raise InvalidInputError(f"unknown classes {sorted(unknown)}; known are {', '.join(KINDS)}", field="kinds")
        started = None if text is None else _Progress.load(text)
        if started is not None and (started.audit_id, started.kinds) == (audit_id, tuple(kinds)):
            return started
        progress = _Progress(self._known(audit_id), tuple(kinds))
        self._journal.set(REPAIR, progress.dump())
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
        unfence(self._graph, self._index, [RecordKey.decode(finding.key) for finding in page])
        for kind in dict.fromkeys(finding.kind for finding in page):
            keys = [RecordKey.decode(finding.key) for finding in page if finding.kind == kind]
            self._mark(keys, reason=f"repair: {kind}", force=kind in PAST_THE_CACHE)

    def _pause(self, wait_s: float, limits: RepairBudget) -> None:
        if wait_s > 0:
            self._clock.sleep(wait_s)
        while self._waiting() > limits.waiting_max:
            self._clock.sleep(0.1)

    # ------------------------------------------------------------------ after

    def verify(self, result: RepairResult) -> AuditReport:
        """Audit exactly what was found before; call it once the engine has caught up."""
        keys = [RecordKey.decode(f.key) for page in self._pages(_Progress(result.audit_id, KINDS)) for f in page]
        return self._auditor.audit_keys(list(dict.fromkeys(keys)))
