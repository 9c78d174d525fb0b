"""The facade of a guest: the same calls, answered by reading here or by asking the owner of the engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Unpack

from slipstream.app.explaining import Explanation
from slipstream.app.remote.calling import Caller
from slipstream.app.remote.frontier import PublishedFrontier
from slipstream.app.remote.migrating import MIGRATIONS_HERE, GuestMigrations
from slipstream.app.remote.parts import remote_part
from slipstream.app.remote.standby import Standby
from slipstream.app.remote.validating import GuestValidator
from slipstream.app.slipstream import Parts, Slipstream
from slipstream.app.watch import Watch
from slipstream.audit.auditor import Auditor
from slipstream.audit.findings import AuditReport
from slipstream.audit.incidents import published_incident
from slipstream.audit.repair import Repairer
from slipstream.audit.scrubber import Scrubber
from slipstream.audit.validator import EmbeddingConsistencyValidator
from slipstream.domain.erasure import Erasure
from slipstream.domain.errors import IncidentError, NotRunningError, SlipstreamError
from slipstream.domain.incidents import Incident
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.engine.facts import SyncStatus
from slipstream.engine.runner import Sync
from slipstream.evolution.reembedding import ReembeddingService
from slipstream.migration.migrations import Migrations
from slipstream.ports.sync_view import SyncState
from slipstream.quality.comparison import QualityComparison, QualityGate, Query
from slipstream.quality.runs import SAMPLE as COMPARED
from slipstream.quality.runs import Quality
from slipstream.recipes.in_force import Recipes
from slipstream.search.explanations import WhyNot
from slipstream.search.hits import SearchResults
from slipstream.search.options import SearchArguments
from slipstream.views.viewset import ViewSet

_QUALITY_HERE = (
    *("gate", "gate_with", "trend", "record", "weak", "confidence_below"),
    *("searches", "compare_searches", "questions"),
)
_SYNC_HERE = (
    "wait",
    "wait_for_words",
    "wait_for_some",
    "reached",
    "drain",
    "status",
    "running",
    "failure",
    "start",
    "stop",
)

_PATIENCE_S, _PAUSE_S = 10.0, 0.1
_STATUS_PATIENCE_S = 10.0
_NOT_RUNNING = (
    "the process that has this PKG open does not run its engine: start it there (`sync.start()`), or end that "
    "process. What was written is kept, and is embedded then"
)


class GuestSync:
    """The calls of `Sync` that a guest answers itself."""

    failure: BaseException | None = None
    """Always None: a failed engine is its owner's, and `status` tells of it."""
    running = True

    def __init__(self, caller: Caller, frontier: PublishedFrontier, words: PublishedFrontier) -> None:
        self._caller, self._frontier, self._words = caller, frontier, words

    def wait(self, position: Position, timeout_s: float | None = None) -> bool:
        """
        Wait until everything up to the position is in the index; False when the time ran out.

        An owner that only stands in for a call runs no engine, but ends soon: its successor is waited for. Raises
        `NotRunningError` when no engine runs all the same.
        """
        started = time.monotonic()
        while True:
            left_s = _PATIENCE_S if timeout_s is None else timeout_s - (time.monotonic() - started)
            if self._frontier.wait(position, min(_PATIENCE_S, left_s)):
                return True
            if timeout_s is not None and time.monotonic() - started >= timeout_s:
                return False
            if not self._caller.call("sync.running"):
                raise NotRunningError(_NOT_RUNNING)
            self._caller.call("sync.drain", 0.0, migration=False)  # raises if the engine has halted, and why

    def wait_for_some(self, position: Position, models: Sequence[str], timeout_s: float) -> bool:
        """Wait as `wait` does; if that takes long, ask the owner whether it waits for a model only."""
        started = time.monotonic()
        if self._frontier.wait(position, min(_PAUSE_S, timeout_s)):
            return True
        try:
            left_s = max(0.0, timeout_s - (time.monotonic() - started))
            return bool(self._caller.call("sync.wait_for_some", position, sorted(models), left_s))
        except NotRunningError:  # an owner that only stands in ends soon
            return self.wait(position, max(0.0, timeout_s - (time.monotonic() - started)))

    def words_frontier(self) -> Position:
        """Return how far the word rows reflect the graph, as the owner has published it."""
        return self._words.now()

    def wait_for_words(self, position: Position, timeout_s: float | None = None) -> bool:
        """Wait until everything up to the position is found by words; raises what `wait` does."""
        patience_s = _PATIENCE_S if timeout_s is None else timeout_s
        started = time.monotonic()
        if self._words.wait(position, min(_PAUSE_S, patience_s)):
            return True
        while True:
            left_s = max(0.0, patience_s - (time.monotonic() - started))
            try:
                if self._caller.call("sync.wait_for_words", position, left_s):
                    return True
            except NotRunningError as error:  # an owner that only stands in ends soon
                if left_s <= 0:
                    raise NotRunningError(_NOT_RUNNING) from error
                time.sleep(min(_PAUSE_S, left_s))
                continue
            if timeout_s is not None:
                return self._words.now() >= position
            started = time.monotonic()

    def behind(self, position: Position) -> Mapping[str, str]:
        """Return the models that are down, when they alone hold the index behind a position; else nothing."""
        found: Mapping[str, str] = {}
        if self._frontier.now() < position:
            found = self._caller.call("sync.behind", position)
        return found

    def reached(self, position: Position, timeout_s: float) -> bool:
        """Wait as `wait` does, but return False as well for any `SlipstreamError`."""
        try:
            return self.wait(position, timeout_s)
        except SlipstreamError:
            return False

    def drain(
        self,
        timeout_s: float | None = None,
        on_progress: Callable[[SyncStatus], None] | None = None,
        *,
        migration: bool = True,
    ) -> bool:
        """
        Ask the owner to answer when nothing is left to do; False when the time ran out.

        An owner that only stands in for a call runs no engine, but ends soon: its successor is waited for. Raises
        `NotRunningError` when no engine runs all the same.
        """
        patient_until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return bool(self._caller.call("sync.drain", timeout_s, on_progress, migration=migration))
            except NotRunningError as error:
                if time.monotonic() >= patient_until:
                    raise NotRunningError(_NOT_RUNNING) from error
                time.sleep(_PAUSE_S)

    def status(self) -> SyncStatus:
        """Return the engine's numbers."""
        found: SyncStatus = self._caller.call("status")
        return found

    def start(self) -> None:
        """Do nothing: the engine runs elsewhere."""

    def stop(self) -> None:
        """Do nothing: the engine runs elsewhere."""


