"""
The facade of a PKG in an incident: it answers searches, says what is wrong, and can adopt the graph.

No engine, no scheduled audit and no write-back is made. Whatever would write or audit raises `IncidentError`, which
names the ways on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Never, Unpack, cast

from slipstream.app.closing import ASIDE_S
from slipstream.app.remote.calling import Caller
from slipstream.app.slipstream import Parts, Slipstream
from slipstream.audit.repair import Repairer
from slipstream.audit.scrubber import Scrubber
from slipstream.domain.errors import NotRunningError, SlipstreamError
from slipstream.domain.incidents import Adoption, Incident
from slipstream.domain.journal_names import CHECKPOINT, FRONTIER
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.work import Lane
from slipstream.engine.facts import SyncStatus
from slipstream.engine.failures import Wait
from slipstream.engine.runner import Sync
from slipstream.engine.state import SyncStats
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.recipes.in_force import Recipes
from slipstream.search.explanations import WhyNot
from slipstream.search.hits import SearchResults
from slipstream.search.options import SearchArguments

_PAGE = 10_000


class Refused:
    """Stands in for a part of the facade: every access raises the error of the incident."""

    def __init__(self, incident: Incident) -> None:
        self._incident = incident

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._incident.refusal()


def refused(incident: Incident) -> Any:
    """Return what stands in for any part of the facade."""
    return Refused(incident)


class IdleEngine:
    """Stands in for an engine that was never made, as far as status and watch read one."""

    outage: str | None = None
    waits: Sequence[Wait] = ()

    def __init__(self, incident: Incident, recipes: Recipes, journal: Journal, letters: DeadLetters) -> None:
        self.halted: Exception = incident.refusal()
        self.recipes, self._journal, self._letters = recipes, journal, letters
        self.changed, self.stats, self.intake_stage = threading.Condition(), SyncStats(), _NoIntake()

    @property
    def frontier(self) -> Position:
        """How far the index reflects the graph that it was made of, as the journal says."""
        return Position(int(self._journal.get(FRONTIER) or 0))

    def pending(self) -> dict[Lane, int]:
        """Return zero for each lane: no log is read, so nothing is dirty."""
        return dict.fromkeys(Lane, 0)

    @property
    def letter_count(self) -> int:
        """How many dead letters there are."""
        return self._letters.letter_count()

    def recover(self, claims: Sequence[object], error: Exception) -> None:
        """Halt for another reason: the lease is lost."""
        del claims
        self.halted = error


class _NoIntake:
    def progress(self) -> dict[str, Any]:
        """Return nothing: no scan runs."""
        return {}


class IdleSync:
    """Stands in for `Sync`: answers what can be told without an engine, and refuses the rest."""

    running = False
    failure: BaseException | None = None
    """Always None: the engine was never started; the incident says why."""
    is_over = False
    """Whether the graph was adopted; the engine then runs at the next open."""

    def __init__(
        self, incident: Incident, engine: IdleEngine, feed: ChangeFeed, journal: Journal, letters: DeadLetters
    ) -> None:
        self.engine = engine
        self._incident, self._feed, self._journal, self._letters = incident, feed, journal, letters

    def status(self) -> SyncStatus:
        """Return what the journal says, with the graph's head, or `ORIGIN` when there is no graph."""
        frontier, checkpoint = self.engine.frontier, Position(int(self._journal.get(CHECKPOINT) or 0))
        return SyncStatus(
            head=self._head(),
            frontier=frontier,
            checkpoint=checkpoint,
            lag_events=0,
            lag_s=0.0,
            pending=self._journal.work_count(),
            retrying=self._journal.work_count(Lane.RETRY),
            dead_letters=self._letters.letter_count(),
            freshness=self.engine.stats.freshness(),
            halted=self._incident.line,
        )

    def _head(self) -> Position:
        try:
            return self._feed.head()
        except SlipstreamError:  # no graph: the incident is about just that
            return ORIGIN

    def start(self) -> None:
        """Do nothing: there is no engine."""

    def stop(self) -> None:
        """Do nothing: there is no engine."""

    def __getattr__(self, name: str) -> Never:
        if name.startswith("_"):
            raise AttributeError(name)
        if self.is_over:
            raise NotRunningError("the graph was adopted just now: the engine runs once the PKG is opened anew")
        raise self._incident.refusal()


class IdleScrubber:
    """Stands in for scheduled audits, which do not run in an incident."""

    failure: str | None = None
    is_dead = False
    health = "off"

    def age_s(self) -> float | None:
        """Return None: the age of the last audit does not matter here."""
        return None

    def summary(self) -> dict[str, Any]:
        """Return the summary of audits that are switched off."""
        return {"health": self.health, "error": None, "last_audit": None}

    def aside(self) -> AbstractContextManager[None]:
        """Do nothing: what is done meanwhile is refused by itself."""
        return nullcontext()

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


