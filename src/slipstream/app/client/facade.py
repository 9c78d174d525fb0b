"""The facade of a PKG that a server holds: the calls of `Slipstream`, each asked of the server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never, Unpack

from slipstream.app.backup.making import BackupOptions, BackupReport
from slipstream.app.backup.parts import OnStep, no_step
from slipstream.app.client.calling import WireAudits, WireCaller, WireEvidence
from slipstream.app.client.graph import WirePKG, refused, waited
from slipstream.app.client.sending import WireApplier, WireImporter, backed_up, imported
from slipstream.app.client.store import WireLetters, WireStore
from slipstream.app.client.transaction import Checks
from slipstream.app.client.wire import Wire
from slipstream.app.exporting import ExportReport, OnRow
from slipstream.app.remote.guest import Aside, GuestSlipstream
from slipstream.app.remote.parts import remote_part
from slipstream.app.slipstream import Parts
from slipstream.app.uploads import Said
from slipstream.app.view_check import SAMPLE, ViewCheck
from slipstream.app.watch import Watch
from slipstream.audit.auditor import Auditor
from slipstream.audit.findings import AuditReport
from slipstream.audit.pacing import FULL_SPEED
from slipstream.audit.repair import Repairer
from slipstream.audit.scrubber import Scrubber
from slipstream.domain.errors import SlipstreamError, UnsupportedError
from slipstream.domain.feed_changes import FeedOptions
from slipstream.domain.incidents import Adoption, Incident
from slipstream.domain.positions import Position
from slipstream.domain.work import DeadLetter
from slipstream.engine.facts import SyncStatus
from slipstream.engine.runner import Sync
from slipstream.events.import_state import ImportReport, OnProgress
from slipstream.evolution.reembedding import ReembeddingService
from slipstream.importers.options import ReadOptions
from slipstream.importers.reading import format_of
from slipstream.migration.migrations import Migrations
from slipstream.ports.clock import Clock
from slipstream.quality.comparison import QualityComparison, QualityGate, Query
from slipstream.quality.runs import SAMPLE as COMPARED
from slipstream.quality.runs import Quality
from slipstream.recipes.in_force import Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.search.explanations import WhyNot
from slipstream.search.hits import SearchResults
from slipstream.search.options import SearchArguments, SearchOptions
from slipstream.views.viewset import ViewSet

if TYPE_CHECKING:
    from slipstream.app.table_export import TableSpec

_HERE = "open the PKG by its directory (`slipstream.open`), on the machine that holds it"
_VIEWS = f"ask for GET /v1/views, or {_HERE}"
_LONG_WAIT_S = 10.0
"""A search that may wait longer for its position waits in several calls."""
_SYNC_HERE = ("wait", "reached", "status", "failure", "start", "stop")


class WireSync:
    """The calls of `Sync` that a client asks for in another form, or answers itself."""

    failure: BaseException | None = None
    """Always None: a failed engine is the server's, and `status` tells of it."""

    def __init__(self, caller: WireCaller) -> None:
        self._caller = caller

    def wait(self, position: Position, timeout_s: float | None = None) -> bool:
        """
        Wait until everything up to the position is in the index; False when the time ran out.

        Raises what `Sync.wait` raises.
        """
        return waited(timeout_s, lambda slice_s: bool(self._caller.call("sync.wait", position, slice_s)))

    def reached(self, position: Position, timeout_s: float) -> bool:
        """Wait as `wait` does, but return False as well for any `SlipstreamError`."""
        try:
            return self.wait(position, timeout_s)
        except SlipstreamError:
            return False

    def status(self) -> SyncStatus:
        """Return the engine's numbers."""
        found: SyncStatus = self._caller.call("status")
        return found

    def start(self) -> None:
        """Do nothing: the engine runs in the server."""

    def stop(self) -> None:
        """Do nothing: the engine runs in the server."""


class _Trend:
    """What `Quality` keeps, asked for."""

    def __init__(self, caller: WireCaller) -> None:
        self._caller = caller

    def trend(self) -> list[dict[str, Any]]:
        """Return the kept runs, oldest first."""
        found: list[dict[str, Any]] = self._caller.call("quality.trend")
        return found


