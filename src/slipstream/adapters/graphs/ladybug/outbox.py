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

Run = tuple[int, int]
"""Two positions: the ends of a range, or of a jump."""

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

    Positions are the table's primary key, so that reading probes the index and never scans. They are dense but for
    the jumps, which are written down: the numbers between the two ends of one do not exist.
    """

    def __init__(self, store: Store, writer: ExclusiveWriter) -> None:
        self._store = store
        self._writer = writer
        self._changed = threading.Condition()
        with store.session() as session:
            self._trimmed = int(get_meta(session, "trimmed") or 0)
            self._head = 0
            self.reload(session)

    def reload(self, session: Session) -> None:
        """Find out from the tables how far the log is."""
        newest = session.run("MATCH (o:_Outbox) RETURN max(o._seq)")[0][0]
        jumps = _jumps_from_json(get_meta(session, "jumps"))
        with self._changed:
            self._jumps = jumps
            self._head = max(newest or 0, self._trimmed)
            self._changed.notify_all()

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
            self._check_kept(after)
            runs = _cut(runs_between(self._jumps, after, self._head), limit)
        if not runs:
            return []
        with self._store.reading() as session:
            rows = sorted(row for first, last in runs for row in _rows(session, first, last, body=True))
        if len(rows) != sum(last - first + 1 for first, last in runs):
            with self._changed:
                self._check_kept(after)  # trimmed while it was read
            raise CorruptionError(
                f"the log has {len(rows)} entries between {runs[0][0]} and {runs[-1][1]}: entries are missing, "
                "run an audit"
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
            runs = runs_between(self._jumps, self._trimmed, min(through, self._head - 1))
            if not runs:
                return 0
            first, last = runs[0][0], min(runs[0][1], runs[0][0] + _TRIM_STEP - 1)
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

    def write_jump(self, session: Session, position: Position) -> None:
        """Write down, inside the open transaction, that the next entry is at `position`, behind a gap."""
        kept = [jump for jump in self._jumps if jump[1] > self._trimmed]
        set_meta(session, "jumps", json.dumps([*kept, (self._head, position)]))


def runs_between(jumps: Sequence[Run], after: int, through: int) -> list[Run]:
    """Return the ranges of numbers that exist behind `after`, up to and including `through`."""
    runs: list[Run] = []
    first = after + 1
    for before, behind in jumps:
        if first <= before:
            runs.append((first, min(before, through)))
        first = max(first, behind)
    return [run for run in (*runs, (first, through)) if run[0] <= run[1]]


def _cut(runs: Sequence[Run], limit: int) -> list[Run]:
    """Return the first `limit` numbers of the ranges."""
    kept: list[Run] = []
    for first, last in runs:
        if limit <= 0:
            break
        kept.append((first, min(last, first + limit - 1)))
        limit -= last - first + 1
    return kept


def _jumps_from_json(text: str | None) -> list[Run]:
    return [(before, behind) for before, behind in json.loads(text or "[]")]


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
