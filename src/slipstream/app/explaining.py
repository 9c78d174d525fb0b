"""Why a record is as it is: its text and what that depends on, how it stands in the index, what the log tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from slipstream.app.key_history import About, KeyHistory, concerning
from slipstream.domain.entities import EntityState, RecordState
from slipstream.domain.errors import ConfigError, NotFoundError, PoisonEventError, PositionLostError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import KeyKind, RecordKey, entity_key
from slipstream.domain.log import Rescan
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.requests import Target
from slipstream.domain.stamps import Stamp
from slipstream.engine.loop import SyncEngine
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters
from slipstream.views.declaration import Dependencies

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
    """The keys of the entities that the text can show, by the template's name for them."""
    temporal_context: Mapping[str, Any] | None
    model: str | None
    fingerprint: str | None
    stored: Stamp | None
    embedded_for: str | None
    """What the stored vector was made for, as far as stamp and log tell; None when there is none."""
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
        found["stored"] = None if self.stored is None else _plain(self.stored)
        found["happenings"] = [asdict(happening) for happening in self.happenings]
        return found


def _plain(stamp: Stamp) -> dict[str, Any]:
    return {**stamp._asdict(), "space": asdict(stamp.space)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explaining:
    """Reads graph, index, log and dead letters; changes nothing."""

    graph: GraphReader
    index: VectorIndex
    log: ChangeFeed
    letters: DeadLetters
    engine: SyncEngine

    def explain(self, key: RecordKey, log_depth: int = LOG_DEPTH) -> Explanation:
        """Explain a record; raises `NotFoundError` when neither graph, index nor log has heard of it."""
        recipe = self.engine.recipes.pair.live
        state = self.graph.read([key], recipe.hops()).states.get(key)
        stored = self._stored(key)
        about = About(key, _type(state) or (stored.entity_type if stored else ""), state, _shown(state), stored)
        after, entries = self._newest(log_depth)
        logged = list(concerning(entries, about, recipe))
        if state is None and stored is None and not any(isinstance(found.entry, PKGEvent) for found in logged):
            raise NotFoundError(
                f"{key.encode()!r} is neither in the graph nor in the index: search, or list the entities of a type"
            )
        target, failure = _rendered(recipe.target, state)
        version = None if target is None else target.template_version
        history = KeyHistory(about, recipe, version, self.engine.frontier, logged)
        is_waiting = any(map(history.is_waiting, logged))
        verdict, reasons = self._verdict(key, state, target, failure, stored, is_waiting=is_waiting)
        return self._explanation(history, target, verdict, reasons, after)

    @staticmethod
    def _explanation(
        history: KeyHistory, target: Target | None, verdict: str, reasons: Sequence[str], after: Position
    ) -> Explanation:
        about, views = history.about, history.recipe.views
        is_relationship, entity_type = about.key.kind is KeyKind.RELATIONSHIP, about.entity_type
        view = views.view_for(entity_type, is_relationship=is_relationship) if entity_type else None
        context = None if target is None else target.request.temporal_context
        newest = reversed(history.logged[-EVENTS_MAX:])
        return Explanation(
            key=about.key.encode(),
            entity_type=entity_type,
            text=None if target is None else target.request.content,
            template=None if view is None else view.template,
            dependencies=views.dependencies(entity_type, is_relationship=is_relationship) if view else None,
            neighbours=_neighbours(views.view_for, about.state),
            temporal_context=None if context is None else context.model_dump(mode="json", exclude_defaults=True),
            model=None if target is None else target.space.model_id,
            fingerprint=None if target is None else target.fingerprint,
            stored=about.stored,
            embedded_for=history.because(),
            verdict=verdict,
            reasons=tuple(reasons),
            happenings=tuple(_happening(logged.entry, history.outcome(logged)) for logged in newest),
            looked_back_to=after,
        )

    def _stored(self, key: RecordKey) -> Stamp | None:
        held = self.index.stamps([key]).get(key)
        is_hidden = self.engine.recipes.hides()
        records = [s for s in (held.records if held else ()) if is_hidden is None or not is_hidden(s)]
        return max(records, key=lambda stamp: stamp.position, default=None)

    def _newest(self, depth: int) -> tuple[Position, list[PKGEvent | Rescan]]:
        """Return the newest entries of the log, at most `depth`, and the position after which they begin."""
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
    """Return the other entities that a record's text can show, by id, with the relationship types that lead there."""
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
