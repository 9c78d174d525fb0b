"""What the engine tells of itself: positions, what is dirty, what it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slipstream.domain.errors import ConfigError
from slipstream.domain.keys import RecordKey
from slipstream.domain.positions import Position
from slipstream.domain.work import Lane
from slipstream.engine.failures import Wait
from slipstream.engine.intake import Intake
from slipstream.engine.outages import Outages
from slipstream.engine.settings import SyncSettings
from slipstream.engine.state import Changes, EngineState, Freshness, SyncStats
from slipstream.engine.taking import Taking
from slipstream.engine.word_facts import WordsStatus
from slipstream.ports.clock import Clock
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncStatus:
    """
    The engine's numbers at one moment.

    `lag_events` is head minus frontier in log positions; `lag_s` is the age of the oldest mutation that is not
    searchable yet. `pending` counts all dirty keys, `retrying` those that wait for a retry.
    """

    head: Position
    frontier: Position
    checkpoint: Position
    lag_events: int
    lag_s: float
    pending: int
    retrying: int
    dead_letters: int
    lanes: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    freshness: Freshness
    outage: str | None = None
    halted: str | None = None
    dead: str | None = None
    """Which of the engine's threads has died, and why."""
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Numbers that the journal could not tell, and why: memory's are given instead, and may be too low."""
    words: WordsStatus | None = None
    """How far the word rows are; None where nothing keeps them."""


class EngineFacts:
    """The part of the engine that only reads what it knows."""

    settings: SyncSettings
    outages: Outages
    intake_stage: Intake
    _log: ChangeFeed
    _journal: Journal
    _clock: Clock
    _state: EngineState
    _taking: Taking
    _halted: Exception | None

    @property
    def changed(self) -> Changes:
        """Notified whenever the frontier, the queue or the halt may have changed."""
        return self._state.changed

    @property
    def frontier(self) -> Position:
        """Everything up to it is in the index."""
        return self._state.progress.frontier

    @property
    def consumed(self) -> Position:
        """How far the log has been read."""
        return self._state.progress.consumed

    @property
    def checkpoint(self) -> Position:
        """The checkpoint as it was last saved."""
        return self._state.progress.saved.checkpoint

    @property
    def halted(self) -> Exception | None:
        """Why the engine has stopped for good, if it has."""
        return self._halted

    @property
    def has_live_work(self) -> bool:
        """Whether live changes wait to be taken."""
        with self._state.changed:
            return self._state.ledger.ready(Lane.LIVE)

    @property
    def is_down(self) -> bool:
        """Whether the engine has halted, or waits for a dependency of the live generation other than a model."""
        return self._halted is not None or self._taking.breaker.failures > 0

    @property
    def is_held_up(self) -> bool:
        """Whether the log is left unread for now: the engine has halted, waits for a dependency, or has no room."""
        with self._state.changed:
            is_waiting = self._taking.breaker.wait_s(self._clock.monotonic()) > 0
            return self._halted is not None or is_waiting or self._state.room <= 0

    @property
    def waits(self) -> Sequence[Wait]:
        """What work waits for now: each dependency that is down."""
        with self._state.changed:
            now, breakers = self._clock.monotonic(), (*self._taking.breakers, *self.outages.breakers)
            return [Wait.of(breaker, now) for breaker in breakers if breaker.failures]

    @property
    def outage(self) -> str | None:
        """The error of the dependency that is down, if one is; of models, those of all that are."""
        with self._state.changed:
            return self._taking.breaker.error or self.outages.told

    def behind(self, position: Position) -> Mapping[str, str]:
        """Return the models that alone keep the index behind a position, with the reason why they are down."""
        with self._state.changed:
            progress, state = self._state.progress, self._state
            floors = (state.ledger.free_floor(), None if state.has_put_by else state.backlog.floor)
            is_else = any(floor is not None and floor <= position for floor in floors)
            if progress.frontier >= position or progress.consumed < position or progress.is_writing or is_else:
                return {}
            held = self._state.ledger.held()
            return {model_id: error for model_id, error in self.outages.down.items() if held.get(model_id)}

    @property
    def refusal(self) -> ConfigError | None:
        """Why all that is left to do waits for a person: its models will not embed as they are set up."""
        with self._state.changed:
            refusal = self.outages.refusal
        if refusal is None or self._state.room <= 0:
            return refusal
        is_read = self._log.head() <= self.consumed and self.intake_stage.is_done(migration=False)
        return refusal if is_read else None

    @property
    def state(self) -> EngineState:
        """What the engine knows: shared with those who wait for the generation beside the live one."""
        return self._state

    def _is_migration_down(self) -> bool:
        """Whether the migration lane waits for its model; with nothing in it, nobody would find out that it is up."""
        return self._taking.migration_outage is not None and self.pending()[Lane.MIGRATION] > 0

    @property
    def migration_outage(self) -> str | None:
        """The error of what keeps a migration from going on, while everything else does."""
        return self._taking.migration_outage

    @property
    def letter_count(self) -> int:
        """How many dead letters there are."""
        return self._state.letter_count

    def recount_letters(self) -> None:
        """Count the dead letters again, after somebody has removed some."""
        self._state.recount_letters()

    @property
    def stats(self) -> SyncStats:
        """What the engine did since it was opened."""
        return self._state.stats

    def pending(self) -> dict[Lane, int]:
        """Return how many dirty keys are held in memory, by lane."""
        return self._state.pending()

    def is_pending(self, keys: Sequence[RecordKey], *, migration: bool = True) -> list[bool]:
        """Return for each key whether it is dirty now; without `migration`, whether the live record may be behind."""
        return self._state.is_pending(keys, migration=migration)

    def oldest_commit_s(self) -> float | None:
        """Return the monotonic time at which the oldest mutation that was read and is not reflected was committed."""
        with self._state.changed:
            return self._state.ledger.oldest_commit_s()

    def is_settled(self, *, migration: bool = True) -> bool:
        """
        Whether nothing is dirty, nothing is waiting and the log is consumed to its head.

        Without `migration` the migration lane and its backfills do not count: searches ask nothing of them.
        """
        # The head first, then what it dirtied: later entries are not asked about.
        head = self._log.head()
        kept, owed = (0, 0) if migration else (self._journal.work_count(), self._journal.work_count(Lane.MIGRATION))
        with self._state.changed:
            dirty = sum((counts := self.pending()).values()) - (0 if migration else counts[Lane.MIGRATION])
            is_left = self._state.backlog.has_more and (migration or kept != owed)
            is_read = self._state.progress.consumed >= head and self.intake_stage.is_done(migration=migration)
            return is_read and not dirty and not is_left

    def wait_s(self) -> float:
        """Return how long an idle caller may wait before it must look again."""
        now = self._clock.monotonic()
        with self._state.changed:
            due, model_s = self._state.ledger.next_due(), self.outages.wait_s()
            breaker_s = self._taking.breaker.wait_s(now)
        until_due = [due_s for due_s in (None if due is None else due - now, model_s) if due_s is not None]
        wait_s = max(0.0, min([self.settings.idle_wait_s, *until_due]))
        return max(breaker_s, wait_s) if breaker_s else wait_s
