"""What was read of keys and not written since: an only writer need not read it again before writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from slipstream.domain.models import Space
from slipstream.domain.positions import Position

_KEYS_MAX = 5_000
"""More keys than the batches between the engine's stages hold."""


class Held(NamedTuple):
    """All that is stored of a key: the metadata of its records, and the position of its tombstone."""

    records: Mapping[Space, Mapping[str, Any]]
    tombstone: Position | None


class Known:
    """Remembers keys that were read, each until it is taken. Not safe for threads: the index holds its lock."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}

    def note(self, held: Mapping[str, Held]) -> None:
        """Remember keys as just read; past a limit the oldest are forgotten."""
        for key, found in held.items():
            self._held.pop(key, None)
            self._held[key] = found
        for key in list(islice(self._held, max(0, len(self._held) - _KEYS_MAX))):
            del self._held[key]

    def take(self, keys: Sequence[str]) -> dict[str, Held]:
        """Return what is remembered of keys about to be written, and forget it."""
        return {key: self._held.pop(key) for key in dict.fromkeys(keys) if key in self._held}

    def forget(self) -> None:
        """Forget everything: somebody may have written."""
        self._held.clear()
