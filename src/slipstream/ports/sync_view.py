"""The sync view: what the index holds of each entity, kept beside the graph for those who query it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from slipstream.domain.positions import Position


class EntitySync(StrEnum):
    """How an entity stands between graph and index."""

    FRESH = "fresh"
    """Its one record reflects the graph as it was at `position`, and nothing is known to be left to do."""
    PENDING = "pending"
    """It waits to be embedded: for its turn, or for its retry. An older record, if any, serves searches meanwhile."""
    DEAD_LETTER = "dead_letter"
    """It failed for good; its letter says why, and waits for replay or discard."""
    DIVERGENT = "divergent"
    """The index does not hold what the graph asks for, and no work is under way: an audit or a repair is due."""
    UNCOVERED = "uncovered"
    """Its recipe leaves it out, so it needs no vector and has none. (Views cover every entity; a recipe need not.)"""


@dataclass(frozen=True, slots=True)
class SyncState:
    """
    One row of the view.

    Everything from `model_id` to `embedded_at` is None without a record in the index. `position` is the graph
    position that the record's text was read at, `last_verified` when the record was last compared with the graph.
    """

    entity_id: str
    entity_type: str
    state: EntitySync
    model_id: str | None = None
    schema_version: int | None = None
    position: Position | None = None
    embedded_at: datetime | None = None
    last_verified: datetime | None = None


@runtime_checkable
class SyncView(Protocol):
    """
    The rows of the view, one an entity. Derived data: it can be lost and written anew at any time.

    No call touches graph data, appends to the change log, or makes the graph look changed. Every write is
    idempotent and works in steps of a few milliseconds, so that it never keeps a user's commit waiting: a call
    that raises may be applied in part, row by row, and is repeated as a whole. Raises `UnavailableError` when the
    graph is closed, `ConfigError` inside an open transaction of the same thread.
    """

    def put(self, states: Iterable[SyncState]) -> None:
        """Add or replace rows by entity id, each as a whole; of several for one entity the last one counts."""
        ...

    def remove(self, entity_ids: Iterable[str]) -> None:
        """Forget the rows of these entities; absent ones are no error."""
        ...

    def mark_verified(self, at: datetime, except_ids: Collection[str] = (), limit: int | None = None) -> int:
        """
        Set `last_verified` of fresh rows but those of `except_ids`; returns how many rows moved.

        At most `limit` of them, whichever; fewer than that moved when none is left.
        A row that was verified later than `at` keeps its time, so that calls may come in any order.
        """
        ...

    def read(self, entity_ids: Sequence[str]) -> Mapping[str, SyncState]:
        """Return the rows of these entities by id; entities without a row are absent."""
        ...

    def find(self, state: EntitySync, limit: int) -> Sequence[SyncState]:
        """Return the first `limit` rows in a state, ordered by entity id."""
        ...

    def counts(self) -> Mapping[EntitySync, int]:
        """Return how many rows there are in each state; states without any are left out."""
        ...

    def prune(self, limit: int) -> int:
        """Forget up to `limit` rows whose entity the graph does not hold; returns how many, 0 when none is left."""
        ...
