"""How much goes into one request, and how much of a text: settings, and what refusals have taught this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from slipstream.domain.errors import ConfigError

CHARACTERS_PER_TOKEN = 4
_OVERHEAD_BYTES = 4
"""What a text costs beside itself in a JSON list: quotes, comma, blank."""


class TooLong(StrEnum):
    """What becomes of a text that the server says is too long for it."""

    CUT = "cut"
    """Its beginning is embedded: as much of it as the server takes."""
    REFUSE = "refuse"
    """It becomes a dead letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """
    What one request may hold, and one text.

    `tokens_max` limits a request, estimated at four characters to a token. Of a text longer than `characters_max`
    only the beginning is embedded; None sends all of it, and leaves it to the server to refuse (see `TooLong`).
    """

    texts_max: int = 32
    bytes_max: int = 1_000_000
    tokens_max: int | None = None
    characters_max: int | None = None
    too_long: TooLong = TooLong.CUT

    def __post_init__(self) -> None:
        given = (self.texts_max, self.bytes_max, self.tokens_max, self.characters_max)
        if any(value is not None and value < 1 for value in given):
            raise ConfigError(f"limits of a request must be positive: {self}")

    @property
    def rule(self) -> str:
        """The limits that change vectors, as a part of the model's version; empty when none does."""
        return "" if self.characters_max is None else f"+first{self.characters_max}"


class Batches:
    """Divides texts into requests; requests that a server refuses as too large make later ones smaller."""

    def __init__(self, limits: RequestLimits) -> None:
        self.texts_max = limits.texts_max
        self.bytes_max = limits.bytes_max
        self._tokens_max = limits.tokens_max

    def of(self, texts: Sequence[str], alone: Sequence[bool]) -> Iterator[list[int]]:
        """Yield the indexes of the texts of each request; texts marked in `alone` get one of their own."""
        batch: list[int] = []
        size = tokens = 0
        for number, text in enumerate(texts):
            more, more_tokens = size_of(text), 1 + len(text) // CHARACTERS_PER_TOKEN
            is_full = len(batch) >= self.texts_max or size + more > self.bytes_max
            is_full = is_full or (self._tokens_max is not None and tokens + more_tokens > self._tokens_max)
            if batch and (is_full or alone[number] or alone[batch[-1]]):
                yield batch
                batch, size, tokens = [], 0, 0
            batch.append(number)
            size, tokens = size + more, tokens + more_tokens
        if batch:
            yield batch

    def learn(self, status: int, halves: Sequence[Sequence[str]]) -> None:
        """Note that a request was too large, and its halves were not."""
        if status == 413:
            self.bytes_max = min(self.bytes_max, max(sum(map(size_of, half)) for half in halves))
        else:
            self.texts_max = min(self.texts_max, max(map(len, halves)))


def size_of(text: str) -> int:
    """Return about how many bytes a text takes in a request."""
    return len(text.encode("utf-8", "replace")) + _OVERHEAD_BYTES
