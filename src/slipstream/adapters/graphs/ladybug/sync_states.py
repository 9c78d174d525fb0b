"""
The sync view as a node table of the same database: readable by anyone's Cypher, written by nobody but the engine.

Rows are replaced by delete and create, not by SET: for every column that is set in scattered rows the database keeps
a copy of 2,048 values in memory, until its next checkpoint, and would so fill its buffer pool.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from slipstream.adapters.graphs.ladybug.codec import as_parameter, plain
from slipstream.adapters.graphs.ladybug.outbox import ExclusiveWriter, written
from slipstream.adapters.graphs.ladybug.store import Session, Store
from slipstream.domain.errors import ConfigError
from slipstream.domain.positions import Position
from slipstream.ports.sync_states import SYNC_VIEW, EntitySync, SyncState

COLUMNS: Mapping[str, str] = {
    "entity_id": "STRING",
    "entity_type": "STRING",
    "state": "STRING",
    "model_id": "STRING",
    "schema_version": "INT64",
    "position": "INT64",
    "embedded_at": "TIMESTAMP",
    "last_verified": "TIMESTAMP",
}
"""Not `id`: so an untyped `MATCH (n) WHERE n.id = …` never means a row of the view, nor is it taken for an entity."""

_ROWS_PER_COMMIT = 64
_VERIFIED_PER_COMMIT = 500
_SHOWN = ", ".join(f"s.{name}" for name in COLUMNS)

T = TypeVar("T")


def create_sync_view(session: Session) -> bool:
    """Create the table when it is not there; False when a type of the user's has taken its name."""
    for name, kind in session.run("CALL show_tables() RETURN name, type"):
        if name.casefold() == SYNC_VIEW.casefold():
            return kind == "NODE" and _is_ours(session, name)
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    session.run(f"CREATE NODE TABLE {SYNC_VIEW}({columns}, PRIMARY KEY (entity_id))")
    return True


def _is_ours(session: Session, name: str) -> bool:
    info = session.run(f"CALL table_info('{name}') RETURN *")
    return {column[1]: column[2] for column in info} == dict(COLUMNS)


def digest(session: Session, *, contents: bool) -> list[Any]:
    """Return what changes when rows come or go, and with `contents` also when a value does."""
    digested = ", sum(hash(properties(s)) % 1000000007)" if contents else ""
    return session.run(f"MATCH (s:{SYNC_VIEW}) RETURN count(*){digested}")[0]


