"""
The embedded store: journal and vector index in one SQLite file, so that a batch and its checkpoint commit as one.

Search is exact, over a float32 matrix in memory that follows the file's change sequence. Any number of threads and
processes may read and write. Only the standard library's SQLite may open the file: a second copy of SQLite in one
process loses committed rows.
"""

from slipstream.adapters.indexes.sqlite.index import SqliteIndex
from slipstream.adapters.indexes.sqlite.journal import SqliteJournal
from slipstream.adapters.indexes.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "SqliteIndex", "SqliteJournal"]
