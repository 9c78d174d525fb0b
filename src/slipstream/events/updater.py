"""`IncrementalEmbeddingUpdater`: collects events durably and handles them in coalesced batches."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.events.carried import carried_position
from slipstream.events.handler import PKGSyncHandler

logger = logging.getLogger(__name__)

PENDING_TOPIC = "pending_updates"


class IncrementalEmbeddingUpdater:
    """
    Batches events: coalesced to the newest one of each key, in order, flushed by size or by its own timer.

    An event is durable before `add_event` returns, so a crash loses none: the next updater over the same queue
    finds them. Use as a context manager, or `close` it, to stop the timer.
    """

    def __init__(
        self,
        sync_handler: PKGSyncHandler,
        batch_size: int = 50,
        batch_timeout_seconds: float = 5,
    ) -> None:
        if batch_size < 1:
            raise InvalidInputError("must be at least 1", field="batch_size")
        if batch_timeout_seconds <= 0:
            raise InvalidInputError("must be greater than 0", field="batch_timeout_seconds")
        self.sync_handler = sync_handler
        self.batch_size = batch_size
        self.batch_timeout_s = float(batch_timeout_seconds)
        self._queue = sync_handler.queue
        self._pending = self._queue.depth(PENDING_TOPIC)
        self._lock = threading.Condition(threading.RLock())
        self._closed = False
        self._timer = threading.Thread(target=self._flush_on_time, name="slipstream-updater", daemon=True)
        self._timer.start()

    @property
    def pending_count(self) -> int:
        """How many events wait for the next flush."""
        return self._pending

    def add_event(self, event: PKGEvent) -> None:
        """Keep an event durably; flushes in this thread when the batch is full."""
        with self._lock:
            if self._closed:
                raise InvalidInputError("is closed: make a new one", field="updater")
            self._queue.publish(PENDING_TOPIC, event)
            self._pending += 1
            if self._pending == 1:
                self._lock.notify_all()
            if self._pending >= self.batch_size:
                self.flush_batch()

    def flush_batch(self) -> int:
        """Handle everything that is pending; returns how many events there were before coalescing."""
        with self._lock:
            rows = self._queue.pending(PENDING_TOPIC)
            if not rows:
                return 0
            latest: dict[RecordKey | str, PKGEvent] = {}
            for _, payload in rows:
                event = PKGEvent.parse(payload)
                _coalesce(latest, event)
            self.sync_handler.handle_events(list(latest.values()))
            # Acknowledged last: after a crash before this line the events are handled again, which is harmless.
            self._queue.acknowledge(PENDING_TOPIC, [message_id for message_id, _ in rows])
            self._pending = 0
            return len(rows)

    def _flush_on_time(self) -> None:
        with self._lock:
            while not self._closed:
                self._lock.wait_for(lambda: self._closed or self._pending > 0)
                flushed = self._lock.wait_for(lambda: self._closed or self._pending == 0, self.batch_timeout_s)
                if not flushed:
                    self._flush_safely()

    def _flush_safely(self) -> None:
        try:
            self.flush_batch()
        except Exception:
            # The events are still durable: the next tick tries again.
            logger.exception("a timed flush failed; %d events stay pending", self._pending)

    def close(self) -> None:
        """Flush what is pending and stop the timer; closing twice is harmless."""
        with self._lock:
            if self._closed:
                return
            self.flush_batch()
            self._closed = True
            self._lock.notify_all()
        self._timer.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _coalesce(latest: dict[RecordKey | str, PKGEvent], event: PKGEvent) -> None:
    """
    Keep the newest event of each key, with the old data of those it replaces.

    So a change that a later event does not repeat still counts as a change.
    """
    key = event.key or event.event_id
    earlier = latest.pop(key, None)
    if earlier is None:
        latest[key] = event
        return
    newer, older = (event, earlier) if carried_position(event) >= carried_position(earlier) else (earlier, event)
    latest[key] = newer.model_copy(update={"old_data": None if older.event_type.is_deletion else older.old_data})
