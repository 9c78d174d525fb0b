"""The line to the database: latency, calls that do not arrive, answers that get lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from slipstream.domain.errors import UnavailableError
from slipstream.ports.clock import Clock
from slipstream.testkit.remote.database import RemoteDatabase

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """How bad the line is; `unreached` and `unanswered` are shares of all calls."""

    latency_s: float = 0.000_05
    unreached: float = 0.0
    """The call never arrives."""
    unanswered: float = 0.0
    """The call is done, but the answer is lost."""
    attempts_max: int = 1
    """How often the adapter tries a repeatable call before it raises."""


CALM = Trouble()
ROUGH = Trouble(unreached=0.05, unanswered=0.05, attempts_max=12)
"""Bad, but the adapter copes with it alone (all twelve attempts fail once in 10^12 calls)."""


class Line:
    """One client's connection. Every call lets something else happen at the other end first."""

    def __init__(self, database: RemoteDatabase, clock: Clock, trouble: Trouble) -> None:
        self.database = database
        self.trouble = trouble
        self._clock = clock
        self._is_closed = False

    def ask(self, question: Callable[[], T]) -> T:
        """Make a repeatable call; raises `UnavailableError` when no attempt got an answer."""
        for _ in range(self.trouble.attempts_max - 1):
            try:
                return self._ask_once(question)
            except UnavailableError:
                self.require_open()
        return self._ask_once(question)

    def _ask_once(self, question: Callable[[], T]) -> T:
        self.require_open()
        self._clock.sleep(self.trouble.latency_s)
        with self.database.mutex:
            self.database.pass_by()
            self.fail_now(self.trouble.unreached, "the database could not be reached")
            answer = question()
            self.fail_now(self.trouble.unanswered, "the connection was lost before the answer came")
        return answer

    def fail_now(self, share: float, reason: str) -> None:
        """Raise `UnavailableError` in a share of the cases."""
        with self.database.mutex:
            if self.database.random.random() < share:
                raise UnavailableError(f"{reason}: try again")

    def require_open(self) -> None:
        """Raise `UnavailableError` once the client has closed."""
        if self._is_closed:
            raise UnavailableError("the connection is closed: open another one")

    def close(self) -> None:
        """Refuse every later call."""
        self._is_closed = True
