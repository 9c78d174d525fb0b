"""What somebody may have meant by an id that no entity has."""

from __future__ import annotations

import shlex
from typing import Any

from slipstream.cli.asking import Asked
from slipstream.domain.errors import SlipstreamError
from slipstream.domain.hints import nearest_few

NEAR_MAX = 3
_LOOKED_AT = 20_000
"""Entities whose names are looked at: of a large graph the first ones only."""
_SPELT_ALIKE = "SELECT id FROM entity WHERE id >= :low AND id < :high LIMIT 500"
_NAMED_SO = """SELECT id FROM (SELECT id, properties FROM entity LIMIT :looked_at)
    WHERE lower(coalesce(properties ->> 'name', properties ->> 'title')) = :name LIMIT :most"""
_LAST = "\U0010ffff"


def near_ids(pkg: Asked, entity_id: str) -> list[str]:
    """Return ids of entities that are named so, or spelt alike; none where that can not be found out."""
    try:
        named = _ids(pkg, _NAMED_SO, name=entity_id.lower(), looked_at=_LOOKED_AT, most=NEAR_MAX)
        starts = {entity_id[:3], entity_id[:3].lower(), entity_id[:3].upper(), entity_id[:3].capitalize()}
        alike = {name for start in sorted(starts) for name in _ids(pkg, _SPELT_ALIKE, low=start, high=start + _LAST)}
    except SlipstreamError:
        return []
    return list(dict.fromkeys([*named, *nearest_few(entity_id, sorted(alike), NEAR_MAX)]))[:NEAR_MAX]


def missing_line(entity_id: str, near: list[str]) -> str:
    """Return what is said of an id that no entity has."""
    meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    return f"there is no entity {entity_id!r}{meant} Look for it with `slipstream search {shlex.quote(entity_id)}`"


def _ids(pkg: Asked, statement: str, **parameters: Any) -> list[str]:
    return [str(row["id"]) for row in pkg.call("pkg.query_sql", statement=statement, parameters=parameters)]
