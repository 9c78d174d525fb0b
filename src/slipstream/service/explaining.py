"""Why a record is as it is: its text, what that depends on, how it stands in the index, what the log says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from slipstream.domain.entities import EntityState, RecordState
from slipstream.domain.errors import ConfigError, NotFoundError, PoisonEventError, PositionLostError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import KeyKind, RecordKey, entity_key
from slipstream.domain.log import Rescan
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.requests import Target
from slipstream.domain.stamps import Stamp
from slipstream.ports.graph import Graph
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters
from slipstream.ports.log import ChangeLog
from slipstream.sync.engine import SyncEngine
from slipstream.views.declaration import Dependencies, Fanout

LOG_DEPTH = 10_000
"""How many of the newest log entries are looked through."""
EVENTS_MAX = 10
_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One log entry that concerns a record, and what came of it."""

    position: Position
    event: str
    about: str
    changed: tuple[str, ...] | None
    """The properties that changed; None where the entry does not say."""
    committed_at: datetime | None
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that decides a record, and how it stands."""

    key: str
    entity_type: str
    text: str | None
    """None when it can not be rendered, or no view covers it."""
    template: str | None
    """None for the default text."""
    dependencies: Dependencies | None
    neighbours: Mapping[str, Sequence[str]]
    """The keys of the entities that the text can show, by the name that the template has for them."""
    temporal_context: Mapping[str, Any] | None
    model: str | None
    fingerprint: str | None
    stored: Stamp | None
    verdict: str
    """`fresh`, `stale`, `missing`, `pending`, `unrenderable`, `dead letter`, `no record`."""
    reasons: tuple[str, ...]
    happenings: tuple[Happening, ...]
    """The newest ones first."""
    looked_back_to: Position
    """How far back the log was looked through."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain data."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        found["dependencies"] = None if self.dependencies is None else asdict(self.dependencies)
        found["stored"] = None if self.stored is None else asdict(self.stored)
        found["happenings"] = [asdict(happening) for happening in self.happenings]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Explaining:
    """Reads graph, index, log and dead letters; changes nothing."""

    graph: Graph
    index: VectorIndex
    log: ChangeLog
    letters: DeadLetters
    engine: SyncEngine

    def explain(self, key: RecordKey, log_depth: int = LOG_DEPTH) -> Explanation:
        """Explain a record; raises `NotFoundError` when neither graph, index nor log has heard of it."""
        recipe = self.engine.recipes.pair.live
        state = self.graph.read([key], recipe.hops()).states.get(key)
        stored = self._stored(key)
        after, entries = self._newest(log_depth)
        shown = _shown(state)
        concerned = {key, *map(entity_key, shown)}
        newest = [entry for entry in entries if _concerns(entry, key, concerned)][-EVENTS_MAX:]
        if state is None and stored is None and not newest:
            raise NotFoundError(f"{key.encode()!r} is neither in the graph nor in the index")
        target, failure = _rendered(recipe.target, state)
        entity_type = _type(state) or (stored.entity_type if stored else "")
        is_relationship = key.kind is KeyKind.RELATIONSHIP
        view = recipe.views.view_for(entity_type, is_relationship=is_relationship) if entity_type else None
        about = _About(key, entity_type, state is not None, shown, stored)
        is_waiting = any(self._is_waiting(about, entry) for entry in newest)
        verdict, reasons = self._verdict(key, state, target, failure, stored, is_waiting=is_waiting)
        context = None if target is None else target.request.temporal_context
        return Explanation(
            key=key.encode(),
            entity_type=entity_type,
            text=None if target is None else target.request.content,
            template=None if view is None else view.template,
            dependencies=recipe.views.dependencies(entity_type, is_relationship=is_relationship) if view else None,
            neighbours=_neighbours(recipe.views.view_for, state),
            temporal_context=None if context is None else context.model_dump(mode="json", exclude_defaults=True),
            model=None if target is None else target.space.model_id,
            fingerprint=None if target is None else target.fingerprint,
            stored=stored,
            verdict=verdict,
            reasons=tuple(reasons),
            happenings=tuple(self._happenings(about, newest)),
            looked_back_to=after,
        )

    def _stored(self, key: RecordKey) -> Stamp | None:
        held = self.index.stamps([key]).get(key)
        is_hidden = self.engine.recipes.hides()
        records = [s for s in (held.records if held else ()) if is_hidden is None or not is_hidden(s)]
        return max(records, key=lambda stamp: stamp.position, default=None)

    def _newest(self, depth: int) -> tuple[Position, list[PKGEvent | Rescan]]:
        """Return the newest entries of the log, as many as are there, and behind which position they begin."""
        head = self.log.head()
        while True:
            after = Position(max(ORIGIN, head - depth))
            try:
                return after, list(self._read(after))
            except PositionLostError:
                if depth <= 1:
                    return head, []
                depth //= 2

    def _read(self, after: Position) -> Iterator[PKGEvent | Rescan]:
        while entries := self.log.read(after, _PAGE):
            yield from entries
            after = Position(entries[-1].position or ORIGIN)

    # ------------------------------------------------------------------ how it stands

    def _verdict(
        self,
        key: RecordKey,
        state: RecordState | None,
        target: Target | None,
        failure: str | None,
        stored: Stamp | None,
        *,
        is_waiting: bool,
    ) -> tuple[str, list[str]]:
        letters = self.letters.find([key.encode()])
        if letters:
            return "dead letter", [f"{letters[0].error} ({letters[0].attempts} attempts): `slipstream dead-letters`"]
        if is_waiting or self.engine.is_pending([key])[0]:
            return "pending", ["a change of it is not reflected yet: it waits for its turn"]
        if failure is not None:
            return "unrenderable", [failure]
        if target is None:
            why = "it is not in the graph" if state is None else "no view covers its type"
            return ("stale", [why, "its record has to go"]) if stored else ("no record", [why])
        if stored is None:
            return "missing", ["the index has no record of it"]
        differences = _differences(target, stored)
        return (
            ("stale", differences) if differences else ("fresh", ["the stored fingerprint is that of the text now"])
        )

    def _is_waiting(self, about: _About, entry: PKGEvent | Rescan) -> bool:
        if Position(entry.position or ORIGIN) <= self.engine.frontier:
            return False
        return isinstance(entry, Rescan) or self._dirties(about, entry)

    # ------------------------------------------------------------------ what came of it

    def _happenings(self, about: _About, entries: Sequence[PKGEvent | Rescan]) -> Iterator[Happening]:
        is_latest = True
        for entry in reversed(entries):
            outcome = self._outcome(about, entry, is_latest=is_latest)
            is_latest = is_latest and not outcome.startswith("re-embedded")
            yield _happening(entry, outcome)

    def _outcome(self, about: _About, entry: PKGEvent | Rescan, *, is_latest: bool) -> str:
        stored = about.stored
        if isinstance(entry, PKGEvent) and not self._dirties(about, entry):
            return "nothing that its view shows has changed: not looked at"
        if Position(entry.position or ORIGIN) > self.engine.frontier:
            return "not reflected yet"
        if stored is None:
            return "looked at; the index has no record of it" if about.exists else "reflected: the record is gone"
        if isinstance(entry, Rescan) or stored.created_at < entry.timestamp:
            return "compared: its text was the same, so nothing was embedded"
        if is_latest:
            why = f" ({stored.reembedding_reason})" if stored.reembedding_reason else ""
            return f"re-embedded, {stored.created_at.isoformat(timespec='milliseconds')}{why}"
        return "reflected by that vector too"

    def _dirties(self, about: _About, event: PKGEvent) -> bool:
        affected = self.engine.recipes.affected(event)
        return about.key in affected.keys or any(about.is_reached_by(fanout) for fanout in affected.fanouts)


