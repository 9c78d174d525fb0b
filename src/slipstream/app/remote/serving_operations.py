"""
What a client far away may ask for beyond the table of operations: what guests read and write by themselves.

A guest has the graph's file; a client of a server has nothing, so it asks for every read and every commit. These rows
are performed at once, never kept as requests, and bounded: in rows, in bytes, and in how long they wait.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from slipstream.app.remote.codec import Signature
from slipstream.app.remote.failures import raised_error, told_error
from slipstream.app.remote.graph_values import Cell, SentIncident, SentSnapshot
from slipstream.app.remote.operations import OPERATIONS, Operation
from slipstream.app.slipstream import Slipstream
from slipstream.audit.sealing import PublicKey
from slipstream.domain.audits import Finding, KeptAudit
from slipstream.domain.entities import Adjacency, EntityPage, Hop, KeyedType, PropertyValue
from slipstream.domain.errors import InvalidInputError, QueryLimitError, SlipstreamError, UnsupportedError
from slipstream.domain.events import PKGEvent
from slipstream.domain.incidents import Adoption
from slipstream.domain.keys import RecordKey
from slipstream.domain.log import Rescan
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.domain.stamps import Stamp
from slipstream.domain.work import DeadLetter
from slipstream.ports.graph import GraphMutations
from slipstream.search.explanations import WhyNot
from slipstream.search.hits import SearchResults
from slipstream.signing.chains import AUDITS_MAX
from slipstream.views.checks import DEPTH_MAX, LIMIT_MAX

ROWS_MAX = 10_000
"""Rows that one call returns, keys that it names, mutations that it commits."""
WAIT_MAX_S = 5.0
"""How long one call waits: whoever wants to wait longer asks again."""
SEARCH_MAX_S = 10.0
"""The same for a search, which waits for a commit."""

Limit = Annotated[int, Field(ge=1, le=ROWS_MAX)]
Row = dict[str, PropertyValue]
MutationName = Literal[
    "create_entity",
    "update_entity",
    "upsert_entity",
    "delete_entity",
    "relate",
    "update_relationship",
    "unrelate",
]
_MUTATIONS: Mapping[str, Signature] = {
    name: Signature(getattr(GraphMutations, name), name) for name in get_args(MutationName)
}


@dataclass(frozen=True, slots=True)
class Mutation:
    """One call of a `GraphTransaction`, its arguments as JSON tells them; made by `mutation`."""

    op: MutationName
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a commit of mutations came to."""

    position: Position
    ids: tuple[str | None, ...]
    """For each mutation the id of the relationship that it made, else None."""
    is_repeated: bool = False
    """Nothing was done: an earlier commit had the same event id."""


def mutation(op: MutationName, *args: object, **kwargs: object) -> Mutation:
    """Return a call of a transaction as it is sent; raises `TypeError` as that call would."""
    text, _ = _MUTATIONS[op].arguments_as_json(args, kwargs)
    return Mutation(op, json.loads(text)["arguments"])


# ---------------------------------------------------------------------- reading the graph


def read(slipstream: Slipstream, keys: Sequence[RecordKey], hops: Mapping[str, Sequence[Hop]]) -> SentSnapshot:
    """Read the state of some keys, and no more of what is around them than views may show: `PKG.read`."""
    for hop in (hop for each in hops.values() for hop in each):
        if not (1 <= hop.depth <= DEPTH_MAX and 0 <= hop.limit <= LIMIT_MAX):
            raise InvalidInputError(
                f"may have a depth of 1 to {DEPTH_MAX}, and a limit up to {LIMIT_MAX:,}", field="hops"
            )
    around = max((sum(hop.limit for hop in each) for each in hops.values()), default=0)
    if len(keys) * around > 10 * ROWS_MAX:
        raise QueryLimitError(f"{len(keys):,} keys with {around:,} neighbours each: ask for less")
    return slipstream.pkg.read(_few(keys, "keys"), hops)


def scan(
    slipstream: Slipstream, after: RecordKey | None, limit: Limit, relationship_types: Sequence[str] | None = None
) -> Sequence[KeyedType]:
    """Return the next keys: `PKG.scan`."""
    return slipstream.pkg.scan(after, limit, relationship_types)


def of_type(slipstream: Slipstream, entity_type: str, after: str | None, limit: Limit) -> EntityPage:
    """Return the next entities of a type: `PKG.of_type`."""
    return slipstream.pkg.of_type(entity_type, after, limit)


def adjacent(
    slipstream: Slipstream,
    entity_ids: Sequence[str],
    hop_types: frozenset[str] | None,
    after: Adjacency | None,
    limit: Limit,
) -> Sequence[Adjacency]:
    """Return relationships of some entities: `PKG.adjacent`."""
    return slipstream.pkg.adjacent(_few(entity_ids, "entity_ids"), hop_types, after, limit)


