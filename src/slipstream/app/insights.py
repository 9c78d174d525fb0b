"""Insights: what can be asked of an open PKG, as plain data."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Any

from slipstream.app.reading_facts import Facts
from slipstream.app.slipstream import Slipstream
from slipstream.domain.errors import IncidentError
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.schema import GraphSchema
from slipstream.engine.facts import SyncStatus
from slipstream.engine.word_facts import WordsStatus

_PAGE = 10_000


_NO_STATUS = (
    "head",
    "frontier",
    "checkpoint",
    "lag_events",
    "lag_s",
    "pending",
    "retrying",
    "dead_letters",
    "outage",
    "halted",
    "dead",
)
_NO_WATCH: dict[str, Any] = {"health": None, "firing": [], "unkept": None, "dead_parts": {}}
_NO_GRAPH: dict[str, Any] = {
    "entities": None,
    "relationships": None,
    "schema_version": None,
    "entities_by_type": {},
}
_NO_INDEX: dict[str, Any] = {
    "embeddings": None,
    "embeddings_by_type": {},
    "embeddings_by_model": {},
    "embedded_at_by_type": {},
}


def status_as_dict(slipstream: Slipstream, *, counts: bool = True) -> dict[str, Any]:
    """
    Return the engine's numbers and the counts of both sides, ready for JSON.

    Without `counts` the index is not counted, for that reads all stamps: these figures are None, or empty.

    Each fact is read by itself: one that can not be read is None, and `unknown` says why. Raises only when the owner
    of the engine, asked from another process, does not answer at all.
    """
    facts, incident = Facts(), slipstream.incident
    status = facts.read("engine", slipstream.status) if slipstream.runs_engine else slipstream.status()
    scrubbing = facts.read("scrubber", slipstream.scrubber.summary) or {}
    watching = facts.read("watch", slipstream.watch.summary) or _NO_WATCH
    found = {
        "incident": None if incident is None else incident.as_dict(),
        **_numbers(status),
        **_graph_facts(facts, slipstream),
        **(_index_facts(facts, slipstream) if counts else _NO_INDEX),
        "migration": None if incident is not None else facts.read("migration", lambda: _phase(slipstream)),
        "scrubber": scrubbing.get("health"),
        "scrub_error": scrubbing.get("error"),
        "brake": scrubbing.get("brake"),
        "watch": watching["health"],
        "firing": [alert["rule"] for alert in watching["firing"]],
        "alerts_unkept": watching["unkept"],
        "dead_parts": watching["dead_parts"],
        "lanes": {} if status is None else dict(status.lanes),
        "backfills": facts.read("backfills", lambda: _backfills(slipstream)) or {},
    }
    return {**found, "unknown": {**facts.unknown, **({} if status is None else status.unknown)}}


def _numbers(status: SyncStatus | None) -> dict[str, Any]:
    if status is None:
        return dict.fromkeys((*_NO_STATUS, "words"))
    numbers = {name: getattr(status, name) for name in _NO_STATUS}
    return numbers | {"lag_s": round(status.lag_s, 4), "words": _words(status.words)}


def _words(words: WordsStatus | None) -> dict[str, Any] | None:
    if words is None:
        return None
    told = asdict(words) | {"lag_s": round(words.lag_s, 4), "counters": dict(words.counters)}
    if words.scan is not None:
        eta_s = words.scan.eta_s
        rounded = {"rate": round(words.scan.rate, 1), "eta_s": None if eta_s is None else round(eta_s, 1)}
        told["scan"] = asdict(words.scan) | rounded
    return told


def _phase(slipstream: Slipstream) -> str:
    return slipstream.migrations.generations.phase.value


def _graph_facts(facts: Facts, slipstream: Slipstream) -> dict[str, Any]:
    found = facts.read("graph", lambda: _graph_side(slipstream))
    if found is None:
        return _NO_GRAPH
    counts, schema = found
    return {
        "entities": sum(count for name, count in counts.items() if name in schema.entity_types),
        "relationships": sum(count for name, count in counts.items() if name in schema.relationship_types),
        "schema_version": schema.version,
        "entities_by_type": {name: n for name, n in sorted(counts.items()) if name in schema.entity_types},
    }


def _index_facts(facts: Facts, slipstream: Slipstream) -> dict[str, Any]:
    return facts.read("index", lambda: _index_counts(slipstream)) or _NO_INDEX


def _graph_side(slipstream: Slipstream) -> tuple[dict[str, int], GraphSchema]:
    """Return the counts and the schema of the graph; empty ones when, in an incident, there is no graph."""
    try:
        return dict(slipstream.pkg.counts()), slipstream.pkg.schema()
    except IncidentError:
        return {}, GraphSchema()


def _backfills(slipstream: Slipstream) -> dict[str, dict[str, Any]]:
    found = slipstream.sync.engine.intake_stage.progress()
    return {
        name: {"done": progress.done, "total": progress.total, "eta_s": progress.eta_s}
        for name, progress in found.items()
    }


def _index_counts(slipstream: Slipstream) -> dict[str, Any]:
    """Return how many live records there are, and when the newest vector of each type was made."""
    by_type: Counter[str] = Counter()
    by_model: Counter[str] = Counter()
    newest: dict[str, datetime] = {}
    after: RecordKey | None = None
    total, is_hidden = 0, slipstream.recipes.hides()
    while page := slipstream.store.index.scan(after, _PAGE):
        for stamp in page:
            if is_hidden is not None and is_hidden(stamp):
                continue
            name, made_at = stamp.entity_type, stamp.created_at
            by_type[name] += 1
            by_model[stamp.space.model_id] += 1
            total += stamp.key.kind is KeyKind.ENTITY
            if name not in newest or made_at > newest[name]:
                newest[name] = made_at
        after = page[-1].key
    return {
        "embeddings": total,
        "embeddings_by_type": dict(sorted(by_type.items())),
        "embeddings_by_model": dict(sorted(by_model.items())),
        "embedded_at_by_type": {name: at.isoformat() for name, at in sorted(newest.items())},
    }
