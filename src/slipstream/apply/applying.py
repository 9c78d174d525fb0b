"""Applying: a batch goes into the index, and what the journal says of it with it, or right behind it."""

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
    Write a batch, and make the block one durable step: the same one where index and journal share a store.

    Else the journal is not held while the index writes: the block comes behind the write, and dying in between has
    the batch compared again. `note` is durable at the latest when the batch is.
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
