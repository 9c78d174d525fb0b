"""Views made ready: what each one reads, and how it renders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

from slipstream.domain.entities import Entity, EntityState, Hop, Properties, RelationshipState
from slipstream.domain.events import PKGEvent
from slipstream.domain.stamps import NO_METADATA, MetadataValue
from slipstream.views.checks import check_view
from slipstream.views.declaration import Chain, Dependencies, Rendering, Via, View
from slipstream.views.reads import NO_READS
from slipstream.views.templates import Template
from slipstream.views.temporal import TEMPORAL_PROPERTIES, temporal_context
from slipstream.views.values import as_metadata, format_value, is_text, normalised

RULES_VERSION = 1
"""Grows whenever the rules of rendering change: it is part of every template version."""

SOURCE_DOCUMENT = "source_document_id"
CONFIDENCE = "extraction_confidence"
PROVENANCE = frozenset((SOURCE_DOCUMENT, CONFIDENCE))
_TEMPORAL = frozenset(TEMPORAL_PROPERTIES)
_FIXED = frozenset(("id", "type"))
_WHOLE = "properties"
_HEAD = frozenset(("name", "description"))
_NOT_TEXT = _HEAD | PROVENANCE
_NOT_TEXT_OF_EVENTS = _NOT_TEXT | _TEMPORAL
"""Properties that the default text puts in front, or leaves out."""
_TEXTUAL = frozenset(("string", "list"))
"""Declared types whose values the default text holds."""


class CompiledView:
    """One view: its template compiled, its dependencies known."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.field = f"{'relationship_views' if view.is_relationship else 'views'}.{view.type}"
        self.template_version = _version(view)
        self.is_temporal = not view.is_relationship and (
            view.type == "Event" or bool(view.chains) if view.temporal is None else view.temporal
        )
        self._vias = [(name, via, via.hop) for name, via in view.via.items()]
        self.hops: tuple[Hop, ...] = tuple(dict.fromkeys(step.hop for step in view.steps))
        self._template = None if view.template is None else Template(view.template, field=f"{self.field}.template")
        check_view(view, self.field, self._template.reads if self._template is not None else NO_READS)
        reads = self._template.reads.names if self._template is not None else frozenset[str]()
        given = frozenset(("source", "target")) if view.is_relationship else frozenset(view.via)
        self._shown = reads - _FIXED - given - {_WHOLE}
        self._reads_all = _WHOLE in reads
        self._decisive = self._shown | _HEAD if self._template is None else self._shown
        self._decisive |= PROVENANCE.union(view.metadata, _TEMPORAL if self.is_temporal else ())

    def reads_any(self, changed: frozenset[str], event: PKGEvent) -> bool:
        """Whether one of the changed properties decides the record's text, vector or stamp."""
        if self._reads_all or not self._decisive.isdisjoint(changed):
            return True
        if self._template is not None:
            return False
        old, new = event.old_data or {}, event.new_data or {}
        return any(is_text(old.get(name)) or is_text(new.get(name)) for name in changed)

    @property
    def dependencies(self) -> Dependencies:
        """What the record depends on, except its neighbours and endpoints."""
        return Dependencies(
            properties=tuple(sorted(self._decisive)),
            all_text=self._template is None,
            all_properties=self._reads_all,
            template_version=self.template_version,
            is_temporal=self.is_temporal,
        )

    def reads_declared(self, properties: Mapping[str, str]) -> bool:
        """Whether one of these properties, each with its declared type, can show in the record's text or stamp."""
        if self._reads_all or not self._decisive.isdisjoint(properties):
            return bool(properties)
        return self._template is None and any(kind in _TEXTUAL for kind in properties.values())

    def endpoint_reads(self, end: str) -> frozenset[str] | None:
        """Return which properties of its `source` or `target` a relationship view reads; None stands for all."""
        if self._template is None or end not in self._template.reads.names:
            return frozenset()
        attributes = self._template.reads.attributes[end]
        return None if attributes is None else attributes - _FIXED

    # ------------------------------------------------------------------ rendering

    def render_entity(self, state: EntityState) -> Rendering:
        """Render an entity with its neighbours."""
        entity = state.entity
        if self._template is None:
            text = default_text(entity, temporal=self.is_temporal)
        else:
            text = self._template.render(self._entity_context(state))
        context = temporal_context(entity.properties, self._chains(state)) if self.is_temporal else None
        return self._rendering(text or entity.id, entity.properties, context)

    def _chains(self, state: EntityState) -> dict[str, tuple[str, ...]]:
        """Return the links of each declared chain, by the property that the chain stands for."""
        declared = {"causal_chain": self.view.causes, "event_sequence": self.view.sequence}
        found: dict[str, tuple[str, ...]] = {}
        for name, chain in declared.items():
            if chain is not None:
                reached = {neighbour.entity.id: neighbour.entity for neighbour in state.neighbours.get(chain.hop, ())}
                reached.pop(state.entity.id, None)
                found[name] = tuple(_link(chain, entity) for entity in reached.values())
        return found

    def _entity_context(self, state: EntityState) -> dict[str, Any]:
        context = self._context(state.entity.id, state.entity.type, state.entity.properties)
        for name, via, hop in self._vias:
            context[name] = [
                _neighbour(via, entity, relationship.properties)
                for entity, relationship in state.neighbours.get(hop, ())
            ]
        return context

    def _context(self, identity: str, type_name: str, properties: Properties) -> dict[str, Any]:
        # Only what the template reads: entities may be wide, and nothing else can leak into the text.
        context: dict[str, Any] = {name: properties[name] for name in self._shown if name in properties}
        context["id"], context["type"] = identity, type_name
        if self._reads_all:
            context[_WHOLE] = dict(properties)
        return context

    def render_relationship(self, state: RelationshipState) -> Rendering:
        """Render a relationship with both endpoints."""
        ref, properties = state.relationship.ref, state.relationship.properties
        context = self._context(ref.id, ref.type, properties)
        context["source"], context["target"] = _endpoint(state.source), _endpoint(state.target)
        text = self._template.render(context) if self._template else ""
        return self._rendering(text or ref.id, properties, None)

    def _rendering(self, text: str, properties: Properties, context: Any) -> Rendering:
        view, source = self.view, properties.get(SOURCE_DOCUMENT)
        return Rendering(
            text,
            self.template_version,
            view.model,
            context,
            self._metadata(properties) if view.metadata else NO_METADATA,
            source if isinstance(source, str) else None,
            _confidence(properties.get(CONFIDENCE)),
        )

    def _metadata(self, properties: Properties) -> Mapping[str, MetadataValue]:
        return {
            name: as_metadata(value) for name in self.view.metadata if (value := properties.get(name)) is not None
        }


