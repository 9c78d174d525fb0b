"""Commands about the engine: `status`, `dead-letters`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slipstream.cli.asking import Owner, answered
from slipstream.cli.codes import EXIT_DIVERGENT, EXIT_ERROR
from slipstream.cli.context import Context, drain
from slipstream.cli.output import (
    brake_line,
    err,
    handled_errors,
    out,
    print_facts,
    print_incident,
    print_json,
    print_table,
    print_warning,
)
from slipstream.domain.errors import (
    ConfigError,
    CorruptionError,
    LeaseLostError,
    NotFoundError,
    SlipstreamError,
    TransientError,
)

if TYPE_CHECKING:
    from slipstream.app.slipstream import Slipstream
    from slipstream.report.alert_rules import Reading

_ONLY_SERVED = ("name", "last_audit", "lanes", "backfills", "unknown")
_SHOWN_LAST = ("lanes", "backfills", "unknown")
"""What `status_as_dict` has at its end."""

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
    """
    Show how far the index is behind the graph; while something is broken, show what is known, and what is not.

    Exit code: 0; 1 with --check when a threshold is breached; 2 when something could not be read.
    """
    settings: Context = context.obj
    with handled_errors(as_json=as_json):
        try:
            told = None if check else answered(settings.directory, _told)
            facts, breached = (told, []) if told is not None else _looked(settings)
        except (TransientError, LeaseLostError, CorruptionError) as error:
            facts, breached = _glimpsed(settings, error), []
        _show_status(facts, as_json=as_json)
        for name, reason in facts["unknown"].items():
            err.print(f"unknown: {name}: {reason}", markup=False, highlight=False)
        for reading in breached if check else ():
            err.print(f"{reading.rule}: {reading.message}", markup=False, highlight=False)
        if facts["unknown"]:
            raise typer.Exit(EXIT_ERROR)
        if check and breached:
            raise typer.Exit(EXIT_DIVERGENT)


def _told(owner: Owner) -> dict[str, Any] | None:
    """Return the status as the server tells it; None in an incident, of which there is more to say."""
    found = owner.get("/v1/status")
    if found["incident"] is not None:
        return None
    times = found["embedded_at_by_type"]
    found["embedded_at_by_type"] = {name: datetime.fromisoformat(text).isoformat() for name, text in times.items()}
    return {name: value for name, value in found.items() if name not in _ONLY_SERVED} | {
        name: found[name] for name in _SHOWN_LAST
    }


def _looked(settings: Context) -> tuple[dict[str, Any], list[Reading]]:
    """Return the status of the open PKG, and the thresholds that are breached."""
    from slipstream.app.insights import status_as_dict

    with settings.opened(run=False) as slipstream:
        if slipstream.incident is not None:
            print_incident(slipstream.incident)
        facts = status_as_dict(slipstream)
        return facts, [reading for reading in slipstream.watch.readings() if reading.is_breached]


def _glimpsed(settings: Context, error: SlipstreamError) -> dict[str, Any]:
    """Return what the files tell of a PKG that can not be opened, or whose engine's owner does not answer."""
    from slipstream.app.composition import glimpse

    found = glimpse(settings.directory)
    reason = {"the PKG as a whole": f"{type(error).__name__}: {error}"}
    return {**found, "unknown": {**reason, **found["unknown"]}}


def _show_status(facts: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    print_facts({name: value for name, value in facts.items() if not isinstance(value, dict)} | _of_words(facts))
    if facts.get("brake") is not None:
        print_warning(brake_line(facts["brake"]))
    for title in ("entities_by_type", "embeddings_by_type", "embeddings_by_model"):
        counts = facts.get(title)
        if counts:
            print_table(
                title.replace("_", " "), ["type" if "type" in title else "model", "count"], list(counts.items())
            )


def _of_words(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far the word rows are, as facts of one line each."""
    words = facts.get("words")
    if not words:
        return {}
    told = {"words_frontier": words["frontier"], "words_lag_s": words["lag_s"]}
    if words["outage"]:
        told["words_outage"] = words["outage"]
    if scan := words["scan"]:
        left = "" if scan["eta_s"] is None else f", {scan['eta_s']:,.0f} s left"
        told["words_scan"] = f"{scan['reason']}: {scan['done']:,} of {scan['total']:,} ({scan['rate']:,.0f}/s{left})"
    return told


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
            replayed = slipstream.replay_dead_letters(_chosen(slipstream, ids, every=every))
            after = drain(slipstream, shown=not as_json)
            cut = [letter for letter in slipstream.list_dead_letters() if not letter.can_be_replayed]
        result = {"replayed": replayed, "dead_letters": after.dead_letters}
        if as_json:
            print_json(result)
        else:
            print_facts(result)
        for letter in cut:
            print_warning(f"{letter.id} can not be replayed from itself: {letter.error}")
        if after.dead_letters:
            raise typer.Exit(EXIT_DIVERGENT)


def discard_letters(context: typer.Context, ids: Ids = None, every: All = False, as_json: Json = False) -> None:
    """Forget dead letters; their keys stay divergent until they change or are repaired."""
    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        with settings.opened(run=False) as slipstream:
            discarded = slipstream.discard_dead_letters(_chosen(slipstream, ids, every=every))
        if as_json:
            print_json({"discarded": discarded})
        else:
            out.print(f"discarded {discarded}")


def _chosen(slipstream: Slipstream, ids: list[str] | None, *, every: bool) -> list[str] | None:
    """Return the ids that were given, None for all; raises `NotFoundError` for an unknown one."""
    if bool(ids) == every:
        raise ConfigError("name the ids of dead letters, or pass --all")
    there = {letter.id for letter in slipstream.list_dead_letters()} if ids else set()
    for name in ids or ():
        if name not in there:
            raise NotFoundError(
                f"there is no dead letter {name!r}: `slipstream dead-letters list` shows those there are"
            )
    return ids or None
