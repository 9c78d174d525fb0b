"""
Making the registry and the relationship ids agree with the tables after writes that did not come through us.

Runs over everything at open when the database was changed while it was closed, and over the touched types after
arbitrary Cypher, inside its transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import count

from slipstream.adapters.graphs.ladybug.catalog import RID_COLUMN, Catalog, adopted_schema, quoted
from slipstream.adapters.graphs.ladybug.codec import MIXED_COLUMN
from slipstream.adapters.graphs.ladybug.store import Session
from slipstream.adapters.graphs.values import check_id
from slipstream.domain.errors import AlreadyExistsError
from slipstream.domain.keys import RelationshipRef
from slipstream.domain.schema import GraphSchema

_LOG = logging.getLogger(__name__)
_STEP = 2000


def own_columns_missing(catalog: Catalog) -> list[str]:
    """Return the statements that add our own columns to tables that somebody else has declared."""
    statements = []
    for name, columns in (*catalog.nodes.items(), *catalog.relationships.items()):
        own = (RID_COLUMN, MIXED_COLUMN) if name in catalog.relationships else (MIXED_COLUMN,)
        statements += [f"ALTER TABLE {quoted(name)} ADD {column} STRING" for column in own if column not in columns]
    return statements


def schema_with_found(schema: GraphSchema, catalog: Catalog, at: datetime) -> GraphSchema | None:
    """Return the next schema version when the database has types or columns that the schema does not know."""
    entity_types, relationship_types = adopted_schema(schema, catalog)
    old = {**schema.entity_types, **schema.relationship_types}
    new = {**entity_types, **relationship_types}
    changed = sorted(name for name in new if name not in old or dict(new[name]) != dict(old[name]))
    if not changed:
        return None
    version = schema.version + 1
    return replace(
        schema,
        version=version,
        entity_types=entity_types,
        relationship_types=relationship_types,
        created_at=at,
        reason=f"found in the database: {', '.join(changed)}",
        type_versions={**schema.type_versions, **dict.fromkeys(changed, version)},
    )


def reconcile_registry(session: Session, types: Iterable[str], *, strict: bool) -> None:
    """
    Make the registry hold exactly the ids that stand in the tables of the given types.

    An id under two types contradicts the contract: `strict` raises `AlreadyExistsError`, else the type that is
    registered first keeps it and a warning names the other.
    """
    missing: list[tuple[str, str]] = []
    for name in sorted(types):
        actual = {row[0] for row in session.run(f"MATCH (n:{quoted(name)}) RETURN n.id")}
        known = {row[0] for row in session.run("MATCH (e:_Registry {_type: $type}) RETURN e._key", type=name)}
        missing += [(entity_id, name) for entity_id in sorted(actual - known)]
        gone = sorted(known - actual)
        for first in range(0, len(gone), _STEP):
            part = gone[first : first + _STEP]
            session.run("UNWIND $ids AS i MATCH (e:_Registry {_key: i}) DELETE e", ids=part)
    for first in range(0, len(missing), _STEP):
        _register(session, missing[first : first + _STEP], strict=strict)


def _register(session: Session, missing: list[tuple[str, str]], *, strict: bool) -> None:
    ids = [entity_id for entity_id, _ in missing]
    rows = session.run("UNWIND $ids AS i MATCH (e:_Registry {_key: i}) RETURN e._key, e._type", ids=ids)
    taken = {row[0]: row[1] for row in rows}
    fresh: dict[str, str] = {}
    for entity_id, name in missing:
        if strict:
            check_id(entity_id, "id")
        other = taken.get(entity_id) or fresh.get(entity_id)
        if other is None:
            fresh[entity_id] = name
        elif strict:
            raise AlreadyExistsError(f"entity {entity_id!r} of {name!r} exists already as {other!r}: ids are unique")
        else:
            _LOG.warning("entity %r stands in %r and in %r: ignoring the latter", entity_id, other, name)
    if fresh:
        created = [{"id": entity_id, "type": name} for entity_id, name in fresh.items()]
        session.run("UNWIND $rows AS r CREATE (:_Registry {_key: r.id, _type: r.type})", rows=created)


def assign_relationship_ids(session: Session, relationship_types: Iterable[str]) -> None:
    """Give every relationship that foreign Cypher has created its id; parallel ones get a discriminator."""
    for name in sorted(relationship_types):
        rows = session.run(
            f"MATCH (a)-[r:{quoted(name)}]->(b) WHERE r.{RID_COLUMN} IS NULL "
            "RETURN DISTINCT label(a), a.id, label(b), b.id"
        )
        for source_type, source, target_type, target in rows:
            between = (
                f"MATCH (a:{quoted(source_type)} {{id: $source}})-[r:{quoted(name)}]->"
                f"(b:{quoted(target_type)} {{id: $target}})"
            )
            _assign_between(session, between, RelationshipRef(name, source, target))


def _assign_between(session: Session, between: str, ref: RelationshipRef) -> None:
    ends = {"source": ref.source_id, "target": ref.target_id}
    rows = session.run(f"{between} RETURN offset(id(r)), r.{RID_COLUMN}", **ends)
    taken = {rid for _, rid in rows if rid is not None}
    numbered = (ref._replace(discriminator="" if number == 1 else str(number)).id for number in count(1))
    free = (rid for rid in numbered if rid not in taken)
    for offset, rid in sorted(rows, key=lambda row: row[0]):
        if rid is None:
            statement = f"{between} WHERE offset(id(r)) = $offset SET r.{RID_COLUMN} = $rid"
            session.run(statement, **ends, offset=offset, rid=next(free))
