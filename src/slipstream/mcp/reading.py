"""The tools that read: any open PKG answers them, and one in an incident answers what it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from slipstream.app.client.facade import RemoteSlipstream
from slipstream.app.reading_facts import Facts
from slipstream.app.slipstream import Slipstream
from slipstream.domain.entities import Entity, Relationship
from slipstream.domain.errors import IncidentError, InvalidInputError, NotFoundError
from slipstream.domain.incidents import Incident
from slipstream.domain.positions import Position
from slipstream.domain.schema import GraphSchema
from slipstream.mcp import arguments, results
from slipstream.mcp.shortening import as_text, fitted, shortened, shown_properties, shown_value, visible
from slipstream.search.hits import SearchHit, SearchResults, entity_name
from slipstream.search.options import SearchArguments
from slipstream.search.telling import hit_told, lack_told, search_told

NAME_MAX = 200
_HIT_NEIGHBOURS_MAX = 20
_TYPES_MAX, _TYPE_PROPERTIES_MAX = 200, 100
_SEARCH_TIMEOUT_S = 10.0
_LINE_MAX = 600
"""Characters of one line that explains."""

R = TypeVar("R", bound=results.Result)


def named(name: str) -> str:
    """Return a record's name for an answer."""
    return shortened(name, NAME_MAX)


def marked(slipstream: Slipstream, result: R) -> R:
    """Say in an answer that is read from the graph alone whether graph and index are in an incident."""
    facts = Facts()
    found = facts.read("incident", lambda: _incident(slipstream))
    result.degraded += [*([found.line] if found else []), *(f"{name}: {why}" for name, why in facts.unknown.items())]
    return result


def _incident(slipstream: Slipstream) -> Incident | None:
    """Return the incident that the engine has found, or that the graph tells of before the engine has looked."""
    found = slipstream.incident
    if found is None and not isinstance(slipstream, RemoteSlipstream):  # a server has looked at both
        try:
            slipstream.pkg.feed.head()
        except IncidentError as error:
            return error.incident
    return found


def search(slipstream: Slipstream, asked: arguments.Search) -> results.SearchResult:
    """Return the records that fit a text best."""
    options = _options(asked)
    of_hits: SearchArguments = {**options, "expand": asked.expand, "explain": asked.explain}
    found = slipstream.search(asked.text, asked.k, **of_hits)
    told = None
    if asked.why_not is not None:
        why_not = slipstream.why_not(asked.text, asked.why_not, asked.k, **options)
        told = visible(f"{why_not.reason}: {why_not.line}")
    relationship_types = _relationship_types(slipstream)
    return fitted(
        lambda items, length: _search_result(found, asked, relationship_types, items, length).model_copy(
            update={"why_not": told}
        ),
        max(1, len(found.hits)),
        asked.text_max,
        "ask for fewer hits, or `get` one",
    )


def _options(asked: arguments.Search) -> SearchArguments:
    return {
        "mode": asked.mode,
        "entity_type": asked.entity_type,
        "after": None if asked.after is None else Position(asked.after),
        "since": asked.since,
        "until": asked.until,
        "sort": asked.sort,
        "min_confidence": asked.min_confidence,
        "source": asked.source,
        "timeout_s": _SEARCH_TIMEOUT_S,
    }


def _search_result(
    found: SearchResults,
    asked: arguments.Search,
    relationship_types: frozenset[str],
    items: int,
    length: int,
) -> results.SearchResult:
    less = len(found.hits) - items
    explained = None if found.explanation is None else search_told(asdict(found.explanation), found.frontiers)
    return results.SearchResult(
        hits=[_hit(hit, asked, hit.entity_type in relationship_types, length) for hit in found.hits[:items]],
        frontier=found.frontier,
        degraded=_degraded(found),
        asked=None if explained is None else [shortened(line, _LINE_MAX) for line in explained],
        left_out=f"the last {less} hits do not fit: ask for fewer, or shorter texts" if less > 0 else None,
    )


def _degraded(found: SearchResults) -> list[str]:
    """Return a line for each thing that an answer lacks: once, where an incident or a model says more of it."""
    told = [*([found.incident.line] if found.incident else []), *(model.line for model in found.unasked)]
    said = {"graph", "vector" if found.unasked else "", *(f"vector:{model.model_id}" for model in found.unasked)}
    return [*told, *(lack_told(tag) for tag in found.degraded if tag not in said)]


