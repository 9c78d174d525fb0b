"""The database at the other end: one writer at a time, whose commit becomes visible to readers piece by piece."""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from slipstream.adapters.graphs.staging import NetEffect, StagedTransaction, schema_event_draft
from slipstream.domain.entities import Entity, Relationship
from slipstream.domain.fences import Fence, RowName
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.log import Rescan
from slipstream.domain.positions import ORIGIN, Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.clock import Clock
from slipstream.ports.graph import GraphTransaction
from slipstream.testkit.remote.store import LogRow, Store

_GRAPH_ID = "remote"
Piece = Callable[[], object]


class RemoteDatabase:
    """
    A server that any number of `RemoteGraph`s talk to. Safe for threads.

    The writers' lock stands for the lock node of a graph without an order of its own (DESIGN section 5): its holder
    numbers log rows from `head` on, and it is free again only when the whole commit is visible. So data never becomes
    visible after its log rows, and a row that is still missing is a hole in the chain of rows.
    """

    def __init__(self, clock: Clock, seed: int = 0, *, pieces_max: int = 3) -> None:
        self.clock = clock
        self.random = random.Random(seed)
        self.mutex = threading.RLock()
        self.store = Store()
        self.second_writer: Callable[[GraphTransaction], None] | None = None
        """Called now and then between two calls of other clients, with a transaction to write into."""
        self._pieces_max = pieces_max
        self._pieces: deque[Piece] = deque()
        self._writers = threading.Lock()
        self._head = ORIGIN
        self._outcomes: dict[str, Position | None] = {}

    # -- what happens beside --

    def pass_by(self) -> None:
        """Let a random amount happen, as between two calls of one client."""
        with self.mutex:
            for _ in range(self.random.randint(0, self._pieces_max)):
                self.show_piece()
            if not self._pieces and self.second_writer is not None and self.random.random() < 0.5:
                self._write_second()

    def show_piece(self) -> bool:
        """Make the next piece of the commit under way visible; False when there is none."""
        with self.mutex:
            if not self._pieces:
                return False
            self._pieces.popleft()()
            return True

    def settle(self) -> None:
        """Make all of the commit under way visible."""
        while self.show_piece():
            pass

    def _write_second(self) -> None:
        if self.second_writer is None or not self.take_lock():
            return
        staged = StagedTransaction(self, self.store.schemas[len(self.store.schemas)], self._head)
        try:
            self.second_writer(staged)
        except BaseException:
            self.release_lock()
            raise
        self.commit(staged.finish(), f"second-{self.random.random()}")

    # -- the writers' lock --

    def take_lock(self, timeout_s: float = 0.0) -> bool:
        """Become the writer; False when others held the lock all the time."""
        return self._writers.acquire(timeout=timeout_s) if timeout_s > 0.0 else self._writers.acquire(blocking=False)

    def release_lock(self) -> None:
        """Stop being the writer, with nothing committed."""
        self._writers.release()

    @property
    def head(self) -> Position:
        """The newest position given out; only the writer may rely on it."""
        return self._head

    def outcome(self, token: str) -> Position | None:
        """Return the position of a commit; None while it has not arrived or is not fully visible."""
        with self.mutex:
            return self._outcomes.get(token)

    def has_arrived(self, token: str) -> bool:
        """Whether a commit with this token was accepted."""
        with self.mutex:
            return token in self._outcomes

    # -- committing --

    def commit(self, effect: NetEffect, token: str) -> None:
        """Accept the writer's commit: from now on it will happen, whether its client waits or not."""
        with self.mutex:
            if token in self._outcomes:
                return  # sent twice
            self._outcomes[token] = None
            new = effect.schema.finish(self.clock.now()) if effect.schema else None
            self._pieces.extend([*self._data_pieces(effect, new), *self._log_pieces(effect, new)])
            self._pieces.append(partial(self._end, token))

    def jump(self, position: Position, token: str) -> None:
        """Accept a rescan at a position as the writer's commit, after a gap in the numbers."""
        with self.mutex:
            if token in self._outcomes:
                return
            self._outcomes[token] = None
            if position > self._head:
                self._pieces.append(partial(self._show_row, LogRow(Rescan(position), self._head)))
                self._head = position
            self._pieces.append(partial(self._end, token))

    def _data_pieces(self, effect: NetEffect, new: GraphSchema | None) -> list[Piece]:
        store, pieces = self.store, list[Piece]()
        if new is not None:
            pieces.append(partial(store.schemas.__setitem__, new.version, new))
        if effect.event_ids:
            pieces.append(partial(store.event_ids.update, list(effect.event_ids)))
        if effect.fences:
            pieces.append(partial(store.fences.update, dict(effect.fences)))
        entities: list[Piece] = [
            partial(store.put_entity, (change.after or change.before).id, change.after)  # type: ignore[union-attr]
            for change in effect.entities
        ]
        relationships: list[Piece] = [
            partial(store.put_relationship, (change.after or change.before).ref, change.after)  # type: ignore[union-attr]
            for change in effect.relationships
        ]
        return [*pieces, *self._shuffled(entities), *self._shuffled(relationships)]

    def _log_pieces(self, effect: NetEffect, new: GraphSchema | None) -> list[Piece]:
        at, old = self.clock.now(), self.store.schemas[len(self.store.schemas)]
        drafts = [*([schema_event_draft(old, new)] if new is not None else []), *effect.events]
        pieces: list[Piece] = []
        for draft in drafts:
            entry = draft.numbered(_GRAPH_ID, Position(self._head + 1), at, (new or old).version)
            pieces.append(partial(self._show_row, LogRow(entry, self._head)))
            self._head = Position(self._head + 1)
        return self._shuffled(pieces)

    def _shuffled(self, pieces: list[Piece]) -> list[Piece]:
        self.random.shuffle(pieces)
        return pieces

    def _show_row(self, row: LogRow) -> None:
        self.store.rows[row.position] = row

    def _end(self, token: str) -> None:
        self._outcomes[token] = self._head
        self._writers.release()

    # -- what the second writer's transaction asks (CommittedState) --

    def entity(self, entity_id: str) -> Entity | None:
        """Return a committed entity."""
        return self.store.entities.get(entity_id)

    def relationship(self, ref: RelationshipRef, types: tuple[str, str]) -> Relationship | None:  # noqa: ARG002
        """Return a committed relationship; the types are not needed to find it here."""
        return self.store.relationships.get(ref)

    def relationships_of(self, entity_id: str) -> Sequence[Relationship]:
        """Return the committed relationships of an entity."""
        return [self.store.relationships[ref] for ref in self.store.incident.get(entity_id, ())]

    def has_event(self, event_id: str) -> bool:
        """Whether an event id has been recorded."""
        return event_id in self.store.event_ids

    def committed_fences(self) -> Mapping[RowName, Fence]:
        """Return every fence."""
        return self.store.fences