def idle_sync(incident: Incident, recipes: Recipes, feed: ChangeFeed, journal: Journal, letters: DeadLetters) -> Sync:
    """Return what stands in for the engine."""
    return cast("Sync", IdleSync(incident, IdleEngine(incident, recipes, journal, letters), feed, journal, letters))


class IdleRepairer:
    """Stands in for repairs, which are not made in an incident: none was."""

    def __init__(self) -> None:
        self.repaired: dict[str, int] = {}


def idle_repairer() -> Repairer:
    """Return what stands in for repairs in the watch."""
    return cast("Repairer", IdleRepairer())


def idle_scrubber() -> Scrubber:
    """Return what stands in for the scheduled audits."""
    return cast("Scrubber", IdleScrubber())


class IncidentSlipstream(Slipstream):
    """
    A `Slipstream` that answers only searches, `status` and other reads.

    `adopt` takes the graph for the truth; then open the PKG anew.
    """

    def __init__(self, parts: Parts, incident: Incident, *, adopt: Callable[[], Position]) -> None:
        super().__init__(parts)
        self._incident, self._adopt = incident, adopt
        self._idle = cast("IdleSync", parts.sync)
        self.adopted = threading.Event()
        """Set once the graph has been adopted: this facade is over, and the PKG is to be opened anew."""

    @property
    def incident(self) -> Incident:
        """What is wrong."""
        return self._incident

    def adoption(self) -> Adoption:
        """Count both sides."""
        entities, relationships = self._counts()
        return Adoption(self._incident, self._records(), entities, relationships)

    def _counts(self) -> tuple[int, int]:
        try:
            counts, types = self.pkg.counts(), self.pkg.schema().entity_types
        except SlipstreamError:  # no graph: `adopt` makes an empty one
            return 0, 0
        entities = sum(count for name, count in counts.items() if name in types)
        return entities, sum(counts.values()) - entities

    def _records(self) -> int:
        index, records = self.store.index, 0
        after: RecordKey | None = None
        while page := index.scan(after, _PAGE):
            records, after = records + len(page), page[-1].key
        return records

    def adopt(self) -> Position:
        """Take the graph for the truth."""
        position = self._adopt()
        self._idle.is_over = True
        self.adopted.set()
        return position

    # ------------------------------------------------------------------ refused

    def verify(self, *args: object, **kwargs: object) -> Never:
        """Be refused."""
        del args, kwargs
        raise self._incident.refusal()

    repair = cut_over = explain = check_views = sync_state = verify
    replay_dead_letters = discard_dead_letters = importer = applier = erase = verify
    import_files = import_from = rehearse_import = watch_folder = verify

    @property
    def validator(self) -> Never:
        """Be refused."""
        raise self._incident.refusal()

    # ------------------------------------------------------------------ life

    def start(self, *, mend: bool = True) -> None:
        """Start the alerts; everything else waits."""
        del mend
        if self.runs_engine:
            self.watch.start()

    def close(self) -> None:
        """Release everything. Idempotent."""
        if not self._closed:
            self._closed = True
            try:
                if self._desk is not None:
                    self._desk.stop(ASIDE_S)
                if self.runs_engine:
                    self.watch.stop(ASIDE_S)
            finally:
                self._parts.close()


class GuestIncidentSlipstream(IncidentSlipstream):
    """The same for a guest: the holder of the lease is asked to adopt, and to search where only it can."""

    runs_engine = False

    def __init__(self, parts: Parts, incident: Incident, caller: Caller, *, asks_searches: bool) -> None:
        super().__init__(parts, incident, adopt=lambda: Position(caller.call("adopt")))
        self._caller, self._asks_searches = caller, asks_searches

    def search(self, text: str, k: int = 10, **asked: Unpack[SearchArguments]) -> SearchResults:
        """Search here, or ask the holder of the lease where only it can open the index."""
        if not self._asks_searches:
            return super().search(text, k, **asked)
        found: SearchResults = self._caller.call("search", text, k, **asked)
        return found

    def why_not(self, text: str, entity_id: str, k: int = 10, **asked: Unpack[SearchArguments]) -> WhyNot:
        """Find it out here, or ask the holder of the lease where only it can open the index."""
        if not self._asks_searches:
            return super().why_not(text, entity_id, k, **asked)
        found: WhyNot = self._caller.call("why_not", text, entity_id, k, **asked)
        return found
