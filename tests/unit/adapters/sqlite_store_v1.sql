-- The tables of store version 1, as it was released.
CREATE TABLE spaces (
    id INTEGER PRIMARY KEY,
    model_id TEXT NOT NULL,
    model_version TEXT NOT NULL,
    dimension INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    UNIQUE (model_id, model_version, dimension, generation)
) STRICT;
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    space INTEGER NOT NULL REFERENCES spaces,
    position INTEGER NOT NULL,
    entity_type TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    checksum TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    schema_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    template_version TEXT NOT NULL,
    confidence REAL,
    quality REAL,
    source_document TEXT,
    last_validated INTEGER,
    needs_reembedding INTEGER NOT NULL,
    reembedding_reason TEXT,
    metadata TEXT,
    UNIQUE (key, space)
) STRICT;
CREATE TABLE vectors (record INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;
CREATE TABLE tombstones (key TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_position ON tombstones (position);
CREATE TABLE changes (sequence INTEGER PRIMARY KEY, record INTEGER NOT NULL) STRICT;

CREATE TABLE named_values (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE work (
    key TEXT PRIMARY KEY,
    lane INTEGER NOT NULL,
    position INTEGER,
    attempts INTEGER NOT NULL,
    due_at INTEGER,
    reason TEXT NOT NULL,
    error TEXT,
    force INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX work_by_lane ON work (lane, key);
CREATE TABLE letters (
    id TEXT PRIMARY KEY,
    key TEXT,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    failed_at INTEGER NOT NULL,
    position INTEGER,
    payload TEXT
) STRICT;
CREATE INDEX letters_by_key ON letters (key);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload TEXT NOT NULL,
    due_at INTEGER
) STRICT;
CREATE INDEX messages_by_topic ON messages (topic, id);
PRAGMA application_id = 1397508432;
PRAGMA user_version = 1;
