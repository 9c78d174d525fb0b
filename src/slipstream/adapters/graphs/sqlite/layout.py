"""
The tables, indexes and triggers of a graph file: a public contract, described in docs/graph.md.

Any program may read and write these tables. So the rules for every writer are here and not in Python: invalid rows
are refused, relationships go with their entities, and every change is logged in its own transaction. They are
triggers, not foreign keys or CHECKs, which a writer's pragmas and conflict clauses (`OR REPLACE`, `OR IGNORE`)
override.
"""

from __future__ import annotations

from collections.abc import Mapping

APPLICATION_ID = 0x534C4947  # "SLIG"
LAYOUT_VERSION = 2
"""`PRAGMA user_version`: the number of steps in `LAYOUT`."""

ID_SIZE_MAX = 1024
TYPE_SIZE_MAX = 128
REFERENCE_SIZE_MAX = 8 * ID_SIZE_MAX
"""Characters of a relationship's id, which is made of its type, both ends and its key."""
PROPERTIES_SIZE_MAX = 16 * 1024 * 1024
"""Characters of JSON in one entity or relationship."""
LOGGED_SIZE_MAX = 16 * 1024
"""Longer properties are not kept in the log: an entry then says that they changed, not from what to what."""

_NOW_MS = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


def _encoded(column: str) -> str:
    return f"replace(replace({column}, '%', '%25'), ':', '%3A')"


_RELATIONSHIP_ID = (
    f"{_encoded('type')} || ':' || {_encoded('source')} || ':' || {_encoded('target')} "
    f"|| iif(key = '', '', ':' || {_encoded('key')})"
)

