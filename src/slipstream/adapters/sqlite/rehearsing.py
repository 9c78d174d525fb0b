"""Transactions that count what they would do, and are taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class _RehearsedError(Exception):
    """Takes back what a rehearsal has done."""


@contextmanager
def taken_back() -> Iterator[None]:
    """Go on behind a transaction that a rehearsal has left; enter it before the transaction."""
    try:
        yield
    except _RehearsedError:
        return


def leave() -> None:
    """Leave the transaction, so that it is taken back; the last step of a rehearsal."""
    raise _RehearsedError
