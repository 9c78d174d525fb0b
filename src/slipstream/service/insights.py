"""Insights: what can be asked of an open PKG, as plain data."""

from __future__ import annotations

from collections import Counter
from typing import Any

from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.service.slipstream import Slipstream

_PAGE = 10_000


def status_as_dict(slipstream: Slipstream) -> dict[str, Any]:
    """Return the engine's numbers and the counts of both sides, ready for JSON."""
    status = slipstream.status()
    graph_counts = dict(slipstream.pkg.counts())
    schema = slipstream.pkg.schema()
    by_type, by_model, entities = _index_counts(slipstream)
    return {
        "head": status.head,
        "frontier": status.frontier,
        "checkpoint": status.checkpoint,
        "lag_events": status.lag_events,
        "lag_s": round(status.lag_s, 4),
        "pending": status.pending,
        "retrying": status.retrying,
        "dead_letters": status.dead_letters,
        "entities": sum(count for name, count in graph_counts.items() if name in schema.entity_types),
        "relationships": sum(count for name, count in graph_counts.items() if name in schema.relationship_types),
        "embeddings": entities,
        "schema_version": schema.version,
        "migration": slipstream.migrations.generations.phase.value,
        "outage": status.outage,
        "halted": status.halted,
        "scrubber": slipstream.scrubber.health,
        "scrub_error": slipstream.scrubber.error,
        "lanes": dict(status.lanes),
        "backfills": _backfills(slipstream),
        "entities_by_type": {name: n for name, n in sorted(graph_counts.items()) if name in schema.entity_types},
        "embeddings_by_type": by_type,
        "embeddings_by_model": by_model,
    }


def _backfills(slipstream: Slipstream) -> dict[str, dict[str, Any]]:
    found = slipstream.sync.engine.intake_stage.progress()
    return {
        name: {"done": progress.done, "total": progress.total, "eta_s": progress.eta_s}
        for name, progress in found.items()
    }


def _index_counts(slipstream: Slipstream) -> tuple[dict[str, int], dict[str, int], int]:
    by_type: Counter[str] = Counter()
    by_model: Counter[str] = Counter()
    after: RecordKey | None = None
    total, is_hidden = 0, slipstream.recipes.hides()
    while page := slipstream.store.index.scan(after, _PAGE):
        for stamp in page:
            if is_hidden is not None and is_hidden(stamp):
                continue
            by_type[stamp.entity_type] += 1
            by_model[stamp.space.model_id] += 1
            total += stamp.key.kind is KeyKind.ENTITY
        after = page[-1].key
    return dict(sorted(by_type.items())), dict(sorted(by_model.items())), total
