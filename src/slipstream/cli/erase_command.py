"""The command `erase`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.completing import entity_ids
from slipstream.cli.context import Context
from slipstream.cli.output import err, handled_errors, out, print_facts, print_json, print_table
from slipstream.domain.errors import ConfigError

if TYPE_CHECKING:
    from slipstream.domain.erasure import Erasure


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("erase")(erase)


def erase(
    context: typer.Context,
    entity_id: Annotated[str, typer.Argument(metavar="ID", help="The entity's id.", autocompletion=entity_ids)],
    with_neighbours_text: Annotated[
        bool, typer.Option("--with-neighbours-text", help="Take its names out of its neighbours' texts, too.")
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Another text that tells of it, in dead letters and the like. Repeatable."),
    ] = None,
    reference: Annotated[str | None, typer.Option(help="For the receipt, e.g. the number of a request.")] = None,
    backups: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="A folder to look for backups of this graph in. Repeatable."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the receipt as JSON.")] = False,
) -> None:
    """
    Remove an entity everywhere, from logs and freed space too, and write a signed receipt; asks first.

    Exit code: 0; 1 when the question is answered with no; 2 also where nobody can be asked, without --yes.
    """
    settings: Context = context.obj
    asked: dict[str, Any] = {
        "with_neighbours_text": with_neighbours_text,
        "also": also or [],
        "reference": reference,
        "backups": backups or [],
    }
    with handled_errors(as_json=as_json), settings.opened() as slipstream:
        if dry_run or not yes:
            told = slipstream.erase(entity_id, **asked, dry_run=True)
            if dry_run:
                _show(told, as_json=as_json)
                return
            if not _is_wanted(entity_id, told, as_json=as_json):
                err.print("nothing was erased")
                raise typer.Exit(EXIT_DIVERGENT)
        _show(slipstream.erase(entity_id, **asked), as_json=as_json)


def _is_wanted(entity_id: str, told: Erasure, *, as_json: bool) -> bool:
    """Ask whoever sits there; raises `ConfigError` where nobody does."""
    there = "with" if told.was_there else "which the graph does not hold, with"
    places = sum(place.removed > 0 for place in told.places)
    what = f"{entity_id}, {there} {told.relationships:,} relationships, from {places} places, for good"
    if as_json or not (sys.stdin and sys.stdin.isatty()):
        raise ConfigError(f"this would erase {what}: give --yes if that is meant")
    return typer.confirm(f"Erase {what}?", err=True)


def _show(told: Erasure, *, as_json: bool) -> None:
    if as_json:
        print_json(dict(told.document))
        return
    rows = [[place.place, f"{place.searched:,}", f"{place.removed:,}", place.note] for place in told.places]
    print_table("Erased" if told.receipt else "Would be erased", ["place", "searched", "removed", ""], rows)
    facts: dict[str, Any] = {
        "entity": "was in the graph" if told.was_there else "was not in the graph",
        "relationships": told.relationships,
        "neighbours changed": told.neighbours_changed,
    }
    if told.vectors_removed:
        facts["vectors removed"] = f"{told.vectors_removed} of neighbours, until their model is back"
    if told.files:
        facts["overwritten"] = f"{sum(file.wiped_bytes for file in told.files):,} bytes that SQLite had freed"
        facts["still named"] = (
            f"{sum(file.mentions_left for file in told.files):,} times, by what others have written"
        )
    if told.receipt is not None:
        facts["receipt"] = told.receipt
    print_facts(facts)
    for each in told.unreachable:
        out.print(f"not reached: {each}", markup=False, highlight=False, soft_wrap=True)