@dataclass(frozen=True, slots=True)
class _About:
    """The record in question, and what its text shows of others."""

    key: RecordKey
    entity_type: str
    exists: bool
    shown: Mapping[str, frozenset[str]]
    """Ids of the entities that it shows, with the relationship types that lead there."""
    stored: Stamp | None

    def is_reached_by(self, fanout: Fanout) -> bool:
        """Whether the record is among those that a fan-out looks for, as far as its present text tells."""
        if fanout.entity_id not in self.shown:
            return False
        if self.key.kind is KeyKind.RELATIONSHIP:
            return fanout.relationships and fanout.relationship_type == self.entity_type
        is_of_type = fanout.types is None or self.entity_type in fanout.types
        return is_of_type and not fanout.relationships and fanout.relationship_type in self.shown[fanout.entity_id]


def _rendered(
    target: Callable[[RecordState], Target | None], state: RecordState | None
) -> tuple[Target | None, str | None]:
    if state is None:
        return None, None
    try:
        return target(state), None
    except (PoisonEventError, ConfigError) as error:
        return None, str(error)


def _differences(target: Target, stored: Stamp) -> list[str]:
    found: list[str] = []
    if stored.space != target.space:
        found.append(f"its vector is of {stored.space.model_id}, generation {stored.space.generation}")
    if stored.needs_reembedding:
        found.append(f"it is marked to be embedded anew: {stored.reembedding_reason or 'no reason given'}")
    if stored.fingerprint != target.fingerprint:
        found.append("its text, or its time and causes, or the model's version differs from what was embedded")
    elif stored.extraction_template_version != target.template_version:
        found.append("only its template has changed, not its text: its stamp has to move")
    return found


