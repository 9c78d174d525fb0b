"""Applies the truncation of a foreign table: its records are deleted, a bounded part in each transaction."""

from __future__ import annotations

from dataclasses import replace

from slipstream.domain.errors import InvalidInputError
from slipstream.domain.feed_changes import Truncation
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.events.changing import Outcome
from slipstream.events.fenced_rows import is_behind
from slipstream.ports.graph import GraphTransaction, GraphWriter

PAGE = 500
_ALL = 2**31


class Truncator:
    """
    Deletes the records that are alive by the fences of a table, and older than the truncation.

    Each page is a transaction, and only the last one notes that the table was emptied: after a crash it begins anew.
    """

    def __init__(self, pkg: GraphWriter, page: int = PAGE) -> None:
        self._pkg, self._page = pkg, page
        self.position: Position = ORIGIN

    def run(self, truncation: Truncation) -> Outcome:
        """Empty a table; raises `InvalidInputError` for one that is known as a partition of another one."""
        # A truncation without an order is known again only by its id, so it is one transaction.
        page = _ALL if truncation.order is None else self._page
        after: str | None = None
        while True:
            with self._pkg.transaction() as tx:
                passed = self._passed(tx, truncation)
                if passed is None:
                    after, is_last = self._delete_page(tx, truncation, after, page)
            self.position = tx.position
            if passed is not None or is_last:
                return passed or Outcome.APPLIED

    @staticmethod
    def _passed(tx: GraphTransaction, truncation: Truncation) -> Outcome | None:
        fence = tx.fences([RowName("", truncation.space)]).get(RowName("", truncation.space))
        if fence is not None and fence.key:
            raise InvalidInputError(
                f"{truncation.space} is a partition of {fence.key}, and nobody knows which rows were in it: "
                f"take a snapshot of {fence.key}",
                field="table",
            )
        if truncation.order is None:
            is_old = fence is not None and is_behind(truncation.place, fence.place)
            return Outcome.DUPLICATE if is_old or not tx.once(truncation.event_id) else None
        if fence is None or fence.order is None or fence.order < truncation.order:
            return None
        return Outcome.DUPLICATE if fence.order == truncation.order else Outcome.OUTDATED

    @staticmethod
    def _delete_page(
        tx: GraphTransaction, truncation: Truncation, after: str | None, page: int
    ) -> tuple[str | None, bool]:
        """Delete a page of rows after a name; returns the name of its last row, and whether it was the last page."""
        rows = tx.live_rows(truncation.space, truncation.order, after, page)
        for _, fence in rows:
            key = RecordKey.decode(fence.key)
            if key.kind is KeyKind.RELATIONSHIP:
                if tx.has_relationship(key.id):
                    tx.unrelate(key.id)
            elif tx.entity(key.id) is not None:
                tx.delete_entity(key.id)
        tx.put_fences({row: replace(fence, is_deleted=True, unsent=frozenset()) for row, fence in rows})
        is_last = len(rows) < page
        if is_last:
            space = RowName("", truncation.space)
            emptied = Fence(order=truncation.order, event_id=truncation.event_id, place=truncation.place)
            tx.put_fences({space: emptied})
        return (rows[-1][0].name if rows else after), is_last