class LadybugSyncStates:
    """The rows of the sync view; see `ports.sync_states.SyncStates`."""

    def __init__(self, store: Store, writer: ExclusiveWriter, *, is_ours: bool) -> None:
        self._store = store
        self._writer = writer
        self.is_ours = is_ours
        """False when the graph has a type of the user's by the name of the view: then there is none."""

    def put(self, states: Iterable[SyncState]) -> None:
        """Add or replace rows by entity id."""
        self.check_name()
        latest = {state.entity_id: state for state in states}
        for part in _parts(list(latest.values()), _ROWS_PER_COMMIT):
            with self._writer() as session, written(session):
                _delete(session, [state.entity_id for state in part])
                for columns, rows in _by_columns(part).items():
                    given = ", ".join(f"{name}: r.{name}" for name in columns)
                    session.run(f"UNWIND $rows AS r CREATE (:{SYNC_VIEW} {{{given}}})", rows=rows)

    def remove(self, entity_ids: Iterable[str]) -> None:
        """Forget the rows of these entities."""
        self.check_name()
        for part in _parts(list(dict.fromkeys(entity_ids)), _ROWS_PER_COMMIT):
            with self._writer() as session, written(session):
                _delete(session, part)

    def mark_verified(self, at: datetime, except_ids: Collection[str] = (), limit: int | None = None) -> int:
        """Set `last_verified` of fresh rows but those of `except_ids`."""
        self.check_name()
        moment, excluded = as_parameter(at), frozenset(except_ids)
        older = "(s.last_verified IS NULL OR s.last_verified < $at)"
        page = "" if limit is None else f" LIMIT {limit + len(excluded)}"
        with self._store.reading() as session:
            rows = session.run(
                f"MATCH (s:{SYNC_VIEW}) WHERE s.state = $fresh AND {older} RETURN s.entity_id{page}",
                fresh=EntitySync.FRESH.value,
                at=moment,
            )
        due = [row[0] for row in rows if row[0] not in excluded][:limit]
        # Asked again for each row: it may have changed since. Neighbours in the table, so SET is cheap here.
        statement = (
            f"UNWIND $ids AS i MATCH (s:{SYNC_VIEW} {{entity_id: i}}) WHERE s.state = $fresh AND {older} "
            "SET s.last_verified = $at"
        )
        for part in _parts(due, _VERIFIED_PER_COMMIT):
            with self._writer() as session, written(session):
                session.run(statement, ids=part, fresh=EntitySync.FRESH.value, at=moment)
        return len(due)

    def read(self, entity_ids: Sequence[str]) -> Mapping[str, SyncState]:
        """Return the rows of these entities by id."""
        self.check_name()
        if not entity_ids:
            return {}
        statement = f"UNWIND $ids AS i MATCH (s:{SYNC_VIEW} {{entity_id: i}}) RETURN {_SHOWN}"
        with self._store.reading() as session:
            rows = session.run(statement, ids=list(dict.fromkeys(entity_ids)))
        return {row[0]: _state(row) for row in rows}

    def find(self, state: EntitySync, limit: int) -> Sequence[SyncState]:
        """Return the first rows in a state, ordered by entity id."""
        self.check_name()
        statement = (
            f"MATCH (s:{SYNC_VIEW}) WHERE s.state = $state RETURN {_SHOWN} ORDER BY s.entity_id LIMIT {max(limit, 0)}"
        )
        with self._store.reading() as session:
            return [_state(row) for row in session.run(statement, state=state.value)]

    def counts(self) -> Mapping[EntitySync, int]:
        """Return how many rows there are in each state."""
        self.check_name()
        with self._store.reading() as session:
            rows = session.run(f"MATCH (s:{SYNC_VIEW}) RETURN s.state, count(*)")
        return {EntitySync(row[0]): row[1] for row in rows}

    def prune(self, limit: int) -> int:
        """Forget up to `limit` rows whose entity the graph does not hold."""
        self.check_name()
        unregistered = "NOT EXISTS { MATCH (e:_Registry {_key: s.entity_id}) }"
        statement = f"MATCH (s:{SYNC_VIEW}) WHERE {unregistered} RETURN s.entity_id LIMIT {max(limit, 0)}"
        with self._store.reading() as session:
            gone = [row[0] for row in session.run(statement)]
        for part in _parts(gone, _ROWS_PER_COMMIT):
            with self._writer() as session, written(session):
                back = session.run("UNWIND $ids AS i MATCH (e:_Registry {_key: i}) RETURN e._key", ids=part)
                _delete(session, sorted(set(part) - {row[0] for row in back}))
        return len(gone)

    def check_name(self) -> None:
        """Raise `ConfigError` when a type of the user's has the name of the view."""
        if not self.is_ours:
            raise ConfigError(
                f"the graph has a type of its own named {SYNC_VIEW}: set [graph] sync_states = false, or rename it"
            )


def _delete(session: Session, entity_ids: Sequence[str]) -> None:
    if entity_ids:
        session.run(f"UNWIND $ids AS i MATCH (s:{SYNC_VIEW} {{entity_id: i}}) DELETE s", ids=list(entity_ids))


def _by_columns(states: Sequence[SyncState]) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """Group rows by the columns that they fill: a null among the parameters has no type that the driver can use."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for state in states:
        values = {name: getattr(state, name) for name in COLUMNS}
        row = {name: as_parameter(value) for name, value in values.items() if value is not None}
        row["state"] = state.state.value
        groups.setdefault(tuple(row), []).append(row)
    return groups


def _state(row: Sequence[Any]) -> SyncState:
    entity_id, entity_type, state, model_id, schema_version, position, embedded_at, last_verified = row
    return SyncState(
        entity_id,
        entity_type,
        EntitySync(state),
        model_id,
        schema_version,
        None if position is None else Position(position),
        plain(embedded_at),
        plain(last_verified),
    )


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
