"""The store: one file with the index, the journal and what audits keep."""

from __future__ import annotations

from pathlib import Path

from slipstream.adapters.indexes.sqlite.audits import SqliteAudits
from slipstream.adapters.indexes.sqlite.database import Database
from slipstream.adapters.indexes.sqlite.index import SqliteIndex
from slipstream.adapters.indexes.sqlite.journal import SqliteJournal


class SqliteStore:
    """
    Journal, vector index and audits in one SQLite file, which is created when it is not there.

    Raises `ConfigError` for a file of another program or of a newer version, `CorruptionError` for a damaged one,
    `UnavailableError` when it can not be opened now.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 5.0) -> None:
        self._database = Database(Path(path), busy_timeout_s)
        self.index = SqliteIndex(self._database)
        self.journal = SqliteJournal(self._database)
        self.audits = SqliteAudits(self._database)

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def close(self) -> None:
        """Close index, journal and file; closing twice is harmless."""
        self.index.close()
        self.journal.close()
        self._database.close()
