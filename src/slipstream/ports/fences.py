"""What a transaction of the graph offers to foreign feeds: fences, and records as it has left them so far."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from slipstream.domain.entities import Entity
from slipstream.domain.fences import Fence, RowName


class Fences(Protocol):
    """
    The part of a `GraphTransaction` that keeps fences: how far a feed has come with each of its rows.

    They commit with the mutations that they stand for, or not at all; they are no change of the graph, and nothing
    is logged. Every read sees what this transaction has put. Raises `ConfigError` when it has ended.
    """

    def fences(self, rows: Collection[RowName]) -> Mapping[RowName, Fence]:
        """Return the fences of rows; those without one are absent."""
        ...

    def put_fences(self, fences: Mapping[RowName, Fence]) -> None:
        """Put fences, each in place of the one that its row had."""
        ...

    def rows_of(self, keys: Collection[str]) -> Mapping[str, RowName]:
        """
        Return, by encoded key, the row that stands for this record and is not deleted; keys without one are absent.

        Of several rows it is the first by space and name.
        """
        ...

    def live_rows(
        self, space: str, before: str | None, after: str | None, limit: int
    ) -> Sequence[tuple[RowName, Fence]]:
        """
        Return up to `limit` rows of a space that are not deleted, ordered by name, behind the name `after`.

        Rows whose fence has an order are left out unless it is lower than `before` (None: none are left out).
        """
        ...


class Records(Protocol):
    """
    The part of a `GraphTransaction` that reads records as it has left them so far, and renames them.

    Raises `ConfigError` when the transaction has ended.
    """

    def entity(self, entity_id: str) -> Entity | None:
        """Return an entity; None when there is none."""
        ...

    def has_relationship(self, relationship_id: str) -> bool:
        """Whether there is a relationship; raises `InvalidInputError` for what is no id of one."""
        ...

    def rename_entity(self, entity_id: str, new_id: str) -> Mapping[str, str]:
        """
        Give an entity and its relationships another id; the log says that each was deleted and created anew.

        Returns the new ids of the relationships, by the old ones. Raises `NotFoundError`, and `AlreadyExistsError`
        when the new id is taken.
        """
        ...