def _hit(hit: SearchHit, asked: arguments.Search, is_relationship: bool, length: int) -> results.Hit:
    why = None if hit.explanation is None else asdict(hit.explanation)
    return results.Hit(
        id=hit.entity_id,
        kind="relationship" if is_relationship else "entity",
        type=hit.entity_type,
        score=round(hit.score, 4),
        name=named(hit.name),
        text=shortened(hit.text, length),
        text_length=len(hit.text),
        model_id=hit.model_id,
        position=hit.position,
        neighbours=_near(hit) if asked.expand else None,
        why=None if why is None else shortened(hit_told(why), _LINE_MAX),
        snippet=shortened(why["snippet"], length) if why and why["snippet"] else None,
        **(shown_properties(hit.properties, length) if asked.with_properties else {}),
    )


def _near(hit: SearchHit) -> list[results.NeighbourOfHit]:
    return [
        results.NeighbourOfHit(
            entity_id=near.entity_id,
            entity_type=near.entity_type,
            name=named(near.name),
            relationship_type=near.relationship_type,
            direction=str(near.direction),
            hops=near.hops,
        )
        for near in hit.neighbours[:_HIT_NEIGHBOURS_MAX]
    ]


def _relationship_types(slipstream: Slipstream) -> frozenset[str]:
    """Return the types of relationships; none when, in an incident, there is no graph to ask."""
    schema = Facts().read("schema", slipstream.pkg.schema)
    return frozenset() if schema is None else frozenset(schema.relationship_types)


def get(slipstream: Slipstream, asked: arguments.Get) -> results.GetResult:
    """Return one entity or relationship, or a part of one of its texts."""
    head, properties = _found(slipstream, asked)
    if asked.property is not None:
        return marked(slipstream, _part(head, properties, asked))
    return marked(
        slipstream,
        fitted(
            lambda _, length: head.model_copy(update=shown_properties(properties, length)),
            1,
            asked.text_max,
            "ask for one `property`",
        ),
    )


def _found(slipstream: Slipstream, asked: arguments.Get) -> tuple[results.GetResult, Mapping[str, Any]]:
    if asked.kind != "relationship":
        try:
            return _of_entity(slipstream.get(asked.id))
        except NotFoundError:
            if asked.kind == "entity":
                raise
    try:
        return _of_relationship(slipstream.relationship(asked.id))
    except (NotFoundError, InvalidInputError):
        if asked.kind == "relationship":
            raise
    raise NotFoundError(f"there is no entity and no relationship {asked.id!r}")


def _of_entity(entity: Entity) -> tuple[results.GetResult, Mapping[str, Any]]:
    head = results.GetResult(id=entity.id, kind="entity", type=entity.type, name=named(entity_name(entity)))
    return head, entity.properties


def _of_relationship(relationship: Relationship) -> tuple[results.GetResult, Mapping[str, Any]]:
    ref = relationship.ref
    head = results.GetResult(
        id=ref.id,
        kind="relationship",
        type=ref.type,
        name=named(f"{ref.source_id} -[{ref.type}]-> {ref.target_id}"),
        source_id=ref.source_id,
        target_id=ref.target_id,
    )
    return head, relationship.properties


def _part(head: results.GetResult, properties: Mapping[str, Any], asked: arguments.Get) -> results.GetResult:
    name = asked.property or ""
    if name not in properties:
        raise NotFoundError(f"{head.kind} {head.id!r} has no property {name!r}: `get` it without `property`")
    text = as_text(properties[name])
    # Without `text_max` a part may be longer than a text among others is.
    length = asked.text_max if "text_max" in asked.model_fields_set else arguments.SHOWN_MAX
    end = asked.offset + max(1, length)
    update = {
        "part": visible(text[asked.offset : end]),
        "part_of": len(text),
        "next_offset": end if end < len(text) else None,
    }
    return head.model_copy(update=update)


def neighbours(slipstream: Slipstream, asked: arguments.Neighbours) -> results.NeighboursResult:
    """Return a page of the relationships of an entity, with what is at their other ends."""

    def make(items: int, length: int) -> results.NeighboursResult:
        page = slipstream.neighbours(
            asked.id,
            relationship_type=asked.relationship_type,
            direction=asked.direction,
            after=asked.after,
            limit=items,
        )
        rows = [
            results.NeighbourRow(
                relationship_id=row.relationship_id,
                relationship_type=row.relationship_type,
                direction=str(row.direction),
                entity_id=row.entity_id,
                entity_type=row.entity_type,
                name=named(row.name),
                **(shown_properties(row.properties, length) if row.properties else {}),
            )
            for row in page.items
        ]
        return results.NeighboursResult(items=rows, next=page.next)

    return marked(slipstream, fitted(make, asked.limit, asked.text_max, "`get` a relationship"))