def _type(state: RecordState | None) -> str | None:
    if state is None:
        return None
    return state.entity.type if isinstance(state, EntityState) else state.relationship.ref.type


def _shown(state: RecordState | None) -> dict[str, frozenset[str]]:
    """Return the ids of everything that a record's text can show beside itself, with what leads there."""
    if state is None:
        return {}
    if not isinstance(state, EntityState):
        ref = state.relationship.ref
        return {ref.source_id: frozenset((ref.type,)), ref.target_id: frozenset((ref.type,))}
    found: dict[str, frozenset[str]] = {}
    for hop, neighbours in state.neighbours.items():
        for neighbour in neighbours:
            known = found.get(neighbour.entity.id, frozenset())
            found[neighbour.entity.id] = known | {hop.relationship_type}
    return found


def _neighbours(view_for: Callable[[str], Any], state: RecordState | None) -> dict[str, list[str]]:
    if state is None:
        return {}
    if not isinstance(state, EntityState):
        return {"source": [entity_key(state.source.id).encode()], "target": [entity_key(state.target.id).encode()]}
    view = view_for(state.entity.type)
    steps = {**view.via, **{n: c for n, c in (("causes", view.causes), ("sequence", view.sequence)) if c is not None}}
    return {
        name: [entity_key(neighbour.entity.id).encode() for neighbour in state.neighbours.get(step.hop, ())]
        for name, step in steps.items()
    }


def _concerns(entry: PKGEvent | Rescan, key: RecordKey, concerned: set[RecordKey]) -> bool:
    if isinstance(entry, Rescan):
        return entry.types is None
    if entry.event_type is PKGEventType.SCHEMA_EVOLVED:
        return False
    if entry.event_type.is_relationship and key.kind is KeyKind.ENTITY:
        return key.id in (entry.source_id, entry.target_id)
    return entry.key in concerned


def _happening(entry: PKGEvent | Rescan, outcome: str) -> Happening:
    if isinstance(entry, Rescan):
        return Happening(
            position=entry.position, event="rescan", about="", changed=None, committed_at=None, outcome=outcome
        )
    changed = entry.changed_properties
    return Happening(
        position=Position(entry.position or ORIGIN),
        event=entry.event_type.value,
        about=f"{entry.entity_type} {entry.entity_id}",
        changed=None if changed is None else tuple(sorted(changed)),
        committed_at=entry.timestamp,
        outcome=outcome,
    )
