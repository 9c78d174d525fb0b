"""
Finds out what causes a refusal: a text, the request's size, or the model.

No status tells, but what the server does with other texts does. So a refused request is halved, down to single texts,
while a text that every model takes shows that the server works. A text that is refused twice on its own is at fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from slipstream.adapters.embedders.openai.answers import Rows
from slipstream.adapters.embedders.openai.limits import Batches
from slipstream.adapters.embedders.openai.refusals import DiedError, RefusedError
from slipstream.adapters.embedders.openai.wire import Wire
from slipstream.domain.errors import ConfigError

KNOWN_GOOD = "test"
"""A text that every model takes: when it is refused, no text is at fault."""
_CUTS_MAX = 20
_ALL_REFUSED_MIN = 8
"""When so many different texts are refused and none was ever taken, the server itself is at fault."""
_DEATHS_ALONE = 2
"""After so many requests that ended the server, a text in them is sent alone, so that it can not stop others."""
_DEATHS_MAX = 4
_REMEMBERED_MAX = 10_000


class Remembered:
    """What a client has learned about single texts, by digest; bounded, and lost with the process."""

    def __init__(self) -> None:
        self._deaths: dict[bytes, int] = {}
        self._shares: dict[bytes, float] = {}
        self.refused_characters: int | None = None
        """The length of the shortest text that was too long: others that long go alone."""
        self.has_accepted = False

    def goes_alone(self, text: str) -> bool:
        """Whether a text must not share a request."""
        is_long = self.refused_characters is not None and len(text) >= self.refused_characters
        return is_long or self.deaths(text) >= _DEATHS_ALONE

    def deaths(self, text: str) -> int:
        """Return how often the server died during a request with this text."""
        return self._deaths.get(_digest(text), 0) if self._deaths else 0

    def note_death(self, texts: Sequence[str]) -> None:
        """Note that the server died during a request with these texts."""
        if len(self._deaths) > _REMEMBERED_MAX:
            self._deaths.clear()
        for text in texts:
            self._deaths[_digest(text)] = self.deaths(text) + 1

    def note_taken(self, texts: Sequence[str]) -> None:
        """Note texts that the server embedded."""
        self.has_accepted = True
        if self._deaths:
            for text in texts:
                self._deaths.pop(_digest(text), None)

    def share(self, text: str) -> float | None:
        """Return the share of a text that went into its vector, if it was cut, else None."""
        return self._shares.get(_digest(text)) if self._shares else None

    def note_share(self, text: str, share: float) -> None:
        """Note that only a part of a text was embedded."""
        if len(self._shares) > _REMEMBERED_MAX:
            self._shares.clear()
        self._shares[_digest(text)] = share


class Isolation:
    """One call of `embed`: asks for all of its texts, and finds those at fault."""

    def __init__(
        self, wire: Wire, batches: Batches, known: Remembered, texts: Sequence[str], rows: Rows, *, cuts: bool
    ) -> None:
        self._wire, self._batches, self._known, self._cuts = wire, batches, known, cuts
        self._texts, self._rows = texts, rows
        self.faults: dict[int, str] = {}
        """The numbers of the texts that can not be embedded, and why."""
        self._is_proven = False

    def ask_all(self) -> None:
        """Fill the rows, and note the texts at fault; raises only what is the fault of server or model."""
        alone = [self._known.goes_alone(text) for text in self._texts]
        for batch in self._batches.of(self._texts, alone):
            if self._known.deaths(self._texts[batch[0]]) >= _DEATHS_MAX:
                self._prove()
                self.faults[batch[0]] = f"{self._wire.where} ends or hangs whenever it gets this text"
            else:
                self._ask(batch)
        refused = {self._texts[number] for number in self.faults}
        if len(refused) >= _ALL_REFUSED_MIN and not self._known.has_accepted:
            raise ConfigError(
                f"{self._wire.where} refuses every text but the shortest ({len(refused)} different ones): "
                f"{next(iter(self.faults.values()))}. Its server is set up wrongly; nothing has to be replayed"
            )

    def _ask(self, numbers: Sequence[int]) -> bool:
        """Request vectors of texts by number; returns whether one request sufficed."""
        texts = [self._texts[number] for number in numbers]
        try:
            self._take(numbers, self._wire.rows(texts))
        except RefusedError as refused:
            self._take_apart(numbers, refused)
        except DiedError as died:
            self._known.note_death(texts)
            self._prove(anew=True)  # raises when the server is down: then no text is at fault
            self._take_apart(numbers, RefusedError(str(died), 0))
        else:
            return True
        return False

    def _take(self, numbers: Sequence[int], rows: Rows) -> None:
        self._rows[list(numbers)] = rows
        self._known.note_taken([self._texts[number] for number in numbers])

    def _take_apart(self, numbers: Sequence[int], refused: RefusedError) -> None:
        if len(numbers) == 1:
            self._blame(numbers[0])
            return
        if not refused.is_too_much:
            self._prove()
        middle = len(numbers) // 2
        halves = [numbers[:middle], numbers[middle:]]
        went_through = [self._ask(half) for half in halves]
        if all(went_through) and refused.is_too_much:
            self._batches.learn(refused.status, [[self._texts[number] for number in half] for half in halves])

    def _blame(self, number: int) -> None:
        """Try a text that was refused alone once more: it is at fault, too long, or was unlucky."""
        self._prove(anew=True)
        text = self._texts[number]
        try:
            self._take([number], self._wire.rows([text]))
        except DiedError as died:
            self._known.note_death([text])
            self._prove(anew=True)
            self.faults[number] = str(died)
        except RefusedError as again:
            if again.is_too_long and self._cuts and len(text) > 1:
                self._cut(number, again)
            else:
                self.faults[number] = str(again)

    def _cut(self, number: int, refused: RefusedError) -> None:
        """Embed as much of the beginning of a text as the server takes."""
        text = kept = self._texts[number]
        shortest = self._known.refused_characters
        self._known.refused_characters = len(text) if shortest is None else min(shortest, len(text))
        for _ in range(_CUTS_MAX):
            kept = kept[: max(1, int(len(kept) * refused.share))].rstrip() or kept[:1]
            try:
                rows = self._wire.rows([kept])
            except RefusedError as again:
                refused = again
                if not again.is_too_long or len(kept) == 1:
                    break
            else:
                self._take([number], rows)
                self._known.note_share(text, len(kept) / len(text))
                return
        self.faults[number] = str(refused)

    def _prove(self, *, anew: bool = False) -> None:
        """Have the server embed a text that every model takes; raises if it does not."""
        if self._is_proven and not anew:
            return
        try:
            self._wire.rows([KNOWN_GOOD])
        except RefusedError as refused:
            raise refused.as_fault_of_all() from refused
        self._is_proven = True


def empty_rows(texts: int, dimension: int) -> Rows:
    """Return an empty matrix for the vectors."""
    return np.zeros((texts, dimension), dtype=np.float32)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
