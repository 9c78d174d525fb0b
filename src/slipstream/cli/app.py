"""The command line: `slipstream [--dir PATH] COMMAND`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from slipstream._version import __version__
from slipstream.cli import (
    audit_commands,
    backup_commands,
    bench_command,
    data_commands,
    demo_command,
    engine_commands,
    migrate_commands,
    quality_commands,
    query_command,
    run_command,
    schema_commands,
    show_commands,
    views_commands,
)
from slipstream.cli.context import Context
from slipstream.cli.ending import ended
from slipstream.cli.examples import show_examples
from slipstream.cli.terminal import SafeFormatter

app = typer.Typer(
    name="slipstream",
    help="Keeps a vector index directly behind a property graph.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
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
    handler = logging.StreamHandler()
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, handlers=[handler])
    context.obj = Context(directory.expanduser())


_GROUPS = (
    data_commands,
    engine_commands,
    backup_commands,
    audit_commands,
    migrate_commands,
    quality_commands,
    schema_commands,
    views_commands,
    run_command,
    query_command,
    show_commands,
    demo_command,
    bench_command,
)
for module in _GROUPS:
    module.register(app)
show_examples(app)


def main() -> None:
    """Run the command line."""
    ended(app)
