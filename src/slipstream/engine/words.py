"""
The follower: keeps word rows behind the graph, with a reading of the log and a frontier of its own.

Word rows need no model, so they wait for none: the follower reads the log for itself, and whatever keeps vectors back
(a model that is down, a full queue, a migration) does not keep words back. An event dirties its own key alone. What
the log can not tell is found by a scan, which goes on beside live entries; meanwhile the frontier stands still.

Each stage is a plain method, as the engine's are; `engine/pipeline.py` runs them on a thread, the simulator in one.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from slipstream.apply.words import WordsWritten, WordWriter
from slipstream.domain.brake import BRAKE, Braked
from slipstream.domain.errors import CorruptionError, PositionLostError, TransientError
from slipstream.domain.events import PKGEvent
from slipstream.domain.journal_names import ADOPTED, WORDS_FRONTIER, WORDS_SCAN, WORDS_VIEWS
from slipstream.domain.keys import KeyKind, RecordKey
from slipstream.domain.log import LogEntry, Rescan, position_of
from slipstream.domain.positions import ORIGIN, Position
from slipstream.engine.failures import CircuitBreaker, halts
from slipstream.engine.state import Changes
from slipstream.engine.word_facts import WordScanProgress, WordSettings, WordsStatus
from slipstream.engine.word_scan import KeyPage, ScanReason, WordKeys, WordScan
from slipstream.ports.clock import Clock
from slipstream.ports.feed import WORDS_CONSUMER, ChangedKey, ChangeFeed, KeyFeed
from slipstream.ports.graph import GraphReader
from slipstream.ports.journal import Journal

logger = logging.getLogger(__name__)

Halt = Callable[[Exception], object]
"""Halts the engine: another process is the owner, or a person must mend something first."""


@dataclass(slots=True)
class _Weighing:
    """A scan that the log does not explain: what differs is collected up to the limit, and written if it is less."""

    after: str | None = None
    is_read: bool = False
    found: dict[RecordKey, None] = field(default_factory=dict)
    looked_again: bool = False


class WordFollower:
    """
    Brings word rows behind the log. One thread drives `step`; everything else may be asked from any.

    `changed` is notified whenever the frontier has moved.
    """

    def __init__(
        self,
        *,
        graph: GraphReader,
        log: ChangeFeed,
        writer: WordWriter,
        journal: Journal,
        clock: Clock,
        changed: Changes,
        settings: WordSettings | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings or WordSettings()
        self.writer = writer
        self._log, self._journal, self._clock, self._changed = log, journal, clock, changed
        self._keys = WordKeys(graph, writer.words, writer.views)
        limits = self.settings
        rng = rng or random.Random()  # noqa: S311  (jitter, not cryptography)
        self._breaker = CircuitBreaker(limits.backoff_base_s, limits.backoff_max_s, rng)
        self._scan = _resumed(WordScan.load(journal.get(WORDS_SCAN)))
        self._frontier = Position(int(journal.get(WORDS_FRONTIER) or ORIGIN))
        self._consumed = self._frontier if self._scan is None else self._scan.consumed
        self._saved, self._saved_at, self._kept_house_at = self._frontier, clock.monotonic(), clock.monotonic()
        self._acknowledged = ORIGIN
        self._weighing = _Weighing()
        self._scan_began_at, self._scan_began_with = clock.monotonic(), 0 if self._scan is None else self._scan.done
        self._turns, self._stands_since = 0, clock.monotonic()
        self._has_begun, self._refill = False, threading.Event()
        self._counters = {"written": 0, "deleted": 0, "unchanged": 0, "failed": 0}

    # ------------------------------------------------------------------ asking

    @property
    def frontier(self) -> Position:
        """Everything up to it is in the word rows."""
        return self._frontier

    @property
    def consumed(self) -> Position:
        """How far the log has been read for the word rows."""
        return self._consumed

    @property
    def is_scanning(self) -> bool:
        """Whether a scan is due, so that the frontier stands still."""
        return self._scan is not None or self._refill.is_set()

    @property
    def outage(self) -> str | None:
        """The error of the store that is waited for, None while all answer."""
        return self._breaker.error

    def progress(self) -> WordScanProgress | None:
        """Return how far the scan is, None when none is due."""
        scan = self._scan
        if scan is None:
            return None
        elapsed_s = self._clock.monotonic() - self._scan_began_at
        rate = max(0, scan.done - self._scan_began_with) / elapsed_s if elapsed_s > 0 else 0.0
        eta_s = max(0, scan.total - scan.done) / rate if rate > 0 else None
        return WordScanProgress(
            reason=scan.reason.value, done=scan.done, total=max(scan.done, scan.total), rate=rate, eta_s=eta_s
        )

    def status(self, head: Position, unread_s: float) -> WordsStatus:
        """Return its numbers, beside the log's head and the age of the first entry that it has not read."""
        frontier = self._frontier
        with self._changed:
            counters = dict(self._counters)
            lag_s = self._clock.monotonic() - self._stands_since if self._scan is not None else unread_s
        return WordsStatus(
            frontier=frontier,
            lag_events=max(0, head - frontier),
            lag_s=max(0.0, lag_s) if head > frontier else 0.0,
            is_scanning=self.is_scanning,
            scan=self.progress(),
            counters=counters,
            outage=self.outage,
        )

    def is_settled(self) -> bool:
        """Whether the rows reflect the log to its head, and no scan is due; raises what the log raises."""
        return self._has_begun and not self.is_scanning and self._frontier >= self._log.head()

    def refill(self) -> None:
        """Have all rows compared, durably: some were removed other than by the log. Raises what the journal does."""
        self._journal.set(WORDS_VIEWS, None)
        self._refill.set()

    def oldest_commit_s(self) -> float | None:
        """Return None: what was read and is not written yet is read anew to know its age."""
        return None

    # ------------------------------------------------------------------ driving

    def guarded_step(self, halt: Halt) -> bool:
        """
        Do what `step` does; wait out a store that is down, and halt where no retry can help.

        Any other error is a defect, and raised.
        """
        if self._breaker.wait_s(self._clock.monotonic()) > 0:
            return False
        try:
            worked = self.step()
        except Exception as error:
            if not self._met(error, halt):
                raise
            return False
        if self._breaker.failures:
            self._breaker.close()
        return worked

    def step(self) -> bool:
        """
        Deal with the next page of the log, or of a scan; False when there is nothing to do.

        Raises what the stores raise; what was begun is then done again by the next call.
        """
        if not self._has_begun or self._refill.is_set():
            self._begin()
        is_turn_of_scan = self._scan is not None and self._turns >= self.settings.turns_max
        if not is_turn_of_scan and self._follow():
            self._turns += 1
            return True
        self._turns = 0
        if self._scan is not None:
            self._continue(self._scan)
            return True
        self._keep_up()
        return False

    def rest(self, halt: Halt, pause: Callable[[float], object]) -> None:
        """Wait for a commit; `pause` sleeps instead while a store is down, so that its caller can wake it."""
        if (wait_s := self._breaker.wait_s(self._clock.monotonic())) > 0:
            pause(min(wait_s, self.settings.idle_wait_s))
            return
        try:
            self._log.wait(self._consumed, self.settings.idle_wait_s)
        except Exception as error:
            if not self._met(error, halt):
                raise

    def _met(self, error: Exception, halt: Halt) -> bool:
        """Deal with an error of a store; False for any other, which is a defect."""
        if isinstance(error, TransientError):
            self._breaker.trip(error, self._clock.monotonic())
            logger.warning("word rows wait: %s: %s", type(error).__name__, error)
        elif halts(error):
            halt(error)
        else:
            return False
        return True

    # ------------------------------------------------------------------ beginning

    def _begin(self) -> None:
        """Find out whether a scan is due before the log is followed: rows are missing, or made by other views."""
        is_refill = self._refill.is_set()
        self._refill.clear()
        try:
            self._look(is_refill=is_refill)
        except BaseException:
            if is_refill:
                self._refill.set()
            raise
        self._has_begun = True

    def _look(self, *, is_refill: bool) -> None:
        head, views = self._log.head(), self._journal.get(WORDS_VIEWS)
        if self._consumed > head:
            raise CorruptionError(
                f"the word rows have followed the log up to {self._consumed}, but the graph ends at {head}: it was "
                "restored from a backup, and must be adopted (`slipstream repair --adopt`)"
            )
        if is_refill or (self._scan is None and views is None):
            self._due(self._new(ScanReason.FILL, head), frontier=ORIGIN)
        elif (views if self._scan is None else self._scan.views) != self.writer.views.digest:
            self._due(self._new(ScanReason.VIEWS, self._consumed))
        self._log.acknowledge(WORDS_CONSUMER, self._consumed)
        self._acknowledged = self._consumed

    def _new(
        self,
        reason: ScanReason,
        consumed: Position,
        types: frozenset[str] | None = None,
        *,
        is_explained: bool = True,
    ) -> WordScan:
        views = self.writer.views.digest
        return WordScan(reason=reason, is_explained=is_explained, consumed=consumed, views=views, types=types)

    def _due(self, scan: WordScan, frontier: Position | None = None) -> None:
        """Have a scan begin, durably; one that is under way is merged with it, and begins anew."""
        scan = scan if self._scan is None else self._scan.merged(scan)
        scan = replace(scan, total=self._keys.count())
        frontier = self._frontier if frontier is None else frontier
        with self._journal.transaction():
            self._journal.set(WORDS_SCAN, scan.dump())
            self._journal.set(WORDS_FRONTIER, str(frontier))
        logger.info("comparing word rows with the graph (%s): about %d", scan.reason.value, scan.total)
        self._weighing = _Weighing()
        self._scan_began_at, self._scan_began_with = self._clock.monotonic(), 0
        self._move(scan.consumed, scan, frontier)

    # ------------------------------------------------------------------ the log

    def _follow(self) -> bool:
        """Write what the next entries of the log have changed; False when there are none."""
        try:
            changed = self._changed_keys()
            entries = [] if changed is not None else self._log.read(self._consumed, self.settings.log_page)
        except PositionLostError as error:
            self._lost(error)
            return True
        if changed is not None:
            self._take_in(changed)
            return bool(changed)
        rescan = next((entry for entry in entries if isinstance(entry, Rescan)), None)
        self._take_in([_told(entry) for entry in entries[: None if rescan is None else entries.index(rescan)]])
        if rescan is not None:
            at, is_adopted = rescan.position, self._is_adopted(rescan.position)
            self._due(self._new(ScanReason.RESCAN, at, rescan.types, is_explained=is_adopted))
        return bool(entries)

    def _changed_keys(self) -> Sequence[ChangedKey] | None:
        """Return what the next entries are about, where the log tells it without their data."""
        log = self._log
        return log.changed(self._consumed, self.settings.log_page) if isinstance(log, KeyFeed) else None

    def _lost(self, error: PositionLostError) -> None:
        """Have everything compared: entries are gone that were not read."""
        head = self._log.head()
        logger.warning("word rows can not be brought up by the log, so all are compared: %s", error)
        self._due(self._new(ScanReason.LOST, head, is_explained=self._is_adopted(head)))

    def _is_adopted(self, position: Position) -> bool:
        """Whether somebody has taken the graph for the truth, as it was at that position or later."""
        return position <= int(self._journal.get(ADOPTED) or -1)

    def _take_in(self, changed: Sequence[ChangedKey]) -> None:
        if not changed:
            return
        through = changed[-1].position
        keys = dict.fromkeys(each.key for each in changed if each.key is not None and self._has_row(each))
        scan = None if self._scan is None else replace(self._scan, consumed=through)
        if keys:
            written = self.writer.reconcile(list(keys), settle=lambda: self._save(through, scan))
            self._count(written)
            self._note_saved(through, scan)
        self._move(through, scan)
        if not keys:
            self._save_when_due()

    def _has_row(self, changed: ChangedKey) -> bool:
        """Whether an entry can have changed a row: not one of a relationship that no view covers."""
        key = changed.key
        is_entity = key is not None and key.kind is KeyKind.ENTITY
        return is_entity or self.writer.views.covers_relationships(changed.type)

    # ------------------------------------------------------------------ scanning

    def _continue(self, scan: WordScan) -> None:
        if not scan.is_explained:
            self._weigh(scan)
            return
        page = self._keys.page(scan.after, self.settings.scan_page, scan.types)
        if page.after is None:
            self._count(self.writer.reconcile(page.keys, settle=self._save_end))
            self._end()
            return
        after = self._advanced(scan, page)
        self._count(self.writer.reconcile(page.keys, settle=lambda: self._save(self._consumed, after)))
        self._move(self._consumed, after)

    @staticmethod
    def _advanced(scan: WordScan, page: KeyPage) -> WordScan:
        return replace(scan, after=page.after, done=scan.done + page.looked_at)

    def _weigh(self, scan: WordScan) -> None:
        """Go on with a scan that nothing explains: weigh first, then write all of it, or none."""
        weighing = self._weighing
        limit = self.settings.brake.limit(self.writer.words.count())
        if len(weighing.found) > limit:
            self._weigh_again(weighing, limit)
        elif not weighing.is_read:
            page = self._keys.page(weighing.after, self.settings.scan_page, scan.types)
            weighing.found.update(dict.fromkeys(self.writer.differences(page.keys).keys))
            weighing.after, weighing.is_read = page.after, page.after is None
            self._move(self._consumed, replace(scan, done=scan.done + page.looked_at))
        else:
            self._count(self.writer.reconcile(list(weighing.found), settle=self._save_end))
            self._end()

    def _weigh_again(self, weighing: _Weighing, limit: int) -> None:
        """Look at what differs once more: an entry of the log that was read meanwhile may have explained it."""
        head = self._log.head()
        while self._consumed < head and self._follow():
            if self._weighing is not weighing:  # the log has asked for another scan, or this one anew
                return
        still = self._still_differing(weighing.found)
        if len(still) > limit:
            self._brake(len(still), is_all=weighing.is_read, limit=limit)
        else:
            weighing.found = dict.fromkeys(still)

    def _still_differing(self, found: Collection[RecordKey]) -> list[RecordKey]:
        keys, size, still = list(found), self.settings.scan_page, list[RecordKey]()
        for at in range(0, len(keys), size):
            still += self.writer.differences(keys[at : at + size]).keys
        return still

    def _brake(self, count: int, *, is_all: bool, limit: int) -> None:
        """End the scan without a write: what it found is more than may be done without a commit that says so."""
        told = f"{count:,} word rows to write or delete{'' if is_all else ', at least'}"
        why = f"graph and word rows differ without a commit that says so: {told}, and at most {limit:,} are"
        logger.error("braked: %s. Nothing of that was done", why)
        held = Braked.load(self._journal.get(BRAKE))
        if held is not None and held.plan_id is None and held.why != why:
            why = f"{held.why}; {why}"
        with self._journal.transaction():
            self._journal.set(BRAKE, Braked(why, self._clock.now()).dump())
            self._save_end()
        self._end()

    def _end(self) -> None:
        logger.info("word rows are compared")
        self._note_saved(self._consumed, None)
        self._move(self._consumed, None)

    # ------------------------------------------------------------------ positions

    def _save_end(self) -> None:
        """Note that no scan is due, in the journal transaction that makes it so."""
        self._journal.set(WORDS_VIEWS, self.writer.views.digest)
        self._journal.set(WORDS_SCAN, None)
        self._save(self._consumed, None)

    def _save(self, consumed: Position, scan: WordScan | None) -> None:
        """Keep how far the rows are, in the journal transaction that makes it true."""
        if scan is None:
            self._journal.set(WORDS_FRONTIER, str(consumed))
        else:
            self._journal.set(WORDS_SCAN, scan.dump())

    def _move(self, consumed: Position, scan: WordScan | None, frontier: Position | None = None) -> None:
        """Move on in memory, and tell everyone who waits for the frontier."""
        with self._changed:
            self._consumed, self._scan = consumed, scan
            self._stands_since = self._clock.monotonic() if scan is None else self._stands_since
            if frontier is not None:
                self._frontier = frontier
            elif scan is None:
                self._frontier = max(self._frontier, consumed)
            self._changed.notify_all()

    def _note_saved(self, consumed: Position, scan: WordScan | None) -> None:
        if scan is None:
            self._saved, self._saved_at = consumed, self._clock.monotonic()

    def _save_when_due(self) -> None:
        if self._clock.monotonic() - self._saved_at >= self.settings.save_every_s:
            self.save()

    def save(self) -> None:
        """Publish the frontier when it has moved without a write (an idle or stopping engine calls this)."""
        if self._has_begun and self._scan is None and self._saved != self._consumed:
            with self._journal.transaction():
                self._save(self._consumed, None)
            self._note_saved(self._consumed, None)

    def _keep_up(self) -> None:
        """Publish what is not published yet, and tell the log, now and then, what is needed no more."""
        self.save()
        now = self._clock.monotonic()
        if now - self._kept_house_at >= self.settings.house_every_s and self._consumed > self._acknowledged:
            self._log.acknowledge(WORDS_CONSUMER, self._saved)
            self._acknowledged, self._kept_house_at = self._saved, now

    def _count(self, written: WordsWritten) -> None:
        with self._changed:
            self._counters["written"] += written.written
            self._counters["deleted"] += written.deleted
            self._counters["unchanged"] += written.unchanged
            self._counters["failed"] += len(written.failed)


def _resumed(scan: WordScan | None) -> WordScan | None:
    """Return a scan as it is gone on with: what was weighed is weighed anew."""
    return scan if scan is None or scan.is_explained else replace(scan, done=0)


def _told(entry: LogEntry) -> ChangedKey:
    """Return what an entry is about, without what it says."""
    if not isinstance(entry, PKGEvent):
        return ChangedKey(position_of(entry), None, "")
    return ChangedKey(position_of(entry), entry.key, entry.entity_type)
