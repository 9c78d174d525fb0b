"""Applying: a batch is written to the index, and the journal's part in the same step or right behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from slipstream.apply.reconciler import Applied, Prepared, Reconciler
from slipstream.domain.requests import EmbeddingResult
from slipstream.ports.journal import Journal


@contextmanager
def applied(
    journal: Journal,
    reconciler: Reconciler,
    prepared: Prepared,
    results: Sequence[EmbeddingResult],
    note: Callable[[], None] = lambda: None,
) -> Iterator[Applied]:
    """
    Write a batch, and run the block in a journal transaction: that of the write, where both share a store.

    Else the journal is not held while the index writes: the block comes behind the write, and after dying in between
    the batch is compared again. What `note` writes is durable no later than the batch.
    """
    if reconciler.shares_journal:
        with journal.transaction():
            note()
            yield reconciler.apply(prepared, results)
    else:
        note()
        written = reconciler.apply(prepared, results)
        with journal.transaction():
            yield written
