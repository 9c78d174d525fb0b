"""What edited views would do, before anything is applied: a sample is rendered by the old views and the new ones."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

from slipstream.domain.entities import RecordState
from slipstream.domain.errors import ConfigError, PoisonEventError
from slipstream.domain.keys import RecordKey
from slipstream.domain.requests import EmbeddingRequest, Target
from slipstream.ports.clock import Clock
from slipstream.ports.costs import measured_cost
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.scans import PAGE, scan_graph
from slipstream.recipes.in_force import joined_hops
from slipstream.recipes.view_recipe import ViewRecipe

SAMPLE = 100
_PROBE_TEXTS = 32
_EXAMPLES = 5
_Z_95 = 1.96


@dataclass(frozen=True, slots=True)
class Edited:
    """One record whose text or model the new views change."""

    key: str
    before: str | None
    """Its text by the live views; None where they have no record of it."""
    after: str | None
    error: str | None = None
    """Why the new views can not render it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeCheck:
    """What becomes of the records of one type."""

    type: str
    records: int
    sampled: int
    changed: int
    """Records of the sample to embed anew, new ones among them."""
    restamped: int
    """Records whose text stays, while their stamp moves."""
    removed: int
    failed: int
    truncated: int
    """Records whose new text is longer than the model reads."""
    without_text: int
    """Records whose text is only their id."""
    changed_low: int
    changed_high: int
    """How many of all records would be embedded anew: bounds of a 95 % confidence interval (Wilson)."""
    examples: tuple[Edited, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewCheck:
    """What the new views would do to all types; tokens and seconds are estimated from the changed texts."""

    types: tuple[TypeCheck, ...]
    texts: int
    tokens: int
    embed_s: float

    @property
    def failed(self) -> int:
        """How many records of the sample the new views can not render."""
        return sum(check.failed for check in self.types)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "failed": self.failed}


@dataclass(slots=True)
class _Tally:
    counts: Counter[str]
    examples: list[Edited]
    requests: list[EmbeddingRequest]


class ViewChecking:
    """Renders and counts; writes nothing."""

    def __init__(self, graph: GraphReader, service: EmbeddingService, clock: Clock) -> None:
        self._graph, self._service, self._clock = graph, service, clock

    def check(
        self, live: ViewRecipe, edited: ViewRecipe, *, sample: int | None = SAMPLE, types: Sequence[str] = ()
    ) -> ViewCheck:
        """Compare two recipes over `sample` records of each type (None: all of them)."""
        totals, chosen = self._chosen(sample, frozenset(types))
        checks: list[TypeCheck] = []
        requests: list[EmbeddingRequest] = []
        for name in sorted(totals):
            tally = self._tally(chosen[name], live, edited)
            if tally.counts["uncovered"] < len(chosen[name]):
                requests += tally.requests
                checks.append(_type_check(name, totals[name], tally, len(chosen[name])))
        texts = sum(_scaled(check) for check in checks)
        probe = [request._replace(bypass_cache=True) for request in requests[:_PROBE_TEXTS]]
        cost = measured_cost(self._service, self._clock, probe).scaled_to(texts)
        return ViewCheck(types=tuple(checks), texts=texts, tokens=cost.tokens, embed_s=cost.embed_s)

    def _chosen(self, size: int | None, types: frozenset[str]) -> tuple[Counter[str], dict[str, list[RecordKey]]]:
        """Count the records of each type, and choose those whose keys have the smallest digests: a uniform sample."""
        totals: Counter[str] = Counter()
        heaps: dict[str, list[tuple[int, RecordKey]]] = {}
        for row in scan_graph(self._graph, PAGE):
            if types and row.type not in types:
                continue
            totals[row.type] += 1
            heap = heaps.setdefault(row.type, [])
            item = (-_digest(row.key), row.key)
            if size is None or len(heap) < size:
                heapq.heappush(heap, item)
            elif item > heap[0]:
                heapq.heapreplace(heap, item)
        return totals, {name: sorted((key for _, key in heap), key=RecordKey.encode) for name, heap in heaps.items()}

    def _tally(self, keys: Sequence[RecordKey], live: ViewRecipe, edited: ViewRecipe) -> _Tally:
        tally, hops = _Tally(Counter(), [], []), joined_hops((live, edited))
        for start in range(0, len(keys), PAGE):
            page = keys[start : start + PAGE]
            states = self._graph.read(page, hops).states
            for key in page:
                if key in states:
                    self._count(tally, key, _target(live, states[key])[0], *_target(edited, states[key]))
        return tally

    def _count(
        self, tally: _Tally, key: RecordKey, old: Target | None, new: Target | None, error: str | None
    ) -> None:
        kind = _kind(old, new, error)
        tally.counts[kind] += 1
        if new is not None:
            self._count_text(tally, new)
            if kind == "changed":
                tally.requests.append(new.request)
        if kind in ("changed", "failed", "removed") and len(tally.examples) < _EXAMPLES:
            before, after = (None if target is None else target.request.content for target in (old, new))
            tally.examples.append(Edited(key.encode(), before, after, error))

    def _count_text(self, tally: _Tally, target: Target) -> None:
        request = target.request
        tally.counts["without_text"] += request.content == target.key.id
        spec = self._service.spec_for(target.entity_type, request.model_id)
        if spec.counts_tokens:
            (tokens,) = self._service.count_tokens([request.content], spec.id)
            tally.counts["truncated"] += tokens > spec.tokens_max


def _digest(key: RecordKey) -> int:
    data = key.encode().encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def _target(recipe: ViewRecipe, state: RecordState) -> tuple[Target | None, str | None]:
    try:
        return recipe.target(state), None
    except (PoisonEventError, ConfigError) as error:
        return None, str(error)


def _kind(old: Target | None, new: Target | None, error: str | None) -> str:
    if error is not None:
        return "failed"
    if new is None:
        return "uncovered" if old is None else "removed"
    if old is None or old.fingerprint != new.fingerprint:
        return "changed"
    kept = ("template_version", "metadata", "entity_type", "source_document_id", "extraction_confidence")
    return "same" if all(getattr(old, name) == getattr(new, name) for name in kept) else "restamped"


def _type_check(name: str, records: int, tally: _Tally, sampled: int) -> TypeCheck:
    counts = tally.counts
    low, high = _interval(counts["changed"], sampled, records)
    return TypeCheck(
        type=name,
        records=records,
        sampled=sampled,
        changed=counts["changed"],
        restamped=counts["restamped"],
        removed=counts["removed"],
        failed=counts["failed"],
        truncated=counts["truncated"],
        without_text=counts["without_text"],
        changed_low=low,
        changed_high=high,
        examples=tuple(tally.examples),
    )


def _interval(hits: int, sampled: int, records: int) -> tuple[int, int]:
    """Return bounds of how many of all records are hits, by those of the sample: exact when all were sampled."""
    if sampled >= records:
        return hits, hits
    share, z2 = hits / sampled, _Z_95**2
    middle = (share + z2 / (2 * sampled)) / (1 + z2 / sampled)
    half = _Z_95 * sqrt(share * (1 - share) / sampled + z2 / (4 * sampled**2)) / (1 + z2 / sampled)
    # The sample itself is certain: at least its hits are, and at least its other records are not.
    low, high = max(hits, round((middle - half) * records)), round((middle + half) * records)
    return low, min(high, records - (sampled - hits))


def _scaled(check: TypeCheck) -> int:
    return round(check.changed / check.sampled * check.records) if check.sampled else 0
