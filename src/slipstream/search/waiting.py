"""Waiting until a commit can be found, by every arm that a search asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from slipstream.domain.errors import UnavailableError
from slipstream.domain.positions import Position

Wait = Callable[[Position, float], bool]


class Patience(Protocol):
    """What a search need not wait for."""

    def behind(self, position: Position) -> Mapping[str, str]:
        """Return the models that alone keep the index behind a position, with the reason why they are down."""
        ...

    def wait_for_some(self, position: Position, models: Sequence[str], timeout_s: float) -> bool:
        """Wait until the index reflects a position, but for those of `models` that are down, if one of them is up."""
        ...


class Waiting:
    """Waits for a commit; raises `UnavailableError` when the time runs out."""

    def __init__(self, after: Position | None, timeout_s: float) -> None:
        self._after, self._until_s, self._timeout_s = after, time.monotonic() + timeout_s, timeout_s

    def for_words(self, wait: Wait, frontier: Callable[[], Position]) -> None:
        """Wait until words are found as of the commit."""
        if self._after is not None and not wait(self._after, self._left_s()):
            raise self._late("the word index", frontier())

    def for_vectors(
        self,
        wait: Wait,
        patience: Patience | None,
        models: Callable[[], Sequence[str]],
        frontier: Callable[[], Position],
    ) -> Mapping[str, str]:
        """
        Wait until vectors are found as of the commit; returns the models that are down and so were not waited for.

        They are not waited for while one of `models` is up; without models, never.
        """
        if self._after is None:
            return {}
        if patience is None:
            has_come = wait(self._after, self._left_s())
        else:
            has_come = patience.wait_for_some(self._after, models(), self._left_s())
        if not has_come:
            raise self._late("the index", frontier())
        return {} if patience is None else patience.behind(self._after)

    def _left_s(self) -> float:
        return max(0.0, self._until_s - time.monotonic())

    def _late(self, what: str, at: Position) -> UnavailableError:
        return UnavailableError(
            f"{what} did not reach position {self._after} within {self._timeout_s:g} s (it is at {at}); "
            "raise timeout_s, or look at `slipstream status` for an outage"
        )
