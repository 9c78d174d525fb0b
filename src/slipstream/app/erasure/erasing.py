"""
The steps of an erasure, kept in the journal: whoever dies in one, the next open goes on there.

The entity is deleted by an ordinary commit, and index and words follow by ordinary events, so that nothing but the
usual writers ever decides what they hold. Only what no reader shows any more is removed past them: what the log still
says, what journal, audits and requests quote, and bytes that SQLite has freed.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slipstream.app.erasure.describing import Described, described, unreachable_of, uploads_in
from slipstream.app.erasure.receipts import Circumstances, Receipts, document_of, erasure_of
from slipstream.app.erasure.state import State, Step, load, save
from slipstream.app.pkg import PKG
from slipstream.apply.records import remove
from slipstream.audit.scrubber import Scrubber
from slipstream.domain.erasure import (
    NAME_SIZE_MIN,
    Erased,
    Erasure,
    Overwritten,
    Swept,
    is_mark,
    mark_of,
    without_mentions,
)
from slipstream.domain.errors import ConfigError, InvalidInputError, NotFoundError, SlipstreamError, UnavailableError
from slipstream.domain.events import PKGEvent
from slipstream.domain.keys import RecordKey
from slipstream.domain.log import position_of
from slipstream.domain.positions import Position
from slipstream.domain.stamps import Deletion
from slipstream.engine.planner import Planner
from slipstream.engine.runner import Sync
from slipstream.ports.clock import Clock
from slipstream.ports.erasing import Erasing, GraphErasing
from slipstream.ports.feed import ChangeFeed
from slipstream.ports.graph import GraphReader
from slipstream.ports.index import VectorIndex
from slipstream.ports.journal import DeadLetters, Journal
from slipstream.views.words import WordViews

logger = logging.getLogger(__name__)

_PAUSE_S = 0.2
_PAGE = 1_000
_REFERENCE_SIZE_MAX = 200
FOLLOW_TIMEOUT_S = 120.0
"""How long index and words may take to follow; a model that is down is not waited for."""


@dataclass(frozen=True, kw_only=True)
class ErasingParts:
    """What an erasure works on."""

    pkg: PKG
    graph: GraphReader
    feed: ChangeFeed
    log: GraphErasing
    stores: Sequence[Erasing]
    """Indexes in stores of their own first, the journal's store last: with it the erasure itself forgets the id."""
    files: Callable[[Erased, bool], Sequence[Swept]]
    """Removes it from files and caches that are no stores (not, in a rehearsal), and says what it did."""
    index: VectorIndex
    journal: Journal
    letters: DeadLetters
    sync: Sync
    scrubber: Scrubber
    planner: Planner
    words: Callable[[], WordViews]
    followed: Callable[[Position, float], bool]
    """Waits until the words have followed; True when there are none."""
    receipts: Receipts
    around: Circumstances
    beyond: Sequence[str]
    """Stores of which bytes can not be overwritten, each with what to do."""
    clock: Clock
    directory: Path
    uploads: Path
    """Where files wait that were sent, and are not imported yet."""


