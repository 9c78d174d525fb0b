"""Backups: how old the newest one of this graph is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from slipstream.app.backup.folders import whole_backups
from slipstream.app.composition.doctor.findings import Examination
from slipstream.app.composition.factories import GRAPH_FILE, FileGlimpse

_DAYS_MAX = 7
_DAY_S = 86_400


def look_at_backups(found: Examination, folder: Path | None) -> None:
    """Look for backups in a folder; without one it is not known where they are."""
    if folder is None:
        if found.is_pkg:
            found.ok("backups", "not looked for: name their folder with --backups")
        return
    found.look("backups", lambda: _look_at(found, folder), "name the folder that `slipstream backup` was given")


def _look_at(found: Examination, folder: Path) -> None:
    graph_id = _graph_id(found)
    own = [each for each in whole_backups(folder) if graph_id is None or each[1].graph_id == graph_id]
    make = f"run `slipstream --dir {found.directory} backup {folder}`"
    if not own:
        found.warn("backups", f"{folder} holds none of this graph", make)
        return
    path, manifest = own[-1]
    days = (datetime.now(UTC) - manifest.created_at).total_seconds() / _DAY_S
    said = f"{len(own)}, the newest {path.name} is {days:,.1f} days old, of position {manifest.position:,}"
    if days > _DAYS_MAX:
        found.warn("backups", said, make)
    else:
        found.ok("backups", said)


def _graph_id(found: Examination) -> str | None:
    """Return which graph this is; None where it can not be read, so that every backup may be of it."""
    path = found.data / GRAPH_FILE
    if not path.exists():
        return None
    with FileGlimpse(path) as file:
        text = file.value("SELECT value FROM meta WHERE name = 'graph_id'")
    return None if text is None else str(text)
