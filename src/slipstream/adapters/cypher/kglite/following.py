"""Keeps the mirror at the head of the log. Runs in the child process."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from slipstream.adapters.cypher.kglite.mirror import Mirror
from slipstream.adapters.cypher.kglite.source import (
    GraphFile,
    Mark,
    Page,
    all_entities,
    all_relationships,
    changes_since,
    entities_of,
    erased_through,
    head_of,
    relationships_of,
    types_of,
)
from slipstream.domain.errors import UnavailableError

_PAGE = 20_000
_PAGES_MAX = 8
"""How many pages are read; then all that is left at once, so that a busy writer can not prevent the end."""
_FILLS_MAX = 3
_ANEW_FROM = 50_000
"""When the mirror is behind by more changes than this, and than its size, filling anew is cheaper."""


@dataclass(slots=True)
class Standing:
    """A mirror, and its place in the log."""

    mirror: Mirror
    mark: Mark
    unsaved: int = 0
    """Changes since the mirror was saved last."""


class Follower:
    """
    Keeps one mirror at the head.

    `progress` is called between pieces of work, so that the parent knows that work goes on.
    """

    def __init__(self, file: GraphFile, progress: Callable[[], None]) -> None:
        self._file, self._progress = file, progress
        self.standing: Standing | None = None

    @property
    def is_before_erasure(self) -> bool:
        """Whether the mirror may still hold what was erased since: it must not be saved."""
        if self.standing is None:
            return False
        with self._file.reading() as connection:
            return self.standing.mark.position < erased_through(connection)

    def catch_up(self) -> Standing:
        """Return the mirror exactly as the graph was at some moment since the call began."""
        for _ in range(_FILLS_MAX):
            if self.standing is None:
                self.standing = self._filled()
            if self._followed(self.standing):
                return self.standing
            self.standing = None
        raise UnavailableError("the graph is being replaced or rebuilt all the time; try again")

    def _filled(self) -> Standing:
        """Fill a new mirror, page by page; what changes meanwhile is in the log after the mark."""
        with self._file.reading() as connection:
            mark = head_of(connection)
        mirror = Mirror(secrets.token_hex(6) + ":")
        for entities in all_entities(self._file):
            mirror.add_entities(entities)
            self._progress()
        for relationships in all_relationships(self._file):
            mirror.add_relationships(relationships)
            self._progress()
        return Standing(mirror, mark, unsaved=mirror.size)

    def _followed(self, standing: Standing) -> bool:
        """Apply what changed, up to the head; False when the log can not tell, or filling anew is cheaper."""
        for number in range(_PAGES_MAX + 1):
            page = self._page(standing, _PAGE if number < _PAGES_MAX else None)
            if page is None:
                return False
            if page.is_last:
                return True
            self._progress()
        return False

    def _page(self, standing: Standing, limit: int | None) -> Page | None:
        """Read and apply what changed, in one read transaction."""
        with self._file.reading() as connection:
            behind = head_of(connection).position - standing.mark.position
            if behind > _ANEW_FROM and behind > standing.mirror.size:
                return None
            page = changes_since(connection, standing.mark, limit)
            if page is None or page.rows == 0:
                return page
            self.standing = None  # after an error half way, the mirror is filled anew
            self._apply(standing.mirror, page, connection)
        standing.mark = page.mark
        standing.unsaved += page.rows
        self.standing = standing
        return page

    def _apply(self, mirror: Mirror, page: Page, connection: sqlite3.Connection) -> None:
        """
        Bring everything that the page names to its present state; a node with a new label is made anew.

        Deleted entities go first, with all their relationships at once.
        """
        ends = {end for source, _, target, _ in page.relationship_keys for end in (source, target)}
        types = types_of(connection, page.entity_ids | ends)
        looked_for = page.entity_ids | (ends - types.keys())
        labels = mirror.labels(looked_for, {i: types[i] for i in looked_for & types.keys()})
        moved = {identity for identity, label in labels.items() if types.get(identity, label) != label}
        gone = (labels.keys() - types.keys()) | moved
        mirror.delete_entities({identity: labels[identity] for identity in gone})
        mirror.delete_relationships(page.relationship_keys)
        known = labels.keys() - gone
        for entities in entities_of(connection, page.entity_ids):
            mirror.put_entities(entities, known)
            self._progress()
        for relationships in relationships_of(connection, page.relationship_keys, moved):
            mirror.add_relationships(relationships)
            self._progress()
