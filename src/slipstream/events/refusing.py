"""Refused lines: kept as dead letters up to a limit, and past it counted by reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from slipstream.domain.errors import ConfigError
from slipstream.domain.refusals import CutLine, RefusalLimits, reason_of
from slipstream.domain.work import DeadLetter
from slipstream.events.lines import Line
from slipstream.ports.clock import Clock
from slipstream.ports.journal import DeadLetters

WRONG_AFTER = 20
"""A file of which the first so many lines are all refused is the wrong one."""
SAMPLES_MAX = 10
"""How many letters are kept of lines that are not text or that come before the first line of the right form."""
REASONS_MAX = 20
"""How many reasons of one source are counted apart; lines refused for other reasons are counted together."""
_OTHER = "other reasons"
_ROW_BYTES = 200
"""About how many bytes a letter takes beside its texts."""


class Source(NamedTuple):
    """Where lines come from."""

    name: str
    """For people, who may have to give the source again."""
    prefix: str
    """What the ids of its letters begin with."""
    is_stream: bool = False
    """Whether it can be read only once: then it is never taken for the wrong one, and counts add up over runs."""
    form: str = "lines of the expected form"


@dataclass(slots=True)
class _Counted:
    count: int = 0
    first: str = ""
    last: str = ""


@dataclass(slots=True)
class _Room:
    """How much may still be kept."""

    count: int
    size_bytes: int

    def takes(self, size_bytes: int) -> bool:
        if self.count <= 0 or self.size_bytes < size_bytes:
            return False
        self.count -= 1
        self.size_bytes -= size_bytes
        return True


@dataclass(slots=True)
class Refusals:
    """
    The refused lines of one source; nothing is durable before `flush`.

    A file (not a stream) is taken for the wrong one when its first `WRONG_AFTER` lines are refused before `prove` was
    called: `refuse` then raises `ConfigError`, and nothing of the file is kept.
    """

    letters: DeadLetters
    clock: Clock
    source: Source
    limits: RefusalLimits = field(default_factory=RefusalLimits)
    _is_proved: bool = False
    _refused: int = 0
    _samples: int = 0
    _waiting: list[DeadLetter] = field(default_factory=list)
    _room: _Room | None = None
    _more: dict[str, _Counted] = field(default_factory=dict)
    _is_counting: bool = False

    def prove(self) -> None:
        """Note that a line was of the expected form."""
        self._is_proved = True

    def refuse(
        self,
        letter_id: str,
        line: Line,
        where: str,
        error: Exception,
        text: str | None = None,
        payload: str | None = None,
    ) -> None:
        """
        Keep a line with the error, or count it; `where` names the line within the source.

        `text` replaces the error's message. `payload` is kept in the line's place, if the whole line could be kept.
        Raises `ConfigError` when this line shows the whole source to be the wrong one.
        """
        self._refused += 1
        if self._is_doubted and self._refused >= WRONG_AFTER:
            self._waiting, self._more = [], {}
            raise ConfigError(
                f"{self.source.name} is not {self.source.form}, or does not fit this graph: its first {WRONG_AFTER} "
                f"lines are all refused, and nothing of it was taken. The last of them: {text or error}"
            )
        letter = self._letter(letter_id, line, text or str(error), payload)
        if self._is_worth_keeping(line) and self._room_left().takes(_size_bytes(letter)):
            self._waiting.append(letter)
        else:
            self._count(where, error)

    @property
    def _is_doubted(self) -> bool:
        """Whether further refused lines may show the whole source to be the wrong one."""
        return not (self._is_proved or self.source.is_stream)

    def _is_worth_keeping(self, line: Line) -> bool:
        """Whether a line gets its own letter; of lines that no replay can mend, or of the wrong form, samples do."""
        if (isinstance(line, CutLine) and line.fault) or not self._is_proved:
            self._samples += 1
            return self._samples <= SAMPLES_MAX
        return True

    def _letter(self, letter_id: str, line: Line, error: str, payload: str | None) -> DeadLetter:
        limit = self.limits.line_bytes
        if isinstance(line, str) and len(line) <= limit and len(line.encode("utf-8", "surrogatepass")) <= limit:
            return DeadLetter(letter_id, None, error, 1, self.clock.now(), None, payload or line)
        cut = line.shortened(limit) if isinstance(line, CutLine) else CutLine.of(line, limit)
        said = f"{error}; {cut}: to replay it, give {self.source.name} again"
        return DeadLetter(letter_id, None, said, 1, self.clock.now(), None, cut.as_json(self.source.name))

    def _room_left(self) -> _Room:
        if self._room is None:
            kept = self.letters.refused_size()
            self._room = _Room(self.limits.count_max - kept.count, self.limits.bytes_max - kept.size_bytes)
        return self._room

    def _count(self, where: str, error: Exception) -> None:
        reason = reason_of(error)
        if reason not in self._more and len(self._more) >= REASONS_MAX:
            reason = _OTHER
        counted = self._more.setdefault(reason, _Counted(first=where))
        counted.count += 1
        counted.last = where
        self._is_counting = True

    def flush(self) -> None:
        """Make refused lines durable, unless the source is still in doubt; call before the source moves on."""
        if not self._is_doubted:
            self.finish()

    def finish(self) -> None:
        """Make all refused lines durable, at the end of the source."""
        if self._waiting:
            self.letters.bury(self._waiting)
            self._waiting = []
        if self._is_counting:
            now = self.clock.now()
            self.letters.bury([self._summary(reason, counted, now) for reason, counted in self._more.items()])
            self._is_counting = False
            if self.source.is_stream:
                self._more = {}

    def _summary(self, reason: str, counted: _Counted, now: datetime) -> DeadLetter:
        """Return the letter that stands for all lines of one reason that were only counted."""
        digest = hashlib.blake2b(f"{self.source.name}\0{reason}".encode(), digest_size=8).hexdigest()
        letter_id = f"{self.source.prefix}more:{digest}"
        before = next(iter(self.letters.find([letter_id])), None) if self.source.is_stream else None
        count = counted.count + (0 if before is None else before.attempts)
        said = (
            f"{count:,} more lines of {self.source.name} are refused and not kept ({counted.first} to "
            f"{counted.last}): {reason}; mend it and give it again"
        )
        return DeadLetter(letter_id, None, said, count, now)


def _size_bytes(letter: DeadLetter) -> int:
    return len(letter.error) + len((letter.payload or "").encode("utf-8", "surrogatepass")) + _ROW_BYTES
