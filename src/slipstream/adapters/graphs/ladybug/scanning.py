"""
The ordered scan of all keys, a window at a time.

The database has no ordered index: one page costs a pass over all keys. So a pass fetches a large window, which
later pages are cut from, and which every commit keeps up to date.
"""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from slipstream.adapters.graphs.ladybug.catalog import RID_COLUMN, Catalog, quoted
from slipstream.adapters.graphs.ladybug.store import Session
from slipstream.adapters.graphs.staging import Plan
from slipstream.domain.entities import KeyedType
from slipstream.domain.keys import RecordKey, RelationshipRef

WINDOW_SIZE = 50_000
"""A pass over a million keys takes about 0.1 s and then 1.4 us for each key of the window; a window holds 10 MB."""
_WINDOWS_MAX = 3  # a backfill, an audit and a third scan do not take each other's window away
_RELATIONSHIPS_START = "r:"


@dataclass(slots=True)
class Window:
    """All keys behind `after` and up to `last` (None: to the end), as encoded text with their types."""

    after: str
    last: str | None
    keys: list[str]
    types: dict[str, str]

    def covers(self, start: str) -> bool:
        """Whether the key that follows `start` is decided by this window."""
        return self.after <= start and (self.last is None or start < self.last)

    def put(self, key: str, type_name: str) -> None:
        """Take in a key that was created, when it falls into this window."""
        if key > self.after and (self.last is None or key <= self.last):
            if key not in self.types:
                bisect.insort(self.keys, key)
            self.types[key] = type_name

    def remove(self, key: str) -> None:
        """Forget a key that was deleted."""
        if self.types.pop(key, None) is not None:
            del self.keys[bisect.bisect_left(self.keys, key)]

    def page(self, start: str, limit: int) -> list[KeyedType]:
        """Return the keys behind `start`."""
        first = bisect.bisect_right(self.keys, start)
        return [KeyedType(RecordKey.decode(key), self.types[key]) for key in self.keys[first : first + limit]]


Change = tuple[str, str | None]
"""Encoded key, and its type or None when it is gone."""


class ScanWindows:
    """Keeps the newest windows true while commits go on, also those that commit while a window is being read."""

    def __init__(self) -> None:
        self._windows: list[Window] = []
        self._missed: list[Change] = []
        self._is_loading = False
        self._is_spoilt = False
        self._lock = threading.Lock()
        self._one_load_at_a_time = threading.Lock()

    def covering(self, start: str, limit: int) -> tuple[list[KeyedType], str | None] | None:
        """Return a page and where its window ends (None: at the end of all keys); None without such a window."""
        with self._lock:
            window = next((window for window in self._windows if window.covers(start)), None)
            return None if window is None else (window.page(start, limit), window.last)

    def types_of(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the types of those of the entities that a window knows: true when a commit is not just under way."""
        with self._lock:
            if not self._windows:
                return {}
            found: dict[str, str] = {}
            for entity_id in ids:
                key = f"e:{entity_id}"
                for window in self._windows:
                    if key in window.types:
                        found[entity_id] = window.types[key]
                        break
            return found

    def load(self, read: Callable[[], Window], start: str, limit: int) -> tuple[list[KeyedType], str | None]:
        """Read a window, keep it together with the commits that it may not have seen, and return a page of it."""
        with self._one_load_at_a_time:
            with self._lock:
                self._is_loading, self._is_spoilt = True, False
                self._missed.clear()
            try:
                window = read()
                with self._lock:
                    if not self._is_spoilt:
                        for change in self._missed:
                            _apply(window, change)
                        self._windows = [window, *self._windows][:_WINDOWS_MAX]
                    return window.page(start, limit), window.last
            finally:
                self._is_loading = False

    def note(self, changes: Iterable[Change]) -> None:
        """Take in what a commit has created and removed."""
        with self._lock:
            for change in changes:
                if self._is_loading:
                    self._missed.append(change)
                for window in self._windows:
                    _apply(window, change)

    def forget(self) -> None:
        """Drop everything: a commit of unknown effect."""
        with self._lock:
            self._windows.clear()
            self._is_spoilt = True


def _apply(window: Window, change: Change) -> None:
    key, type_name = change
    if type_name is None:
        window.remove(key)
    else:
        window.put(key, type_name)


def changes_of(plan: Plan) -> list[Change]:
    """Return which keys a plan creates, moves and removes."""
    changes: list[Change] = []
    for entity_change in plan.entities:
        existing = entity_change.after or entity_change.before
        if existing is not None:
            changes.append((existing.key.encode(), entity_change.after.type if entity_change.after else None))
    for change in plan.relationships:
        relationship = change.after or change.before
        if relationship is not None:
            changes.append((relationship.key.encode(), relationship.ref.type if change.after else None))
    return changes


def load_window(session: Session, catalog: Catalog, start: str, size: int = WINDOW_SIZE) -> Window:
    """Read the next `size` keys behind `start`, in one read transaction."""
    found: list[tuple[str, str]] = []
    if start < _RELATIONSHIPS_START:
        found += _entity_keys(session, start[2:], size)
    for name in sorted(catalog.relationships, key=_prefix):
        if len(found) >= size:
            break
        behind = _start_within(name, start)
        if behind is not None:
            found += _relationship_keys(session, name, behind, size - len(found))
    keys = [key for key, _ in found]
    return Window(start, keys[-1] if len(keys) >= size else None, keys, dict(found))


def _prefix(relationship_type: str) -> str:
    sample = RelationshipRef(relationship_type, "x", "x").id
    return sample[: -len("x:x")]


def _start_within(relationship_type: str, start: str) -> str | None:
    """Return the relationship id to start behind within one type; None when all of the type lies before `start`."""
    prefix = _RELATIONSHIPS_START + _prefix(relationship_type)
    if start.startswith(prefix):
        return start[len(_RELATIONSHIPS_START) :]
    return "" if prefix > start else None


def _entity_keys(session: Session, behind: str, size: int) -> Sequence[tuple[str, str]]:
    rows = session.run(
        f"MATCH (e:_Registry) WHERE e._key > $behind RETURN e._key, e._type ORDER BY e._key LIMIT {size}",
        behind=behind,
    )
    return [(f"e:{row[0]}", row[1]) for row in rows]


def _relationship_keys(session: Session, name: str, behind: str, size: int) -> Sequence[tuple[str, str]]:
    rows = session.run(
        f"MATCH ()-[r:{quoted(name)}]->() WHERE r.{RID_COLUMN} > $behind "
        f"RETURN r.{RID_COLUMN} ORDER BY r.{RID_COLUMN} LIMIT {size}",
        behind=behind,
    )
    return [(f"r:{row[0]}", name) for row in rows]
