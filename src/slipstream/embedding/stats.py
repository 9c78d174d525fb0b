"""Counters of an embedding service."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class EmbeddingStats:
    """What a service has done since it was made."""

    requests: int = 0
    """Requests to embed (a search query is none)."""
    computed: int = 0
    """Texts that a model has embedded."""
    cached: int = 0
    """Texts whose vector came from the cache."""
    calls: int = 0
    """Calls to models."""


class StatsCounter:
    """Adds up, from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stats = EmbeddingStats()

    def add(self, *, requests: int = 0, computed: int = 0, cached: int = 0, calls: int = 0) -> None:
        """Add to the counters."""
        with self._lock:
            now = self._stats
            self._stats = replace(
                now,
                requests=now.requests + requests,
                computed=now.computed + computed,
                cached=now.cached + cached,
                calls=now.calls + calls,
            )

    def snapshot(self) -> EmbeddingStats:
        """Return the counters, all of one moment."""
        with self._lock:
            return self._stats