def nearby(slipstream: Slipstream, entity_ids: Sequence[str], limit: Limit) -> Sequence[Adjacency]:
    """Return the first relationships of each entity: `PKG.nearby`."""
    if len(entity_ids) * limit > 10 * ROWS_MAX:
        raise QueryLimitError(f"{len(entity_ids):,} entities with {limit:,} relationships each: ask for less")
    return slipstream.pkg.nearby(_few(entity_ids, "entity_ids"), limit)


def schema(slipstream: Slipstream) -> GraphSchema:
    """Return the current schema version."""
    return slipstream.pkg.schema()


def schema_at(slipstream: Slipstream, version: int) -> GraphSchema | None:
    """Return an older schema version."""
    return slipstream.pkg.schema_at(version)


def counts(slipstream: Slipstream, relationship_types: Sequence[str] | None = None) -> Mapping[str, int]:
    """Return how many entities and relationships there are: `PKG.counts`."""
    return slipstream.pkg.counts(relationship_types)


def query(slipstream: Slipstream, cypher: str, parameters: Row) -> list[dict[str, Cell]]:
    """Run read-only Cypher: `PKG.query`."""
    return slipstream.pkg.query(cypher, **parameters)


def query_sql(slipstream: Slipstream, statement: str, parameters: Row) -> list[dict[str, Cell]]:
    """Run read-only SQL: `PKG.query_sql`."""
    return slipstream.pkg.query_sql(statement, **parameters)


def head(slipstream: Slipstream) -> Position:
    """Return the position of the newest entry of the log."""
    return slipstream.pkg.feed.head()


def read_feed(slipstream: Slipstream, after: Position, limit: Limit) -> Sequence[PKGEvent | Rescan]:
    """Return the next entries of the log: `ChangeFeed.read`."""
    return slipstream.pkg.feed.read(after, limit)


def wait_feed(slipstream: Slipstream, after: Position, timeout_s: float) -> bool:
    """Wait for an entry behind a position, for some seconds at most: `ChangeFeed.wait`."""
    return slipstream.pkg.feed.wait(after, _bounded(timeout_s))


# ---------------------------------------------------------------------- writing the graph


def commit(slipstream: Slipstream, mutations: Sequence[Mutation], event_id: str | None = None) -> Commit:
    """Do mutations in one transaction, all or nothing; with `event_id` once, however often it is asked for."""
    calls = [(step.op, _arguments(slipstream, step)) for step in _few(mutations, "mutations")]
    ids: list[str | None] = []
    with slipstream.pkg.transaction() as tx:
        is_repeated = event_id is not None and not tx.once(event_id)
        if not is_repeated:
            for number, (op, arguments) in enumerate(calls, 1):
                with _named(f"mutation {number} of {len(calls)} ({op})" if len(calls) > 1 else ""):
                    made = getattr(tx, op)(**arguments)  # a name of the table
                ids.append(made if op == "relate" else None)
    return Commit(position=tx.position, ids=tuple(ids), is_repeated=is_repeated)


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Say in an error which mutation it is of, unless there is only one."""
    try:
        yield
    except SlipstreamError as error:
        if not what:
            raise
        told = told_error(error)
        raise raised_error({**told, "message": f"{what}: {told['message']}"}) from error


def _arguments(slipstream: Slipstream, step: Mutation) -> dict[str, Any]:
    return _MUTATIONS[step.op].decoded(step.arguments, slipstream.audits)


def execute(slipstream: Slipstream, cypher: str, parameters: Row) -> Position:
    """Run Cypher that writes: `PKG.execute`."""
    return slipstream.pkg.execute(cypher, **parameters)


# ---------------------------------------------------------------------- the index and its upkeep


def scan_index(slipstream: Slipstream, after: RecordKey | None, limit: Limit) -> Sequence[Stamp]:
    """Return the next records of the index: `VectorIndex.scan`."""
    return slipstream.store.index.scan(after, limit)


def wait(slipstream: Slipstream, position: Position, timeout_s: float) -> bool:
    """Wait until a position is in the index, for some seconds at most: `Sync.wait`."""
    return slipstream.sync.wait(position, _bounded(timeout_s))


def wait_for_some(slipstream: Slipstream, position: Position, models: Sequence[str], timeout_s: float) -> bool:
    """Wait until a position is in the index for some models, for some seconds at most: `Sync.wait_for_some`."""
    return slipstream.sync.wait_for_some(position, models, _bounded(timeout_s))


def _search(slipstream: Slipstream, *, timeout_s: float = SEARCH_MAX_S, **arguments: Any) -> SearchResults:
    return slipstream.search(**arguments, timeout_s=min(timeout_s, SEARCH_MAX_S))


def _why_not(slipstream: Slipstream, *, timeout_s: float = SEARCH_MAX_S, **arguments: Any) -> WhyNot:
    return slipstream.why_not(**arguments, timeout_s=min(timeout_s, SEARCH_MAX_S))


def incident(slipstream: Slipstream) -> SentIncident:
    """Return why graph and index do not belong together; None when they do."""
    return slipstream.incident


def refused_recipe(slipstream: Slipstream) -> str | None:
    """Return why the declared recipe was not put in force, None when it was."""
    return slipstream.refused_recipe


def adoption(slipstream: Slipstream) -> Adoption:
    """Return the counts of both sides, for a decision about `adopt`."""
    return slipstream.adoption()


def list_dead_letters(slipstream: Slipstream, ids: Sequence[str] | None = None) -> list[DeadLetter]:
    """Return the dead letters: all, or those with these ids."""
    return slipstream.list_dead_letters(ids)


def letters(slipstream: Slipstream, after: str | None, limit: Limit) -> Sequence[DeadLetter]:
    """Return the next dead letters."""
    return slipstream.dead_letters.letters(after, limit)


def kept_audits(slipstream: Slipstream, before: int | None, limit: Limit) -> Sequence[KeptAudit]:
    """Return kept audits, newest first: `AuditLog.audits`."""
    return slipstream.audits.audits(before, limit)


def kept_audit(slipstream: Slipstream, audit_id: int) -> KeptAudit | None:
    """Return one kept audit: `AuditLog.audit`."""
    return slipstream.audits.audit(audit_id)


def findings(
    slipstream: Slipstream, audit_id: int, after: Finding | None, limit: Limit, kind: str | None = None
) -> Sequence[Finding]:
    """Return what a kept audit found: `AuditLog.findings`."""
    return slipstream.audits.findings(audit_id, after, limit, kind)


def public_key(slipstream: Slipstream) -> PublicKey:
    """Return the public half of the PKG's signing key: `Evidence.public_key`."""
    return slipstream.evidence.public_key()


