"""Work on a thread of its own, whose result somebody waits for."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Ahead(Generic[_T]):
    """Calls a function at once, on another thread."""

    def __init__(self, function: Callable[[], _T], name: str) -> None:
        self._function = function
        self._found: list[_T] = []
        self._error: BaseException | None = None
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._found.append(self._function())
        except BaseException as error:  # noqa: BLE001  (raised to whoever waits for the result)
            self._error = error

    def result(self) -> _T:
        """Wait for the function, and return what it returned; raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._found[0]
