"""The audit: compare what the graph renders now with what the index holds, asking no ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from slipstream.consistency.report import AuditReport, TypeCoverage
from slipstream.domain.entities import KeyedType, RecordState
from slipstream.domain.errors import PoisonEventError
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.positions import ORIGIN
from slipstream.domain.requests import Target
from slipstream.domain.stamps import KeyStamps, Stamp
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.recipe import Recipe
from slipstream.ports.scans import PAGE, scan_both

Progress = Callable[[int], None]
"""Told how many keys have been compared so far."""

T = TypeVar("T")
_Pair = tuple[KeyedType | None, list[Stamp]]


class Auditor:
    """Streams both sides in key order and classifies each key; memory grows with the divergences only."""

    def __init__(self, graph: Graph, index: VectorIndex, recipe: Recipe) -> None:
        self._graph, self._index, self._recipe = graph, index, recipe

    def audit(self, on_progress: Progress | None = None) -> AuditReport:
        """Compare every key of both sides; suspects are looked at once more before they are reported."""
        started = time.monotonic()
        report = AuditReport(self._graph.read([], {}).position)
        suspects: list[RecordKey] = []
        compared = 0
        schema_version = self._graph.schema().version
        for page in _batched(scan_both(self._graph, self._index), PAGE):
            suspects.extend(self._compare(report, page, schema_version))
            compared += len(page)
            if on_progress is not None:
                on_progress(compared)
        self._recheck(report, suspects)
        report.duration_s = time.monotonic() - started
        return report

    def audit_keys(self, keys: Sequence[RecordKey]) -> AuditReport:
        """Compare some keys only."""
        report = AuditReport(ORIGIN)
        self._recheck(report, keys)
        return report

    def _compare(self, report: AuditReport, page: Sequence[_Pair], schema_version: int) -> list[RecordKey]:
        """Count a page and return the keys that look divergent."""
        snapshot = self._graph.read([row.key for row, _ in page if row], self._recipe.hops())
        suspects: list[RecordKey] = []
        for row, stamps in page:
            key = row.key if row else stamps[0].key
            report.total_embeddings += len(stamps)
            report.total_entities += row is not None and key.kind is KeyKind.ENTITY
            target, failed = self._target(snapshot.states.get(key))
            found = classify(target, stamps, schema_version)
            if target is not None:
                _cover(report, target, stamps, fresh=found is None)
            if found is not None or failed:
                suspects.append(key)
        return suspects

    def _target(self, state: RecordState | None) -> tuple[Target | None, bool]:
        if state is None:
            return None, False
        try:
            return self._recipe.target(state), False
        except PoisonEventError:
            return None, True

    def _recheck(self, report: AuditReport, suspects: Sequence[RecordKey]) -> None:
        """Look again: what changed between the two reads of the scan is no divergence."""
        schema_version = self._graph.schema().version
        for keys in _batched(suspects, PAGE):
            held = self._index.stamps(keys)
            snapshot = self._graph.read(keys, self._recipe.hops())
            for key in keys:
                stamps = held.get(key, KeyStamps()).records
                target, failed = self._target(snapshot.states.get(key))
                if failed:
                    report.unrenderable.append(key)
                    continue
                found = classify(target, stamps, schema_version)
                if found is not None:
                    report.divergences[found].append(key)
                elif target is not None:
                    report.fresh += 1
                    report.coverage.setdefault(target.entity_type, TypeCoverage()).fresh += 1


def classify(target: Target | None, stamps: Sequence[Stamp], schema_version: int) -> str | None:
    """Return the divergence class of one key, None when both sides agree; the gravest one comes first."""
    if target is None:
        return "orphaned" if stamps else None
    if not stamps:
        return "missing"
    if len(stamps) > 1:
        return "duplicate"
    stamp = stamps[0]
    if stamp.space != target.space:
        return "wrong_model"
    if stamp.fingerprint != target.fingerprint or stamp.needs_reembedding:
        return "stale"
    return "outdated" if stamp.schema_version < schema_version else None


def _cover(report: AuditReport, target: Target, stamps: Sequence[Stamp], *, fresh: bool) -> None:
    coverage = report.coverage.setdefault(target.entity_type, TypeCoverage())
    report.expected += 1
    coverage.expected += 1
    coverage.found += bool(stamps)
    report.fresh += fresh
    coverage.fresh += fresh


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while page := list(islice(iterator, size)):
        yield page
