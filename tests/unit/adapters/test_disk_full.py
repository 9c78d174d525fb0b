"""A full disk is told apart from other moments that pass, whoever finds it full."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from slipstream.adapters.alerts.memory_file import AlertFile
from slipstream.adapters.indexes.chroma.errors import mapped as chroma_mapped
from slipstream.adapters.sqlite.errors import mapped as sqlite_mapped
from slipstream.domain.errors import DiskFullError, UnavailableError


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("odd")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE])
def test_sqlite_says_so_for_the_file_and_for_what_a_connection_needs(code: int) -> None:
    found = sqlite_mapped(sqlite_error(code), Path("index.db"))
    assert isinstance(found, DiskFullError)
    assert "free some space" in str(found)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN])
def test_another_moment_is_no_full_disk(code: int) -> None:
    found = sqlite_mapped(sqlite_error(code), Path("index.db"))
    assert isinstance(found, UnavailableError)
    assert not isinstance(found, DiskFullError)


@pytest.mark.parametrize("text", ["database or disk is full", "IO error: No space left on device (os error 28)"])
def test_chroma_says_so_in_words(text: str) -> None:
    pytest.importorskip("chromadb")
    from chromadb.errors import InternalError

    assert isinstance(chroma_mapped(InternalError(text), "chroma"), DiskFullError)
    assert not isinstance(chroma_mapped(InternalError("odd"), "chroma"), DiskFullError)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_file_of_the_alerts_says_so(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(number, "no room")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(DiskFullError):
        AlertFile(tmp_path / "alerts", lambda: True).set("alerts", "x")
