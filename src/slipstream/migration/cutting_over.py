"""A cut-over with its comparison, as one step: what is compared is data, so that any process can ask for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from slipstream.audit.findings import AuditReport
from slipstream.migration.migrations import Migrations
from slipstream.quality.comparison import QualityComparison, QualityGate, Query
from slipstream.quality.runs import Quality


def cut_over(
    quality: Quality,
    migrations: Migrations,
    queries: Sequence[Query],
    *,
    sample: int,
    gate: QualityGate | None,
    on_progress: Callable[[int], None] | None,
    on_comparison: Callable[[QualityComparison], None] | None,
) -> AuditReport:
    """Do what `Slipstream.cut_over` says, with a gate; without one (None) nothing is compared."""
    quality.check(queries)  # before the audit, which takes a while

    def vetoed_by(gate: QualityGate) -> Sequence[str]:
        comparison = quality.compare(queries, sample=sample)
        if on_comparison is not None:
            on_comparison(comparison)
        return gate.reasons(comparison)

    veto = None if gate is None else partial(vetoed_by, gate)
    return migrations.cut_over(veto=veto, gated=gate is not None, on_progress=on_progress)
