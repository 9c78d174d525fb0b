"""The self-check: a store looks for damage below what its readers see, and mends what it can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from slipstream.domain.damage import Damage
from slipstream.domain.positions import Position


@runtime_checkable
class SelfCheck(Protocol):
    """
    An optional ability of a graph, a journal or an index. Safe for threads; holds no writer up while it looks.

    What it finds is about the store itself: its files, its schema and triggers, rows that can not be reached or make
    no sense. Whether records are what the graph asks for is not its business.
    """

    @property
    def store(self) -> str:
        """The name of the store, as in `Damage.store`."""
        ...

    def check(self, *, deep: bool, head: Callable[[], Position]) -> Sequence[Damage]:
        """
        Look, and return what is wrong, each place once; nothing is changed.

        Without `deep` it costs no more than reading the rows once. `head` returns the newest position of the
        graph, past which nothing can be; it is asked after the rows were read. Damage that keeps the store from being
        read is returned like any other; raises `UnavailableError` when it can not be reached right now.
        """
        ...

    def mend(self, damage: Damage, *, head: Callable[[], Position]) -> bool:
        """
        Mend one damage that `check` called mendable, in one atomic step; returns whether it is gone now.

        Mending twice is harmless, and so is what is not there any more. Never loses what is nowhere else: a graph's
        entities and relationships are not touched, but for a second row of the same id.
        """
        ...
