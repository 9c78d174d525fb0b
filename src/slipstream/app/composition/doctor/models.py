"""The models that a PKG embeds by: whether their files are the ones that they should be, and whether they answer."""

from __future__ import annotations

import socket
from contextlib import closing
from functools import partial
from urllib.parse import urlsplit

from slipstream.app.composition.doctor.findings import Examination
from slipstream.app.composition.factories import onnx_model, packaged_models
from slipstream.app.config import Config, OpenAIConfig
from slipstream.domain.hints import near_miss
from slipstream.ports.embedder import Embedder

_PATIENCE_S = 3.0
_PORTS = {"http": 80, "https": 443}
_EXAMPLE = "Is this model as it should be?"


def look_at_models(found: Examination) -> None:
    """Look at each model that the configuration names."""
    config = found.config
    if config is None:
        return
    for name in sorted({config.models.default, *config.models.routes.values()}):
        found.look(f"model {name}", partial(_look_at_model, found, config, name), "install what it needs")


def _look_at_model(found: Examination, config: Config, name: str) -> None:
    where, packaged = f"model {name}", {spec.id: make for spec, make in packaged_models().items()}
    if name in config.models.openai:
        _look_at_server(found, where, config.models.openai[name])
    elif name in config.models.onnx:
        _try(found, where, onnx_model(name, config.models.onnx[name]))
    elif name in packaged:
        _try(found, where, packaged[name]())
    else:
        known = (*packaged, *config.models.openai, *config.models.onnx)
        found.warn(where, f"it is none that is known here{near_miss(name, known)}", "see docs/models.md")


def _try(found: Examination, where: str, model: Embedder) -> None:
    """Embed a text: to load a packaged model compares the digests of its files first."""
    with closing(model):
        (vector,) = model.embed([_EXAMPLE])
        length = float((vector**2).sum()) ** 0.5
        said = f"version {model.spec.version}, {model.spec.dimension} dimensions"
    if not 0.99 < length < 1.01:
        found.fail(where, f"{said}: its vectors have the length {length}, not 1", "install it anew")
    else:
        found.ok(where, f"{said}; its files are right, and it embeds")


def _look_at_server(found: Examination, where: str, server: OpenAIConfig) -> None:
    """Look whether somebody takes a connection; nothing is asked, for that may cost money."""
    parts = urlsplit(server.base_url)
    if server.api_key_file is not None and not server.api_key_file.is_file():
        found.fail(where, f"its key file {server.api_key_file} is not there", "write the key into it")
        return
    try:
        socket.create_connection((parts.hostname or "", parts.port or _PORTS[parts.scheme]), _PATIENCE_S).close()
    except OSError as error:
        found.fail(where, f"{server.base_url} can not be reached ({error})", "start it, or correct base_url")
    else:
        found.ok(where, f"{server.base_url} takes connections")
