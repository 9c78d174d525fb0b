"""Views and an embedding service, joined to the recipe that decides every record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from slipstream.domain.digests import Content, kept_text, space_text
from slipstream.domain.entities import EntityState, Hop, RecordState
from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import ModelSpec, Space
from slipstream.domain.requests import EmbeddingRequest, Shown, Target
from slipstream.domain.stamps import NO_METADATA
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.recipes.declaration import ModelIdentity, RecipeDeclaration
from slipstream.views.viewset import ViewSet


class _Place(NamedTuple):
    """Where the vectors of a type belong, and the model that makes them (None: the route's)."""

    space: Space
    model_id: str | None
    space_text: str


class ViewRecipe:
    """
    The `Recipe` of a set of views and an embedding service.

    With a declaration it decides model and generation of every type, whatever the service's own routes are; without
    one the service's routes do, in generation 1.
    """

    def __init__(
        self, views: ViewSet, service: EmbeddingService, declaration: RecipeDeclaration | None = None
    ) -> None:
        self.views = views
        self.declaration = declaration
        self._service = service
        self._hops = views.hops()
        self._places: dict[tuple[str, str | None], _Place] = {}
        self._homes: dict[str, Space] = {}

    def hops(self) -> Mapping[str, Sequence[Hop]]:
        """Return which neighbours a read must bring along, by entity type."""
        return self._hops

    def covers_relationships(self, type_name: str) -> bool:
        """Return whether relationships of a type have records."""
        return self.views.view_for(type_name, is_relationship=True) is not None

    def target(self, state: RecordState) -> Target | None:
        """Render a state and fingerprint it; None when no view covers it."""
        rendering = self.views.render(state)
        if rendering is None:
            return None
        entity_type, key = _identity(state)
        space, model_id, _ = self._place(entity_type, rendering.model)
        text, template_version, _, context, metadata, source, confidence = rendering
        request = EmbeddingRequest(entity_type, text, context, NO_METADATA, model_id)
        fingerprint = self._service.fingerprint(request)
        return Target(key, entity_type, space, fingerprint, template_version, request, metadata, source, confidence)

    def shown(self, state: RecordState) -> Shown | None:
        """Render a state for people: no fingerprint, no model."""
        rendering = self.views.render(state)
        return None if rendering is None else Shown(rendering.text, rendering.metadata)

    def content(self, state: RecordState) -> Content | None:
        """Render a state and fingerprint it as `target` does, for a comparison only; None when no view covers it."""
        rendering = self.views.render(state)
        if rendering is None:
            return None
        entity_type, key = _identity(state)
        _, model_id, space = self._place(entity_type, rendering.model)
        text, template_version, _, context, metadata, source, confidence = rendering
        fingerprint = self._service.fingerprint(EmbeddingRequest(entity_type, text, context, NO_METADATA, model_id))
        kept = kept_text(template_version, confidence, source, metadata)
        return Content(key.encode(), entity_type, space, fingerprint, kept)

    def space_of(self, type_name: str) -> Space:
        """Return the space of a type's vectors; its model is only asked where its identity was not declared."""
        space = self._homes.get(type_name)
        if space is None:
            declared = None if self.declaration is None else self.declaration.space_of(type_name)
            space = self._homes[type_name] = declared or self._place(type_name, self._model_of(type_name))[0]
        return space

    def _model_of(self, type_name: str) -> str | None:
        return next((view.model for view in self.views.views if view.type == type_name), None)

    def _place(self, entity_type: str, model: str | None) -> _Place:
        # Routes and models are fixed for the life of a recipe; looking them up for every record would show.
        place = self._places.get((entity_type, model))
        if place is None:
            space, model_id = self._placed(entity_type, model)
            place = self._places[entity_type, model] = _Place(space, model_id, space_text(space))
        return place

    def _placed(self, entity_type: str, model: str | None) -> tuple[Space, str | None]:
        declared = self.declaration
        if declared is None:
            return Space.of(self._service.spec_for(entity_type, model)), model
        model_id = declared.model_of(entity_type, model)
        spec = self._service.spec_for(entity_type, model_id)
        _check_identity(spec, declared.models.get(model_id))
        return Space.of(spec, declared.generation_of(entity_type)), model_id


def _check_identity(spec: ModelSpec, declared: ModelIdentity | None) -> None:
    """Fail closed: what another model made is never compared with, nor overwritten by, what this one makes."""
    if declared is not None and declared != (spec.version, spec.dimension):
        raise ConfigError(
            f"model {spec.id!r} is version {spec.version!r} with {spec.dimension} dimensions, but the index was "
            f"built with version {declared.version!r} and {declared.dimension}: bring that back, or register this "
            "one under another id and migrate to it (`slipstream migrate start`)"
        )


def _identity(state: RecordState) -> tuple[str, RecordKey]:
    if isinstance(state, EntityState):
        return state.entity.type, state.entity.key
    return state.relationship.ref.type, state.relationship.key
