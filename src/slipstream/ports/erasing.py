"""What a store offers so that an entity can be erased from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from slipstream.domain.audits import Finding
from slipstream.domain.entities import Entity
from slipstream.domain.erasure import Erased, Overwritten, Swept


@runtime_checkable
class Erasing(Protocol):
    """
    Removes what a store still says of an entity that has left graph and index by ordinary writes.

    Every call is idempotent: whoever dies in one calls it again.
    """

    def scrub(self, erased: Erased, *, rehearse: bool = False) -> Sequence[Swept]:
        """
        Remove what tells of the entity, or put its mark there; return what was done, place by place, in no order.

        One durable step for each file. With `rehearse` everything is counted, and nothing changed. Raises
        `UnavailableError` when a file can not be had, `LeaseLostError` when another process owns the engine.
        """
        ...

    def wipe(self, erased: Erased) -> Sequence[Overwritten]:
        """
        Overwrite what was deleted before, by whatever write, in all files of the store; return them in no order.

        Raises `UnavailableError` when another program does not let go of a file.
        """
        ...


Reseal = Callable[[Mapping[str, Any], Mapping[str, Any], Iterable[Finding]], Mapping[str, Any]]
"""Returns a kept audit's report signed anew, of what it was, what it is now, and the findings that stay."""


@runtime_checkable
class Resealing(Protocol):
    """A store whose kept audits are signed; never fails."""

    def reseal_by(self, reseal: Reseal) -> None:
        """Have audits that a scrub changes signed anew."""
        ...


@runtime_checkable
class Forgetful(Protocol):
    """A cache that can be emptied; emptying an empty one is harmless."""

    def forget(self) -> int:
        """Remove everything, in the file too; returns how many entries there were. Raises `UnavailableError`."""
        ...


@runtime_checkable
class GraphErasing(Erasing, Protocol):
    """The same for a graph with a log; raises the same errors."""

    def told_of(self, entity_id: str) -> Sequence[Entity]:
        """Return the entity as the log still tells of it, older versions first; none when it does not."""
        ...

    def scrub_mentions(self, erased: Erased, entity_ids: Collection[str]) -> Swept:
        """Remove from the log what some other entities said of the erased one before their texts were changed."""
        ...
