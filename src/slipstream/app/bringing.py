"""Bringing data into a PKG: files of every format, dumps, change events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slipstream.app.pkg import PKG
from slipstream.app.rehearsing import Rehearsal, Rehearsing, Run, rehearsed
from slipstream.domain.errors import ConfigError, InvalidInputError, UnsupportedError
from slipstream.domain.feed_changes import FeedOptions
from slipstream.events.applying import Applier
from slipstream.events.import_state import ImportReport, OnProgress
from slipstream.events.importing import Importer
from slipstream.events.statements import Replacing
from slipstream.importers.importing import SourceImporter
from slipstream.importers.notes.keeping import Kept, OnNote, VaultKeeper, tell_nobody
from slipstream.importers.notes.watching import follow
from slipstream.importers.options import ReadOptions
from slipstream.importers.reading import APOC, NOTES, format_of, reader_of
from slipstream.importers.rows import RowReader
from slipstream.ports.journal import DeadLetters, NamedValues

if TYPE_CHECKING:
    from slipstream.app.backup.making import Backups
    from slipstream.app.exporting import Exporter, ExportReport, OnRow
    from slipstream.app.slipstream import Parts
    from slipstream.app.table_export import TableSpec


class Bringing:
    """The calls of a PKG that bring data in."""

    _parts: Parts
    _rehearsing: Rehearsing | None = None
    _copies: tuple[Backups, Exporter] | None

    def importer(self) -> Importer:
        """Return what imports dumps as APOC writes them; works in any process."""
        parts = self._parts
        return Importer(parts.pkg, parts.guest_journal, parts.guest_letters, parts.clock, parts.refusal_limits)

    def applier(self, feed: FeedOptions | None = None) -> Applier:
        """
        Return what applies foreign change events to this graph; works in any process.

        `feed` says what the events do not say of themselves; None: what the configuration says.
        """
        parts = self._parts
        return Applier(parts.pkg, parts.guest_letters, parts.clock, parts.refusal_limits, feed or parts.feed)

    def import_files(
        self,
        *paths: Path | str,
        format: str | None = None,  # noqa: A002  (what the option of the command is called)
        options: ReadOptions | None = None,
        replace_source: str | None = None,
        confirm: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> ImportReport:
        """
        Import files that belong together, or a folder of notes, and return what they brought.

        `format` is one of `importers.reading.FORMATS` (None: as names and contents say). Rows that can not be taken
        are dead letters, and the rest goes on; importing the same again changes nothing, and goes on after an
        interruption. With `replace_source` they are all that the source of that name says now: what it said in an
        earlier import, and no longer says, is deleted, unless another source says it too.

        Raises `ConfigError` for what can not be read, `InvalidInputError` for an option that does not fit, and
        `ReplacementNeedsConfirmationError` when more would be deleted than the brake allows, after everything else
        was imported; `confirm` is the id of its plan.
        """
        run = self._importing([Path(path) for path in paths], format, options or ReadOptions(), on_progress)
        parts, replacing = self._parts, self._replacing(replace_source, confirm)
        return run(parts.pkg, parts.guest_journal, parts.guest_letters, replacing)

    def rehearse_import(
        self,
        *paths: Path | str,
        format: str | None = None,  # noqa: A002
        options: ReadOptions | None = None,
        replace_source: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Rehearsal:
        """
        Import files into a copy of the graph, and return what `import_files` would do; nothing else is changed.

        The copy needs as much room on the disk as the graph, beside it. Raises what `import_files` raises, but for
        the brake, which is told.
        """
        if self._rehearsing is None:
            raise UnsupportedError("this PKG was not opened from a directory: there is no file to copy")
        run = self._importing([Path(path) for path in paths], format, options or ReadOptions(), on_progress)
        replacing = self._replacing(replace_source, None)
        return rehearsed(self._rehearsing, self._parts.guest_journal, run, replacing)

    def import_from(
        self,
        reader: RowReader,
        *,
        replace_source: str | None = None,
        confirm: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> ImportReport:
        """Import what a reader of your own yields; see `import_files`."""
        parts, replacing = self._parts, self._replacing(replace_source, confirm)
        importer = SourceImporter(
            parts.pkg, parts.guest_journal, parts.guest_letters, parts.clock, parts.refusal_limits
        )
        return importer.run(reader, on_progress, replacing=replacing)

    def watch_folder(
        self,
        folder: Path | str,
        *,
        stop: threading.Event,
        options: ReadOptions | None = None,
        replace_source: str | None = None,
        confirm: str | None = None,
        poll: bool = False,
        on_kept: Callable[[Kept], None] | None = None,
        on_note: OnNote | None = None,
    ) -> None:
        """
        Keep the PKG in step with a folder of notes, until `stop` is set.

        At first the whole folder is compared with the graph, and so what was missed is made good; then whatever is
        saved, moved or deleted there is taken in at once. `on_kept` is told of each round. Notes that are gone are
        deleted within the brake, and more of them only if `confirm` is the plan that was told (`Kept.plan_id`). With
        `replace_source` the folder is imported before, as all that the source of that name says. `poll` looks at the
        folder over and over, for a file system that tells no changes.

        Raises `ConfigError` for a folder that can not be read, or is gone, and what `import_files` raises.
        """
        place, told = Path(folder), options or ReadOptions()
        told.refuse_but("entity_type", "id_prefix")
        if replace_source is not None:
            self.import_files(place, format=NOTES, options=told, replace_source=replace_source, confirm=confirm)
        parts = self._parts
        keeper = VaultKeeper(
            place, parts.pkg, note_type=told.entity_type, prefix=told.id_prefix, brake=parts.brake, confirm=confirm
        )
        follow(keeper, on_kept or _nobody, stop, poll=poll, on_note=on_note or tell_nobody)

    def export_table(self, path: Path | str, table: TableSpec, on_row: OnRow | None = None) -> ExportReport:
        """Write the entities of one type as CSV or TSV; see `slipstream.app.table_export.TableExporter`."""
        from slipstream.app.table_export import TableExporter

        if self._copies is None:
            raise UnsupportedError("this PKG was not opened from a directory: it has no file to read")
        return TableExporter(self._copies[1].pin).export(path, table, on_row)

    def export_without_aliases(
        self, path: Path | str, taken_out: Mapping[str, Sequence[str]], on_row: OnRow | None = None
    ) -> ExportReport:
        """
        Write the graph as `export` does, but without some aliases of entities, given by id.

        So questions that ask by these are asked of a graph that does not list them; this one is left as it is.
        """
        from slipstream.app.edited_export import WithoutAliases
        from slipstream.app.exporting import Exporter

        if self._copies is None:
            raise UnsupportedError("this PKG was not opened from a directory: it has no file to read")
        pin = self._copies[1].pin
        return Exporter(lambda: WithoutAliases(pin(), taken_out), self._parts.clock).export(path, on_row)

    def _importing(
        self, paths: list[Path], name: str | None, options: ReadOptions, on_progress: OnProgress | None
    ) -> Run:
        if not paths:
            raise InvalidInputError("name at least one file", field="paths")
        parts, chosen = self._parts, name or format_of(paths)
        if chosen == APOC:
            options.refuse_but("id_prefix")
            if len(paths) > 1:
                raise InvalidInputError("a dump is one file: import them one by one", field="paths")

        def run(graph: PKG, values: NamedValues, letters: DeadLetters, replacing: Replacing | None) -> ImportReport:
            if replacing is not None and all(path.is_file() and not path.stat().st_size for path in paths):
                raise ConfigError(
                    f"{paths[0]} is empty, which an export that failed is too: nothing was deleted of what "
                    f"{replacing.source} stated; make the export anew"
                )
            if chosen == APOC:
                dump = Importer(graph, values, letters, parts.clock, parts.refusal_limits)
                return dump.run(paths[0], on_progress, id_prefix=options.id_prefix, replacing=replacing)
            reader = reader_of(paths, options, chosen, graph)
            importer = SourceImporter(graph, values, letters, parts.clock, parts.refusal_limits)
            return importer.run(reader, on_progress, replacing=replacing)

        return run

    def _replacing(self, source: str | None, confirm: str | None) -> Replacing | None:
        if source is None:
            if confirm is not None:
                raise InvalidInputError("only a source that is replaced has a plan to confirm", field="confirm")
            return None
        return Replacing(source=source, confirm=confirm, brake=self._parts.brake)


def _nobody(kept: Kept) -> None:
    del kept
