"""Direct: keys made equal on both sides by the calling thread, in bounded pages, beside an engine or without one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice

from slipstream.apply.applying import applied
from slipstream.apply.reconciler import Prepared, Reconciler
from slipstream.domain.errors import UnavailableError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.requests import EmbeddingResult, Target
from slipstream.domain.work import Lane, WorkItem
from slipstream.engine.loop import SyncEngine
from slipstream.engine.planner import Planner
from slipstream.engine.settings import SyncSettings
from slipstream.evolution.reembedding import Reembedded
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.ports.scans import PAGE
from slipstream.recipes.in_force import Recipes

logger = logging.getLogger(__name__)

_SWAPS_MAX = 3
"""How often the recipes, or what is wanted, may change under one page before it is given up."""


class DirectWrites:
    """
    Writes as the engine does, but for whoever calls: under the same lock, and only by recipes that are in force.

    What the generation beside the live one needs goes to the journal's migration lane: its model may be down. Beside
    an `engine` a fan-out is cut at the engine's limit, and the rest left to its backfill lane, durably; without one
    nobody else would do it, so all of it is done here, page by page.
    """

    def __init__(
        self,
        store: Reembedded,
        service: EmbeddingService,
        recipes: Recipes,
        *,
        engine: SyncEngine | None = None,
        confidence_gain: float | None = None,
    ) -> None:
        self._store, self._service, self._recipes = store, service, recipes
        self._confidence_gain = confidence_gain
        self._state = None if engine is None else engine.state
        self._settings = SyncSettings() if engine is None else engine.settings

    def reflect(self, graph: GraphReader, events: Iterable[PKGEvent]) -> None:
        """Bring up to date what events dirty in a graph; raises what reading, embedding or writing does."""
        planner = Planner(graph, self._recipes, self._settings.fanout_live_max)
        keys: dict[RecordKey, None] = {}
        for event in events:
            found = planner.each_key_of(event)
            if self._state is not None:
                keys.update(dict.fromkeys(islice(found, self._settings.fanout_live_max)))
                self._leave(found, f"fan-out of {event.entity_id}")
                continue
            while page := list(islice(found, PAGE)):
                self.reconcile(graph, page, live_only=True)
        self.reconcile(graph, list(keys), live_only=True)

    def _leave(self, keys: Iterator[RecordKey], reason: str) -> None:
        """Have the engine do the rest, in its own time."""
        left = 0
        while self._state is not None and (page := list(islice(keys, PAGE))):
            self._state.keep_work([WorkItem(key, Lane.BACKFILL, reason=reason) for key in page])
            left += len(page)
        if left:
            logger.warning("%d neighbours past the live limit go to the backfill lane (%s)", left, reason)

    def reconcile(self, graph: GraphReader, keys: Sequence[RecordKey], *, live_only: bool) -> None:
        """
        Make keys equal on both sides; with `live_only` the generation beside the live one gets its vectors later.

        Raises `UnavailableError` when the keys, or the recipes, change again and again meanwhile.
        """
        size = self._settings.batch_max
        for start in range(0, len(keys), size):
            self._reconcile_page(graph, keys[start : start + size], live_only=live_only)

    def _reconcile_page(self, graph: GraphReader, keys: Sequence[RecordKey], *, live_only: bool) -> None:
        for _ in range(_SWAPS_MAX):
            reconciler = Reconciler(
                graph,
                self._store.index,
                self._service,
                self._recipes,
                self._store.clock,
                confidence_gain=self._confidence_gain,
            )
            if self._write(reconciler, partial(reconciler.prepare, keys, live_only=live_only)):
                return
        raise UnavailableError(f"{len(keys)} records or their recipes changed each time while they were embedded")

    def _write(self, reconciler: Reconciler, prepare: Callable[[], Prepared]) -> bool:
        """Embed and write, together with what is left for later; False when something else is wanted by then."""
        prepared = prepare()
        vectors = dict(zip(map(_identity, prepared.targets), reconciler.embed(prepared), strict=True))
        state = self._state
        with nullcontext() if state is None else state.writing:
            if prepared.recipes is not self._recipes.pair:
                return False
            if state is not None:
                # The engine may have passed what was read: the key may be gone, and its tombstone, or be elsewhere.
                prepared = prepare()
            if not all(_identity(target) in vectors for target in prepared.targets):
                return False
            try:
                self._write_durably(reconciler, prepared, [vectors[_identity(target)] for target in prepared.targets])
            finally:
                if state is not None:
                    state.overtake(prepared.keys)  # behind the write: whoever has read before it, has read the old
        return True

    def _write_durably(self, reconciler: Reconciler, prepared: Prepared, results: Sequence[EmbeddingResult]) -> None:
        state, later = self._state, prepared.later
        with applied(self._store.journal, reconciler, prepared, results) as written:
            if later:
                self._store.journal.put_work(later)
        written.warn_of_blocked()
        if state is not None and later:
            with state.changed:
                state.backlog.adopt(later)
                state.owe(prepared.deferred)
                state.changed.notify_all()


def _identity(target: Target) -> tuple[RecordKey, Space, str, bool]:
    """Return what a vector was computed for."""
    return target.key, target.space, target.fingerprint, target.request.bypass_cache
