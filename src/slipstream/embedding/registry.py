"""The models at hand, by id; each is made when it is first needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from slipstream.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    SlipstreamError,
    TransientError,
    UnavailableError,
)
from slipstream.domain.models import ModelSpec
from slipstream.ports.embedder import Embedder

_RETRY_S = 1.0


@dataclass(slots=True)
class _Entry:
    factory: Callable[[], Embedder]
    spec: ModelSpec | None
    embedder: Embedder | None = None
    error: SlipstreamError | None = None
    retry_at_s: float = 0.0


class ModelRegistry:
    """
    Embedders by model id. The first one registered is the default unless another is named.

    Safe for several threads: a lazy model is made once, and its other callers wait for it.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._default: str | None = None
        self._lock = threading.RLock()
        self._closed = False

    def register(self, embedder: Embedder, *, default: bool = False) -> None:
        """Add a model under the id of its own spec; raises `AlreadyExistsError` when the id is taken."""
        self._add(embedder.spec.id, _Entry(lambda: embedder, embedder.spec, embedder), default=default)

    def register_lazy(
        self,
        model_id: str,
        factory: Callable[[], Embedder],
        *,
        spec: ModelSpec | None = None,
        default: bool = False,
    ) -> None:
        """
        Add a model that `factory` makes on first use.

        With `spec` its identity is known without making it; the model made must then have exactly that spec.
        """
        if spec is not None and spec.id != model_id:
            raise ConfigError(f"model {model_id!r} is registered with the spec of {spec.id!r}: use one id for both")
        self._add(model_id, _Entry(factory, spec), default=default)

    @property
    def default(self) -> str:
        """The id of the default model; raises `ConfigError` when there is no model at all."""
        if self._default is None:
            raise ConfigError("no embedding model is registered: register one before routing to it")
        return self._default

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all models, in the order of their registration."""
        return tuple(self._entries)

    def __contains__(self, model_id: object) -> bool:
        return model_id in self._entries

    def get(self, model_id: str) -> Embedder:
        """Return a model, made now if need be; raises `ConfigError` naming the known ids for an unknown one."""
        entry = self._entry(model_id)
        if entry.embedder is not None:
            return entry.embedder
        with self._lock:
            if self._closed:
                raise UnavailableError(f"the model registry is closed: {model_id!r} can not be made any more")
            if entry.embedder is None:
                entry.embedder = self._tried(model_id, entry)
            return entry.embedder

    def spec(self, model_id: str) -> ModelSpec:
        """
        Return the spec of a model; makes the model only when its spec is not known beforehand.

        A model that could not be made is tried again after a second, not for every record; its error is raised
        meanwhile. Raises what `get` does.
        """
        entry = self._entry(model_id)
        if entry.spec is not None:
            return entry.spec
        if entry.error is not None and time.monotonic() < entry.retry_at_s:
            raise entry.error
        return self.get(model_id).spec

    def close(self) -> None:
        """Close every model that was made; closing twice is harmless."""
        with self._lock:
            self._closed = True
            for entry in self._entries.values():
                if entry.embedder is not None:
                    entry.embedder.close()

    def _add(self, model_id: str, entry: _Entry, *, default: bool) -> None:
        with self._lock:
            if model_id in self._entries:
                raise AlreadyExistsError(f"model {model_id!r} is registered already: give the new one another id")
            self._entries[model_id] = entry
            if default or self._default is None:
                self._default = model_id

    def _entry(self, model_id: str) -> _Entry:
        entry = self._entries.get(model_id)
        if entry is None:
            known = ", ".join(sorted(self._entries)) or "none"
            raise ConfigError(f"unknown embedding model {model_id!r}; known models: {known}")
        return entry

    def _tried(self, model_id: str, entry: _Entry) -> Embedder:
        try:
            made = self._made(model_id, entry)
        except (TransientError, ConfigError) as error:
            error.model_id = model_id
            entry.error, entry.retry_at_s = error, time.monotonic() + _RETRY_S
            raise
        entry.error = None
        return made

    def _made(self, model_id: str, entry: _Entry) -> Embedder:
        embedder = entry.factory()
        expected = entry.spec or embedder.spec
        if embedder.spec.id != model_id or embedder.spec != expected:
            embedder.close()
            raise ConfigError(
                f"the factory of model {model_id!r} made {embedder.spec}, not {entry.spec or model_id}: "
                "register it under the spec that it really has"
            )
        entry.spec = embedder.spec
        return embedder
