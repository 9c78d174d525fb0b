"""`Slipstream`: one open PKG, its index and the engine between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from slipstream.app.backup.making import BackupOptions, BackupReport, Backups
from slipstream.app.backup.parts import OnStep, no_step
from slipstream.app.bringing import Bringing
from slipstream.app.browsing import Browsing
from slipstream.app.closing import Attending, end
from slipstream.app.erasure.erasable import Erasable
from slipstream.app.erasure.erasing import Erasures
from slipstream.app.explaining import Explaining, Explanation
from slipstream.app.exporting import Exporter, ExportReport, OnRow
from slipstream.app.opened import Opened
from slipstream.app.pkg import PKG
from slipstream.app.proving import Proving
from slipstream.app.rehearsing import Rehearsing
from slipstream.app.view_check import SAMPLE, ViewCheck, ViewChecking
from slipstream.app.watch import Watch
from slipstream.audit.auditor import Auditor
from slipstream.audit.findings import AuditReport
from slipstream.audit.pacing import FULL_SPEED, Pace
from slipstream.audit.repair import Repairer
from slipstream.audit.scrubber import Scrubber
from slipstream.audit.sealing import Evidence
from slipstream.audit.validator import EmbeddingConsistencyValidator
from slipstream.domain.brake import BrakeSettings
from slipstream.domain.errors import ConfigError, IncidentError, SlipstreamError, UnsupportedError
from slipstream.domain.feed_changes import FeedOptions
from slipstream.domain.incidents import Adoption, Incident
from slipstream.domain.keys import RecordKey, entity_key
from slipstream.domain.positions import Position
from slipstream.domain.refusals import RefusalLimits
from slipstream.domain.work import DeadLetter
from slipstream.embedding.service import MultiModelEmbeddingService
from slipstream.engine.facts import SyncStatus
from slipstream.engine.runner import STOP_S, Sync
from slipstream.events.handler import PKGSyncHandler
from slipstream.events.importing import IMPORT_PREFIX
from slipstream.events.queue import EventQueue
from slipstream.evolution.reembedding import ReembeddingService
from slipstream.evolution.store import SchemaVersionedEmbeddingStore
from slipstream.migration.cutting_over import cut_over
from slipstream.migration.migrations import Migrations
from slipstream.ports.audits import AuditLog
from slipstream.ports.clock import Clock
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.ports.sync_view import SyncState
from slipstream.quality.comparison import QualityComparison, QualityGate, Query
from slipstream.quality.runs import SAMPLE as COMPARED
from slipstream.quality.runs import Quality
from slipstream.recipes.in_force import Recipes
from slipstream.recipes.view_recipe import ViewRecipe
from slipstream.search.explanations import WhyNot
from slipstream.search.hits import SearchResults
from slipstream.search.options import SearchArguments
from slipstream.search.searcher import Searcher
from slipstream.syncview.writeback import WriteBack
from slipstream.views.viewset import ViewSet


@dataclass(frozen=True, slots=True)
class Parts:
    """The running objects that a composition root hands over."""

    pkg: PKG
    sync: Sync
    store: SchemaVersionedEmbeddingStore
    service: MultiModelEmbeddingService
    recipes: Recipes
    migrations: Migrations
    reembedding: ReembeddingService
    explaining: Explaining
    view_checking: ViewChecking
    quality: Quality
    queue: EventQueue
    handler: PKGSyncHandler
    searcher: Searcher
    journal: Journal
    dead_letters: DeadLetters
    guest_journal: Journal
    guest_letters: DeadLetters
    auditor: Auditor
    pace: Callable[[], Pace]
    audits: AuditLog
    repairer: Repairer
    scrubber: Scrubber
    watch: Watch
    clock: Clock
    close: Callable[[], None]
    evidence: Evidence | None = None
    write_back: WriteBack | None = None
    refusal_limits: RefusalLimits = field(default_factory=RefusalLimits)
    feed: FeedOptions = field(default_factory=FeedOptions)
    brake: BrakeSettings = field(default_factory=BrakeSettings)
    refused_recipe: str | None = None
    erasures: Erasures | None = None


class Slipstream(Browsing, Bringing, Erasable, Proving):
    """
    A property graph and the vector index directly behind it.

    Guarantee: no acknowledged mutation is lost; delivery is at least once; the index converges to the graph; a
    reader can wait for its own write.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._closed = False
        self._desk: Attending | None = None
        self._copies: tuple[Backups, Exporter] | None = None
        self._opened: Opened | None = None

    runs_engine = True
    """Whether the engine runs in this process, rather than in another one that is asked."""

    @property
    def pkg(self) -> PKG:
        """The graph: mutations, transactions, Cypher and SQL."""
        return self._parts.pkg

    @property
    def sync(self) -> Sync:
        """The engine: status, waiting, start and stop."""
        return self._parts.sync

    @property
    def store(self) -> SchemaVersionedEmbeddingStore:
        """The embeddings with their metadata."""
        return self._parts.store

    @property
    def embedding(self) -> MultiModelEmbeddingService:
        """The embedding models."""
        return self._parts.service

    @property
    def views(self) -> ViewSet:
        """The rules in force that say which text stands for an entity."""
        return self._parts.recipes.pair.live.views

    @property
    def recipes(self) -> Recipes:
        """The recipes in force: views, models and generations, the live one and the one beside it."""
        return self._parts.recipes

    @property
    def migrations(self) -> Migrations:
        """The next generation: build it beside the live one, check it, cut over, go back, drop it."""
        return self._parts.migrations

    @property
    def refused_recipe(self) -> str | None:
        """Why the declared recipe was not put in force, if opening went on without it; else None."""
        return self._parts.refused_recipe

    @property
    def reembedding(self) -> ReembeddingService:
        """Tells which texts a schema evolution changes, and embeds selected records anew."""
        return self._parts.reembedding

    @property
    def quality(self) -> Quality:
        """How good the vectors are: runs and their trend, what is weak, and the gate of a migration."""
        return self._parts.quality

    @property
    def queue(self) -> EventQueue:
        """The durable topics `pkg_mutations` and `sync_retries`."""
        return self._parts.queue

    @property
    def handler(self) -> PKGSyncHandler:
        """The handler of single change events, with this graph behind it."""
        return self._parts.handler

    @property
    def dead_letters(self) -> DeadLetters:
        """Keys and events that failed for good."""
        return self._parts.dead_letters

    @property
    def journal(self) -> Journal:
        """The engine's durable memory."""
        return self._parts.journal

    @property
    def erasures(self) -> Erasures | None:
        """What erases entities; None where the graph's adapter can not, or another process does it."""
        return self._parts.erasures

    @property
    def clock(self) -> Clock:
        """The clock that everything here runs on."""
        return self._parts.clock

    @property
    def incident(self) -> Incident | None:
        """
        Why graph and index do not belong together (any more), and the ways on; None when they do.

        In an incident the engine has halted, or was never made: searches are answered by what the index holds, and
        writes raise `IncidentError`. Once the reason is gone, open the PKG anew. Read from memory.
        """
        halted = self.sync.engine.halted
        return halted.incident if isinstance(halted, IncidentError) else None

    def adoption(self) -> Adoption:
        """Return the counts of both sides, for a decision about `adopt`; raises `ConfigError` without an incident."""
        raise ConfigError("graph and index belong together: there is nothing to adopt")

    def adopt(self) -> Position:
        """
        Take the graph for the truth, and return the log position at which everything is compared; then open the PKG
        anew.

        A missing graph counts as an empty one, and all vectors go. Raises `ConfigError` when there is no incident.
        """
        raise ConfigError("graph and index belong together: there is nothing to adopt")

    # ------------------------------------------------------------------ reading

    def search(self, text: str, k: int = 10, **asked: Unpack[SearchArguments]) -> SearchResults:
        """
        Return the `k` live records that fit a text best, by name, words and meaning.

        With `after`, wait until that commit is in the index. `SearchOptions` tells of the other arguments.
        """
        return self._parts.searcher.search(text, k, **asked)

    def why_not(self, text: str, entity_id: str, k: int = 10, **asked: Unpack[SearchArguments]) -> WhyNot:
        """
        Return why a record is not among the hits of this search, or at which rank it is; `search` takes the same.

        `entity_id` is the id of an entity or of a relationship.
        """
        found = self._parts.searcher.why_not(text, entity_id, k, self._parts.dead_letters, **asked)
        if found.reason == "unknown" and self._was_known(entity_id):
            return replace(found, reason="deleted", line="it was deleted from the graph")
        return found

    def _was_known(self, entity_id: str) -> bool:
        try:
            return bool(self.explain(entity_id).key)
        except SlipstreamError:  # NotFoundError, mostly: neither graph, index nor log has heard of it
            return False

    def status(self) -> SyncStatus:
        """Return how far the index is behind the graph."""
        return self.sync.status()

    def verify(
        self,
        on_progress: Callable[[int], None] | None = None,
        *,
        incremental: bool = False,
        deep: int | None = None,
        hurry: bool = False,
    ) -> AuditReport:
        """
        Compare graph and index, and return what differs; the report is kept (see `audits`).

        A full audit reads both stores whole, vectors included. With `incremental` only what has changed since the
        last audit is read, and what differs by digest. With `deep`, about that many records are embedded anew and
        compared with their vectors (`DEEP_ALL`: all). The result is exact even while mutations flow.

        While live changes flow, an audit keeps to small pages and a small share of one core, and so takes longer;
        with `hurry` it does not, and live changes wait for it.
        """
        pace = FULL_SPEED if hurry else self._parts.pace()
        with self.scrubber.aside():  # one audit at a time; this one goes first, for somebody waits for it
            if incremental:
                return self._parts.auditor.audit_changes(on_progress, pace=pace)
            return self._parts.auditor.audit(on_progress, deep=deep, pace=pace)

    @property
    def validator(self) -> EmbeddingConsistencyValidator:
        """The validator of this graph and its index."""
        parts = self._parts
        return EmbeddingConsistencyValidator(self.pkg, self.store, auditor=parts.auditor, words=parts.repairer.words)

    def sync_state(self, entity_id: str) -> SyncState | None:
        """Return how an entity stands in the index right now; None when there is no such entity."""
        if self._parts.write_back is None:
            raise ConfigError("there is no sync view: set [graph] sync_states = true")
        return self._parts.write_back.state_of(entity_id)

    def explain(self, entity_id: str | RecordKey) -> Explanation:
        """
        Return why a record is as it is: text, dependencies, how it stands in the index, what its last changes did.

        Raises `NotFoundError` for an entity that neither graph, index nor log knows.
        """
        return self._parts.explaining.explain(entity_key(entity_id) if isinstance(entity_id, str) else entity_id)

    def check_views(self, edited: ViewRecipe, *, sample: int | None = SAMPLE, types: Sequence[str] = ()) -> ViewCheck:
        """Return what edited views would do to a sample of each type (None: to all records); applies nothing."""
        return self._parts.view_checking.check(self.recipes.pair.live, edited, sample=sample, types=types)

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
        """
        Audit the next generation, compare it with the live one, and let the next one answer searches.

        The comparison goes to `on_comparison` before the gate decides by it: `gate`, or that of `[quality]`. With
        `compared=False` nothing is compared, and no gate is asked. Raises what `Migrations.cut_over` raises, and
        `InvalidInputError` for a query that nothing can answer.
        """
        asked = gate or self.quality.gate
        return cut_over(
            self.quality,
            self.migrations,
            queries,
            sample=sample,
            gate=asked if compared else None,
            on_progress=on_progress,
            on_comparison=on_comparison,
        )

    # ------------------------------------------------------------------ repairing

    @property
    def repairer(self) -> Repairer:
        """Repairs kept audits within a budget; also plans a repair without doing it."""
        return self._parts.repairer

    @property
    def scrubber(self) -> Scrubber:
        """Audits by a schedule in the background."""
        return self._parts.scrubber

    @property
    def watch(self) -> Watch:
        """Alerts, and what metrics say of consistency."""
        return self._parts.watch

    def repair(self, report: AuditReport | None = None, *, confirm: str | None = None) -> int:
        """
        Mark everything divergent dirty (of a fresh audit, or of `report`); returns how many keys.

        Raises `RepairNeedsConfirmationError`, with its plan, when that would delete or embed more than the brake
        allows; `confirm` applies exactly the plan of that id, or raises `StalePlanError` when it no longer fits.
        """
        if confirm is not None:
            with self.scrubber.aside():
                return self.repairer.confirm(confirm).keys
        found = report if report is not None else self.verify()
        if found.id is None:
            return self.validator.repair_inconsistencies(found)
        with self.scrubber.aside():  # one repair at a time; a scheduled one goes on later
            return self.repairer.repair(found.id).keys

    def list_dead_letters(self, ids: Sequence[str] | None = None) -> list[DeadLetter]:
        """Return the dead letters: all, or those with these ids."""
        if ids is not None:
            return list(self.dead_letters.find(ids))
        letters: list[DeadLetter] = []
        while page := self.dead_letters.letters(letters[-1].id if letters else None, 1_000):
            letters.extend(page)
        return letters

    def replay_dead_letters(self, ids: Sequence[str] | None = None) -> int:
        """
        Give dead letters (all, or those with these ids) another try; returns how many were accepted.

        A key is marked dirty and reconciled; a rejected event or dump line is applied to the graph again. A letter
        that is not kept whole stays, and its error says what to give again; raises `ConfigError` if `ids` names one.
        """
        letters = self.list_dead_letters(ids)
        if ids is not None and (cut := [letter for letter in letters if not letter.can_be_replayed]):
            said = "; ".join(f"{letter.id}: {letter.error}" for letter in cut)
            raise ConfigError(f"nothing was replayed, for these are not kept whole: {said}")
        replayed = self.sync.replay([letter for letter in letters if letter.key is not None])
        # In the order they came; those of one moment in the order of their file.
        for letter in sorted(letters, key=lambda letter: (letter.failed_at, len(letter.id), letter.id)):
            if letter.key is None and self._apply_again(letter):
                self.sync.discard([letter])
                replayed += 1
        return replayed

    def _apply_again(self, letter: DeadLetter) -> bool:
        if letter.id.startswith(IMPORT_PREFIX):
            return self.importer().replay(letter)
        return self.applier().replay(letter)

    def discard_dead_letters(self, ids: Sequence[str] | None = None) -> int:
        """Forget dead letters (all, or those with these ids); returns how many there were."""
        return self.sync.discard(self.list_dead_letters(ids))

    # ------------------------------------------------------------------ copies

    def backup(
        self,
        destination: Path | str,
        keep: int | None = None,
        on_progress: OnStep = no_step,
        **options: Unpack[BackupOptions],
    ) -> BackupReport:
        """
        Make a backup while everything runs, in a new folder of `destination`; returns when it has passed its audit.

        With `keep`, only the newest `keep` backups of this graph stay there. `slipstream.restore` makes a PKG of one.
        See `slipstream.app.backup.making.Backups.backup` for the other options, and for what is raised.
        """
        options = {"pace": self._parts.pace(), **options}  # out of the way of live changes, as `verify` is
        return self._made_by[0].backup(destination, keep=keep, on_progress=on_progress, **options)

    def export(self, path: Path | str, on_row: OnRow | None = None, *, head: bool = True) -> ExportReport:
        """Write the graph as of one position, as JSON lines for `import`; see `slipstream.app.exporting.Exporter`."""
        return self._made_by[1].export(path, on_row, head=head)

    @property
    def _made_by(self) -> tuple[Backups, Exporter]:
        if self._copies is None:
            raise UnsupportedError("this PKG was not opened from a directory: it has no files to copy")
        return self._copies

    @property
    def opened(self) -> Opened:
        """What this PKG was opened from."""
        if self._opened is None:
            raise UnsupportedError("this PKG was not opened from a directory: use `slipstream.open(directory)`")
        return self._opened

    def opened_from(self, opened: Opened) -> None:
        """Set what this PKG was opened from."""
        self._opened = opened

    def copy_by(self, backups: Backups, exporter: Exporter, rehearsing: Rehearsing) -> None:
        """Set what makes backups, exports, and copies for rehearsals."""
        self._copies, self._rehearsing = (backups, exporter), rehearsing

    # ------------------------------------------------------------------ life

    def start(self, *, mend: bool = True) -> None:
        """
        Start the engine, the scheduled audits and the alerts; starting twice is harmless.

        Without `mend` the index only follows the log: no scheduled repair runs, and what the log does not explain is
        left for the next process that may mend it.
        """
        self.sync.engine.intake_stage.sweeps = mend
        self.sync.start()
        if mend:
            self.scrubber.start()
        self.watch.start()
        if self._parts.erasures is not None:
            self._parts.erasures.resume()

    def attend(self, desk: Attending) -> None:
        """Take the requests of other processes by this desk, until this is closed."""
        self._desk = desk
        self.watch.mind("desk", lambda: "its thread has ended: nobody answers others" if desk.is_dead else None)
        desk.start()

    def close(self) -> None:
        """
        Stop the engine and release everything within seconds. Idempotent.

        A batch that takes longer, or a model that hangs, is not waited for: what is unfinished is done at the next
        open.
        """
        if not self._closed:
            self._closed = True
            try:
                if self._parts.erasures is not None:
                    self._parts.erasures.leave(STOP_S)
                end(self._desk, self.watch, self.scrubber, self.sync, self._parts.write_back)
            finally:
                self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
