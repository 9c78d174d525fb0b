"""Chapter 2: edits at a steady rate, each timed until it is searchable."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from slipstream.app.slipstream import Slipstream
from slipstream.demo.capturing import Update
from slipstream.demo.corpus.edits import EditKind, live_edits
from slipstream.demo.editing import apply_edit, entities_of
from slipstream.domain.errors import UnavailableError

EDITS_PER_S = 20.0
SEED = 1
_TIMEOUT_S = 30.0

IRRELEVANT = EditKind.MOVE
"""A definition moves to another line, which no view shows."""


@dataclass(frozen=True, slots=True)
class Live:
    """
    Edits, and entities embedded for them, by kind of edit.

    The latencies are those of relevant edits, from the moment an edit was due until it was searchable.
    """

    edits: int
    edits_by_kind: Mapping[str, int]
    embedded_by_kind: Mapping[str, int]
    irrelevant: int
    irrelevant_embedded: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    latencies_ms: Sequence[float]


def edit_live(slip: Slipstream, count: int, update: Update) -> Live:
    """
    Commit edits and wait for each.

    The clock of an edit starts when it is due, not when the one before it has let it begin: a stall counts
    against every edit that it holds up.
    """
    edits = itertools.islice(live_edits(entities_of(slip), SEED), count)
    kinds: Counter[str] = Counter()
    embedded: Counter[str] = Counter()
    latencies_ms: list[float] = []
    start = time.perf_counter()
    for number, edit in enumerate(edits):
        due = start + number / EDITS_PER_S
        time.sleep(max(0.0, due - time.perf_counter()))  # the rate, not synchronisation
        before = slip.embedding.stats.requests
        position = apply_edit(slip.pkg, edit)
        if not slip.sync.wait(position, timeout_s=_TIMEOUT_S):
            raise UnavailableError(f"position {position} is not searchable after {_TIMEOUT_S:g} s: see the status")
        if edit.kind is not IRRELEVANT:
            latencies_ms.append((time.perf_counter() - due) * 1e3)
        kinds[edit.kind] += 1
        embedded[edit.kind] += slip.embedding.stats.requests - before
        update(number + 1, count)
    p50, p95, p99 = (float(value) for value in np.percentile(latencies_ms, (50, 95, 99)))
    return Live(
        edits=count,
        edits_by_kind={kind.value: kinds[kind] for kind in EditKind},
        embedded_by_kind={kind.value: embedded[kind] for kind in EditKind},
        irrelevant=kinds[IRRELEVANT],
        irrelevant_embedded=embedded[IRRELEVANT],
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        latencies_ms=latencies_ms,
    )