def query(slipstream: Slipstream, asked: arguments.Query) -> results.QueryResult:
    """Return the rows of a read-only Cypher query, the first of them when there are many."""
    rows = slipstream.pkg.query(asked.cypher, **asked.parameters)
    columns = list(rows[0]) if rows else []

    def make(items: int, length: int) -> results.QueryResult:
        shown = [[shown_value(value, length) for value in row.values()] for row in rows[:items]]
        less = len(rows) - items
        left_out = f"{less} rows: use ORDER BY with SKIP and LIMIT, or count" if less > 0 else None
        return results.QueryResult(
            columns=columns,
            rows=[[value for value, _ in row] for row in shown],
            total_rows=len(rows),
            cut_values=sum(whole is not None for row in shown for _, whole in row),
            left_out=left_out,
        )

    return marked(slipstream, fitted(make, asked.limit, asked.text_max, "ask for fewer columns"))


def changes(slipstream: Slipstream, asked: arguments.Changes) -> results.ChangesResult:
    """Return a page of the graph's log."""
    after = asked.after
    if after is None:
        after = max(0, slipstream.pkg.feed.head() - asked.limit)

    def make(items: int, _: int) -> results.ChangesResult:
        page = slipstream.changes(Position(after), limit=items)
        rows = [
            results.ChangeRow(
                position=change.position,
                kind=change.kind,
                id=change.id,
                type=change.type,
                source_id=change.source_id,
                target_id=change.target_id,
                changed=None if change.changed is None else list(change.changed),
                committed_at=None if change.committed_at is None else change.committed_at.isoformat(),
            )
            for change in page.items
        ]
        return results.ChangesResult(items=rows, next=page.next, head=page.head)

    return marked(slipstream, fitted(make, asked.limit, 0, "go on at `next`"))


def status(slipstream: Slipstream, asked: arguments.Status) -> results.StatusResult:
    """Return how far the index is behind, what is wrong, and how much there is; each fact is read by itself."""
    facts = Facts()
    engine = facts.read("engine", slipstream.status)
    incident = facts.read("incident", lambda: _incident(slipstream))
    watching = facts.read("watch", slipstream.watch.summary)
    counts = facts.read("counts", slipstream.pkg.counts)
    schema = facts.read("schema", slipstream.pkg.schema)
    degraded = [f"outage: {engine.outage}"] if engine and engine.outage else []
    degraded += [f"halted: {engine.halted}"] if engine and engine.halted and not incident else []
    degraded += [f"dead: {engine.dead}"] if engine and engine.dead else []
    degraded += [incident.line] if incident else []
    return results.StatusResult(
        head=engine and engine.head,
        frontier=engine and engine.frontier,
        lag_s=engine and round(engine.lag_s, 3),
        pending=engine and engine.pending,
        dead_letters=engine and engine.dead_letters,
        entities=_counted(counts, schema.entity_types if schema else None),
        relationships=_counted(counts, schema.relationship_types if schema else None),
        firing_alerts=[f"{alert['rule']}: {alert['message']}" for alert in (watching or {}).get("firing", [])],
        ways_on=list(incident.ways) if incident else None,
        unknown=dict(facts.unknown) or None,
        degraded=[visible(line) for line in degraded],
        schema=_schema(schema) if schema and asked.with_schema else None,
    )


def _counted(counts: Mapping[str, int] | None, types: Mapping[str, object] | None) -> dict[str, int] | None:
    if counts is None or types is None:
        return None
    largest = sorted(((counts.get(name, 0), name) for name in types), reverse=True)[:_TYPES_MAX]
    return {name: count for count, name in largest}


def shown_schema(slipstream: Slipstream) -> results.Schema:
    """Return the schema in force, for an answer."""
    return _schema(slipstream.pkg.schema())


def _schema(schema: GraphSchema) -> results.Schema:
    return results.Schema(
        version=schema.version,
        entity_types=_types(schema.entity_types),
        relationship_types=_types(schema.relationship_types),
    )


def _types(types: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {name: dict(_first(properties)) for name, properties in sorted(types.items())[:_TYPES_MAX]}


def _first(properties: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    return sorted(properties.items())[:_TYPE_PROPERTIES_MAX]