TABLES = {
    "meta": "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "entity": """CREATE TABLE entity(
        key INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE CHECK(typeof(id) = 'text'),
        type TEXT NOT NULL CHECK(typeof(type) = 'text'),
        properties TEXT NOT NULL DEFAULT '{}' CHECK(typeof(properties) = 'text'))""",
    "entity_type": "CREATE INDEX entity_type ON entity(type)",
    # Always empty. It keeps programs from opening `properties` as a blob and writing past the triggers.
    "entity_no_blob_io": "CREATE INDEX entity_no_blob_io ON entity(properties) WHERE key IS NULL",
    "relationship": f"""CREATE TABLE relationship(
        source TEXT NOT NULL,
        type TEXT NOT NULL CHECK(typeof(type) = 'text'),
        target TEXT NOT NULL,
        key TEXT NOT NULL DEFAULT '' CHECK(typeof(key) = 'text'),
        properties TEXT NOT NULL DEFAULT '{{}}' CHECK(typeof(properties) = 'text'),
        id TEXT GENERATED ALWAYS AS ({_RELATIONSHIP_ID}) VIRTUAL,
        PRIMARY KEY(source, type, target, key)) WITHOUT ROWID""",
    "relationship_in": "CREATE INDEX relationship_in ON relationship(target, type)",
    "relationship_id": "CREATE INDEX relationship_id ON relationship(id)",
    # No UNIQUE and no CHECK: with them a writer's conflict clause could silently skip a row of the log.
    "change": f"""CREATE TABLE change(
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        id TEXT, type TEXT, source TEXT, target TEXT, key TEXT,
        old TEXT, new TEXT,
        at INTEGER DEFAULT ({_NOW_MS}))""",
    "consumer": "CREATE TABLE consumer(name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID",
    "schema_version": """CREATE TABLE schema_version(
        version INTEGER PRIMARY KEY,
        position INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        reason TEXT NOT NULL,
        added TEXT NOT NULL)""",
    "once": "CREATE TABLE once(event_id TEXT PRIMARY KEY) WITHOUT ROWID",
    "sync_state": """CREATE TABLE sync_state(
        entity_id TEXT PRIMARY KEY,
        entity_type TEXT NOT NULL,
        state TEXT NOT NULL,
        model_id TEXT,
        schema_version INTEGER,
        position INTEGER,
        embedded_at TEXT,
        last_verified TEXT) WITHOUT ROWID""",
    "sync_state_state": "CREATE INDEX sync_state_state ON sync_state(state, entity_id)",
    "fence": """CREATE TABLE fence(
        space TEXT NOT NULL,
        name TEXT NOT NULL,
        key TEXT NOT NULL,
        sequence TEXT,
        event_id TEXT NOT NULL,
        deleted INTEGER NOT NULL,
        log TEXT, number INTEGER, at_ms INTEGER,
        unsent TEXT,
        PRIMARY KEY(space, name)) STRICT, WITHOUT ROWID""",
    "fence_key": "CREATE INDEX fence_key ON fence(key)",
}
"""Tables and indexes, by name, in the order in which they are made."""


# A number that JSON can write but no double can hold (1e400) passes `json_valid`. Only a text that can hold one is
# searched: one with an exponent, or with so many digits. (A pattern that begins with a letter is ten times as fast as
# one that begins with a digit.)
_INFINITE = (
    "(length(new.properties) > 308 OR new.properties GLOB '*e[0-9+]*' OR new.properties GLOB '*E[0-9+]*') AND EXISTS("
    "SELECT 1 FROM json_tree(new.properties) WHERE type = 'real' AND (atom = 9e999 OR atom = -9e999))"
)
# `length` ends at a NUL, so characters and bytes differ; they also do for text that is not ASCII.
_NUL = "length(CAST(new.properties AS BLOB)) <> length(new.properties) AND instr(new.properties, char(0))"
_GUARDED_PROPERTIES = {
    "properties: must be a JSON object": (
        "CASE WHEN typeof(new.properties) = 'text' AND json_valid(new.properties) "
        "THEN json_type(new.properties) <> 'object' ELSE 1 END"
    ),
    f"properties: at most {PROPERTIES_SIZE_MAX} characters, none of them NUL": (
        f"length(new.properties) > {PROPERTIES_SIZE_MAX} OR ({_NUL})"
    ),
    "properties: a number is too large for JSON": _INFINITE,
}


def _is_no_utf8(value: str) -> str:
    """Return a condition that is true for a text that is not valid UTF-8; a single test for plain ASCII."""
    # SQLite reads U+FFFE and U+FFFF, which are valid UTF-8 though not characters, as U+FFFD.
    return (
        f"({value} GLOB '*[^ -~]*' AND EXISTS("
        f"WITH RECURSIVE place(at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < length({value})) "
        f"SELECT 1 FROM place WHERE CAST(char(unicode(substr({value}, at, 1))) AS BLOB) "
        f"<> CAST(substr({value}, at, 1) AS BLOB) "
        f"AND CAST(substr({value}, at, 1) AS BLOB) NOT IN (x'EFBFBE', x'EFBFBF')))"
    )


def _guarded_name(column: str, size_max: int, *, may_be_empty: bool = False) -> dict[str, str]:
    value = f"new.{column}"
    wrong = f"typeof({value}) <> 'text' OR length({value}) > {size_max} OR instr({value}, char(0))"
    empty = "" if may_be_empty else f"{value} = '' OR "
    least = "at most" if may_be_empty else "1 to"
    return {
        f"{column}: {least} {size_max} characters of text, none of them NUL": empty + wrong,
        f"{column}: must be UTF-8": _is_no_utf8(value),
    }


_ENCODED_REF = " || ".join(f"coalesce({_encoded(f'new.{part}')}, '')" for part in ("type", "source", "target", "key"))
_GUARDED_ENTITY = {**_guarded_name("id", ID_SIZE_MAX), **_guarded_name("type", TYPE_SIZE_MAX), **_GUARDED_PROPERTIES}
_GUARDED_RELATIONSHIP = {
    **_guarded_name("type", TYPE_SIZE_MAX),
    **_guarded_name("key", ID_SIZE_MAX, may_be_empty=True),
    f"id: at most {REFERENCE_SIZE_MAX} characters when encoded": (
        f"length(new.type) + length(new.source) + length(new.target) + length(new.key) > {REFERENCE_SIZE_MAX // 4} "
        f"AND length({_ENCODED_REF}) + 3 > {REFERENCE_SIZE_MAX}"
    ),
    "source: no such entity": "NOT EXISTS(SELECT 1 FROM entity WHERE id = new.source)",
    "target: no such entity": "NOT EXISTS(SELECT 1 FROM entity WHERE id = new.target)",
    **_GUARDED_PROPERTIES,
}
_KEY_POSITIVE = {"key: must be positive": "new.key < 1"}
_INSERTED_KEY_FREE = {
    "key: is that of another entity": "EXISTS(SELECT 1 FROM entity WHERE key = new.key AND id IS NOT new.id)"
}
_UPDATED_KEY_FREE = {
    "key: is that of another entity": ("new.key IS NOT old.key AND EXISTS(SELECT 1 FROM entity WHERE key = new.key)")
}


UNSOUND: Mapping[str, Mapping[str, str]] = {
    table: {message: condition.replace("new.", f"{table}.") for message, condition in refused.items()}
    for table, refused in {
        "entity": {**_GUARDED_ENTITY, **_KEY_POSITIVE},
        "relationship": _GUARDED_RELATIONSHIP,
    }.items()
}
"""What the triggers refuse, as conditions on stored rows: by table, and by message."""


def _guard(name: str, event: str, table: str, refused: Mapping[str, str]) -> str:
    """Return a trigger that refuses a row with the message of the first true condition; valid rows cost one test."""
    when = " OR ".join(f"({condition})" for condition in refused.values())
    body = "".join(
        f"SELECT RAISE(ABORT, '{table}.{message}') WHERE {condition};\n" for message, condition in refused.items()
    )
    return f"CREATE TRIGGER {name} {event} ON {table} WHEN {when} BEGIN\n{body}END"


def _kept(row: str) -> str:
    return f"iif(length({row}.properties) <= {LOGGED_SIZE_MAX}, {row}.properties, NULL)"


def _entity_row(kind: str, row: str, *, old: str = "NULL", new: str = "NULL") -> str:
    values = f"'{kind}', {row}.id, {row}.type, {old}, {new}"
    return f"INSERT INTO change(kind, id, type, old, new) VALUES({values});"


def _relationship_row(kind: str, row: str, *, old: str = "NULL", new: str = "NULL", where: str = "") -> str:
    values = f"'{kind}', {row}.source, {row}.type, {row}.target, {row}.key, {old}, {new}"
    return f"INSERT INTO change(kind, source, type, target, key, old, new) {_rows(values, where)};"


def _rows(values: str, where: str) -> str:
    return f"SELECT {values} WHERE {where}" if where else f"VALUES({values})"


def _rows_of_relationships(kind: str, column: str) -> str:
    """Return a statement that logs every relationship of a replaced, retyped or renamed entity, each once."""
    chosen = f"SELECT '{kind}', source, type, target, key, {_kept('relationship')} FROM relationship"
    return (
        f"INSERT INTO change(kind, source, type, target, key, {column}) "
        f"{chosen} WHERE source = new.id UNION ALL {chosen} WHERE target = new.id AND source <> new.id;"
    )


_OLD, _NEW = _kept("old"), _kept("new")
_IDENTITY = "(old.source, old.type, old.target, old.key) {} (new.source, new.type, new.target, new.key)"

TRIGGERS = {
    "entity_insert_guard": _guard(
        "entity_insert_guard", "BEFORE INSERT", "entity", {**_GUARDED_ENTITY, **_INSERTED_KEY_FREE}
    ),
    # A key that is not given reads as -1 before the insert, so negative keys can be refused only after it.
    "entity_key_guard": _guard("entity_key_guard", "AFTER INSERT", "entity", _KEY_POSITIVE),
    "entity_update_guard": _guard(
        "entity_update_guard", "BEFORE UPDATE", "entity", {**_GUARDED_ENTITY, **_KEY_POSITIVE, **_UPDATED_KEY_FREE}
    ),
    "relationship_insert_guard": _guard(
        "relationship_insert_guard", "BEFORE INSERT", "relationship", _GUARDED_RELATIONSHIP
    ),
    "relationship_update_guard": _guard(
        "relationship_update_guard", "BEFORE UPDATE", "relationship", _GUARDED_RELATIONSHIP
    ),
    "entity_inserted": f"""CREATE TRIGGER entity_inserted AFTER INSERT ON entity BEGIN
        {_entity_row("+e", "new", new=_NEW)} END""",
    # REPLACE fires no trigger for the row that it removes: its relationships stay, with another entity at their end.
    "entity_replaced": f"""CREATE TRIGGER entity_replaced AFTER INSERT ON entity
        WHEN EXISTS(SELECT 1 FROM relationship WHERE source = new.id)
            OR EXISTS(SELECT 1 FROM relationship WHERE target = new.id) BEGIN
        {_rows_of_relationships("+r", "new")} END""",
    "entity_deleted": f"""CREATE TRIGGER entity_deleted AFTER DELETE ON entity BEGIN
        DELETE FROM relationship WHERE source = old.id; DELETE FROM relationship WHERE target = old.id;
        {_entity_row("-e", "old", old=_OLD)} END""",
    "entity_updated": f"""CREATE TRIGGER entity_updated AFTER UPDATE ON entity
        WHEN old.id IS new.id AND old.type IS new.type AND old.properties IS NOT new.properties BEGIN
        {_entity_row("~e", "new", old=_OLD, new=_NEW)} END""",
    # Neighbours may show the type: each relationship is logged as if it had been deleted and created again.
    "entity_retyped": f"""CREATE TRIGGER entity_retyped AFTER UPDATE ON entity
        WHEN old.id IS new.id AND old.type IS NOT new.type BEGIN
        {_rows_of_relationships("-r", "old")}
        {_entity_row("-e", "old", old=_OLD)}
        {_entity_row("+e", "new", new=_NEW)}
        {_rows_of_relationships("+r", "new")} END""",
    "entity_renamed": f"""CREATE TRIGGER entity_renamed AFTER UPDATE ON entity WHEN old.id IS NOT new.id BEGIN
        {_entity_row("-e", "old", old=_OLD)}
        {_entity_row("+e", "new", new=_NEW)}
        {_rows_of_relationships("+r", "new")}
        UPDATE OR REPLACE relationship SET source = iif(source = old.id, new.id, source),
            target = iif(target = old.id, new.id, target) WHERE source = old.id OR target = old.id;
        DELETE FROM relationship WHERE source = old.id OR target = old.id; END""",
    "relationship_inserted": f"""CREATE TRIGGER relationship_inserted AFTER INSERT ON relationship BEGIN
        {_relationship_row("+r", "new", new=_NEW)} END""",
    "relationship_deleted": f"""CREATE TRIGGER relationship_deleted AFTER DELETE ON relationship BEGIN
        {_relationship_row("-r", "old", old=_OLD)} END""",
    "relationship_updated": f"""CREATE TRIGGER relationship_updated AFTER UPDATE ON relationship
        WHEN {_IDENTITY.format("IS NOT")} OR old.properties IS NOT new.properties BEGIN
        {_relationship_row("~r", "new", old=_OLD, new=_NEW, where=_IDENTITY.format("IS"))}
        {_relationship_row("-r", "old", old=_OLD, where=_IDENTITY.format("IS NOT"))}
        {_relationship_row("+r", "new", new=_NEW, where=_IDENTITY.format("IS NOT"))} END""",
}
"""Triggers, by name. Opening an older file gives it those of this version."""

_SECOND = ("fence", "fence_key")
LAYOUT = (
    tuple(sql for name, sql in TABLES.items() if name not in _SECOND),
    tuple(TABLES[name] for name in _SECOND),
)
"""The statements that bring the tables from each version to the next one."""
