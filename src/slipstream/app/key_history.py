"""What came of the log entries that concern a record, and which of them its vector can be credited to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from slipstream.domain.entities import EntityState, PropertyValue, RecordState
from slipstream.domain.errors import ConfigError, PoisonEventError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.log import LogEntry, Rescan, position_of
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Stamp
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.views.declaration import Fanout

PROMPT_S = 1.0
"""A vector made within this time of a commit is credited to it; a later one may have another cause."""

_COMPARISON = "a comparison (an edited view, a repair, a backfill, a migration or a reopening)"


@dataclass(frozen=True, slots=True)
class About:
    """The record in question, and which other entities its text shows."""

    key: RecordKey
    entity_type: str
    state: RecordState | None
    shown: Mapping[str, frozenset[str]]
    """Ids of the entities that the text shows, with the relationship types that lead there."""
    stored: Stamp | None

    def is_reached_by(self, fanout: Fanout) -> bool:
        """Whether a fan-out reaches the record, judged by its present text."""
        if fanout.entity_id not in self.shown:
            return False
        if self.key.kind is KeyKind.RELATIONSHIP:
            return fanout.relationships and fanout.relationship_type == self.entity_type
        is_of_type = fanout.types is None or self.entity_type in fanout.types
        return is_of_type and not fanout.relationships and fanout.relationship_type in self.shown[fanout.entity_id]


@dataclass(frozen=True, slots=True)
class Logged:
    """A log entry, and a lower bound of its commit time (of a rescan, the time of the entry before)."""

    entry: LogEntry
    since: datetime | None

    @property
    def position(self) -> Position:
        """The entry's position in the log."""
        return position_of(self.entry)


def concerning(entries: Sequence[LogEntry], about: About, recipe: ViewRecipe) -> Iterator[Logged]:
    """Yield the entries that can have made the record dirty, or that are about something that it shows."""
    since: datetime | None = None
    for entry in entries:
        if isinstance(entry, PKGEvent):
            since = entry.timestamp
        if _concerns(entry, about, recipe):
            yield Logged(entry, since)


def _concerns(entry: LogEntry, about: About, recipe: ViewRecipe) -> bool:
    if isinstance(entry, Rescan):
        reached = recipe.views.types_reached_by(entry.types)
        return reached is None or about.entity_type in reached
    if entry.event_type is PKGEventType.SCHEMA_EVOLVED:
        return False
    if entry.event_type.is_relationship and about.key.kind is KeyKind.ENTITY:
        return about.key.id in (entry.source_id, entry.target_id)
    return entry.key == about.key or (entry.event_type.is_entity and entry.entity_id in about.shown)