class RemoteSlipstream(GuestSlipstream):
    """
    A `Slipstream` that a server holds: the same calls, the same values, the same errors, and nothing opened here.

    What needs files, models or functions of this process raises `UnsupportedError`, which says what to do instead.
    Safe for threads. A call raises `UnavailableError` when the server can not be reached or breaks off; the next call
    connects anew.
    """

    def __init__(self, wire: Wire, clock: Clock, checks: Checks) -> None:
        self.wire = wire
        self._client = WireCaller(wire, clock)
        super().__init__(_parts(self._client, clock, checks), self._client, asks_searches=True)

    @property
    def incident(self) -> Incident | None:
        """Why graph and index do not belong together, as the server says; None when they do."""
        found: Incident | None = self._caller.call("incident")
        return found

    @property
    def refused_recipe(self) -> str | None:
        """Why the server did not put the declared recipe in force; None when it did."""
        found: str | None = self._caller.call("refused_recipe")
        return found

    def adoption(self) -> Adoption:
        """Return the counts of both sides, for a decision about `adopt`."""
        found: Adoption = self._caller.call("adoption")
        return found

    def adopt(self) -> Position:
        """Have the server take the graph for the truth; it then opens the PKG anew."""
        return Position(self._caller.call("adopt"))

    @property
    def recipes(self) -> Recipes:
        """Raise on use: recipes render texts, which the server does."""
        return self._parts.recipes

    @property
    def views(self) -> ViewSet:
        """Raise: views render texts, which the server does."""
        raise UnsupportedError(f"views can not be had from a server: {_VIEWS}")

    @property
    def quality(self) -> Quality:
        """How good the vectors are, by the server's recipes."""
        return self._parts.quality

    def search(self, text: str, k: int = 10, **asked: Unpack[SearchArguments]) -> SearchResults:
        """Have the server search; a long wait for `after` takes several calls, so that none is cut off."""
        return super().search(text, k, **self._once_it_is_there(asked))

    def why_not(self, text: str, entity_id: str, k: int = 10, **asked: Unpack[SearchArguments]) -> WhyNot:
        """Have the server look why a record is no hit."""
        return super().why_not(text, entity_id, k, **self._once_it_is_there(asked))

    def _once_it_is_there(self, asked: SearchArguments) -> SearchArguments:
        """Wait for most of a long time here, and return the question with the time that is left for the server."""
        after, timeout_s = asked.get("after"), SearchOptions.of(asked).timeout_s
        deadline = time.monotonic() + timeout_s
        if after is not None and timeout_s > _LONG_WAIT_S:
            part = remote_part(Sync, self._caller, "sync")
            waited(timeout_s - _LONG_WAIT_S, lambda slice_s: part.wait_for_some(after, (), slice_s))
        return {**asked, "timeout_s": max(0.0, deadline - time.monotonic())}

    def status(self) -> SyncStatus:
        """Ask how far the index is behind the graph."""
        return self.sync.status()

    def check_views(self, edited: ViewRecipe, *, sample: int | None = SAMPLE, types: Sequence[str] = ()) -> ViewCheck:
        """Raise: edited views are files of this process, and their templates are run where they are."""
        del edited, sample, types
        raise UnsupportedError("views are not checked by a server: use `slipstream views check` where its files are")

    def cut_over(
        self,
        queries: Sequence[Query] = (),
        *,
        sample: int = COMPARED,
        compared: bool = True,
        gate: QualityGate | None = None,
        on_progress: Callable[[int], None] | None = None,
        on_comparison: Callable[[QualityComparison], None] | None = None,
    ) -> AuditReport:
        """Ask for a cut-over, by this gate or by that of the server's `[quality]`."""
        found: AuditReport = self._caller.call(
            "cut_over",
            queries,
            sample=sample,
            compared=compared,
            gate=gate,
            on_progress=on_progress,
            on_comparison=on_comparison,
        )
        return found

    def list_dead_letters(self, ids: Sequence[str] | None = None) -> list[DeadLetter]:
        """Ask for the dead letters: all, or those with these ids."""
        found: list[DeadLetter] = self._caller.call("list_dead_letters", ids)
        return found

    def import_files(
        self,
        *paths: Path | str,
        format: str | None = None,  # noqa: A002  (as in `Bringing`)
        options: ReadOptions | None = None,
        replace_source: str | None = None,
        confirm: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> ImportReport:
        """Send one file, and have the server import it; see `Bringing.import_files`."""
        if len(paths) != 1 or Path(paths[0]).is_dir():
            raise UnsupportedError("one file is sent at a time: pack a folder, or several files, into one zip")
        path = Path(paths[0])
        said = Said(options=options or ReadOptions(), replace_source=replace_source, confirm=confirm)
        return imported(self._client, path, format or format_of([path]), said, on_progress)

    def import_from(self, *given: Any, **options: Any) -> Never:
        """Raise: a reader runs where it is, and writes in transactions that no server opens for others."""
        del given, options
        raise UnsupportedError("a reader of your own is run where the PKG is: with `slipstream.open` on its machine")

    def rehearse_import(self, *given: Any, **options: Any) -> Never:
        """Raise: it is done on a copy of the graph's file."""
        del given, options
        raise UnsupportedError("an import is rehearsed where the PKG is: with `slipstream.open` on its machine")

    def watch_folder(self, folder: Path | str, **options: Any) -> Never:
        """Raise: what is saved in a folder is read and written where the PKG is."""
        del options
        raise UnsupportedError(f"{folder} is watched where the PKG is: with `slipstream.open` on its machine")

    def importer(self) -> WireImporter:
        """Return what sends dumps to the server, which imports them."""
        return WireImporter(self._client)

    def applier(self, feed: FeedOptions | None = None) -> WireApplier:
        """Return what sends change events to the server, which applies them as its `[feed]` says."""
        if feed is not None:
            raise UnsupportedError("feed options can not be sent: set [feed] in the server's slipstream.toml")
        return WireApplier(self._client)

    def backup(
        self,
        destination: Path | str = "",
        keep: int | None = None,
        on_progress: OnStep = no_step,
        **options: Unpack[BackupOptions],
    ) -> BackupReport:
        """
        Have the server make a backup in the folder that it was given (`slipstream serve --backups`).

        `path` of the report is on its machine. Raises `UnsupportedError` for another destination or option: a client
        names no path of a server.
        """
        if destination != "" or options:
            raise UnsupportedError(
                'a client names no folder of a server: give "" for the one that it was told (`slipstream serve '
                "--backups`), or use `slipstream backup` on its machine"
            )
        return backed_up(self._client, keep, on_progress)

    def export(self, path: Path | str, on_row: OnRow | None = None, *, head: bool = True) -> ExportReport:
        """Raise: an export is of one snapshot, which only the server's process can hold."""
        del path, on_row, head
        raise UnsupportedError("an export reads one snapshot of a file: use `slipstream export` where the server is")

    def export_table(self, path: Path | str, table: TableSpec, on_row: OnRow | None = None) -> ExportReport:
        """Raise, as `export` does."""
        del table
        return self.export(path, on_row)

    def export_without_aliases(
        self, path: Path | str, taken_out: Mapping[str, Sequence[str]], on_row: OnRow | None = None
    ) -> ExportReport:
        """Raise, as `export` does."""
        del taken_out
        return self.export(path, on_row)


def _parts(caller: WireCaller, clock: Clock, checks: Checks) -> Parts:
    audits, letters = WireAudits(caller), WireLetters(caller)
    return Parts(
        pkg=WirePKG(caller, checks),
        sync=remote_part(Sync, caller, "sync", WireSync(caller), _SYNC_HERE),
        store=WireStore(caller, clock),
        service=refused("embedding", _HERE),
        recipes=refused("recipes", _VIEWS),
        migrations=remote_part(Migrations, caller, "migrations"),
        reembedding=remote_part(ReembeddingService, caller, "reembedding"),
        explaining=refused("explaining", "call `explain`"),
        view_checking=refused("view_checking", _HERE),
        quality=remote_part(Quality, caller, "quality", _Trend(caller), ("trend",)),
        queue=refused("queue", "send events with `applier()`"),
        handler=refused("handler", "send events with `applier()`"),
        searcher=refused("searcher", "call `search`"),
        journal=refused("journal", "it is the engine's own: ask for `status`"),
        dead_letters=letters,
        guest_journal=refused("journal", "it is the engine's own: ask for `status`"),
        guest_letters=letters,
        auditor=remote_part(Auditor, caller, "auditor"),
        pace=lambda: FULL_SPEED,
        audits=audits,
        evidence=WireEvidence(caller, clock),
        repairer=remote_part(Repairer, caller, "repairer"),
        scrubber=remote_part(Scrubber, caller, "scrubber", Aside(), ("aside",)),
        watch=remote_part(Watch, caller, "watch"),
        clock=clock,
        close=caller.wire.close,
    )
