"""Which model embeds which type of entity."""

from __future__ import annotations

from collections.abc import Mapping

from slipstream.domain.errors import ConfigError
from slipstream.domain.hints import nearest
from slipstream.embedding.registry import ModelRegistry

DEFAULT_ROUTE = "default"
ENTITY_TYPES = ("Person", "Organization", "Concept", "Event", "CodeEntity", "Document", DEFAULT_ROUTE)
"""The types that every router names; any other type takes the default route unless it has one of its own."""


class ModelRouter:
    """
    Entity type to model id. A type without a route goes to the default model.

    Raises `ConfigError` at once for a route to a model that is not registered.
    """

    def __init__(
        self, registry: ModelRegistry, routes: Mapping[str, str] | None = None, default: str | None = None
    ) -> None:
        given = dict(routes or {})
        if default is not None and given.get(DEFAULT_ROUTE, default) != default:
            raise ConfigError(f"two default models, {default!r} and {given[DEFAULT_ROUTE]!r}: name one")
        self._registry = registry
        self._default = default or given.get(DEFAULT_ROUTE) or registry.default
        self._routes = dict.fromkeys(ENTITY_TYPES, self._default) | given | {DEFAULT_ROUTE: self._default}
        if self._default not in registry:
            raise ConfigError(f"the default model: {self._unknown(self._default)}")
        for entity_type, model_id in self._routes.items():
            if model_id not in registry:
                raise ConfigError(f"route of {entity_type!r}: {self._unknown(model_id)}")

    @property
    def routes(self) -> Mapping[str, str]:
        """Every route, the named types and the default among them."""
        return dict(self._routes)

    @property
    def models(self) -> tuple[str, ...]:
        """The ids of all models that a route leads to, each once."""
        return tuple(dict.fromkeys(self._routes.values()))

    def model_for(self, entity_type: str, model_id: str | None = None) -> str:
        """Return the model of a type; `model_id` overrides the route. Raises `ConfigError` when it is unknown."""
        if model_id is None:
            return self._routes.get(entity_type, self._default)
        if model_id not in self._registry:
            raise ConfigError(f"model asked for {entity_type!r}: {self._unknown(model_id)}")
        return model_id

    def _unknown(self, model_id: str) -> str:
        known = sorted(self._registry.ids)
        meant = f"; did you mean {near!r}?" if (near := nearest(model_id, known)) else ""
        return f"unknown embedding model {model_id!r}; known models: {', '.join(known)}{meant}"
