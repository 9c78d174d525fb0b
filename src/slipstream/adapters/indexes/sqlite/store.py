"""The store: one file with the index, the word index, the journal and what audits keep."""

from __future__ import annotations

from pathlib import Path

from slipstream.adapters.indexes.sqlite.audits import SqliteAudits
from slipstream.adapters.indexes.sqlite.erasing import SqliteErasing
from slipstream.adapters.indexes.sqlite.guest import GuestJournal
from slipstream.adapters.indexes.sqlite.index import SqliteIndex
from slipstream.adapters.indexes.sqlite.journal import SqliteJournal
from slipstream.adapters.indexes.sqlite.kept_codes import KeptCodes
from slipstream.adapters.indexes.sqlite.kept_terms import SqliteTerms
from slipstream.adapters.indexes.sqlite.lease import LeaseTiming, SqliteLease
from slipstream.adapters.indexes.sqlite.requests import SqliteRequests
from slipstream.adapters.indexes.sqlite.schema import prepare_file
from slipstream.adapters.indexes.sqlite.selfcheck import store_check
from slipstream.adapters.indexes.sqlite.words import SqliteWords
from slipstream.adapters.sqlite.connections import Database
from slipstream.adapters.sqlite.fencing import Fence
from slipstream.ports.requests import CommitWatch
from slipstream.ports.selfcheck import SelfCheck

LOCK_NAME = "engine.lock"
_CODES_PATIENCE_S = 2.0
"""How long closing codes vectors for the next process; after a kill the codes are older."""


class SqliteStore:
    """
    Journal, vector index, word index, audits, lease and requests in one SQLite file, created when it is not there.

    A `shared` store writes only while its `lease` is held, except through `guest` and `requests`, which always may.
    One that is not shared takes the file for its own until a lease is acquired. Raises `ConfigError` for a file of
    another program or of a newer version, `CorruptionError` for a damaged one, `UnavailableError` when the file can
    not be opened now.
    """

    def __init__(
        self, path: Path, *, shared: bool = False, busy_timeout_s: float = 5.0, timing: LeaseTiming | None = None
    ) -> None:
        path = Path(path)
        fence = Fence(path, is_open=not shared)
        # A checkpoint into the main file every 16 MB: rare, yet short.
        self._database = Database(path, prepare_file, busy_timeout_s=busy_timeout_s, wal_pages_max=4000, fence=fence)
        self.index = SqliteIndex(self._database)
        self.journal = SqliteJournal(self._database)
        self.audits = SqliteAudits(self._database)
        self.terms = SqliteTerms(self._database)
        self.words = SqliteWords(self._database)
        self.codes = KeptCodes(self._database)
        self.guest = GuestJournal(self._database)
        self.requests = SqliteRequests(self._database)
        self.erasing = SqliteErasing(self._database, self.journal, self.audits, self.words)
        self.selfcheck: SelfCheck = store_check(self._database, self.words.emptied)
        self.lease = SqliteLease(self._database, fence, path.with_name(LOCK_NAME), timing or LeaseTiming())

    @property
    def path(self) -> Path:
        """The file."""
        return self._database.path

    def watch(self) -> CommitWatch:
        """Return what waits for commits to the file; the caller closes it."""
        return self.requests.watch()

    def close(self) -> None:
        """Release the lease, and close the file; closing twice is harmless."""
        self.codes.finish(_CODES_PATIENCE_S)
        self.lease.release()
        self.index.close()
        self.journal.close()
        self.words.close()
        self.guest.close()
        self._database.close()
