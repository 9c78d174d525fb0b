"""Models: all are registered, each is made when it is first used."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from slipstream.adapters.wrappers.probed import ProbedEmbedder, ProbeMemory
from slipstream.app.composition.factories import onnx_model, openai_model, packaged_models
from slipstream.app.composition.options import Options
from slipstream.app.config import Config
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.router import ModelRouter
from slipstream.ports.embedder import Embedder


def registered_models(config: Config, options: Options, probes: ProbeMemory) -> tuple[ModelRegistry, ModelRouter]:
    """
    Register every model that is known; each is made, and its extra needed, only when it is first used.

    For models of a server, `probes` remembers what the server said of them.
    """
    wrap = options.wrapping.embedder
    registry = ModelRegistry()
    for embedder in options.embedders:
        registry.register(wrap(embedder))
    for spec, make in packaged_models().items():
        if spec.id not in registry:  # a caller's own model of that name wins
            registry.register_lazy(spec.id, partial(_wrapped, make, wrap), spec=spec)
    for name, server in config.models.openai.items():
        registry.register_lazy(name, partial(_probed, partial(openai_model, name, server), probes, wrap))
    for name, local in config.models.onnx.items():
        registry.register_lazy(name, partial(_wrapped, partial(onnx_model, name, local), wrap))
    default = options.embedders[0].spec.id if options.embedders else config.models.default
    return registry, ModelRouter(registry, config.models.routes, default)


def _probed(make: Callable[[], Embedder], probes: ProbeMemory, wrap: Callable[[Embedder], Embedder]) -> Embedder:
    return wrap(ProbedEmbedder(make(), probes))


def _wrapped(make: Callable[[], Embedder], wrap: Callable[[Embedder], Embedder]) -> Embedder:
    return wrap(make())
