"""The command `mcp`: tools for an agent, over standard input and output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from slipstream.cli.context import Context
from slipstream.cli.output import handled_errors
from slipstream.mcp.extra import need_sdk
from slipstream.mcp.keeping import Kept, ServerGone

if TYPE_CHECKING:
    from slipstream.app.slipstream import Slipstream

_STDOUT, _STDERR = 1, 2


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("mcp")(mcp)


def mcp(
    context: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Also give the agent tools that write.")] = False,
) -> None:
    """
    Serve tools for an agent (Model Context Protocol) on stdin and stdout; the agent's host starts this.

    While another process runs the engine (`slipstream serve`, say), this one asks it. It ends with its input, on
    Ctrl-C or SIGTERM.
    """
    with handled_errors():
        need_sdk()
        settings: Context = context.obj
        with ExitStack() as stack:
            # Standard output is the protocol's alone: whatever else writes there, a model's library say, is diverted.
            with _diverted():
                kept = stack.enter_context(Kept(partial(_opened, settings), ServerGone(settings.directory)))
            stack.enter_context(_diverted_at_the_end())
            _serve(kept, write=write)


def _opened(settings: Context) -> AbstractContextManager[Slipstream]:
    """Return the PKG as its server's, if there is one, or opened by its files."""
    from slipstream.app.client.addresses import socket_in
    from slipstream.app.composition import connect_pkg

    return settings.opened() if socket_in(settings.directory) is None else connect_pkg(settings.directory)


def _serve(kept: Kept, *, write: bool) -> None:
    from slipstream.mcp.serving import Grant, build_server
    from slipstream.mcp.stdio import serve_stdio

    grant = Grant(lambda: kept.slipstream, write)
    serve_stdio(build_server(lambda _: grant))


@contextmanager
def _diverted() -> Iterator[None]:
    """Let standard output go to standard error during the block."""
    sys.stdout.flush()
    kept = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, _STDOUT)
        os.close(kept)


@contextmanager
def _diverted_at_the_end() -> Iterator[None]:
    """Let standard output go to standard error from the end of the block on."""
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(_STDERR, _STDOUT)
