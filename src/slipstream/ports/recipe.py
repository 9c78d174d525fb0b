"""The recipe: which record should stand for a state of the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from slipstream.domain.digests import Content
from slipstream.domain.entities import Hop, RecordState
from slipstream.domain.models import SpaceScope
from slipstream.domain.requests import Shown, Target


@runtime_checkable
class Recipe(Protocol):
    """Views and models together. Pure: the same state always gives the same target."""

    def hops(self) -> Mapping[str, Sequence[Hop]]:
        """Return which neighbours a read must bring along, by entity type; types that need none may be absent."""
        ...

    def target(self, state: RecordState) -> Target | None:
        """
        Return what the index should hold, None when no view covers the record.

        Raises `PoisonEventError` when the record can not be rendered.
        """
        ...

    def content(self, state: RecordState) -> Content | None:
        """
        Return the content of the `target` alone, which is all that an audit compares; None when no view covers it.

        Raises `PoisonEventError` when the record can not be rendered.
        """
        ...

    def covers_relationships(self, type_name: str) -> bool:
        """Return whether relationships of a type have records; entities of every type do."""
        ...


class ShowingRecipe(Recipe, Protocol):
    """A recipe that can show the text of a state without deciding which vector it needs."""

    def shown(self, state: RecordState) -> Shown | None:
        """Return the text of a record, None when no view covers it; raises as `target` does."""
        ...


@dataclass(frozen=True, slots=True)
class LiveRecipe:
    """What answers searches at one moment: the live recipe, and the spaces that hold its records."""

    recipe: ShowingRecipe
    scopes: tuple[SpaceScope, ...]