def evidence_chain(slipstream: Slipstream, limit: Annotated[int, Field(ge=1, le=AUDITS_MAX)]) -> dict[str, Any]:
    """Return the newest audits as one signed document: `Evidence.chain`."""
    return slipstream.evidence.chain(limit)


def trend(slipstream: Slipstream) -> list[dict[str, Any]]:
    """Return the kept runs of quality, oldest first: `Quality.trend`."""
    return slipstream.quality.trend()


def _few(named: Sequence[Any], field: str) -> Sequence[Any]:
    if len(named) > ROWS_MAX:
        raise InvalidInputError(f"are {len(named):,}: at most {ROWS_MAX:,} at a time", field=field)
    return named


def _bounded(timeout_s: float) -> float:
    return min(max(0.0, timeout_s), WAIT_MAX_S)


def _row(name: str, function: Any, scope: str = "read") -> Operation:
    return Operation(name=name, declared=function, perform=function, scope=scope)


_TABLE: Iterable[Operation] = (
    _row("pkg.read", read),
    _row("pkg.scan", scan),
    _row("pkg.of_type", of_type),
    _row("pkg.adjacent", adjacent),
    _row("pkg.nearby", nearby),
    _row("pkg.schema", schema),
    _row("pkg.schema_at", schema_at),
    _row("pkg.counts", counts),
    _row("pkg.query", query),
    _row("pkg.query_sql", query_sql),
    _row("pkg.feed.head", head),
    _row("pkg.feed.read", read_feed),
    _row("pkg.feed.wait", wait_feed),
    _row("pkg.commit", commit, "write"),
    _row("pkg.execute", execute, "write"),
    Operation(name="search", declared=Slipstream.search, perform=_search, scope="read"),
    Operation(name="why_not", declared=Slipstream.why_not, perform=_why_not, scope="read"),
    _row("store.index.scan", scan_index),
    _row("sync.wait", wait),
    _row("sync.wait_for_some", wait_for_some),
    _row("incident", incident),
    _row("refused_recipe", refused_recipe),
    _row("adoption", adoption),
    _row("list_dead_letters", list_dead_letters),
    _row("dead_letters.letters", letters),
    _row("audits.audits", kept_audits),
    _row("audits.audit", kept_audit),
    _row("audits.findings", findings),
    _row("evidence.public_key", public_key),
    _row("evidence.chain", evidence_chain),
    _row("quality.trend", trend),
)
SERVED: Mapping[str, Operation] = {operation.name: operation for operation in _TABLE}


def operation_served(name: str) -> Operation:
    """
    Return the row of what may be asked for directly.

    Raises `UnsupportedError` for a name that is in no table, or for what takes long: that is asked for as a request.
    """
    found = SERVED.get(name) or OPERATIONS.get(name)
    if found is None:
        raise UnsupportedError(f"{name} is nothing that a client can ask for: it may be of another version")
    if found.is_long:
        raise UnsupportedError(f"{name} may take long: ask for it as a request (POST /v1/requests)")
    return found
