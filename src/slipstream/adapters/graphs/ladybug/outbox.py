"""The change log as a table beside the data: an entry commits in the very transaction of its mutation."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from slipstream.adapters.graphs.ladybug.codec import RESCAN_PREFIX
from slipstream.adapters.graphs.ladybug.store import Row, Session, Store
from slipstream.domain.errors import CorruptionError, PositionLostError
from slipstream.domain.events import PKGEvent
from slipstream.domain.log import LogEntry, Rescan
from slipstream.domain.positions import Position

_TRIM_STEP = 2000
_HEAD_PROBE_STEP = 64


class ExclusiveWriter(Protocol):
    """Lends the one write lock of the graph."""

    def __call__(self) -> AbstractContextManager[Session]:
        """Hold the write lock, with a session to write through."""
        ...


class OutboxLog:
    """
    The change log of a `LadybugGraph`.

    Positions are dense and are the table's primary key, so that reading probes the index and never scans.
    """

    def __init__(self, store: Store, writer: ExclusiveWriter) -> None:
        self._store = store
        self._writer = writer
        self._changed = threading.Condition()
        with store.session() as session:
            self._trimmed = int(get_meta(session, "trimmed") or 0)
            newest = session.run("MATCH (o:_Outbox) RETURN max(o._seq)")[0][0]
        self._head = max(newest or 0, self._trimmed)

    def head(self) -> Position:
        """Return the position of the newest committed entry."""
        with self._changed:
            return Position(self._head)

    def head_seen_by(self, session: Session, known: Position) -> Position:
        """Return the newest position that a session's transaction sees, given one that it is sure to see."""
        head = int(known)
        while True:
            rows = _rows(session, head + 1, head + _HEAD_PROBE_STEP, body=False)
            if not rows:
                return Position(head)
            head = max(row[0] for row in rows)

    def read(self, after: Position, limit: int) -> Sequence[LogEntry]:
        """Return the next entries behind `after`, in order; raises `PositionLostError` for a trimmed range."""
        with self._changed:
            head = self._head
            self._check_kept(after)
        last = min(after + limit, head)
        if last <= after:
            return []
        with self._store.reading() as session:
            rows = sorted(_rows(session, after + 1, last, body=True))
        if len(rows) != last - after:
            with self._changed:
                self._check_kept(after)  # trimmed while it was read
            raise CorruptionError(
                f"the log has {len(rows)} entries between {after + 1} and {last}: entries are missing, run an audit"
            )
        return [_entry(Position(row[0]), row[1]) for row in rows]

    def _check_kept(self, after: Position) -> None:
        if after < self._trimmed:
            raise PositionLostError(
                f"the log was trimmed through {self._trimmed}, entries behind {after} are gone: run a backfill"
            )

    def wait(self, after: Position, timeout_s: float) -> bool:
        """Wait until there is an entry behind `after`; False when the time passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: self._head > after, timeout_s)

    def trim(self, through: Position) -> int:
        """Forget entries up to and including `through`, in steps; the head is never forgotten."""
        removed = 0
        while step := self._trim_step(through):
            removed += step
        return removed

    def _trim_step(self, through: Position) -> int:
        with self._writer() as session:
            first = self._trimmed + 1
            last = min(through, self._head - 1, self._trimmed + _TRIM_STEP)
            if last < first:
                return 0
            with written(session):
                session.run(
                    "UNWIND range($first, $last) AS s MATCH (o:_Outbox {_seq: s}) DELETE o", first=first, last=last
                )
                set_meta(session, "trimmed", str(last))
            with self._changed:
                self._trimmed = last
            return last - first + 1

    def advance(self, head: Position) -> None:
        """Make a commit known and wake those who wait."""
        with self._changed:
            self._head = head
            self._changed.notify_all()


@contextmanager
def written(session: Session) -> Iterator[None]:
    """Run the block in a write transaction; any error rolls it back."""
    session.run("BEGIN TRANSACTION")
    try:
        yield
        session.run("COMMIT")
    except BaseException:
        session.rollback()
        raise


def append(session: Session, entries: Sequence[tuple[Position, str]]) -> None:
    """Add numbered entries inside the open transaction."""
    if len(entries) == 1:
        session.run("CREATE (:_Outbox {_seq: $seq, _body: $body})", seq=entries[0][0], body=entries[0][1])
    elif entries:
        rows = [{"seq": seq, "body": body} for seq, body in entries]
        session.run("UNWIND $rows AS r CREATE (:_Outbox {_seq: r.seq, _body: r.body})", rows=rows)


def _rows(session: Session, first: int, last: int, *, body: bool) -> list[Row]:
    columns = "o._seq, o._body" if body else "o._seq"
    statement = f"UNWIND range($first, $last) AS s MATCH (o:_Outbox {{_seq: s}}) RETURN {columns}"
    return session.run(statement, first=first, last=last)


def _entry(position: Position, body: str) -> LogEntry:
    if not body.startswith(RESCAN_PREFIX):
        return PKGEvent.parse(body)
    types = json.loads(body)["rescan"]
    return Rescan(position, None if types is None else frozenset(types))


def get_meta(session: Session, name: str) -> str | None:
    """Return a named value of the graph, None when it was never set."""
    rows = session.run("MATCH (m:_Meta {_name: $name}) RETURN m._value", name=name)
    return rows[0][0] if rows else None


def set_meta(session: Session, name: str, value: str) -> None:
    """Set a named value of the graph."""
    session.run("MERGE (m:_Meta {_name: $name}) SET m._value = $value", name=name, value=value)
