"""
Commits: schema first, in a transaction of its own, then data and events together.

Nothing with a schema statement in it is ever rolled back (that damages the open database). A crash between the two
leaves columns without values, which the next open finds and takes into the schema.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from slipstream.adapters.graphs.ladybug.catalog import extension_statements, load_catalog
from slipstream.adapters.graphs.ladybug.codec import rescan_to_json
from slipstream.adapters.graphs.ladybug.opening import newest_schema, store_schema
from slipstream.adapters.graphs.ladybug.outbox import OutboxLog, append, written
from slipstream.adapters.graphs.ladybug.scanning import Change, ScanWindows, changes_of
from slipstream.adapters.graphs.ladybug.snapshot import GraphShape
from slipstream.adapters.graphs.ladybug.store import Session, Store
from slipstream.adapters.graphs.ladybug.writer import PlanWriter, pairs_needed, types_needed
from slipstream.adapters.graphs.staging import EventDraft, Plan, schema_event_draft
from slipstream.domain.entities import Entity, Relationship
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.ports.clock import Clock

logger = logging.getLogger(__name__)

VALUES_SET_MAX = 1_000
"""Values set between two checkpoints: at most about 32 MB of copies, and a checkpoint takes 5 to 100 ms."""
LOG_SIZE_MAX_BYTES = 16 * 1024 * 1024
"""Log written between two checkpoints: what the next open would have to replay."""


class Commits:
    """The one place that moves the graph forward. Used under the write lock only, but for `shape`."""

    def __init__(
        self, store: Store, graph_id: str, shape: GraphShape, log: OutboxLog, windows: ScanWindows, clock: Clock
    ) -> None:
        self.shape = shape
        self._store = store
        self._graph_id = graph_id
        self._log = log
        self._windows = windows
        self._clock = clock
        self._in_doubt = False
        self._values_set = 0

    def commit(self, session: Session, plan: Plan) -> None:
        """Commit a plan: afterwards it is durable, visible and in the log; or nothing of its data is."""
        schema = plan.schema.finish(self._clock.now()) if plan.schema else None
        self._extend(session, plan, schema)
        if plan.is_empty:
            return
        with self._step(session, plan.events, self.shape.schema.version, changes_of(plan)):
            PlanWriter(session, self.shape).write(plan)
        self.relieve(session, _values_set(plan))

    def relieve(self, session: Session, values_set: int) -> None:
        """
        Checkpoint when many values have been set, or much has been written, since the last time.

        For each one the database keeps a copy of the 2,048 values around it (16 to 32 KB) in its buffer pool until
        a checkpoint. Its own come by the size of its log, which is far too late: scattered updates of single
        entities fill the pool first, and then no commit succeeds any more.
        """
        self._values_set += values_set
        if self._values_set < VALUES_SET_MAX and self._store.log_size_bytes < LOG_SIZE_MAX_BYTES:
            return
        try:
            if self._store.checkpoint(session):  # else the next commit tries again
                self._values_set = 0
        except SlipstreamError as error:  # what was committed is safe: the next commit tries again
            logger.warning("the graph could not be checkpointed now: %s", error)

    def adopt(self, session: Session, found: GraphSchema) -> None:
        """Record a schema version that was found in the tables."""
        self._record_schema(session, found)

    def _extend(self, session: Session, plan: Plan, schema: GraphSchema | None) -> None:
        target = schema or self.shape.schema
        statements = list(extension_statements(self.shape.catalog, target, types_needed(plan), pairs_needed(plan)))
        if statements:
            try:
                for statement in statements:
                    session.run(statement)
            finally:
                self.shape = GraphShape(self.shape.schema, load_catalog(session))
        if schema is not None:
            self._record_schema(session, schema)

    def _record_schema(self, session: Session, schema: GraphSchema) -> None:
        with self._step(session, [schema_event_draft(self.shape.schema, schema)], schema.version, ()):
            store_schema(session, schema)
        self.shape = GraphShape(schema, self.shape.catalog)

    @contextmanager
    def _step(
        self, session: Session, drafts: Sequence[EventDraft], version: int, changes: Sequence[Change]
    ) -> Iterator[None]:
        """Run the block and append its events in one transaction."""
        at, head = self._clock.now(), self._log.head()
        events = [
            draft.numbered(self._graph_id, Position(head + number), at, version)
            for number, draft in enumerate(drafts, start=1)
        ]
        with self.entries(session, [event.model_dump_json() for event in events], changes):
            yield

    @contextmanager
    def entries(self, session: Session, bodies: Sequence[str], changes: Sequence[Change] | None) -> Iterator[None]:
        """
        Run the block and append log entries in one transaction; the log's head moves once it has committed.

        `changes` are the keys that come and go by it, None when that is not known.
        """
        head = self._log.head()
        numbered = [(Position(head + number), body) for number, body in enumerate(bodies, start=1)]
        with self._numbered(session, numbered, changes):
            yield

    def advance(self, session: Session, position: Position) -> None:
        """Move the log's head to `position`, with a rescan of everything there; nothing when it is that far."""
        if position <= self._log.head():
            return
        with self._numbered(session, [(position, rescan_to_json(None))], changes=None):
            self._log.write_jump(session, position)
        self._log.reload(session)

    @contextmanager
    def _numbered(
        self, session: Session, numbered: Sequence[tuple[Position, str]], changes: Sequence[Change] | None
    ) -> Iterator[None]:
        self._in_doubt = True
        try:
            with written(session):
                yield
                append(session, numbered)
        except BaseException:
            with suppress(SlipstreamError):  # not now: then before the next commit
                self.settle(session)
            raise
        if changes is None:
            self._windows.forget()
        else:
            self._windows.note(changes)
        if numbered:
            self._log.advance(numbered[-1][0])
        self._in_doubt = False

    def settle(self, session: Session) -> None:
        """Find out whether an interrupted commit happened, before anything builds on it."""
        if self._in_doubt:
            self._windows.forget()
            self.shape = GraphShape(newest_schema(session), load_catalog(session))
            self._log.reload(session)
            self._in_doubt = False


def _values_set(plan: Plan) -> int:
    """Return how many values a plan sets in rows that are there already, with the column of mixed values."""
    pairs: list[tuple[Entity | Relationship | None, Entity | Relationship | None]] = [
        *((change.before, change.after) for change in plan.entities),
        *((change.before, change.after) for change in plan.relationships),
    ]
    return sum(1 + len(old.properties.keys() | new.properties.keys()) for old, new in pairs if old and new)
