"""Rehearsals: an import into a copy of the graph, which tells exactly what the same import would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from slipstream.app.pkg import PKG
from slipstream.domain.errors import ReplacementNeedsConfirmationError
from slipstream.domain.events import PKGEvent
from slipstream.domain.log import position_of
from slipstream.domain.positions import Position
from slipstream.events.import_state import ImportReport
from slipstream.events.statements import Replacing
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.journal import DeadLetters, NamedValues

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Stage:
    """A copy of the graph, and where what is refused goes; both are gone when the rehearsal ends."""

    pkg: PKG
    letters: DeadLetters


Run = Callable[[PKG, NamedValues, DeadLetters, Replacing | None], ImportReport]
"""An import into a graph, with what it keeps in mind and where what it refuses goes."""
Rehearsing = Callable[[], AbstractContextManager[Stage]]
"""Makes a stage; raises `UnavailableError` when there is no room for it."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What an import would do; `refused` and `errors` as it would report them."""

    created: Mapping[str, int]
    """Entities and relationships by type."""
    updated: Mapping[str, int]
    deleted: Mapping[str, int]
    rejected: int
    errors: list[str]
    notes: list[str]
    needs_confirmation: str | None = None
    """Why the deletions would wait for a confirmation, and of which plan; None when they would not."""


@dataclass(slots=True)
class _Overlay:
    """Named values that are read from below and written here."""

    below: NamedValues
    own: dict[str, str | None] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """Return a named value."""
        return self.own[name] if name in self.own else self.below.get(name)

    def set(self, name: str, value: str | None) -> None:
        """Set a named value here alone."""
        self.own[name] = value


def rehearsed(
    rehearsing: Rehearsing,
    values: NamedValues,
    run: Run,
    replacing: Replacing | None,
) -> Rehearsal:
    """
    Run an import on a stage, and return what it did there.

    What the brake would hold up is told, and then done there all the same.
    """
    with rehearsing() as stage:
        began, held = stage.pkg.feed.head(), None
        overlay = _Overlay(values)
        try:
            report = run(stage.pkg, overlay, stage.letters, replacing)
        except ReplacementNeedsConfirmationError as error:
            held = str(error)
            report = run(stage.pkg, overlay, stage.letters, replacing and replacing.unbraked())
        counts = _effects(stage.pkg.feed, began)
    return Rehearsal(
        created=dict(counts["created"]),
        updated=dict(counts["updated"]),
        deleted=dict(counts["deleted"]),
        rejected=report.rejected,
        errors=report.errors,
        notes=report.notes,
        needs_confirmation=held,
    )


def _effects(feed: ChangeFeed, after: Position) -> dict[str, Counter[str]]:
    """Count what the log tells, by what was done and by type."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in ("created", "updated", "deleted", "evolved")}
    while entries := feed.read(after, _PAGE):
        for entry in entries:
            if isinstance(entry, PKGEvent):
                counts[entry.event_type.value.rpartition("_")[2]][entry.entity_type] += 1
        after = position_of(entries[-1])
    return counts
