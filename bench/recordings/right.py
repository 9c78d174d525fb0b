"""What is right in the end: the rows as PostgreSQL itself gives them."""

from __future__ import annotations

import json
from typing import Any

from bench.recordings.place import Postgres
from bench.recordings.shapes import Shape

_COLUMNS = """
SELECT json_object_agg(a.attname, format_type(
    coalesce(nullif(t.typbasetype, 0), t.oid), CASE WHEN t.typbasetype = 0 THEN a.atttypmod ELSE t.typtypmod END
) ORDER BY a.attnum)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = '{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""
_KEY = """
SELECT coalesce(json_agg(a.attname ORDER BY k.position), '[]')
FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, position)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = '{table}'::regclass AND i.indisprimary
"""

_ROWS = """
SET intervalstyle = iso_8601;
SELECT (SELECT json_object_agg(e.key, e.value #>> '{{}}') FROM json_each(row_to_json(t)) e)
FROM {table} t ORDER BY t::text
"""
"""Each value is a text, or null: numbers keep their digits."""


def right_result(shape: Shape, postgres: Postgres, database: str) -> dict[str, Any]:
    """Return what a graph has to hold that all records of the shape were applied to."""
    tables = {table: _table(shape, table, postgres, database) for table in shape.tables}
    return {
        "what": shape.what,
        "settings": {**shape.settings, **shape.converter},
        "tables": tables,
        "differs": shape.differs,
        "options": shape.options,
        "is_nameless": shape.is_nameless,
        "refused": shape.refused,
    }


def _table(shape: Shape, table: str, postgres: Postgres, database: str) -> dict[str, Any]:
    quoted = ".".join(f'"{part}"' for part in table.split(".", 1))
    columns = json.loads(postgres.sql(_COLUMNS.format(table=quoted), database))
    key = json.loads(postgres.sql(_KEY.format(table=quoted), database))
    rows = postgres.sql(_ROWS.format(table=quoted), database)
    return {
        "key": shape.key or key,
        "columns": columns,
        "rows": [json.loads(row) for row in rows.split("\n") if row]
        + [dict(row) for row in shape.remains.get(table, ())],
    }
