"""The command line: `slipstream [--dir PATH] COMMAND`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from slipstream._version import __version__
from slipstream.cli.ending import ended
from slipstream.cli.loading import LazyGroup

app = typer.Typer(
    cls=LazyGroup,
    name="slipstream",
    help="Keeps a vector index directly behind a property graph.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help takes a third of the time
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(*, value: bool) -> None:
    if value:
        typer.echo(f"slipstream {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    directory: Annotated[Path, typer.Option("--dir", help="The PKG's directory.", readable=False)] = Path(),
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the engine does, on stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep a vector index directly behind a property graph."""
    del version
    if context.invoked_subcommand is None:
        from slipstream.cli.greeting import greet

        greet(directory.expanduser())
        return
    from slipstream.cli.context import Context
    from slipstream.cli.logs import SafeFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler])
    context.obj = Context(directory.expanduser())


def main() -> None:
    """Run the command line."""
    ended(app)
