"""Partitions of tables: a row that comes under the names of both is one row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from slipstream.domain.entities import Entity
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import Change
from slipstream.domain.fences import Fence, RowName


class Rows(Protocol):
    """The fences in one transaction."""

    def get(self, row: RowName) -> Fence | None:
        """Return the fence of a row."""
        ...

    def put(self, row: RowName, fence: Fence) -> None:
        """Put a fence."""
        ...


class Partitions:
    """
    Detects tables that repeat the rows of another one; a finding is kept in the fence of the table.

    Debezium sends changes of a partition's rows under the partition's name, but those of the table's snapshot under
    both names. A table is taken for a partition if its name is another's followed by `_…`, and it brings the very row
    that the other has, at the same order.
    """

    def __init__(self, rows: Rows, tables: Mapping[str, str]) -> None:
        self._rows, self._tables = rows, tables

    def refusal(self, change: Change, entity: Callable[[str], Entity | None]) -> InvalidInputError | None:
        """Return the error that refuses a change of an undeclared partition; None for other changes."""
        if not change.event.event_type.is_entity:
            return None
        row = RowName("", change.space)
        known = self._rows.get(row)
        if known is None:
            known = Fence()
            self._rows.put(row, known)
        if change.space in self._tables or change.space.rpartition(".")[2] in self._tables:
            return None  # the user has declared what it is
        if not known.key and change.order:
            parent = next((name for name in _longer(change.space) if self._is_twin(change, name, entity)), None)
            if parent is not None:
                known = replace(known, key=parent)
                self._rows.put(row, known)
        return _refused(change.space, known.key) if known.key else None

    def _is_twin(self, change: Change, space: str, entity: Callable[[str], Entity | None]) -> bool:
        if self._rows.get(RowName("", space)) is None:
            return False
        fence = self._rows.get(RowName(space, change.name))
        if fence is None or fence.is_deleted or fence.order != change.order:
            return False
        there = entity(fence.key)
        new = {name: value for name, value in (change.event.new_data or {}).items() if value is not None}
        return there is not None and dict(there.properties) == new


def _longer(space: str) -> Iterator[str]:
    """Yield the names that a table's name continues with `_…`, the longest first."""
    begin = space.rfind(".") + 1
    end = len(space)
    while (end := space.rfind("_", begin + 1, end)) > 0:
        yield space[:end]


def _refused(space: str, parent: str) -> InvalidInputError:
    table, of = (name.rpartition(".")[2] for name in (space, parent))
    return InvalidInputError(
        f"{space} repeats rows of {parent}, as a partition of it does: say --table {table}={of} to take both as one, "
        f"or --table {table}={table} if it is a table of its own; in Postgres publish_via_partition_root sends one",
        field="table",
    )
