"""The part of a staged transaction that keeps fences."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from slipstream.domain.errors import ConfigError
from slipstream.domain.fences import Fence, RowName


class CommittedFences(Protocol):
    """What `StagedFences` asks of the store, under the writer's lock."""

    def committed_fences(self) -> Mapping[RowName, Fence]:
        """Return every fence."""
        ...


class StagedFences:
    """Fences on top of the committed ones; see `ports.fences.Fences`. For small stores: it reads all fences."""

    def __init__(self, committed: CommittedFences) -> None:
        self._below = committed
        self._fences: dict[RowName, Fence] = {}
        self._open = True

    def fences(self, rows: Collection[RowName]) -> Mapping[RowName, Fence]:
        """Return the fences of those rows that have one."""
        every = self._every()
        return {row: every[row] for row in rows if row in every}

    def put_fences(self, fences: Mapping[RowName, Fence]) -> None:
        """Set fences, each replacing the one of its row."""
        self._check_open()
        self._fences.update(fences)

    def rows_of(self, keys: Collection[str]) -> Mapping[str, RowName]:
        """Return, by encoded key, the row that the record came from."""
        live = sorted(
            ((row, fence.key) for row, fence in self._every().items() if not fence.is_deleted), reverse=True
        )
        by_key = {key: row for row, key in live}
        return {key: by_key[key] for key in keys if key in by_key}

    def live_rows(
        self, space: str, before: str | None, after: str | None, limit: int
    ) -> Sequence[tuple[RowName, Fence]]:
        """Return rows of a space that are not deleted, ordered by name."""
        found = [
            (row, fence)
            for row, fence in self._every().items()
            if row.space == space and (after is None or row.name > after) and not fence.is_deleted
            if before is None or fence.order is None or fence.order < before
        ]
        return sorted(found, key=lambda item: item[0])[:limit]

    def _every(self) -> Mapping[RowName, Fence]:
        self._check_open()
        return ChainMap(self._fences, dict(self._below.committed_fences()))

    def _check_open(self) -> None:
        if not self._open:
            raise ConfigError("this transaction has ended: open another one with graph.transaction()")
