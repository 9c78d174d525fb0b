"""Locks that are watched: who makes one, what is taken while it is held, and which ports are called meanwhile."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.architecture.sources import SOURCES, sources

_MAKERS = ("threading.Lock", "threading.RLock", "threading.Condition")


def lock_sites() -> dict[str, tuple[str, int]]:
    """Return every lock that the package makes, as `file attribute`, with its file and line."""
    found: dict[str, tuple[str, int]] = {}
    for source in sources():
        if source.is_in("testkit"):
            continue
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Assign):
                continue
            pairs = _pairs(node.targets[0], node.value)
            for target, value in pairs:
                made = isinstance(value, ast.Call) and ast.unparse(value.func) in (*_MAKERS, "Changes")
                if made:
                    name = ast.unparse(target).removeprefix("self.")
                    found[f"{source.shown} {name}"] = (source.shown, value.lineno)
    return found


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


class LockWatch:
    """
    Notes, while it is installed, the order in which threads take locks, and the ports they call with locks held.

    What happens inside a call of a port is the adapter's own business: only locks held from outside count.
    """

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.called: set[str] = set()
        self.orders: set[tuple[str, str]] = set()
        """Pairs of locks: the first was held when the second was taken."""
        self.calls: set[tuple[str, str]] = set()
        """Pairs of a lock and a port's method that was called while it was held."""
        self._local = threading.local()
        self._names = {place: name for name, place in lock_sites().items()}

    def install(self, monkeypatch: pytest.MonkeyPatch, ports: tuple[type, ...]) -> None:
        """Have every module of the package make watched locks, and watch the ports."""
        stand_in = SimpleNamespace(**{name: getattr(threading, name) for name in threading.__all__})
        stand_in.Lock = lambda: self.lock(self._name())
        stand_in.RLock = lambda: WatchedLock(self, threading.RLock(), self._name())
        stand_in.Condition = self._condition
        for name, module in list(sys.modules.items()):
            if name.startswith("slipstream.") and getattr(module, "threading", None) is threading:
                monkeypatch.setattr(module, "threading", stand_in)
        for port in ports:
            for name, method in vars(port).items():
                if inspect.isfunction(method) and not name.startswith("_"):
                    monkeypatch.setattr(port, name, self._watched(f"{port.__name__}.{name}", method))

    def _condition(self, lock: Any = None) -> threading.Condition:
        inner: Any = lock or WatchedLock(self, threading.RLock(), self._name())
        return threading.Condition(inner)

    def lock(self, name: str) -> WatchedLock:
        """Return a lock that is watched under a name."""
        return WatchedLock(self, threading.Lock(), name)

    def _name(self) -> str:
        frame = inspect.currentframe()
        while frame is not None:
            path = frame.f_code.co_filename
            if path.startswith(str(SOURCES)):
                place = (path.removeprefix(f"{SOURCES}/"), frame.f_lineno)
                if place in self._names:
                    return self._names[place]
            frame = frame.f_back
        return "?"

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.called.add(name)
            if self._depth():
                return method(*args, **kwargs)
            self.calls.update((held, name) for held in self._held())
            self._local.depth = 1
            try:
                return method(*args, **kwargs)
            finally:
                self._local.depth = 0

        return call

    def _held(self) -> list[str]:
        if not hasattr(self._local, "held"):
            self._local.held = []
        return self._local.held  # type: ignore[no-any-return]

    def _depth(self) -> int:
        return getattr(self._local, "depth", 0)

    def note_taken(self, name: str) -> None:
        """Note that the calling thread has taken a lock."""
        held = self._held()
        self.taken.add(name)
        if name not in held:  # taken once more by its holder, it waits for nobody
            self.orders.update((before, name) for before in held)
        held.append(name)

    def note_released(self, name: str) -> None:
        """Note that the calling thread has given a lock back; one that another thread took is not its own."""
        held = self._held()
        if name in held:
            held.reverse()
            held.remove(name)
            held.reverse()


class WatchedLock:
    """A lock, or one that its holder may take again, which tells the watch."""

    def __init__(self, watch: LockWatch, lock: Any, name: str) -> None:
        self._watch, self._lock, self._name = watch, lock, name

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it."""
        got: bool = self._lock.acquire(blocking, timeout)
        if got:
            self._watch.note_taken(self._name)
        return got

    def release(self) -> None:
        """Give it back."""
        self._lock.release()
        self._watch.note_released(self._name)

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return bool(self._lock.locked())

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _is_owned(self) -> bool:
        return bool(self._lock._is_owned())

    def _release_save(self) -> object:
        self._watch.note_released(self._name)
        return self._lock._release_save()

    def _acquire_restore(self, state: object) -> None:
        self._lock._acquire_restore(state)
        self._watch.note_taken(self._name)
