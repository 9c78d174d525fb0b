"""The planner: which keys does a log entry dirty?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, islice
from typing import NamedTuple, Protocol

from slipstream.domain.entities import Adjacency, Direction
from slipstream.domain.errors import TransientError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import RecordKey, entity_key, relationship_key
from slipstream.domain.log import LogEntry, Rescan, position_of
from slipstream.domain.positions import Position
from slipstream.domain.work import Lane, WorkItem
from slipstream.ports.graph import GraphReader
from slipstream.views.declaration import Affected, Fanout

PAGE = 1_000


class Mark(NamedTuple):
    """One key that a mutation dirties."""

    key: RecordKey
    position: Position
    committed_at: datetime


@dataclass(slots=True)
class Plan:
    """What some log entries ask for."""

    through: Position
    outcomes: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many events there were, by operation and what became of them."""
    marks: list[Mark] = field(default_factory=list)
    deferred: list[WorkItem] = field(default_factory=list)
    """Neighbours past the live limit: to be kept in the journal before the log is passed."""
    rescan: Rescan | None = None
    """The last entry read, when it is a rescan: the entries behind it wait until it has been scanned."""
    evolutions: list[PKGEvent] = field(default_factory=list)
    """Evolutions of the schema: their changes to texts have no events of their own."""
    poisoned: list[tuple[PKGEvent, Exception]] = field(default_factory=list)
    """Events that could not be planned: to be dead-lettered, the others go on."""

    def note(self, operation: str, outcome: str) -> None:
        """Count one event."""
        counted = (operation, outcome)
        self.outcomes[counted] = self.outcomes.get(counted, 0) + 1

    def poison(self, event: PKGEvent, error: Exception) -> None:
        """Note an event that is to become a dead letter."""
        self.poisoned.append((event, error))
        self.note(event.event_type, "dead_lettered")


class _Change(NamedTuple):
    event: PKGEvent
    position: Position
    affected: Affected


_Reached = Mapping[Fanout, Sequence[RecordKey]]
"""What some fan-outs reach, nearest first."""


class Views(Protocol):
    """What the planner needs of views."""

    def affected(self, event: PKGEvent) -> Affected:
        """Return the keys that an event dirties, and the neighbours to look up."""
        ...


