"""Models and their cache: registered all, made when they are first used."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from slipstream.adapters.embedders.cache import SqliteEmbeddingCache
from slipstream.bootstrap.options import Options
from slipstream.domain.models import ModelSpec
from slipstream.embedding.registry import ModelRegistry
from slipstream.embedding.router import ModelRouter
from slipstream.ports.embedder import Embedder, EmbeddingCache
from slipstream.service.config import Config, OnnxConfig, OpenAIConfig


def open_cache(config: Config, data: Path, stack: ExitStack) -> EmbeddingCache | None:
    """Open the cache of embeddings on disk; None when it is switched off."""
    if config.models.cache_mb == 0:
        return None
    cache = SqliteEmbeddingCache(data / "embeddings.cache", config.models.cache_mb * 1024 * 1024)
    stack.callback(cache.close)
    return cache


def registered_models(config: Config, options: Options) -> tuple[ModelRegistry, ModelRouter]:
    """Register every model that is known; each is made, and its extra needed, only when it is first used."""
    from slipstream.adapters.embedders.minilm import MINILM_SPEC, MiniLMEmbedder
    from slipstream.adapters.embedders.wordllama import WORDLLAMA_SPEC, WordLlamaEmbedder

    wrap = options.wrapping.embedder
    registry = ModelRegistry()
    for embedder in options.embedders:
        registry.register(wrap(embedder))
    known: dict[ModelSpec, Callable[[], Embedder]] = {MINILM_SPEC: MiniLMEmbedder, WORDLLAMA_SPEC: WordLlamaEmbedder}
    for spec, make in known.items():
        if spec.id not in registry:  # a caller's own model of that name wins
            registry.register_lazy(spec.id, partial(_wrapped, make, wrap), spec=spec)
    for name, server in config.models.openai.items():
        registry.register_lazy(name, partial(_openai, name, server, wrap))
    for name, local in config.models.onnx.items():
        registry.register_lazy(name, partial(_onnx, name, local, wrap))
    default = options.embedders[0].spec.id if options.embedders else config.models.default
    return registry, ModelRouter(registry, config.models.routes, default)


def _wrapped(make: Callable[[], Embedder], wrap: Callable[[Embedder], Embedder]) -> Embedder:
    return wrap(make())


def _onnx(name: str, local: OnnxConfig, wrap: Callable[[Embedder], Embedder]) -> Embedder:
    from slipstream.adapters.embedders.minilm import OnnxEmbedder

    return wrap(OnnxEmbedder(local.directory, id=name))


def _openai(name: str, server: OpenAIConfig, wrap: Callable[[Embedder], Embedder]) -> Embedder:
    from slipstream.adapters.embedders.openai import OpenAIEmbedder

    key = server.api_key_file.read_text(encoding="utf-8").strip() if server.api_key_file else None
    return wrap(
        OpenAIEmbedder(
            server.base_url,
            name,
            api_key=key,
            dimension=server.dimension,
            timeout_s=server.timeout_s,
        )
    )
