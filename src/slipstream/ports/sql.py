"""SQL over a graph whose tables are public."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Sql(Protocol):
    """Answers read-only SQL over the graph as it is now, of one snapshot."""

    def query(self, statement: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """
        Run one statement that reads, and return its rows by column name, in the order that it asks for.

        Raises `InvalidInputError` (field `sql`) for one that is wrong or would do more than read, `QueryLimitError`
        for one that takes too many rows or too much time, `UnavailableError` when there is no answer now.
        """
        ...
