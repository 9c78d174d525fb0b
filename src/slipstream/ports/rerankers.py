"""Models that read a query and a text together, and say how well the text answers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class Reranker(Protocol):
    """
    A cross-encoder.

    Pure: the same pair has the same score, whatever else is asked with it. Safe for threads. Raises `ConfigError`
    when it can not be used at all, `UnavailableError` when it can not be used now.
    """

    def scores(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """
        Return a finite score for each text, in their order: the higher, the better it answers the query.

        Scores are comparable within one call only. No text, no score; a long text is cut, never refused.
        """
        ...
