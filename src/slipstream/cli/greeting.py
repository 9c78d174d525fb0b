"""What `slipstream` says when no command is given: how the PKG stands, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import typer

from slipstream.domain.texts import on_one_line

_BEGIN = (
    ("init", "make a PKG here"),
    ("import FILE", "bring in a graph, a table, RDF, notes: `slipstream import --help`"),
    ("search 'what you look for'", "search it by meaning"),
)
_FILL = (
    ("import FILE", "bring in a graph, a table, RDF, notes"),
    ("add Person ada name='Ada Lovelace'", "or write one entity"),
    ("search 'what you look for'", "search by meaning"),
)
_USE = (
    ("search 'what you look for'", "search by meaning"),
    ("get ID", "look at one entity; `list` has them all"),
    ("serve", "keep the index in step, and serve the PKG; commands are quicker beside it"),
    ("watch", "see changes as they happen"),
    ("status", "how far the index is; `verify` proves that it is right"),
    ("doctor", "what is wrong, and what to do"),
)


def greet(directory: Path) -> None:
    """Say how the PKG of a directory stands, and what to do next."""
    from slipstream.app import glancing
    from slipstream.app.client.addresses import socket_in

    shown = "" if directory == Path() else f" --dir {shlex.quote(str(directory))}"
    where = on_one_line(str(directory.absolute()))
    if not glancing.is_pkg(directory):
        typer.echo(f"There is no PKG in {where}. To begin:")
        _tell(shown, _BEGIN)
        typer.echo("Elsewhere: slipstream --dir PATH COMMAND. All commands: slipstream --help")
        return
    counts = glancing.counts(directory)
    typer.echo(f"{where}: {_standing(counts, is_served=socket_in(directory) is not None)}")
    _tell(shown, _USE if counts.get("entities") else _FILL)
    typer.echo("All commands: slipstream --help")


def _standing(counts: Mapping[str, int], *, is_served: bool) -> str:
    served = "served" if is_served else "not served"
    if "entities" not in counts:
        return f"nothing is in it yet, or it can not be read: see `slipstream doctor`; {served}"
    told = [f"{counts['entities']:,} entities, {counts['relationships']:,} relationships"]
    behind = counts["head"] - counts.get("frontier", 0)
    told.append("the index is in step" if behind <= 0 else f"the index is {behind:,} changes behind")
    if counts.get("dead_letters"):
        told.append(f"{counts['dead_letters']:,} dead letters")
    return "; ".join([*told, served])


def _tell(shown: str, commands: tuple[tuple[str, str], ...]) -> None:
    width = max(len(command) for command, _ in commands)
    for command, what in commands:
        typer.echo(f"  slipstream{shown} {command:<{width}}  # {what}")
