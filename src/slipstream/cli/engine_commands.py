"""Commands about the engine: `status`, `dead-letters`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from slipstream.cli.context import Context, drain
from slipstream.cli.output import (
    EXIT_DIVERGENT,
    EXIT_ERROR,
    err,
    handled_errors,
    out,
    print_facts,
    print_json,
    print_table,
)
from slipstream.domain.errors import ConfigError
from slipstream.service.insights import status_as_dict

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of dead letters, as `list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("status")(status)
    letters = typer.Typer(help="Keys and events that failed for good.", no_args_is_help=True)
    letters.command("list")(list_letters)
    letters.command("replay")(replay_letters)
    letters.command("discard")(discard_letters)
    app.add_typer(letters, name="dead-letters")


def status(
    context: typer.Context,
    as_json: Json = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit code 1 when an alert threshold is breached, as it stands now.")
    ] = False,
) -> None:
    """Show how far the index is behind the graph."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            facts = status_as_dict(slipstream)
            breached = [reading for reading in slipstream.watch.readings() if reading.is_breached]
        _show_status(facts, as_json=as_json)
        if check and breached:
            for reading in breached:
                err.print(f"{reading.rule}: {reading.message}", markup=False, highlight=False)
            raise typer.Exit(EXIT_DIVERGENT)


def _show_status(facts: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    print_facts({name: value for name, value in facts.items() if not isinstance(value, dict)})
    for title in ("entities_by_type", "embeddings_by_type", "embeddings_by_model"):
        counts = facts[title]
        if counts:
            print_table(
                title.replace("_", " "), ["type" if "type" in title else "model", "count"], list(counts.items())
            )


def list_letters(context: typer.Context, as_json: Json = False) -> None:
    """List the dead letters."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            letters = slipstream.list_dead_letters()
        if as_json:
            print_json(
                [
                    {
                        "id": letter.id,
                        "key": letter.key.encode() if letter.key else None,
                        "error": letter.error,
                        "attempts": letter.attempts,
                        "failed_at": letter.failed_at,
                        "position": letter.position,
                        "payload": letter.payload,
                    }
                    for letter in letters
                ]
            )
            return
        rows = [
            (letter.id, letter.attempts, letter.failed_at.isoformat(" ", "seconds"), letter.error)
            for letter in letters
        ]
        print_table(f"{len(letters)} dead letters", ["id", "attempts", "failed at (UTC)", "error"], rows)


def replay_letters(context: typer.Context, ids: Ids = None, every: All = False, as_json: Json = False) -> None:
    """Give dead letters another try. Exit code 1 when some failed again."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened() as slipstream:
            replayed = slipstream.replay_dead_letters(_chosen(ids, every=every))
            after = drain(slipstream, shown=not as_json)
        result = {"replayed": replayed, "dead_letters": after.dead_letters}
        if as_json:
            print_json(result)
        else:
            print_facts(result)
        if after.dead_letters:
            raise typer.Exit(EXIT_DIVERGENT)


def discard_letters(context: typer.Context, ids: Ids = None, every: All = False, as_json: Json = False) -> None:
    """Forget dead letters; their keys stay divergent until they change or are repaired."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            discarded = slipstream.discard_dead_letters(_chosen(ids, every=every))
        if as_json:
            print_json({"discarded": discarded})
        else:
            out.print(f"discarded {discarded}")
        if ids and discarded < len(ids):
            raise typer.Exit(EXIT_ERROR)


def _chosen(ids: list[str] | None, *, every: bool) -> list[str] | None:
    if bool(ids) == every:
        raise ConfigError("name the ids of dead letters, or pass --all")
    return ids or None
