"""`PKGSyncHandler`: handles single change events, with a graph behind it or from the state that they carry."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any

from slipstream.apply.reconciler import REEMBED_CONFIDENCE_GAIN
from slipstream.domain.errors import InvalidInputError, PoisonEventError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.engine.failures import backoff_s
from slipstream.engine.loop import SyncEngine
from slipstream.events.carried import CarriedGraph, carried_position
from slipstream.events.direct import DirectWrites
from slipstream.events.queue import MUTATIONS_TOPIC, RETRIES_TOPIC, EventQueue
from slipstream.evolution.reembedding import Reembedded, ReembeddingService
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.ports.graph import GraphReader
from slipstream.recipes.in_force import Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.views.viewset import ViewSet

logger = logging.getLogger(__name__)


class PKGSyncHandler:
    """
    Handles PKG mutation events one by one. When `handle_event` returns True, the index reflects the event, and what
    may wait is kept durably: neighbours past the limit of a fan-out, the comparison after a schema evolution, and
    vectors of a generation that is not searched yet.

    A failed event goes to the `sync_retries` topic with its true count; after `max_retries` retries, or at once when
    retrying is hopeless, to the dead letters. With a `graph`, events only say which keys are dirty, and the graph is
    read; without one, the event's `new_data` is the entity's full state, fenced by the event's position (or time).
    Duplicates and reordered events are harmless either way. With an `engine`, which must be the graph's own, the
    engine does what may wait; without one, no part of a fan-out is left.
    """

    def __init__(
        self,
        embedding_service: EmbeddingService,
        embedding_store: Reembedded,
        event_queue: EventQueue,
        *,
        graph: GraphReader | None = None,
        views: ViewSet | Recipes | None = None,
        max_retries: int = 3,
        retry_base_s: float = 0.2,
        rng: random.Random | None = None,
        confidence_gain: float | None = REEMBED_CONFIDENCE_GAIN,
        reembedding: ReembeddingService | None = None,
        engine: SyncEngine | None = None,
    ) -> None:
        self.embedding_service = embedding_service
        self.store = embedding_store
        self.queue = event_queue
        self._graph = graph
        recipes = views if isinstance(views, Recipes) else Recipes(ViewRecipe(views or ViewSet(), embedding_service))
        self._direct = DirectWrites(
            embedding_store, embedding_service, recipes, engine=engine, confidence_gain=confidence_gain
        )
        self._reembedding = reembedding or ReembeddingService(
            embedding_store, embedding_service, graph, views=recipes
        )
        self._max_retries, self._retry_base_s = max_retries, retry_base_s
        self._rng = rng or random.Random()  # noqa: S311  (jitter, not cryptography)

    def subscribe_to_pkg_events(self) -> None:
        """Take events from the topic `pkg_mutations`, and failed ones back from `sync_retries`."""
        self.queue.subscribe(MUTATIONS_TOPIC, self.handle_event)
        self.queue.subscribe(RETRIES_TOPIC, self.handle_retry)

    def deliver(self) -> int:
        """Handle every due message of both topics in this thread; returns how many there were."""
        return self.queue.deliver(MUTATIONS_TOPIC) + self.queue.deliver(RETRIES_TOPIC)

    def handle_event(self, event: PKGEvent) -> bool:
        """Make the index reflect an event of any of the seven types; False when it went to retry or dead letters."""
        return self._attempt(event, retry_count=0)

    def handle_events(self, events: Sequence[PKGEvent]) -> int:
        """Handle events that were coalesced to one for each key; returns how many succeeded."""
        if self._graph is None:
            return sum(self.handle_event(event) for event in events)
        try:
            self._direct.reflect(self._graph, events)
        except Exception as error:  # noqa: BLE001  (each event is tried alone, and ends in a retry or dead letter)
            logger.warning("a batch of %d events failed, trying one by one: %s", len(events), error)
            return sum(self.handle_event(event) for event in events)
        return len(events)

    def handle_retry(self, message: Mapping[str, Any]) -> bool:
        """Try an event from the topic `sync_retries` again; False when it failed again."""
        return self._attempt(PKGEvent.parse(message["event"]), int(message["retry_count"]))

    def _attempt(self, event: PKGEvent, retry_count: int) -> bool:
        try:
            self._handle(event)
        except Exception as error:  # noqa: BLE001  (nothing is swallowed: it goes to a retry or a dead letter)
            self._handle_sync_error(event, error, retry_count)
            return False
        return True

    def _handle(self, event: PKGEvent) -> None:
        if event.event_type is PKGEventType.SCHEMA_EVOLVED:
            self._reembedding.follow(event, carried_position(event))
        elif self._graph is not None:
            self._direct.reflect(self._graph, [event])
        elif event.key is not None:
            # The text can not be read again later: every generation gets its vector now.
            self._direct.writer.reconcile(CarriedGraph(event, self.store.schema), [event.key], live_only=False)

    def _handle_sync_error(self, event: PKGEvent, error: Exception, retry_count: int) -> None:
        text = f"{type(error).__name__}: {error}"
        logger.warning("event %s failed (retry %d of %d): %s", event.event_id, retry_count, self._max_retries, text)
        if isinstance(error, PoisonEventError | InvalidInputError) or retry_count >= self._max_retries:
            self.queue.bury(event.event_id, event, text, retry_count + 1, event.model_dump_json())
            return
        message = {
            "event": event.model_dump(mode="json"),
            "error": text,
            "retry_count": retry_count + 1,
            "max_retries": self._max_retries,
        }
        delay_s = backoff_s(retry_count + 1, self._retry_base_s, 30.0, self._rng)
        self.queue.publish(RETRIES_TOPIC, message, delay_s=delay_s)
