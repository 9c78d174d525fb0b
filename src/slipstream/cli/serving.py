"""The server as the options of `serve` ask for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slipstream.app.config import CONFIG_NAME
from slipstream.app.slipstream import Slipstream
from slipstream.cli.keeping import Front
from slipstream.cli.output import err
from slipstream.domain.errors import ConfigError, InvalidInputError, UnsupportedError
from slipstream.http import needing_extra, serve
from slipstream.http.sockets import parsed_address

if TYPE_CHECKING:
    from slipstream.http.app import Faces
    from slipstream.http.listening import Listener
    from slipstream.http.served import Registry

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """What the options of the command say."""

    http: str | None = None
    metrics: str | None = None
    token_file: Path | None = None
    hosts: Sequence[str] = ()
    behind_proxy: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    backups: Path | None = None
    upload_mb: int | None = None
    descriptors: Sequence[int] = ()
    """Of the sockets that a service manager has bound."""


def directories_of(first: Path, named: Sequence[str]) -> dict[str, Path]:
    """
    Return the PKGs to serve, by name: that of `--dir`, then those of `--pkg NAME=DIR`.

    With `--pkg`, a `--dir` without a PKG is left out. Raises `InvalidInputError`.
    """
    found: dict[str, Path] = {}
    if not named or (first / CONFIG_NAME).exists():
        name = first.resolve().name
        found[name if _NAME.fullmatch(name) else "pkg"] = first
    for text in named:
        name, _, directory = text.partition("=")
        if not _NAME.fullmatch(name) or not directory:
            raise InvalidInputError(f"{text!r} is not NAME=DIR, with a name of letters, digits, - _ .", field="pkg")
        if name in found:
            raise InvalidInputError(f"two PKGs are called {name!r}: give one another name", field="pkg")
        found[name] = Path(directory).expanduser()
    return found


@needing_extra()
def registry_of(directories: Mapping[str, Path]) -> Registry:
    """Return the PKGs, none of them open yet; raises `ConfigError` without the extra `server`."""
    from slipstream.http.served import Registry, Served

    return Registry({name: Served(name, directory) for name, directory in directories.items()})


@needing_extra()
def front_of(options: ServerOptions, registry: Registry) -> Front:
    """Return the server, which has not begun; raises `ConfigError` for options that can not be followed."""
    from slipstream.http.limits import MIB, Limits
    from slipstream.http.listeners import Terms, activated_listeners, check_address, tcp_listener, tls_of
    from slipstream.http.serving import WebServer
    from slipstream.http.tokens import Tokens

    http = None if options.http is None else parsed_address(options.http, "http")
    metrics = None if options.metrics is None else parsed_address(options.metrics, "metrics")
    if options.tls_cert is None and options.tls_key is not None:
        raise InvalidInputError("a key is of no use without its certificate", field="tls-cert")
    if options.backups is not None and not options.backups.is_dir():
        raise ConfigError(f"the folder for backups {options.backups} is not there: make it first")
    tokens = None if options.token_file is None else Tokens.of(options.token_file)
    terms = Terms(
        has_tokens=tokens is not None,
        behind_proxy=options.behind_proxy,
        tls=None if options.tls_cert is None else tls_of(options.tls_cert, options.tls_key),
        hosts=frozenset(name.lower().rstrip(".") for name in options.hosts),
    )
    for address, only_pages in ((http, False), (metrics, True)):
        if address is not None:
            check_address(address, terms, only_pages=only_pages)
    limits = Limits() if options.upload_mb is None else Limits(upload_bytes=options.upload_mb * MIB)

    def made() -> WebServer:
        faces = _faces(registry)
        return WebServer(registry, faces=faces, tokens=tokens, limits=limits, backups=options.backups)

    def listeners() -> list[Listener]:
        with ExitStack() as stack:
            bound: list[Listener] = []

            def keep(listener: Listener) -> None:
                stack.callback(listener.sock.close)
                bound.append(listener)

            if http is not None:
                keep(tcp_listener(http, terms))
            if metrics is not None:
                keep(tcp_listener(metrics, terms, only_pages=True))
            for listener in activated_listeners(options.descriptors, terms):
                keep(listener)
            stack.pop_all()
            return bound

    return Front(made, listeners)


@contextmanager
def serving_metrics(slipstream: Slipstream, metrics: str | None, token_file: Path | None) -> Iterator[None]:
    """Serve metrics and health alone while the block runs, if an address is given."""
    if metrics is None:
        yield
        return
    if not slipstream.runs_engine:
        raise UnsupportedError("metrics are served by the process that runs the engine, which is another one")
    parsed_address(metrics, "metrics")
    with serve(slipstream, metrics, token=token_file, only_pages=True) as server:
        err.print(f"serving {server.url}/metrics", markup=False, highlight=False)
        yield


def _faces(registry: Registry) -> Faces:
    """Return what stands beside the API: the console, and tools for agents if their extra is there."""
    from slipstream.http.app import Faces
    from slipstream.http.console import console_routes

    console = Faces(routes=tuple(console_routes()))
    try:
        from slipstream.mcp.routes import mcp_face
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"mcp", "mcp_types"}:
            raise
        return console
    tools = mcp_face(registry)
    return Faces(routes=(*console.routes, *tools.routes), running=tools.running)
