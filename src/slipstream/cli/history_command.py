"""The command `history`: what the log tells of one entity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from slipstream.cli.asking import Asked, asked
from slipstream.cli.codes import EXIT_DIVERGENT
from slipstream.cli.completing import entity_ids
from slipstream.cli.near_ids import missing_line, near_ids
from slipstream.cli.output import err, handled_errors, print_json, print_table
from slipstream.cli.showing import properties_shown, value_shown
from slipstream.domain.errors import InvalidInputError
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.texts import on_one_line

LIMIT_MAX = 1_000
_KINDS = {
    "+e": "entity_created",
    "~e": "entity_updated",
    "-e": "entity_deleted",
    "+r": "relationship_created",
    "~r": "relationship_updated",
    "-r": "relationship_deleted",
}
_OWN = "(id = :id AND kind IN ('+e', '~e', '-e'))"
_ITS_RELATIONSHIPS = " OR source = :id OR target = :id"
_ENTRIES = """SELECT position, kind, id, type, source, target, key, old, new, at FROM change
    WHERE position < :before AND ({}) ORDER BY position DESC LIMIT :count"""
_BEGINNING = "SELECT min(position) AS first FROM change"
_IS_THERE = "SELECT count(*) AS count FROM entity WHERE id = :id"
_END = 2**63 - 1

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("history")(history)


def history(
    context: typer.Context,
    entity_id: Annotated[str, typer.Argument(metavar="ID", help="The entity's id.", autocompletion=entity_ids)],
    limit: Annotated[int, typer.Option(help=f"How many of the newest changes, 1 to {LIMIT_MAX:,}.")] = 20,
    before: Annotated[int | None, typer.Option(help="Only changes before this position.")] = None,
    own: Annotated[bool, typer.Option("--own", help="Leave out the changes of its relationships.")] = False,
    as_json: Json = False,
) -> None:
    """
    Show what the log tells of an entity and its relationships, newest first; also of one that is gone.

    Exit code: 0; 1 when the log tells nothing of it.
    """
    with handled_errors(as_json=as_json):
        if not 1 <= limit <= LIMIT_MAX:
            raise InvalidInputError(f"must be 1 to {LIMIT_MAX:,}, not {limit}", field="limit")
        found = asked(context.obj, lambda pkg: _told(pkg, entity_id, before, limit, own=own))
        if as_json:
            print_json(found)
        elif found["changes"]:
            _show(found["changes"])
        for note in _notes(found):
            err.print(on_one_line(note), markup=False, highlight=False, soft_wrap=True)
        if not found["changes"]:
            raise typer.Exit(EXIT_DIVERGENT)


def _told(pkg: Asked, entity_id: str, before: int | None, limit: int, *, own: bool) -> dict[str, Any]:
    statement = _ENTRIES.format(_OWN + ("" if own else _ITS_RELATIONSHIPS))
    parameters = {"id": entity_id, "count": limit + 1, "before": _END if before is None else before}
    rows = pkg.call("pkg.query_sql", statement=statement, parameters=parameters)
    (beginning,) = pkg.call("pkg.query_sql", statement=_BEGINNING, parameters={})
    (there,) = pkg.call("pkg.query_sql", statement=_IS_THERE, parameters={"id": entity_id})
    return {
        "id": entity_id,
        "is_there": bool(there["count"]),
        "changes": [_change(row) for row in rows[:limit]],
        "more": len(rows) > limit,
        "log_begins": beginning["first"],
        "near": [] if rows or there["count"] else near_ids(pkg, entity_id),
    }


def _change(row: Mapping[str, Any]) -> dict[str, Any]:
    is_relationship = row["kind"].endswith("r")
    old, new = _values(row["old"]), _values(row["new"])
    return {
        "position": row["position"],
        "committed_at": None if row["at"] is None else datetime.fromtimestamp(row["at"] / 1_000, UTC).isoformat(),
        "kind": _KINDS.get(row["kind"], row["kind"]),
        "id": _relationship_id(row) if is_relationship else row["id"],
        "type": row["type"],
        "source_id": row["source"],
        "target_id": row["target"],
        "old": old,
        "new": new,
        "changed": None if old is None or new is None else sorted(_differing(old, new)),
    }


def _relationship_id(row: Mapping[str, Any]) -> str:
    return RelationshipRef(row["type"], row["source"], row["target"], row["key"] or "").id


def _values(text: str | None) -> dict[str, Any] | None:
    """Return the properties that the log has kept; None where it has not, or another program has damaged them."""
    try:
        found = None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
    return {name: value for name, value in found.items() if value is not None} if isinstance(found, dict) else None


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    # 1, 1.0 and true are equal in Python, and different values of a property.
    return {
        name for name in {*old, *new} if name not in old or name not in new or _text(old, name) != _text(new, name)
    }


def _text(properties: Mapping[str, Any], name: str) -> str:
    return json.dumps(properties[name], sort_keys=True)


def _show(changes: list[dict[str, Any]]) -> None:
    rows = [
        (change["position"], (change["committed_at"] or "")[:19].replace("T", " "), _what(change), _came(change))
        for change in changes
    ]
    print_table("", ["position", "committed at (UTC)", "what", "change"], rows)


def _what(change: Mapping[str, Any]) -> str:
    name = change["kind"].replace("_", " ")
    return on_one_line(f"{name}: {change['id'] if change['source_id'] is not None else change['type']}")


def _came(change: Mapping[str, Any]) -> str:
    """Return what changed: from what to what where the log has kept both."""
    old, new = change["old"], change["new"]
    if change["changed"] is not None:
        return ", ".join(f"{on_one_line(name)}: {_from_to(old, new, name)}" for name in change["changed"])
    kept = new if new is not None else old
    return "" if kept is None else properties_shown(kept)


def _from_to(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> str:
    before, after = (value_shown(side[name], 60) if name in side else "(none)" for side in (old, new))
    return f"{before} -> {after}"


def _notes(found: Mapping[str, Any]) -> list[str]:
    notes: list[str] = []
    if not found["changes"]:
        known = f"the log tells nothing of {found['id']!r}" if found["is_there"] else ""
        notes.append(known or missing_line(found["id"], found["near"]))
    elif found["more"]:
        notes.append(f"there are older changes: --before {found['changes'][-1]['position']}, or raise --limit")
    if (found["log_begins"] or 0) > 1:
        notes.append(f"the log begins at position {found['log_begins']:,}: older changes are no longer kept")
    return notes
