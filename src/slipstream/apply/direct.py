"""Keys made equal on both sides by the calling thread, in bounded batches, beside an engine or without one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Protocol

from slipstream.apply.applying import applied
from slipstream.apply.reconciler import REEMBED_CONFIDENCE_GAIN, Prepared, Reconciler
from slipstream.domain.errors import UnavailableError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.requests import EmbeddingResult, Target
from slipstream.domain.work import WorkItem
from slipstream.ports.clock import Clock
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.recipes.in_force import Recipes

_SWAPS_MAX = 3
"""How often the recipes, or what is wanted, may change under one batch before it is given up."""


class Beside(Protocol):
    """What an engine must know of those who write beside it."""

    @property
    def writing(self) -> threading.Lock:
        """Held for a whole write, by whoever writes."""
        ...

    def overtake(self, keys: Iterable[RecordKey]) -> None:
        """Have batches in flight that hold these keys read again instead of written; `writing` is held."""
        ...

    def adopt(self, items: Sequence[WorkItem]) -> None:
        """Take in work items that are in the journal already; `writing` is held."""
        ...


class DirectWriter:
    """
    Writes as the engine does, but for whoever calls: under the same lock, and only by recipes that are in force.

    What the generation beside the live one needs goes to the journal's migration lane: its model may be down.
    """

    def __init__(
        self,
        index: VectorIndex,
        journal: Journal,
        service: EmbeddingService,
        recipes: Recipes,
        clock: Clock,
        *,
        beside: Beside | None = None,
        batch_max: int = 1_024,
        confidence_gain: float | None = REEMBED_CONFIDENCE_GAIN,
    ) -> None:
        self._index, self._journal, self._service = index, journal, service
        self._recipes, self._clock, self._beside = recipes, clock, beside
        self._batch_max, self._confidence_gain = batch_max, confidence_gain

    def reconcile(
        self,
        graph: GraphReader,
        keys: Sequence[RecordKey],
        *,
        forced: frozenset[RecordKey] = frozenset(),
        live_only: bool = False,
        settle: Callable[[Sequence[RecordKey]], None] | None = None,
    ) -> None:
        """
        Make keys equal on both sides; with `live_only` the generation beside the live one gets its vectors later.

        `settle` is called with the keys of each batch, in the durable step that writes it. Raises
        `UnavailableError` when the keys, or the recipes, change again and again meanwhile, and whatever reading,
        embedding or writing raises.
        """
        reconciler = Reconciler(
            graph, self._index, self._service, self._recipes, self._clock, confidence_gain=self._confidence_gain
        )
        for start in range(0, len(keys), self._batch_max):
            batch = keys[start : start + self._batch_max]
            prepare = partial(reconciler.prepare, batch, forced, live_only=live_only)
            done = partial(settle, batch) if settle is not None else _nothing
            if not any(self._write(reconciler, prepare, done) for _ in range(_SWAPS_MAX)):
                raise UnavailableError(
                    f"{len(batch)} records or their recipes changed each time while they were embedded"
                )

    def _write(self, reconciler: Reconciler, prepare: Callable[[], Prepared], done: Callable[[], None]) -> bool:
        """Embed and write, and keep what is left for later; False when recipes or targets changed meanwhile."""
        prepared = prepare()
        vectors = dict(zip(map(_identity, prepared.targets), reconciler.embed(prepared), strict=True))
        beside = self._beside
        with nullcontext() if beside is None else beside.writing:
            if prepared.recipes is not self._recipes.pair:
                return False
            if beside is not None:
                # The engine may have gone past what was read: a key, its tombstone too, may be gone, or have moved.
                prepared = prepare()
            if not all(_identity(target) in vectors for target in prepared.targets):
                return False
            try:
                results = [vectors[_identity(target)] for target in prepared.targets]
                self._write_durably(reconciler, prepared, results, done)
            finally:
                if beside is not None:
                    beside.overtake(prepared.keys)  # behind the write: who read before it has read the old state
        return True

    def _write_durably(
        self,
        reconciler: Reconciler,
        prepared: Prepared,
        results: Sequence[EmbeddingResult],
        done: Callable[[], None],
    ) -> None:
        later = prepared.later
        with applied(self._journal, reconciler, prepared, results) as written:
            done()
            if later:
                self._journal.put_work(later)
        written.warn_of_blocked()
        if self._beside is not None and later:
            self._beside.adopt(later)


def _identity(target: Target) -> tuple[RecordKey, Space, str, bool]:
    """Return what a vector was computed for."""
    return target.key, target.space, target.fingerprint, target.request.bypass_cache


def _nothing() -> None:
    """Settle nothing."""