def asked_parts(
    caller: Caller,
    sync: GuestSync,
    *,
    migrations: GuestMigrations,
    reembedding: ReembeddingService,
    quality: Quality,
) -> dict[str, Any]:
    """Return the parts of a guest's facade that ask the owner; their methods that only read are answered here."""
    return {
        "sync": remote_part(Sync, caller, "sync", sync, _SYNC_HERE),
        "migrations": remote_part(Migrations, caller, "migrations", migrations, MIGRATIONS_HERE),
        "reembedding": remote_part(ReembeddingService, caller, "reembedding", reembedding, ("changes",)),
        "quality": remote_part(Quality, caller, "quality", quality, _QUALITY_HERE),
        "auditor": remote_part(Auditor, caller, "auditor"),
        "repairer": remote_part(Repairer, caller, "repairer"),
        "scrubber": remote_part(Scrubber, caller, "scrubber", Aside(), ("aside",)),
        "watch": remote_part(Watch, caller, "watch"),
    }


class Aside:
    """Needs no `aside`: the owner puts its scrubber aside for each audit and repair that it is asked for."""

    @staticmethod
    def aside() -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()


class GuestSlipstream(Slipstream):
    """
    A `Slipstream` beside the process that runs the engine.

    `standby` waits to run the engine when that process ends; `follow` puts the owner's recipes in force here. With
    `asks_searches`, for an index that only one process can open, searches are asked too.
    """

    runs_engine = False

    def __init__(
        self,
        parts: Parts,
        caller: Caller,
        *,
        standby: Standby | None = None,
        asks_searches: bool = False,
        follow: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(parts)
        self._caller, self._standby, self._asks_searches, self._follow = caller, standby, asks_searches, follow

    @property
    def incident(self) -> Incident | None:
        """Why graph and index do not belong together, as the owner or this process has found; None when they do."""
        found = published_incident(self.journal)
        try:
            self.pkg.feed.head()
        except IncidentError as error:
            return found or error.incident
        return found

    @property
    def recipes(self) -> Recipes:
        """The recipes that the owner has in force now."""
        self._follow()
        return super().recipes

    @property
    def views(self) -> ViewSet:
        """The views that the owner has in force now."""
        return self.recipes.pair.live.views

    @property
    def quality(self) -> Quality:
        """How good the vectors are, by the owner's recipes."""
        self._follow()
        return super().quality

    def search(self, text: str, k: int = 10, **asked: Unpack[SearchArguments]) -> SearchResults:
        """Search here, at the frontier that the owner has published, or ask the owner to."""
        if not self._asks_searches:
            return super().search(text, k, **asked)
        found: SearchResults = self._caller.call("search", text, k, **asked)
        return found

    def why_not(self, text: str, entity_id: str, k: int = 10, **asked: Unpack[SearchArguments]) -> WhyNot:
        """Find it out here, or ask the owner to."""
        if not self._asks_searches:
            return super().why_not(text, entity_id, k, **asked)
        found: WhyNot = self._caller.call("why_not", text, entity_id, k, **asked)
        return found

    def status(self) -> SyncStatus:
        """Ask how far the index is behind the graph; gives up sooner than other requests."""
        found: SyncStatus = self._caller.within(_STATUS_PATIENCE_S).call("status")
        return found

    def verify(
        self,
        on_progress: Callable[[int], None] | None = None,
        *,
        incremental: bool = False,
        deep: int | None = None,
        hurry: bool = False,
    ) -> AuditReport:
        """Ask for an audit."""
        found: AuditReport = self._caller.call("verify", on_progress, incremental=incremental, deep=deep, hurry=hurry)
        return found

    def repair(self, report: AuditReport | None = None, *, confirm: str | None = None) -> int:
        """Ask for a repair."""
        return int(self._caller.call("repair", report, confirm=confirm))

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
        """Ask for a cut-over, by the gate that this process has configured."""
        found: AuditReport = self._caller.call(
            "cut_over",
            queries,
            sample=sample,
            compared=compared,
            gate=gate or self.quality.gate,
            on_progress=on_progress,
            on_comparison=on_comparison,
        )
        return found

    @property
    def validator(self) -> EmbeddingConsistencyValidator:
        """The validator of this graph and its index, which asks the owner."""
        return GuestValidator(self.pkg, self.store, self.auditor, self._caller)

    def sync_state(self, entity_id: str) -> SyncState | None:
        """Ask how an entity stands in the index."""
        found: SyncState | None = self._caller.call("sync_state", entity_id)
        return found

    def explain(self, entity_id: str | RecordKey) -> Explanation:
        """Ask why a record is as it is."""
        found: Explanation = self._caller.call("explain", entity_id)
        return found

    def erase(
        self,
        entity_id: str,
        *,
        with_neighbours_text: bool = False,
        also: Sequence[str] = (),
        reference: str | None = None,
        backups: Sequence[str] = (),
        dry_run: bool = False,
    ) -> Erasure:
        """Ask for an erasure."""
        found: Erasure = self._caller.call(
            "erase",
            entity_id,
            with_neighbours_text=with_neighbours_text,
            also=list(also),
            reference=reference,
            backups=list(backups),
            dry_run=dry_run,
        )
        return found

    def replay_dead_letters(self, ids: Sequence[str] | None = None) -> int:
        """Ask to give dead letters another try."""
        return int(self._caller.call("replay_dead_letters", ids))

    def discard_dead_letters(self, ids: Sequence[str] | None = None) -> int:
        """Ask to forget dead letters."""
        return int(self._caller.call("discard_dead_letters", ids))

    def start(self, *, mend: bool = True) -> None:
        """Stand by to run the engine; `mend` has no effect here, for it was given at the opening."""
        del mend
        if self._standby is not None:
            self._standby.start()

    def close(self) -> None:
        """Stand by no more, and release everything. Idempotent."""
        if not self._closed:
            self._closed = True
            try:
                if self._standby is not None:
                    self._standby.stop()
            finally:
                self._parts.close()