class Planner:
    """Maps log entries to dirty keys: views decide, the graph is only asked for neighbours."""

    def __init__(self, graph: GraphReader, views: Views, fanout_live_max: int) -> None:
        self._graph = graph
        self._views = views
        self._fanout_live_max = fanout_live_max

    def plan(self, entries: Sequence[LogEntry]) -> Plan:
        """Plan entries in order, stopping behind the first rescan. `entries` must not be empty."""
        plan, changes = Plan(position_of(entries[0])), list[_Change]()
        for entry in entries:
            if isinstance(entry, Rescan):
                plan.rescan = entry
                plan.note("rescan", "accepted")
                break
            plan.through = position = position_of(entry)
            if entry.event_type is PKGEventType.SCHEMA_EVOLVED:
                plan.evolutions.append(entry)
                plan.note(entry.event_type, "accepted")
            elif (affected := self._affected_or_poison(plan, entry)) is not None:
                if changes or affected.fanouts:
                    changes.append(_Change(entry, position, affected))
                else:  # nothing to look up for it, nor for one before it, whose marks come first
                    _mark_own(plan, entry, position, affected.keys)
                    plan.note(entry.event_type, "accepted" if affected.keys else "irrelevant")
        reached = self._reached_by_all(fanout for change in changes for fanout in change.affected.fanouts)
        for change in changes:
            self._mark_or_poison(plan, change, reached)
        if plan.rescan is not None:
            plan.through = Position(plan.rescan.position - 1)
        return plan

    def _affected_or_poison(self, plan: Plan, event: PKGEvent) -> Affected | None:
        try:
            return self._views.affected(event)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001  (it ends as a dead letter that holds the event)
            plan.poison(event, error)
            return None

    def _mark_or_poison(self, plan: Plan, change: _Change, reached: _Reached) -> None:
        event, position, (keys, fanouts) = change
        marked = len(plan.marks)
        _mark_own(plan, event, position, keys)
        if fanouts:
            try:
                self._mark_reached(plan, change, reached)
            except TransientError:
                raise
            except Exception as error:  # noqa: BLE001  (likewise)
                plan.poison(event, error)
                return
        plan.note(event.event_type, "accepted" if len(plan.marks) > marked else "irrelevant")

    def _mark_reached(self, plan: Plan, change: _Change, reached: _Reached) -> None:
        event, position, (_, fanouts) = change
        for fanout in fanouts:
            neighbours = iter(reached[fanout]) if fanout in reached else self.reached_by(fanout)
            live = islice(neighbours, self._fanout_live_max)
            plan.marks.extend([Mark(key, position, event.timestamp) for key in live])
            plan.deferred.extend(
                WorkItem(key, Lane.BACKFILL, position, reason=f"fan-out of {fanout.entity_id}") for key in neighbours
            )

    def _reached_by_all(self, fanouts: Iterable[Fanout]) -> _Reached:
        """Look up together the fan-outs that differ in their entity only; those left out are looked up one by one."""
        alike: dict[tuple[object, ...], dict[str, Fanout]] = {}
        for fanout in fanouts:
            if fanout.depth == 1:
                alike.setdefault(fanout[1:], {})[fanout.entity_id] = fanout
        reached: dict[Fanout, list[RecordKey]] = {}
        try:
            for of_entities in alike.values():
                if len(of_entities) > 1:
                    reached |= self._reached_alike(next(iter(of_entities.values())), of_entities)
        except TransientError:
            raise
        except Exception:  # noqa: BLE001  (then one by one, so that only the event at fault is a dead letter)
            return {}
        return reached

    def _reached_alike(self, shape: Fanout, of_entities: Mapping[str, Fanout]) -> dict[Fanout, list[RecordKey]]:
        reached: dict[Fanout, list[RecordKey]] = {fanout: [] for fanout in of_entities.values()}
        for adjacency in self._across(list(of_entities), shape):
            if (key := _key_across(adjacency, shape)) is not None:
                reached[of_entities[adjacency.entity_id]].append(key)
        return reached

    def keys_of(self, event: PKGEvent) -> list[RecordKey]:
        """Return every key that an event affects, neighbours included."""
        return list(self.each_key_of(event))

    def each_key_of(self, event: PKGEvent) -> Iterator[RecordKey]:
        """Yield every key that an event affects, once: its own first, then neighbours as the graph gives them."""
        affected = self._views.affected(event)
        seen: set[RecordKey] = set()
        for key in chain(sorted(affected.keys), *map(self.reached_by, affected.fanouts)):
            if key not in seen:
                seen.add(key)
                yield key

    def reached_by(self, fanout: Fanout) -> Iterator[RecordKey]:
        """Yield the keys that a fan-out reaches in the graph as it is now, nearest first."""
        seen, level = {fanout.entity_id}, [fanout.entity_id]
        for _ in range(fanout.depth):
            reached: list[str] = []
            for adjacency in self._across(level, fanout):
                if fanout.depth == 1 or adjacency.neighbour_id not in seen:
                    seen.add(adjacency.neighbour_id)
                    reached.append(adjacency.neighbour_id)
                    if (key := _key_across(adjacency, fanout)) is not None:
                        yield key
            level = reached

    def _across(self, entity_ids: Sequence[str], fanout: Fanout) -> Iterator[Adjacency]:
        types = frozenset((fanout.relationship_type,))
        for start in range(0, len(entity_ids), PAGE):
            after: Adjacency | None = None
            while page := self._graph.adjacent(entity_ids[start : start + PAGE], types, after, PAGE):
                for adjacency in page:
                    if fanout.direction in (Direction.BOTH, adjacency.direction):
                        yield adjacency
                after = page[-1]


def _mark_own(plan: Plan, event: PKGEvent, position: Position, keys: Collection[RecordKey]) -> None:
    """Mark the keys that a view has named, in key order."""
    for key in keys if len(keys) < 2 else sorted(keys):
        plan.marks.append(Mark(key, position, event.timestamp))


def _key_across(adjacency: Adjacency, fanout: Fanout) -> RecordKey | None:
    """Return the key that a fan-out reaches across a relationship, None when it is of another type."""
    if fanout.relationships:
        return relationship_key(adjacency.ref.id)
    if fanout.types is None or adjacency.neighbour_type in fanout.types:
        return entity_key(adjacency.neighbour_id)
    return None
