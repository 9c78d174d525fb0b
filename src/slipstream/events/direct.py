"""Direct writes: the calling thread brings up to date what events dirty."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from slipstream.apply.direct import DirectWriter
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
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


class DirectWrites:
    """
    Plans what events dirty, and writes it in the calling thread.

    With an `engine`, a fan-out is cut at the engine's limit, and the rest is left durably to its backfill lane.
    Without one, all of it is done here, page by page.
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
        self._recipes = recipes
        self._state = None if engine is None else engine.state
        settings = SyncSettings() if engine is None else engine.settings
        self._fanout_max = settings.fanout_live_max
        self.writer = DirectWriter(
            store.index,
            store.journal,
            service,
            recipes,
            store.clock,
            beside=self._state,
            batch_max=settings.batch_max,
            confidence_gain=confidence_gain,
        )

    def reflect(self, graph: GraphReader, events: Iterable[PKGEvent]) -> None:
        """Bring up to date what events dirty in a graph; raises what reading, embedding or writing raises."""
        planner = Planner(graph, self._recipes, self._fanout_max)
        keys: dict[RecordKey, None] = {}
        for event in events:
            found = planner.each_key_of(event)
            if self._state is not None:
                keys.update(dict.fromkeys(islice(found, self._fanout_max)))
                self._leave(found, f"fan-out of {event.entity_id}")
                continue
            while page := list(islice(found, PAGE)):
                self.writer.reconcile(graph, page, live_only=True)
        self.writer.reconcile(graph, list(keys), live_only=True)

    def _leave(self, keys: Iterator[RecordKey], reason: str) -> None:
        """Leave keys to the engine, as durable work of its backfill lane."""
        left = 0
        while self._state is not None and (page := list(islice(keys, PAGE))):
            self._state.keep_work([WorkItem(key, Lane.BACKFILL, reason=reason) for key in page])
            left += len(page)
        if left:
            logger.warning("%d neighbours past the live limit go to the backfill lane (%s)", left, reason)