@dataclass(frozen=True)
class KeyHistory:
    """
    Judges entries by what the stamp keeps: position, time, reason and template.

    A stamp does not say which entry its vector was made for. An entry is credited only if the stamp's position covers
    it, it could change the text and the vector was made promptly; otherwise the possible causes are named.
    """

    about: About
    recipe: ViewRecipe
    template_version: str | None
    """Of the view in force; None when the record can not be rendered."""
    frontier: Position
    logged: Sequence[Logged]

    # ------------------------------------------------------------------ why the vector is there

    def because(self) -> str | None:
        """Return what the stored vector was made for, as far as that is known; None when there is none."""
        if self.about.stored is None:
            return None
        if self._reason is not None:
            return f"it was embedded anew: {self._reason}"
        if self._is_of_other_view:
            return "an earlier edition of its view, and the log does not tell what that showed"
        if self.newest is None:
            return f"{_COMPARISON}: no change that was looked through explains it"
        return self._made_for(self.newest)

    def _made_for(self, logged: Logged) -> str:
        entry, at = logged.entry, f"at position {logged.position}"
        if isinstance(entry, Rescan):
            return f"the scan {at}, or {_COMPARISON}"
        named = f"{entry.event_type.value} of {entry.entity_type} {entry.entity_id} {at}"
        delay_s = self._delay_s(logged)
        return named if delay_s <= PROMPT_S else f"{_COMPARISON}, or {named}, reflected {delay_s:,.1f} s later"

    @cached_property
    def newest(self) -> Logged | None:
        """The newest entry that the vector holds, and that could change its text."""
        return next((logged for logged in reversed(self.logged) if self._is_held(logged)), None)

    @property
    def _reason(self) -> str | None:
        stored = self.about.stored
        # While the flag is set, its reason is about the next vector, not the stored one.
        return None if stored is None or stored.needs_reembedding else stored.reembedding_reason

    @property
    def _is_of_other_view(self) -> bool:
        stored = self.about.stored
        return (
            stored is not None
            and self.template_version is not None
            and stored.extraction_template_version not in ("", self.template_version)
        )

    def _delay_s(self, logged: Logged) -> float:
        stored = self.about.stored
        if stored is None or logged.since is None:
            return float("inf")
        return (stored.created_at - logged.since).total_seconds()

    def _is_held(self, logged: Logged) -> bool:
        """Whether the vector was read behind an entry that could change its text."""
        stored = self.about.stored
        if stored is None or logged.position > stored.position:
            return False
        if logged.since is not None and stored.created_at < logged.since:
            return False  # the vector is older: only its stamp has moved to this position
        return isinstance(logged.entry, Rescan) or (self.dirties(logged.entry) and self._can_change(logged.entry))

    # ------------------------------------------------------------------ what came of an entry

    def outcome(self, logged: Logged) -> str:
        """Return what came of an entry."""
        stored, entry = self.about.stored, logged.entry
        if isinstance(entry, PKGEvent) and not self.dirties(entry):
            return "nothing that its view shows now has changed"
        if logged.position > self.frontier:
            return "not reflected yet"
        if stored is None:
            is_there = self.about.state is not None
            return "looked at; the index has no record of it" if is_there else "reflected: the record is gone"
        if not self._is_held(logged):
            return "compared: its text was the same, so nothing was embedded"
        return self._held_outcome(logged, stored)

    def _held_outcome(self, logged: Logged, stored: Stamp) -> str:
        if logged is not self.newest:
            return "reflected by that vector too"
        made = stored.created_at.isoformat(timespec="milliseconds")
        is_open = self._reason is not None or self._is_of_other_view or isinstance(logged.entry, Rescan)
        if is_open or self._delay_s(logged) > PROMPT_S:
            return f"reflected by the vector of {made}"
        return f"re-embedded, {made}"

    def is_waiting(self, logged: Logged) -> bool:
        """Whether an entry that dirties the record is not reflected yet."""
        if logged.position <= self.frontier:
            return False
        return isinstance(logged.entry, Rescan) or self.dirties(logged.entry)

    def dirties(self, event: PKGEvent) -> bool:
        """Whether an event makes the record dirty under the live views."""
        affected = self.recipe.views.affected(event)
        return self.about.key in affected.keys or any(self.about.is_reached_by(fanout) for fanout in affected.fanouts)

    def _can_change(self, event: PKGEvent) -> bool:
        """Whether an event changed the text, with the neighbours as they are now; True when in doubt."""
        old, new, state = event.old_data, event.new_data, self.about.state
        if event.key != self.about.key or old is None or new is None or state is None:
            return True
        try:
            return self._fingerprint(state, old) != self._fingerprint(state, new)
        except (PoisonEventError, ConfigError):
            return True

    def _fingerprint(self, state: RecordState, properties: Mapping[str, PropertyValue]) -> str | None:
        if isinstance(state, EntityState):
            state = state._replace(entity=state.entity._replace(properties=properties))
        else:
            state = state._replace(relationship=state.relationship._replace(properties=properties))
        target = self.recipe.target(state)
        return None if target is None else target.fingerprint
