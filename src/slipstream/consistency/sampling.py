"""Embeds chosen records anew, in small batches: what an audit of a sample does, and the look at mended drift."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from slipstream.consistency.carrying import enter
from slipstream.consistency.comparing import Compared, Comparer
from slipstream.consistency.drift import DriftCheck
from slipstream.consistency.full import Progress, batched
from slipstream.consistency.ledger import Ledger
from slipstream.consistency.report import AuditReport
from slipstream.domain.keys import RecordKey

_PER_LEAF = 32


def choose(ledger: Ledger, doubted: Collection[RecordKey], size: int, rng: random.Random) -> list[RecordKey]:
    """Return about `size` keys, of randomly chosen leaves; up to half of them are doubted ones."""
    chosen = dict.fromkeys(rng.sample(sorted(doubted), min(len(doubted), (size + 1) // 2)))
    heads = [head.after for head in ledger.heads() if head.by_type]
    rng.shuffle(heads)
    for after in heads:
        if len(chosen) >= size:
            break
        terms = ledger.terms([after]).get(after, {})
        chosen.update((RecordKey.decode(key), None) for key in rng.sample(sorted(terms), min(len(terms), _PER_LEAF)))
    return list(chosen)[:size]


def embed_anew(
    report: AuditReport,
    comparer: Comparer,
    drift: DriftCheck,
    keys: Sequence[RecordKey],
    page: int,
    on_progress: Progress | None,
) -> set[RecordKey]:
    """Embed keys that the report counts as fresh, and enter what is not so; returns those that were embedded."""
    known, embedded = set(report.divergent_keys()), set[RecordKey]()
    for chosen in batched([key for key in keys if key not in known], page):
        for compared in comparer.decide(chosen).decided:
            if not enter(report, compared, compared.kind) and offer(comparer, drift, compared):
                embedded.add(compared.key)
        drift.enter(report)
        if on_progress is not None:
            on_progress(drift.checked)
    return embedded


def offer(comparer: Comparer, drift: DriftCheck, compared: Compared) -> bool:
    """Offer a key that looks right to the check of drift; returns whether there is a vector to check."""
    if compared.kind is not None or compared.target is None or not compared.stamps:
        return False
    ((vector, _),) = comparer.checked_vectors(compared.stamps)
    if vector is not None:
        drift.offer(compared.target, compared.stamps[0], vector)
    return vector is not None
