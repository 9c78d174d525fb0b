"""The command `mcp`: tools for an agent, over standard input and output."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from slipstream.cli.context import Context
from slipstream.cli.output import handled_errors
from slipstream.mcp.extra import need_sdk


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("mcp")(mcp)


def mcp(
    context: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Also give the agent tools that write.")] = False,
) -> None:
    """
    Serve tools for an agent (Model Context Protocol) on stdin and stdout; the agent's host starts this.

    While another process runs the engine, this one asks it. Ends with its input, on Ctrl-C or SIGTERM.
    """
    with handled_errors():
        need_sdk()
        settings: Context = context.obj
        with settings.opened() as slipstream:
            _serve(slipstream, write=write)


def _serve(slipstream: Any, *, write: bool) -> None:
    from slipstream.mcp.serving import Grant, build_server
    from slipstream.mcp.stdio import serve_stdio

    grant = Grant(lambda: slipstream, write)
    serve_stdio(build_server(lambda _: grant))
