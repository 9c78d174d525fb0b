"""Cypher over a graph that does not speak it itself: questions, and writes planned as mutations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from slipstream.domain.positions import Position
from slipstream.ports.graph import GraphTransaction


@dataclass(frozen=True, slots=True)
class PlannedWrites:
    """What a writing statement comes to: mutations that are right only while the graph stands at `position`."""

    position: Position
    apply: Callable[[GraphTransaction], None]
    """Does them, in order, inside a transaction that began at `position`."""


class Cypher(Protocol):
    """
    Answers Cypher over the graph as it is now, with every commit that was acknowledged before the call.

    Raises `InvalidInputError` (field `cypher` or the parameter's name) for a statement that is wrong or not allowed,
    `QueryLimitError` for one that takes too many rows, too much time or memory: that ends the statement and nothing
    else. Raises `UnavailableError` when there is no answer now.
    """

    def query(self, cypher: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """
        Run a read-only statement, and return its rows by column name, in the order that it asks for.

        One that would write is refused with `InvalidInputError`. No rows give an empty list.
        """
        ...

    def plan(self, cypher: str, parameters: Mapping[str, Any]) -> PlannedWrites:
        """
        Run a statement on a throw-away copy, and return what it would have written.

        Raises `UnsupportedError` for an effect that can not be told exactly; nothing is ever written here.
        """
        ...

    def close(self) -> None:
        """Release everything; closing twice is harmless."""
        ...