def default_text(entity: Entity, *, temporal: bool) -> str:
    """Return `{name}: {description}`, then the other text properties in the order of their names."""
    properties = entity.properties
    head = [text for name in ("name", "description") if (text := format_value(properties.get(name)))]
    parts = [": ".join(head)] if head else []
    left_out = _NOT_TEXT_OF_EVENTS if temporal else _NOT_TEXT
    parts += [
        f"{name}: {text}"
        for name in sorted(properties)
        if name not in left_out and is_text(value := properties[name]) and (text := format_value(value))
    ]
    return normalised(". ".join(parts)) or entity.id


def _link(chain: Chain, entity: Entity) -> str:
    values = (format_value(entity.properties.get(name)) for name in chain.properties)
    return normalised(", ".join(value for value in values if value)) or entity.id


def _neighbour(via: Via, entity: Entity, relationship: Properties) -> dict[str, Any]:
    properties = entity.properties
    shown = {name: properties[name] for name in via.properties if name in properties}
    return {**shown, "id": entity.id, "type": entity.type, "via": dict(relationship)}


def _endpoint(entity: Entity) -> dict[str, Any]:
    return {**entity.properties, "id": entity.id, "type": entity.type}


def _confidence(value: object) -> float | None:
    if value is None or isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        return None
    return float(value)


def _version(view: View) -> str:
    vias: Sequence[object] = [
        [name, via.relationship_type, via.direction.value, list(via.properties), via.limit]
        for name, via in sorted(view.via.items())
    ]
    chains = [["causes", astuple(view.causes)]] if view.causes else []
    chains += [["sequence", astuple(view.sequence)]] if view.sequence else []
    content = json.dumps([RULES_VERSION, view.template, vias, *chains])
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
