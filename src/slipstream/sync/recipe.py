"""Views and an embedding service, joined to the recipe that decides every record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipstream.domain.entities import EntityState, Hop, RecordState
from slipstream.domain.keys import RecordKey
from slipstream.domain.models import Space
from slipstream.domain.requests import EmbeddingRequest, Target
from slipstream.ports.embedding_service import EmbeddingService
from slipstream.views.viewset import ViewSet


class ViewRecipe:
    """The `Recipe` of a set of views and an embedding service."""

    def __init__(self, views: ViewSet, service: EmbeddingService) -> None:
        self._views = views
        self._service = service
        self._hops = views.hops()
        self._spaces: dict[tuple[str, str | None], Space] = {}

    def hops(self) -> Mapping[str, Sequence[Hop]]:
        """Return which neighbours a read must bring along, by entity type."""
        return self._hops

    def target(self, state: RecordState) -> Target | None:
        """Render a state and fingerprint it; None when no view covers it."""
        rendering = self._views.render(state)
        if rendering is None:
            return None
        entity_type, key = _identity(state)
        request = EmbeddingRequest(
            entity_type=entity_type,
            content=rendering.text,
            temporal_context=rendering.temporal_context,
            model_id=rendering.model,
        )
        return Target(
            key=key,
            entity_type=entity_type,
            space=self._space(entity_type, rendering.model),
            fingerprint=self._service.fingerprint(request, rendering.template_version),
            template_version=rendering.template_version,
            request=request,
            metadata=rendering.metadata,
            source_document_id=rendering.source_document_id,
            extraction_confidence=rendering.extraction_confidence,
        )

    def _space(self, entity_type: str, model: str | None) -> Space:
        # Routes and models are fixed for the life of a recipe; looking them up for every record would show.
        space = self._spaces.get((entity_type, model))
        if space is None:
            space = Space.of(self._service.spec_for(entity_type, model))
            self._spaces[entity_type, model] = space
        return space


def _identity(state: RecordState) -> tuple[str, RecordKey]:
    if isinstance(state, EntityState):
        return state.entity.type, state.entity.key
    return state.relationship.ref.type, state.relationship.key
