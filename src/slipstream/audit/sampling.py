"""Embeds chosen records anew, in small batches: what an audit of a sample does, and the look at mended drift."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from slipstream.audit.comparing import Compared, Comparer, take_back
from slipstream.audit.drift import DriftCheck
from slipstream.audit.findings import AuditReport
from slipstream.audit.leaves import Leaves
from slipstream.audit.pacing import Pace, paced
from slipstream.domain.keys import RecordKey

_PER_LEAF = 32


def choose(leaves: Leaves, doubted: Collection[RecordKey], size: int, rng: random.Random) -> list[RecordKey]:
    """Return about `size` keys, of randomly chosen leaves; up to half of them are doubted ones."""
    chosen = dict.fromkeys(rng.sample(sorted(doubted), min(len(doubted), (size + 1) // 2)))
    heads = [head.after for head in leaves.heads() if head.by_type]
    rng.shuffle(heads)
    for after in heads:
        if len(chosen) >= size:
            break
        terms = leaves.terms([after]).get(after, {})
        chosen.update((RecordKey.decode(key), None) for key in rng.sample(sorted(terms), min(len(terms), _PER_LEAF)))
    return list(chosen)[:size]


def embed_anew(
    report: AuditReport, comparer: Comparer, drift: DriftCheck, keys: Sequence[RecordKey], pace: Pace
) -> set[RecordKey]:
    """Embed keys that the report counts as fresh, and enter what is not so; returns those that were embedded."""
    known, embedded = report.named(), set[RecordKey]()
    for chosen in paced([key for key in keys if key not in known], pace):
        for compared in comparer.decide(chosen).decided:
            if compared.kind is not None:
                take_back(report, compared, compared.kind)
            elif offer(comparer, drift, compared):
                embedded.add(compared.key)
        drift.enter(report)
        pace.rest()
    return embedded


def offer(comparer: Comparer, drift: DriftCheck, compared: Compared) -> bool:
    """Offer a key that looks right to the check of drift; returns whether there is a vector to check."""
    if compared.kind is not None or compared.target is None or not compared.stamps:
        return False
    ((vector, _),) = comparer.checked_vectors(compared.stamps)
    if vector is not None:
        drift.offer(compared.target, compared.stamps[0], vector)
    return vector is not None
