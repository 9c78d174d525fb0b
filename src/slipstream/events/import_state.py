"""What an import has brought so far, where it goes on after an interruption, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

from slipstream.domain.errors import (
    AlreadyExistsError,
    ConfigError,
    InvalidInputError,
    NotFoundError,
    ReplacementNeedsConfirmationError,
)
from slipstream.domain.positions import ORIGIN, Position
from slipstream.events.statements import Replacing, Statements, last_run
from slipstream.ports.graph import GraphReader, GraphWriter

REJECTED_SHOWN = 20
DELETING = 2
"""The stage behind the two passes: what the source no longer states goes."""
REJECTIONS = (InvalidInputError, NotFoundError, AlreadyExistsError)


@dataclass(slots=True)
class ImportReport:
    """What an import brought. `rejected` rows are dead letters, with their text."""

    entities: int = 0
    relationships: int = 0
    rejected: int = 0
    resumed_at_line: int = 0
    position: Position = ORIGIN
    errors: list[str] = field(default_factory=list)
    """The first reasons for rejections."""
    deleted: int = 0
    """Records that the source no longer states."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How often properties that no graph can keep were left out, by type and name."""
    notes: list[str] = field(default_factory=list)
    """Further notes for the user."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """The progress of an import, over both passes."""

    done_bytes: int
    total_bytes: int
    rows: int


@dataclass(slots=True)
class Cursor:
    """Where to go on: entities are imported in the first pass, relationships in the second."""

    stage: int = 0
    line: int = 0
    rejected: int = 0
    run: int | None = None
    """Of the source that is replaced, if one is."""

    @classmethod
    def load(cls, text: str | None) -> Cursor:
        """Return what `dump` wrote; the beginning where nothing was."""
        return cls(**json.loads(text)) if text else cls()

    def dump(self) -> str:
        """Return the text that the journal keeps."""
        return json.dumps(asdict(self))


OnProgress = Callable[[ImportProgress], None]


class ReadWriteGraph(GraphWriter, GraphReader, Protocol):
    """A graph that is read and written."""


def start_of(text: str | None, pkg: GraphWriter, replacing: Replacing | None) -> Cursor:
    """Return where an import goes on; at the beginning, too, if its source has been imported anew since."""
    cursor = Cursor.load(text)
    return Cursor() if replacing is not None and cursor.run != last_run(pkg, replacing) else cursor


def tell_change(name: str, report: ImportReport, statements: Statements | None, forget: Callable[[], None]) -> None:
    """Tell of a source that changed while it was read; raises `ConfigError` if something would be deleted of it."""
    said = f"{name} has changed while it was imported, and may have been taken in part: import it again"
    if statements is None:
        report.notes.append(said)
    else:
        forget()
        raise ConfigError(f"{said}. What it no longer states was not deleted")


def finish_replacing(
    statements: Statements,
    report: ImportReport,
    save: Callable[[int | None], None],
    *,
    is_decided: bool,
    restate: Callable[[], None] | None = None,
) -> None:
    """
    Delete what a source no longer states, but not when rows of it were refused; raises what `Statements.check` does.

    `save` keeps how far the import is; `is_decided` when an interrupted one has come so far. `restate` is called when
    the source only names now what it described before.
    """
    if report.rejected:
        report.notes.append(statements.unsure(report.rejected))
        return
    found = statements.survey()
    if not is_decided:
        try:
            statements.check(found)
        except ReplacementNeedsConfirmationError:
            save(None)
            raise
        save(DELETING)
    if found.named_only and restate is not None:
        restate()
    report.deleted, position = statements.delete_gone()
    report.position = report.position if position is None else position
