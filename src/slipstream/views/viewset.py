"""The views of a graph: which records there are, what stands for them, and what a change dirties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from slipstream.domain.entities import Direction, EntityState, Hop, RecordState
from slipstream.domain.errors import InvalidInputError, PoisonEventError
from slipstream.domain.events import PKGEvent, PKGEventType
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.views.compiled import CompiledView
from slipstream.views.declaration import Affected, Chain, Dependencies, Fanout, Rendering, Via, View

_REVERSED = {Direction.OUT: Direction.IN, Direction.IN: Direction.OUT, Direction.BOTH: Direction.BOTH}
_NOTHING = Affected()
_ENDS = ("source", "target")
_SHAPES_MAX = 1_000
"""For how many sets of changed properties their fan-outs are remembered."""
_NOBODY: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


class ViewSet:
    """
    All views together. Pure: no I/O, and the same input always gives the same answer.

    An entity type without a declared view has the default view; a relationship type without one has no records.
    """

    def __init__(self, views: Sequence[View] = ()) -> None:
        self.views: tuple[View, ...] = tuple(views)
        self._entities: dict[str, CompiledView] = {}
        self._relationships: dict[str, CompiledView] = {}
        for view in self.views:
            compiled = self._relationships if view.is_relationship else self._entities
            if view.type in compiled:
                raise InvalidInputError("has two views; one type has one", field=compiled[view.type].field)
            compiled[view.type] = CompiledView(view)
        self._hops = MappingProxyType({name: view.hops for name, view in self._entities.items() if view.hops})
        self._defaults: dict[str, CompiledView] = {}
        self._vias: list[tuple[str, Via]] = [(view.type, via) for view in self.views for via in view.via.values()]
        self._chains: list[tuple[str, Chain]] = [(view.type, chain) for view in self.views for chain in view.chains]
        self._steps: list[tuple[str, Via | Chain]] = [*self._vias, *self._chains]
        self._read_by_others = self._properties_read_by_others()
        self._lookers = self._types_that_look_across()
        self._shapes: dict[frozenset[str] | None, tuple[Fanout, ...]] = {}

    def view_for(self, type_name: str, *, is_relationship: bool = False) -> View | None:
        """Return the view of a type, None for a relationship type that has none."""
        if is_relationship:
            compiled = self._relationships.get(type_name)
            return compiled.view if compiled else None
        return self._entity_view(type_name).view

    def _entity_view(self, type_name: str) -> CompiledView:
        compiled = self._entities.get(type_name) or self._defaults.get(type_name)
        if compiled is None:
            compiled = self._defaults[type_name] = CompiledView(View(type_name))
        return compiled

    def dependencies(self, type_name: str, *, is_relationship: bool = False) -> Dependencies | None:
        """Return what the records of a type depend on, None for a relationship type without a view."""
        if is_relationship:
            compiled = self._relationships.get(type_name)
            return compiled.dependencies if compiled else None
        return self._entity_view(type_name).dependencies

    def hops(self) -> Mapping[str, Sequence[Hop]]:
        """Return which neighbours a read must bring along, by entity type."""
        return self._hops

    def render(self, state: RecordState) -> Rendering | None:
        """
        Return what stands for a record, None when no view covers it.

        Raises `PoisonEventError` when a template fails on it.
        """
        try:
            if isinstance(state, EntityState):
                return self._entity_view(state.entity.type).render_entity(state)
            view = self._relationships.get(state.relationship.ref.type)
            return None if view is None else view.render_relationship(state)
        except Exception as error:
            about = state.entity if isinstance(state, EntityState) else state.relationship.ref
            raise PoisonEventError(
                f"{about.type} {about.id!r} can not be rendered by its view: {type(error).__name__}: {error}"
            ) from error

    # ------------------------------------------------------------------ what a change dirties

    def affected(self, event: PKGEvent) -> Affected:
        """
        Return the keys that an event dirties, and the neighbours to look up.

        Never too little; too much only where the event does not say what changed. A schema evolution dirties
        nothing by itself: an entity that got a new property has an event of its own.
        """
        kind = event.event_type
        if kind.is_entity:
            return self._affected_by_entity(event)
        if kind.is_relationship:
            return self._affected_by_relationship(event)
        return _NOTHING

    def _affected_by_entity(self, event: PKGEvent) -> Affected:
        key = entity_key(event.entity_id)
        if event.event_type is not PKGEventType.ENTITY_UPDATED:
            # Its relationships have events of their own, so neighbours need no looking up.
            return Affected(frozenset((key,)))
        changed = event.changed_properties
        if changed is None:
            return Affected(frozenset((key,)), self._fanouts(event.entity_id, None))
        keys: frozenset[RecordKey] = frozenset()
        if self._entity_view(event.entity_type).reads_any(changed, event):
            keys = frozenset((key,))
        fanouts = self._fanouts(event.entity_id, changed)
        return Affected(keys, fanouts) if keys or fanouts else _NOTHING

    def _properties_read_by_others(self) -> frozenset[str] | None:
        """Return which properties of an entity can show in other records; None stands for all of them."""
        found = {name for _, step in self._steps for name in step.properties}
        for view in self._relationships.values():
            for end in ("source", "target"):
                attributes = view.endpoint_reads(end)
                if attributes is None:
                    return None
                found |= attributes
        return frozenset(found)

    def _fanouts(self, entity_id: str, changed: frozenset[str] | None) -> tuple[Fanout, ...]:
        others = self._read_by_others
        if changed is not None and others is not None and others.isdisjoint(changed):
            return ()
        shapes = self._shapes.get(changed)
        if shapes is None:
            shapes = self._shapes_of(changed)
            if len(self._shapes) < _SHAPES_MAX:
                self._shapes[changed] = shapes
        return tuple([Fanout(entity_id, *shape[1:]) for shape in shapes])

    def _shapes_of(self, changed: frozenset[str] | None) -> tuple[Fanout, ...]:
        """Return the fan-outs of a change to these properties (None: not known), with an empty entity id."""
        found: dict[tuple[str, Direction], set[str]] = {}
        for owner, via in self._vias:
            if changed is None or not changed.isdisjoint(via.properties):
                found.setdefault((via.relationship_type, _REVERSED[via.direction]), set()).add(owner)
        fanouts = [Fanout("", name, direction, frozenset(types)) for (name, direction), types in found.items()]
        fanouts += [
            _back("", owner, chain, chain.depth)
            for owner, chain in self._chains
            if changed is None or not changed.isdisjoint(chain.properties)
        ]
        for name, view in self._relationships.items():
            for end, direction in (("source", Direction.OUT), ("target", Direction.IN)):
                attributes = view.endpoint_reads(end)
                if attributes is None or (attributes if changed is None else not attributes.isdisjoint(changed)):
                    fanouts.append(Fanout("", name, direction, relationships=True))
        return tuple(fanouts)

    def _affected_by_relationship(self, event: PKGEvent) -> Affected:
        changed = event.changed_properties if event.event_type is PKGEventType.RELATIONSHIP_UPDATED else None
        keys: set[RecordKey] = set()
        view = self._relationships.get(event.entity_type)
        if view is not None and event.key is not None and (changed is None or view.reads_any(changed, event)):
            keys.add(event.key)
        at_source, at_target = self._lookers.get(event.entity_type, _NOBODY)
        if event.source_id and (event.source_type in at_source or (at_source and event.source_type is None)):
            keys.add(entity_key(event.source_id))
        if event.target_id and (event.target_type in at_target or (at_target and event.target_type is None)):
            keys.add(entity_key(event.target_id))
        if not (keys or self._chains):
            return _NOTHING
        fanouts = self._chained_fanouts(event, keys)
        return Affected(frozenset(keys), fanouts) if keys or fanouts else _NOTHING

    def _types_that_look_across(self) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """Return, by relationship type, the types at its source and at its target whose texts show the other end."""
        found: dict[str, tuple[set[str], set[str]]] = {}
        for owner, via in self._vias:
            at_source, at_target = found.setdefault(via.relationship_type, (set(), set()))
            if via.direction in (Direction.OUT, Direction.BOTH):
                at_source.add(owner)
            if via.direction in (Direction.IN, Direction.BOTH):
                at_target.add(owner)
        return {name: (frozenset(sources), frozenset(targets)) for name, (sources, targets) in found.items()}

    def _chained_fanouts(self, event: PKGEvent, keys: set[RecordKey]) -> tuple[Fanout, ...]:
        """
        Add to `keys` the ends whose chain begins with this relationship; return the fan-outs to chains that reach it.

        Where a chain loses several relationships at once, its beginning can only be walked back to from the first of
        them. That is enough: that relationship has an event of its own.
        """
        if event.event_type is PKGEventType.RELATIONSHIP_UPDATED:
            return ()  # a chain shows nothing of the relationships themselves
        fanouts: dict[Fanout, None] = {}
        for owner, chain in self._chains:
            if chain.relationship_type == event.entity_type:
                keys.update(_endpoints(event, owner, chain.direction))
                for start in _endpoints(event, None, chain.direction) if chain.depth > 1 else ():
                    fanouts[_back(start.id, owner, chain, chain.depth - 1)] = None
        return tuple(fanouts)

    def types_reached_by(self, types: frozenset[str] | None) -> frozenset[str] | None:
        """Return the types whose text may hold something of the given types; None stands for all."""
        if types is None:
            return None
        return types | {owner for owner, _ in self._steps} | self._relationships.keys()

    def types_showing(
        self, type_name: str, properties: Mapping[str, str] | None, *, is_relationship: bool = False
    ) -> frozenset[str]:
        """
        Return the types of the records whose text or stamp can hold one of some properties of a type.

        `properties` maps names to declared types; None stands for whatever the type has. Never too little: which
        entities a relationship leads to is not known.
        """
        if properties is not None and not properties:
            return frozenset()
        view = self._relationships.get(type_name) if is_relationship else self._entity_view(type_name)
        own = view is not None and (properties is None or view.reads_declared(properties))
        others = self._showing_relationship(type_name) if is_relationship else self._showing_entity(properties)
        return others | {type_name} if own else others

    def _showing_relationship(self, type_name: str) -> frozenset[str]:
        return frozenset(owner for owner, step in self._steps if step.relationship_type == type_name)

    def _showing_entity(self, properties: Mapping[str, str] | None) -> frozenset[str]:
        def shows(names: Iterable[str] | None) -> bool:
            return properties is None or names is None or not properties.keys().isdisjoint(names)

        ends = {
            name
            for name, view in self._relationships.items()
            if any((reads := view.endpoint_reads(end)) is None or (reads and shows(reads)) for end in _ENDS)
        }
        return frozenset({owner for owner, step in self._steps if shows(step.properties)} | ends)


def _back(entity_id: str, owner: str, chain: Chain, depth: int) -> Fanout:
    """Return the fan-out to entities of type `owner` that have an entity in their chain within `depth` steps."""
    return Fanout(entity_id, chain.relationship_type, _REVERSED[chain.direction], frozenset((owner,)), depth=depth)


def _endpoints(event: PKGEvent, owner: str | None, direction: Direction) -> list[RecordKey]:
    """Return the endpoints of type `owner` (None: of any) that look across a relationship in this direction."""
    ends = []
    if direction in (Direction.OUT, Direction.BOTH) and _may_be(event.source_type, owner) and event.source_id:
        ends.append(entity_key(event.source_id))
    if direction in (Direction.IN, Direction.BOTH) and _may_be(event.target_type, owner) and event.target_id:
        ends.append(entity_key(event.target_id))
    return ends


def _may_be(type_name: str | None, owner: str | None) -> bool:
    return owner is None or type_name in (owner, None)
