"""Facts that are each read by itself: one that can not be read is named, and hides no other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

_REST_FACTOR = 9


class Facts:
    """
    Reads facts by name, and remembers why one can not be read.

    With `rests`, for repeated reads: a fact that fails is not read again for nine times as long as it took to fail.
    """

    def __init__(self, *, rests: bool = False) -> None:
        self._rests = rests
        self._rest_until: dict[str, float] = {}
        self._unknown: dict[str, str] = {}

    def read(self, name: str, fact: Callable[[], T]) -> T | None:
        """Return the fact; None when it can not be read, and `unknown` then says why."""
        began = time.monotonic()
        if began < self._rest_until.get(name, began):
            return None
        try:
            found = fact()
        except Exception as error:  # noqa: BLE001  (whatever it is, the other facts are told)
            self._failed(name, error, began)
            return None
        self._unknown.pop(name, None)
        return found

    def _failed(self, name: str, error: Exception, began: float) -> None:
        reason = f"{type(error).__name__}: {error}"
        if self._unknown.get(name) != reason:
            logger.debug("%s can not be read", name, exc_info=error)
        self._unknown[name] = reason
        if self._rests:
            now = time.monotonic()
            self._rest_until[name] = now + _REST_FACTOR * (now - began)

    def note(self, name: str, reason: str) -> None:
        """Say why something is not known although it could be read."""
        self._unknown[name] = reason

    @property
    def unknown(self) -> Mapping[str, str]:
        """Why facts can not be read, by name."""
        return dict(self._unknown)
