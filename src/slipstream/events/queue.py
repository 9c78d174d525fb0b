"""The event queue: durable topics with subscribers, kept in the journal."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from slipstream.domain.errors import InvalidInputError, UnavailableError
from slipstream.domain.events import PKGEvent
from slipstream.domain.refusals import kept_payload
from slipstream.domain.work import DeadLetter
from slipstream.ports.clock import Clock
from slipstream.ports.journal import DELAY_S_MAX, DeadLetters, MessageStore

logger = logging.getLogger(__name__)

MUTATIONS_TOPIC = "pkg_mutations"
RETRIES_TOPIC = "sync_retries"
TOPIC_BYTES_MAX = 256 * 1024 * 1024
_PAGE = 500


class EventQueue:
    """
    First-in-first-out topics that survive a crash: a message stays until its subscriber has returned.

    Delivery is at least once, in the thread that calls `deliver`. `pkg_mutations` carries events,
    `sync_retries` carries `{"event", "error", "retry_count", "max_retries"}`.
    """

    def __init__(
        self, messages: MessageStore, dead_letters: DeadLetters, clock: Clock, bytes_max: int = TOPIC_BYTES_MAX
    ) -> None:
        self._messages, self._letters, self._clock = messages, dead_letters, clock
        self._bytes_max = bytes_max
        self._room: dict[str, int] = {}
        """How many bytes a topic surely takes yet: measured anew when they are used up."""
        self._subscribers: dict[str, Callable[[Any], object]] = {}
        self._delivering = threading.Lock()

    def subscribe(self, topic: str, subscriber: Callable[[Any], object]) -> None:
        """Set the subscriber of a topic; messages published before are delivered to it too."""
        self._subscribers[topic] = subscriber

    def publish(self, topic: str, message: PKGEvent | Mapping[str, Any], *, delay_s: float = 0.0) -> int:
        """
        Store a message durably and return its id; it is delivered after `delay_s` seconds at the earliest.

        Raises `UnavailableError`, and keeps nothing, when too much waits in the topic already, and
        `InvalidInputError` for a delay of more than an hour.
        """
        if not delay_s <= DELAY_S_MAX:
            raise InvalidInputError(f"must be at most {DELAY_S_MAX:,.0f}, not {delay_s}", field="delay_s")
        payload = message.model_dump_json() if isinstance(message, PKGEvent) else _to_json(message)
        self._take_room(topic, len(payload.encode("utf-8", "surrogatepass")))
        due_at = self._clock.now() + timedelta(seconds=delay_s) if delay_s > 0 else None
        return self._messages.append(topic, [payload], due_at)[0]

    def _take_room(self, topic: str, size_bytes: int) -> None:
        left = self._room.get(topic, 0) - size_bytes
        if left < 0:
            waiting = self._messages.size_bytes(topic)
            left = self._bytes_max - waiting - size_bytes
            if left < 0 < waiting:  # a message that is alone is taken, however large it is
                raise UnavailableError(
                    f"topic {topic} holds {waiting:,} bytes that nobody has taken, {self._bytes_max:,} are the most: "
                    "see what keeps its subscriber from them, then publish again"
                )
        self._room[topic] = max(0, left)

    def deliver(self, topic: str) -> int:
        """
        Hand every due message of a topic to its subscriber and return how many there were.

        A message whose subscriber raises stays, and the error passes on: nothing is lost and nothing is skipped.
        """
        subscriber = self._subscribers.get(topic)
        if subscriber is None:
            return 0
        delivered, after = 0, 0
        with self._delivering:
            while page := self._messages.pending(topic, after, _PAGE, self._clock.now()):
                for message_id, payload in page:
                    self._deliver_one(topic, payload, subscriber)
                    self._messages.acknowledge(topic, [message_id])
                    delivered, after = delivered + 1, message_id
        return delivered

    def _deliver_one(self, topic: str, payload: str, subscriber: Callable[[Any], object]) -> None:
        try:
            message = PKGEvent.parse(payload) if topic == MUTATIONS_TOPIC else json.loads(payload)
        except (InvalidInputError, ValueError) as error:
            # Not written by `publish`: it can never be delivered, and must not block the topic.
            self.bury(f"{topic}:{hash_of(payload)}", None, str(error), 1, kept_payload(payload, f"topic {topic}"))
            return
        subscriber(message)

    def depth(self, topic: str) -> int:
        """Return how many messages wait, due or not."""
        return self._messages.depth(topic)

    def pending(self, topic: str) -> list[tuple[int, str]]:
        """Return the due messages of a topic, as (id, JSON)."""
        rows: list[tuple[int, str]] = []
        while page := self._messages.pending(topic, rows[-1][0] if rows else 0, _PAGE, self._clock.now()):
            rows.extend(page)
        return rows

    def acknowledge(self, topic: str, message_ids: list[int]) -> None:
        """Forget messages that were dealt with."""
        self._messages.acknowledge(topic, message_ids)

    def bury(self, letter_id: str, event: PKGEvent | None, error: str, attempts: int, payload: str | None) -> None:
        """Make an event a dead letter."""
        key = None if event is None else event.key
        self._letters.bury([DeadLetter(letter_id, key, error, attempts, self._clock.now(), None, payload)])
        logger.warning("%s is a dead letter after %d attempts: %s", letter_id, attempts, error)


def hash_of(payload: str) -> str:
    """Return a short stable name of a payload."""
    return hashlib.blake2b(payload.encode(), digest_size=8).hexdigest()


def _to_json(message: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(message))
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"is not JSON: {error}", field="message") from error
