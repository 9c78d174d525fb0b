"""Runs a statement on the mirror. In the child process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import kglite

from slipstream.adapters.cypher.kglite.converting import Shower
from slipstream.adapters.cypher.kglite.mirror import Mirror
from slipstream.adapters.cypher.kglite.planning import Mutation, Planner
from slipstream.adapters.cypher.kglite.worker import too_slow
from slipstream.domain.errors import InvalidInputError, QueryLimitError, UnsupportedError

_ROWS_A_FRAME = 100
_TRIES_MAX = 1000
"""Each try makes one more property of a label known."""
_IMMUTABLE_ID = "Cannot SET node id"
_TOO_MANY_CHANGES = "this cursor is too old"
_RELATIONSHIPS = "MATCH (a {id: $s})-[r:$type]->(b {id: $t}) RETURN r.id AS id"
_ENTITIES = "UNWIND $ids AS i MATCH (n {id: i}) RETURN i AS id, n"


# Optimizer passes: the first miscounts steps without a direction, the second loses groups after OPTIONAL MATCH. Only
# a graph that could be written takes this option: so what only reads runs on a copy too, which is thrown away.
_WRONG_PASSES = ["fuse_match_return_aggregate", "fuse_optional_match_aggregate"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one statement may take."""

    rows: int
    """Rows of an answer, and changes of a statement that writes."""
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Question:
    """A statement, checked and rewritten by the parent."""

    text: str
    parameters: Mapping[str, Any]
    keys: frozenset[str]
    labels: frozenset[str]
    functions: frozenset[str]


def run_query(mirror: Mirror, question: Question, limits: Limits) -> tuple[list[str], Iterator[list[list[Any]]]]:
    """Return the columns and, piece by piece, the rows of a statement that reads."""
    result = _run(mirror, question, limits, lambda: mirror.graph.copy().cypher)
    total = (result.diagnostics or {}).get("total_rows") or len(result)
    if total > limits.rows:
        raise QueryLimitError(f"the answer has {total} rows, at most {limits.rows} are allowed: add LIMIT or count")
    return list(result.columns), _pieces(mirror, result)


def _run(mirror: Mirror, question: Question, limits: Limits, runner: Callable[[], Any]) -> Any:
    """Run a statement; whenever it names an unknown property, make that known and run it again."""
    for _ in range(_TRIES_MAX):
        try:
            return runner()(
                question.text,
                params=dict(question.parameters),
                timeout_ms=limits.timeout_ms,
                row_limit=limits.rows,
                disabled_passes=_WRONG_PASSES,
            )
        except kglite.CypherTimeoutError as error:
            raise QueryLimitError(too_slow(limits.timeout_ms / 1000)) from error
        except kglite.SchemaError as error:
            if not mirror.learn(str(error), question.keys):
                raise _refused(error) from error
        except (kglite.KgError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _refused(error) from error
    raise InvalidInputError("names too many properties that nothing has", field="cypher")


def _refused(error: Exception) -> Exception:
    if _IMMUTABLE_ID in str(error):
        return UnsupportedError("the id of an entity can not change: delete it and create it anew")
    return InvalidInputError(str(error), field="cypher")


def _pieces(mirror: Mirror, result: Any) -> Iterator[list[list[Any]]]:
    columns, shower = list(result.columns), Shower(mirror.marker)
    for start in range(0, len(result), _ROWS_A_FRAME):
        raw = [[row[name] for name in columns] for row in result[start : start + _ROWS_A_FRAME].to_list()]
        rows = [[shower.shown(value) for value in row] for row in raw]
        if shower.missing:
            _find(mirror, shower)
            rows = [[shower.shown(value) for value in row] for row in raw]
        yield rows


def _find(mirror: Mirror, shower: Shower) -> None:
    """Look up the entities of which a result has only the id: starts and ends of relationships."""
    for row in mirror.run(_ENTITIES, ids=sorted(shower.missing)):
        shower.found[row["id"]] = shower.shown(row["n"])
    shower.missing.clear()


def plan_writes(mirror: Mirror, question: Question, limits: Limits) -> list[Mutation]:
    """Run a statement on a copy, which is thrown away, and return its effects as mutations."""
    copies: list[Any] = []
    cursors: list[str] = []

    def on_a_copy() -> Any:
        copy = mirror.graph.copy()
        enabled = copy.cypher("CALL db.cdc.enable({capacity: $n, enrichment: 'full'})", params={"n": limits.rows})
        copies.append(copy)
        cursors.append(enabled.to_list()[0]["cursor"])
        return copy.cypher

    _run(mirror, question, limits, on_a_copy)
    planner = Planner(
        marker=mirror.marker,
        functions=question.functions,
        labels=question.labels,
        known_relationships=lambda source, kind, target: (
            row["id"] for row in mirror.run(_RELATIONSHIPS, s=source, type=kind, t=target)
        ),
    )
    return planner.planned(_changes(copies[-1], cursors[-1], limits))


def _changes(copy: Any, cursor: str, limits: Limits) -> list[dict[str, Any]]:
    try:
        found = copy.cypher("CALL db.cdc.query({from: $c})", params={"c": cursor}, timeout_ms=0)
    except kglite.KgError as error:
        if _TOO_MANY_CHANGES in str(error):
            raise QueryLimitError(
                f"would change more than {limits.rows} entities and relationships: do it in smaller steps"
            ) from error
        raise
    changes: list[dict[str, Any]] = found.to_list()
    return changes
