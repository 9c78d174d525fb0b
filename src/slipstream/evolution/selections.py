"""Selections: records that are to be brought up to date, told by what their stamps say instead of by key."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from slipstream.domain.errors import CorruptionError
from slipstream.domain.journal_names import SELECTIONS
from slipstream.domain.keys import RecordKey
from slipstream.domain.stamps import Stamp
from slipstream.domain.work import Lane, WorkItem
from slipstream.evolution.selector import MARKING, ReembeddingSelector, SelectedPage, selected_page
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import Journal
from slipstream.ports.scans import PAGE


class Keep(Protocol):
    """Keeps work items durably, and does something else in the same journal transaction."""

    def __call__(self, items: Sequence[WorkItem], also: Callable[[], None]) -> None:
        """Keep them; the engine takes them from the journal, the highest priority first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A selector, and how far the index has been looked through for it."""

    id: int
    selector: ReembeddingSelector
    reason: str
    force: bool
    """Whether records are embedded anew whatever their text is now; else only what differs is."""
    page_size: int = PAGE
    after: str | None = None
    """The last key that was looked at."""
    marked: int = 0

    def is_to_select(self, key: RecordKey, stamps: Sequence[Stamp]) -> bool:
        """Whether a key with these records is still to be found by it."""
        is_behind = self.after is None or key.encode() > self.after
        return is_behind and any(self.selector.matches(stamp) for stamp in stamps)

    def as_dict(self) -> dict[str, Any]:
        """Return the selection as plain data."""
        return {
            "id": self.id,
            "selector": self.selector.as_dict(),
            "reason": self.reason,
            "force": self.force,
            "page_size": self.page_size,
            "after": self.after,
            "marked": self.marked,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Selection:
        """Return what `as_dict` was called on."""
        return cls(**{**data, "selector": ReembeddingSelector.from_dict(data["selector"])})


class Selections:
    """
    The selections for which the index has not been looked through yet, oldest first; durable.

    A page of the index is marked in the journal together with the place reached. Only when all pages are marked does
    the migration lane begin, by falling extraction confidence, so that the surest records come first.
    """

    def __init__(self, index: VectorIndex, journal: Journal, keep: Keep) -> None:
        self._index, self._journal, self._keep = index, journal, keep
        self._lock = threading.Lock()
        self._due = _kept(journal.get(SELECTIONS))
        self._counts: dict[int, int] = {}
        self._last = max((selection.id for selection in self._due), default=0)
        self._take_over_marking()

    def _take_over_marking(self) -> None:
        """Go on with what an interrupted `mark_for_reembedding` has flagged, and may not have marked."""
        reason = self._journal.get(MARKING)
        if reason is None:
            return
        with self._journal.transaction():
            self.add(ReembeddingSelector(needs_reembedding=True), reason, force=True)
            self._journal.set(MARKING, None)

    @property
    def due(self) -> tuple[Selection, ...]:
        """What is still to be looked through."""
        return tuple(self._due)  # always replaced as a whole

    def add(self, selector: ReembeddingSelector, reason: str, *, force: bool, page_size: int = PAGE) -> Selection:
        """Add a selection, durably; its selector must have been fixed to a time (`ReembeddingSelector.at`)."""
        added: list[Selection] = []

        def put() -> None:
            with self._lock:
                self._last += 1
                added.append(
                    Selection(id=self._last, selector=selector, reason=reason, force=force, page_size=page_size)
                )
                self._put([*self._due, *added])

        self._keep_or_restore((), put)
        return added[0]

    def _keep_or_restore(self, items: Sequence[WorkItem], also: Callable[[], None]) -> None:
        before = self.due
        try:
            self._keep(items, also)
        except BaseException:
            # It may have been kept all the same: then the page is marked twice, which is harmless.
            with self._lock:
                self._due = list(before)
            raise

    def _put(self, due: list[Selection]) -> None:
        self._journal.set(SELECTIONS, json.dumps([selection.as_dict() for selection in due]) if due else None)
        self._due = due

    def is_due(self, selection_id: int) -> bool:
        """Whether the index is still to be looked through for a selection."""
        return any(selection.id == selection_id for selection in self.due)

    def marked(self, selection_id: int) -> int:
        """Return how many records a selection has marked so far; 0 for one that an earlier process has finished."""
        return self._counts.get(selection_id, 0)

    def step(self) -> bool:
        """Look through one page of the index for the oldest selection; False when there is none."""
        due = self.due
        if not due:
            return False
        selection = due[0]
        after = None if selection.after is None else RecordKey.decode(selection.after)
        page = selected_page(self._index, selection.selector, after, selection.page_size)

        def reached() -> None:
            with self._lock:
                rest = self._due[1:]
                marked = self._counts[selection.id] = selection.marked + len(page.keys)
                if page.after is not None:
                    rest.insert(0, replace(selection, after=page.after.encode(), marked=marked))
                self._put(rest)

        self._mark(selection, page, reached)
        return True

    def _mark(self, selection: Selection, page: SelectedPage, reached: Callable[[], None]) -> None:
        confidences = page.confidences()
        # The flags first: after the mark they could fall on a vector that is new already. A flag whose mark is not
        # kept is no harm: the page is looked at again.
        flagged = page.flag(self._index, selection.reason) if selection.force else frozenset[RecordKey]()
        items = [
            WorkItem(
                key,
                Lane.MIGRATION,
                reason=selection.reason,
                # A flag is about one record, a forced mark about the records of both generations.
                force=selection.force and key not in flagged,
                priority=confidences.get(key, 0.0),
            )
            for key in page.keys
        ]
        self._keep_or_restore(items, reached)


def _kept(text: str | None) -> list[Selection]:
    try:
        return [Selection.from_dict(data) for data in json.loads(text or "[]")]
    except (TypeError, ValueError, KeyError) as error:
        raise CorruptionError(
            f"the journal's {SELECTIONS!r} can not be read ({error}): it was written by a newer version, or damaged"
        ) from error
