"""A cache of vectors in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from slipstream.domain.errors import ConfigError, UnavailableError
from slipstream.domain.stamps import Vector


class MemoryEmbeddingCache:
    """Holds up to `entries_max` vectors; the least recently used one goes first. Safe for several threads."""

    def __init__(self, entries_max: int = 10_000) -> None:
        if entries_max < 1:
            raise ConfigError(f"entries_max {entries_max} keeps nothing: use at least 1, or no cache")
        self._entries_max = entries_max
        self._entries: OrderedDict[str, Vector] | None = OrderedDict()
        self._lock = threading.Lock()

    def get(self, keys: Sequence[str]) -> Mapping[str, Vector]:
        """Return the cached vectors among the keys."""
        with self._lock:
            entries = self._opened()
            found = {key: entries[key] for key in keys if key in entries}
            for key in found:
                entries.move_to_end(key)
            return found

    def put(self, vectors: Mapping[str, Vector]) -> None:
        """Keep copies of the vectors, evicting the least recently used past the limit."""
        with self._lock:
            entries = self._opened()
            for key, vector in vectors.items():
                entries[key] = vector.copy()
                entries[key].flags.writeable = False
                entries.move_to_end(key)
            while len(entries) > self._entries_max:
                entries.popitem(last=False)

    def close(self) -> None:
        """Forget everything; closing twice is harmless."""
        with self._lock:
            self._entries = None

    def _opened(self) -> OrderedDict[str, Vector]:
        if self._entries is None:
            raise UnavailableError("the embedding cache is closed: make a new one")
        return self._entries