class Erasures:
    """Erases entities, one at a time. Safe for threads."""

    def __init__(self, parts: ErasingParts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

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
        """See `Slipstream.erase`."""
        if reference is not None and not 0 < len(reference) <= _REFERENCE_SIZE_MAX:
            raise InvalidInputError(f"has 1 to {_REFERENCE_SIZE_MAX} characters", field="reference")
        for text in also:
            if len(text) < NAME_SIZE_MIN:
                raise InvalidInputError(
                    f"{text!r} is too short to tell of anything: {NAME_SIZE_MIN} characters", field="also"
                )
        if not entity_id:
            raise InvalidInputError("is empty: name the entity", field="entity_id")
        with self._lock:
            if not dry_run:
                self._finish()
            if is_mark(entity_id):
                return self._finished(entity_id)
            parts = self._parts
            found = described(
                parts.graph, parts.log, parts.words(), entity_id, also, with_neighbours_text=with_neighbours_text
            )
            mark = mark_of(entity_id, secrets.token_hex(8))
            erased = Erased(entity_id, mark, found.names, found.texts)
            asked_at = self._parts.clock.now().isoformat()
            state = _begun(erased, found, parts.feed.head(), asked_at, reference, backups)
            if dry_run:
                return self._rehearsed(state, erased)
            save(self._parts.journal, state)
            return self._run(state, erased)

    def resume(self) -> None:
        """Finish what a process that has died began, on a thread of its own; return at once."""
        if load(self._parts.journal) is None:
            return
        self._thread = threading.Thread(target=self._resumed, name="slipstream-erasure", daemon=True)
        self._thread.start()

    def _resumed(self) -> None:
        try:
            with self._lock:
                self._finish()
        except SlipstreamError as error:  # it is kept, and goes on at the next open
            logger.warning("an erasure that was begun could not be finished yet: %s", error)

    def leave(self, timeout_s: float) -> None:
        """Wait a while for an erasure that goes on in the background; what is unfinished is done at the next open."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _finish(self) -> None:
        state = load(self._parts.journal)
        if state is not None:
            self._run(state, state.erased)

    def _finished(self, mark: str) -> Erasure:
        found = self._parts.receipts.find(mark)
        if found is None:
            raise NotFoundError(f"there is no receipt of {mark}: name the entity itself")
        return found

    # ------------------------------------------------------------------ the steps

    def _run(self, state: State, erased: Erased | None) -> Erasure:
        if state.step is Step.DELETE and erased is not None:
            state = self._keep(self._deleted(state, erased))
        if state.step is Step.FOLLOW and erased is not None:
            state = self._keep(self._followed(state, erased))
        if state.step is Step.SCRUB and erased is not None:
            state = self._scrubbed(state, erased)
        return self._wiped(state, erased)

    def _keep(self, state: State) -> State:
        save(self._parts.journal, state)
        return state

    def _deleted(self, state: State, erased: Erased) -> State:
        """Delete the entity, and change its neighbours' texts, in one commit; nothing when it has gone meanwhile."""
        changed = 0
        with self._parts.pkg.transaction() as tx:
            for neighbour in state.neighbours:
                entity = tx.entity(neighbour)
                texts = {} if entity is None else without_mentions(erased, entity.properties)
                if texts:
                    tx.update_entity(neighbour, texts)
                    changed += 1
            is_there = tx.entity(erased.entity_id) is not None
            if is_there:
                tx.delete_entity(erased.entity_id)
        position = tx.position if is_there or changed else state.position
        return replace(state, step=Step.FOLLOW, position=position, neighbours_changed=changed)

    def _followed(self, state: State, erased: Erased) -> State:
        """Wait until index and words have followed; where a model is down, neighbours' vectors go instead."""
        parts, head = self._parts, self._parts.feed.head()
        deadline = time.monotonic() + FOLLOW_TIMEOUT_S
        while not self._has_followed(head):
            if parts.sync.engine.consumed >= head and parts.sync.behind(head):
                break
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"the index has not followed the deletion within {FOLLOW_TIMEOUT_S:g} s (`slipstream status` "
                    "says why); the erasure goes on at the next open, or when you erase it again"
                )
        removed = self._remove_vectors(erased, Position(state.before), head)
        if not parts.followed(head, max(_PAUSE_S, deadline - time.monotonic())):
            raise UnavailableError("the words have not followed the deletion; erase again, and the erasure goes on")
        return replace(state, step=Step.SCRUB, vectors_removed=removed)

    def _has_followed(self, head: Position) -> bool:
        try:
            return self._parts.sync.wait(head, _PAUSE_S)
        except ConfigError:  # a model that is set up wrongly is down, too
            return False

    def _remove_vectors(self, erased: Erased, since: Position, head: Position) -> int:
        """Remove vectors of neighbours whose text told of it, and which wait for a model or failed for good."""
        parts = self._parts
        if parts.sync.engine.frontier >= head and not parts.letters.letter_count():
            return 0
        affected = [key for key in self._affected(erased, since) if not erased.covers(key.encode())]
        pending = parts.sync.engine.is_pending(affected)
        failed = self._failed()
        waiting = [key for key, owed in zip(affected, pending, strict=True) if owed or key in failed]
        held = parts.index.stamps(waiting)
        gone = [
            Deletion(s.key, s.position, s.space) for one in held.values() for s in one.records if s.position < head
        ]
        remove(parts.index, gone)
        return len(gone)

    def _failed(self) -> set[RecordKey]:
        found: set[RecordKey] = set()
        after: str | None = None
        while page := self._parts.letters.letters(after, _PAGE):
            found.update(letter.key for letter in page if letter.key is not None)
            after = page[-1].id
        return found

    def _affected(self, erased: Erased, since: Position) -> list[RecordKey]:
        """Return every key that the entity's log entries behind a position have made dirty."""
        found: dict[RecordKey, None] = {}
        after = since
        while entries := self._parts.feed.read(after, _PAGE):
            for entry in entries:
                if isinstance(entry, PKGEvent) and erased.entity_id in (
                    entry.entity_id,
                    entry.source_id,
                    entry.target_id,
                ):
                    found.update(dict.fromkeys(self._parts.planner.keys_of(entry)))
            after = position_of(entries[-1])
        return list(found)

    def _scrubbed(self, state: State, erased: Erased) -> State:
        """Remove what is still said of it, store by store; the journal's own comes last."""
        parts = self._parts
        with parts.scrubber.aside():  # an audit may be about to keep what it has found
            state = self._keep(state.with_places(parts.log.scrub(erased)))
            if state.neighbours:
                state = self._keep(state.with_places([parts.log.scrub_mentions(erased, state.neighbours)]))
            state = self._keep(state.with_places(parts.files(erased, False)))
            for store in parts.stores[:-1]:
                state = self._keep(state.with_places(store.scrub(erased)))
            state = state.with_places(parts.stores[-1].scrub(erased))
        return self._keep(state.without_texts())

    def _wiped(self, state: State, erased: Erased | None) -> Erasure:
        """Overwrite the bytes, write the receipt, and forget the erasure."""
        parts = self._parts
        nameless = Erased("", state.mark) if erased is None else erased
        files: list[Overwritten] = []
        for store in (*parts.stores, parts.log):
            files += store.wipe(nameless)
        unreachable = self._unreachable(state)
        document = document_of(state, files, unreachable, parts.clock.now().isoformat(), parts.around)
        path = parts.receipts.write(document)
        save(parts.journal, None)
        found = parts.receipts.find(state.mark)
        return erasure_of(document, path) if found is None else found

    def _unreachable(self, state: State) -> list[str]:
        parts = self._parts
        copies = unreachable_of(parts.directory, state.backups, parts.around.graph_id)
        return [*parts.beyond, *uploads_in(parts.uploads), *copies]

    def _rehearsed(self, state: State, erased: Erased) -> Erasure:
        """Return what would be done: everything is counted, nothing changed."""
        parts = self._parts
        found = [*parts.log.scrub(erased, rehearse=True), *parts.files(erased, True)]
        for store in parts.stores:
            found += store.scrub(erased, rehearse=True)
        unreachable = self._unreachable(state)
        return erasure_of(document_of(state.with_places(found), (), unreachable, "", parts.around), None)


def _begun(
    erased: Erased,
    found: Described,
    before: Position,
    asked_at: str,
    reference: str | None,
    backups: Sequence[str],
) -> State:
    return State(
        mark=erased.mark,
        step=Step.DELETE,
        asked_at=asked_at,
        before=before,
        entity_id=erased.entity_id,
        names=erased.names,
        texts=erased.texts,
        neighbours=found.naming,
        reference=reference,
        backups=[str(folder) for folder in backups],
        was_there=found.was_there,
        relationships=found.relationships,
        neighbours_changed=len(found.naming),
    )
