"""The command `watch-folder`: a PKG in step with a folder of notes, until it is told to end."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slipstream.cli.context import Context
from slipstream.cli.ending import terminated
from slipstream.cli.output import err, handled_errors, out, print_json, print_warning, progress_bar
from slipstream.domain.texts import on_one_line

if TYPE_CHECKING:
    from slipstream.importers.notes.keeping import Kept


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("watch-folder")(watch_folder)


def watch_folder(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder of Markdown, as Obsidian or Logseq have it.")],
    entity_type: Annotated[str | None, typer.Option("--type", help="The type of notes that say none; Note.")] = None,
    id_prefix: Annotated[
        str | None, typer.Option(help="Before the ids of notes, which are their paths; default: the folder's name.")
    ] = None,
    replace_source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Import the folder at first, as all that the source NAME says: what it said before goes.",
        ),
    ] = None,
    confirm: Annotated[
        str | None, typer.Option(metavar="PLAN", help="Delete as much as PLAN says, which was told before.")
    ] = None,
    poll: Annotated[
        bool, typer.Option("--poll", help="Look at the folder over and over: for drives of other machines.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each round.")] = False,
) -> None:
    """
    Keep the PKG in step with a folder of notes, deletes and renames included; ends on Ctrl-C or SIGTERM.

    What was missed while this was off is made good at first.
    """
    from slipstream.importers.options import ReadOptions

    with handled_errors(as_json=as_json):
        settings: Context = context.obj
        stop = threading.Event()
        with terminated(stop), settings.opened() as slipstream, ExitStack() as bar:
            update = bar.enter_context(progress_bar("notes", "notes", shown=not as_json))
            slipstream.watch_folder(
                folder.expanduser(),
                stop=stop,
                options=ReadOptions(entity_type=entity_type, id_prefix=id_prefix),
                replace_source=replace_source,
                confirm=confirm,
                poll=poll,
                on_kept=_Telling(folder, bar, as_json=as_json),
                on_note=update,
            )
        if not as_json:
            out.print("ended; nothing is lost")


@dataclass(slots=True)
class _Telling:
    """Tells of each round, and of what can not be taken once."""

    folder: Path
    bar: ExitStack
    """The progress bar of the first round."""
    as_json: bool
    _refused: dict[str, str] = field(default_factory=dict)
    _plan: str | None = None
    _is_first: bool = True

    def __call__(self, kept: Kept) -> None:
        """Tell of a round."""
        self.bar.close()
        if self.as_json:
            print_json(
                {
                    "written": kept.written,
                    "deleted": kept.deleted,
                    "held_back": kept.held_back,
                    "plan": kept.plan_id,
                    "refused": kept.refused,
                    "position": kept.position,
                }
            )
            sys.stdout.flush()  # somebody waits for it
            return
        told = [f"{kept.written:,} {'note' if kept.written == 1 else 'notes'}"] if kept.written else []
        told += [f"{kept.deleted:,} deleted"] if kept.deleted else []
        if self._is_first:
            out.print(f"in step with {self.folder}: {', '.join(told) or 'no notes'}; watching", markup=False)
        elif told:
            out.print(", ".join(told), markup=False)
        self._is_first = False
        for path, why in kept.refused.items():
            if self._refused.get(path) != why:
                told_of = why if why.startswith(f"{path}: ") else f"{path}: {why}"
                err.print(f"not taken: {on_one_line(told_of)}", markup=False)
        self._refused |= kept.refused
        if kept.plan_id is not None and kept.plan_id != self._plan:
            print_warning(
                f"{kept.held_back:,} notes are gone, more than the brake lets go unasked: they stay. If that "
                f"is right, start this again with --confirm {kept.plan_id}"
            )
        self._plan = kept.plan_id
