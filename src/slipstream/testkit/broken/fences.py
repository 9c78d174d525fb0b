"""Graphs whose fences, or new ids, have one fault each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from slipstream.adapters.graphs.memory import MemoryGraph
from slipstream.adapters.graphs.staging import StagedTransaction
from slipstream.domain.fences import Fence, RowName
from slipstream.testkit.clock import ManualClock


class _BrokenFences(MemoryGraph):
    def __init__(self) -> None:
        super().__init__(ManualClock())

    @contextmanager
    def transaction(self) -> Iterator[StagedTransaction]:
        with super().transaction() as tx:
            self._spoil(tx)
            yield tx

    def _spoil(self, tx: StagedTransaction) -> None:
        """Make it wrong."""


class ForgetsFences(_BrokenFences):
    """Knows the fences of one transaction only."""

    def committed_fences(self) -> Mapping[RowName, Fence]:
        """Say that there are none."""
        return {}


class PutsFencesAtOnce(_BrokenFences):
    """Keeps a fence whose mutation was rolled back, so that the mutation is never applied."""

    def _spoil(self, tx: StagedTransaction) -> None:
        tx.put_fences = self._fences.update  # type: ignore[method-assign, assignment]


class MixesSpaces(_BrokenFences):
    """Finds the living rows of every space whose name begins with the given one."""

    def _spoil(self, tx: StagedTransaction) -> None:
        every = tx._every  # noqa: SLF001 - the fault

        def live_rows(
            space: str, before: str | None, after: str | None, limit: int
        ) -> Sequence[tuple[RowName, Fence]]:
            found = sorted(
                (row, fence.order or "", fence)
                for row, fence in every().items()
                if row.space.startswith(space) and row.name > (after or "") and not fence.is_deleted
            )
            return [(row, fence) for row, order, fence in found if before is None or order < before][:limit]

        tx.live_rows = live_rows  # type: ignore[method-assign]


class FindsDeletedRows(_BrokenFences):
    """Returns a deleted row as the row of a record."""

    def _spoil(self, tx: StagedTransaction) -> None:
        every = tx._every  # noqa: SLF001 - the fault

        def rows_of(keys: Collection[str]) -> Mapping[str, RowName]:
            by_key = {
                fence.key: row for row, fence in sorted(every().items(), key=lambda item: item[0], reverse=True)
            }
            return {key: by_key[key] for key in keys if key in by_key}

        tx.rows_of = rows_of  # type: ignore[method-assign]


class ForgetsWhatIsOwed(_BrokenFences):
    """Keeps the order of a fence, but not the properties that were not sent."""

    def _spoil(self, tx: StagedTransaction) -> None:
        put = tx.put_fences
        tx.put_fences = lambda fences: put({row: replace(fence, unsent=frozenset()) for row, fence in fences.items()})  # type: ignore[method-assign]


class RenamesAlone(_BrokenFences):
    """Gives an entity a new id, and drops its relationships."""

    def _spoil(self, tx: StagedTransaction) -> None:
        def rename(entity_id: str, new_id: str) -> dict[str, str]:
            entity = tx._existing_entity(entity_id)  # noqa: SLF001 - the fault
            tx.create_entity(entity.type, new_id, entity.properties)
            tx.delete_entity(entity_id)
            return {}

        tx.rename_entity = rename  # type: ignore[method-assign]


BROKEN_FENCES: tuple[type[_BrokenFences], ...] = (
    ForgetsFences,
    PutsFencesAtOnce,
    MixesSpaces,
    FindsDeletedRows,
    ForgetsWhatIsOwed,
    RenamesAlone,
)
