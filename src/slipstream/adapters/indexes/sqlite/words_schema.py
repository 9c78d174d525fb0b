"""
The tables of the word index.

`word_rows` says what is held of each record, and its exact names, which `word_names` leads back to. The texts are
in two FTS5 tables with content of their own, one for each stemmer; two more hold the trigrams of names and of words.
"""

from __future__ import annotations

import sqlite3
from types import MappingProxyType

from slipstream.domain.errors import ConfigError

# Letters, digits, private characters and marks: without the marks, words of Hindi break at their vowel signs.
_UNICODE = "unicode61 remove_diacritics 2 categories ''L* N* Co M*''"
TOKENIZERS = MappingProxyType({"english": f"porter {_UNICODE}", "none": _UNICODE})
"""How FTS5 cuts texts into terms, by stemmer; quotes are doubled, as they stand inside quotes."""
TEXT_TABLES = MappingProxyType({"english": "words_english", "none": "words_none"})
"""The table of the texts, by stemmer."""
NAME_TRIGRAMS, WORD_TRIGRAMS = "name_trigrams", "word_trigrams"
RANK = "bm25(8.0, 4.0, 1.0, 2.0)"
"""What hits are ordered by: a word in a name counts eight times one in the body."""
_PLAIN = {
    "word_rows": """CREATE TABLE word_rows (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    position INTEGER NOT NULL,
    stemmer TEXT NOT NULL,
    digest BLOB NOT NULL,
    names TEXT NOT NULL
) STRICT""",
    "word_names": """CREATE TABLE word_names (
    folded TEXT NOT NULL,
    kind INTEGER NOT NULL,
    row INTEGER NOT NULL,
    PRIMARY KEY (folded, kind, row)
) STRICT, WITHOUT ROWID""",
    "known_words": "CREATE TABLE known_words (word TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    # Words that a row has lost, so that perhaps none has them any more: an erasure looks at these alone.
    "lost_words": "CREATE TABLE lost_words (word TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
}
_SEARCHED = {
    **{
        table: f"CREATE VIRTUAL TABLE {table} USING fts5(name, aliases, body, type, tokenize='{TOKENIZERS[stemmer]}')"
        for stemmer, table in TEXT_TABLES.items()
    },
    NAME_TRIGRAMS: f"CREATE VIRTUAL TABLE {NAME_TRIGRAMS} USING fts5(names, tokenize='trigram', detail=none)",
    WORD_TRIGRAMS: f"CREATE VIRTUAL TABLE {WORD_TRIGRAMS} USING fts5(word, tokenize='trigram', detail=none)",
}
_TERMS = {
    f"{table}_terms": f"CREATE VIRTUAL TABLE {table}_terms USING fts5vocab({table}, row)" for table in _SEARCHED
}
_PARTS = ("data", "idx", "content", "docsize", "config")
"""The tables that FTS5 makes for each of its own."""
_RANKED = tuple(f"INSERT INTO {table} ({table}, rank) VALUES ('rank', '{RANK}')" for table in TEXT_TABLES.values())
WORD_TABLES = (*_PLAIN, *_SEARCHED, *_TERMS)
"""Every table of the word index, those of FTS5's own left out."""
WORDS_STEP = ";".join((*_PLAIN.values(), *_SEARCHED.values(), *_TERMS.values(), *_RANKED))
"""The statements that make the tables."""


def make_words(connection: sqlite3.Connection) -> None:
    """Make the tables, inside the open transaction."""
    for statement in WORDS_STEP.split(";"):
        connection.execute(statement)


def remove_words(connection: sqlite3.Connection) -> None:
    """Drop the tables, inside the open transaction, however damaged: many times as fast as deleting rows."""
    for table in (*_TERMS, *_SEARCHED):
        try:
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        except sqlite3.DatabaseError:  # FTS5 reads its own tables first
            _forget_table(connection, table)
        for part in _PARTS if table in _SEARCHED else ():
            connection.execute(f"DROP TABLE IF EXISTS {table}_{part}")
    for table in _PLAIN:
        connection.execute(f"DROP TABLE IF EXISTS {table}")


def _forget_table(connection: sqlite3.Connection, table: str) -> None:
    """Take a virtual table out of the schema; its own tables are then plain ones."""
    connection.execute("PRAGMA writable_schema = ON")
    try:
        connection.execute("DELETE FROM sqlite_schema WHERE name = ?", (table,))
    finally:
        connection.execute("PRAGMA writable_schema = RESET")


def unlike_words(connection: sqlite3.Connection) -> list[str]:
    """Return the tables of the word index that are missing, or differ from those of this version."""
    found = dict(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
    unlike = [name for name, statement in (_PLAIN | _SEARCHED | _TERMS).items() if found.get(name) != statement]
    return unlike + [f"{table}_{part}" for table in _SEARCHED for part in _PARTS if f"{table}_{part}" not in found]


def is_of_words(table: str) -> bool:
    """Whether a table belongs to the word index."""
    return table in WORD_TABLES or any(table == f"{name}_{part}" for name in _SEARCHED for part in _PARTS)


def require_fts5(connection: sqlite3.Connection) -> None:
    """Raise `ConfigError` when this Python's SQLite was built without its search by words."""
    if connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone() is None:
        raise ConfigError("this Python's SQLite was built without FTS5, which searches by words: use another Python")
